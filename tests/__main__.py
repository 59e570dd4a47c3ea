# SPDX-License-Identifier: GPL-3.0-or-later
"""`python3 -m tests`: makes the environments that the tests need, and runs everything.

ruff, mypy --strict, tests/backend without Blender, tests/models and tests/dense with all that the
worker has, tests/scene in the bpy wheel. With `--blender all` tests/scene runs in every bpy wheel;
`--real-blender` runs tests/extension, in real Blender programs, and nothing else. Words after `--`
go to pytest.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.environments import (
    BPY_VERSIONS,
    DEFAULT_BPY,
    ROOT,
    call,
    test_python,
    worker_pytest,
)

_SPREAD = ("-n", "auto", "--dist", "worksteal")
"""Over all cores: most of these tests keep one busy."""


def main() -> int:
    arguments = _parser().parse_args()
    began = time.monotonic()
    steps = _real_blender(arguments) if arguments.real_blender else _steps(arguments)
    failed = [name for name, command in steps if not _passes(name, command)]
    minutes = (time.monotonic() - began) / 60
    verdict = f"failed: {', '.join(failed)}" if failed else f"all {len(steps)} steps passed"
    print(f"\n{verdict} ({minutes:.1f} min, installation included)")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tests", description=__doc__)
    parser.add_argument(
        "--blender", choices=("default", "all"), default="default", help="bpy wheels to test with"
    )
    parser.add_argument("--real-blender", action="store_true", help="run tests/extension only")
    parser.add_argument("pytest", nargs="*", help="options for pytest, after --")
    return parser


def _steps(arguments: argparse.Namespace) -> list[tuple[str, list[str]]]:
    """Each step by name with its command, the environments made ready."""
    python = str(test_python(DEFAULT_BPY))
    steps = [
        ("ruff check", [python, "-m", "ruff", "check", "."]),
        ("ruff format", [python, "-m", "ruff", "format", "--check", "."]),
        ("mypy", [python, "-m", "mypy", "backend"]),
        ("backend", [python, "-B", "-m", "pytest", *_SPREAD, *arguments.pytest, "tests/backend"]),
        ("models", [*worker_pytest(), *arguments.pytest, "tests/models"]),
        ("dense", [*worker_pytest(), *arguments.pytest, "tests/dense"]),
    ]
    versions = BPY_VERSIONS if arguments.blender == "all" else (DEFAULT_BPY,)
    for version in versions:
        scene = [str(test_python(version)), "-B", "-m", "pytest", *arguments.pytest, "tests/scene"]
        steps.append((f"scene, bpy {version}", scene))
    return steps


def _real_blender(arguments: argparse.Namespace) -> list[tuple[str, list[str]]]:
    python = str(test_python(DEFAULT_BPY))
    command = [python, "-B", "-m", "pytest", *arguments.pytest, "tests/extension"]
    return [("real Blender", command)]


def _passes(name: str, command: list[str]) -> bool:
    print(f"\n== {name}", flush=True)
    began = time.monotonic()
    passed = call(command, ROOT) == 0
    print(f"== {name}: {'passed' if passed else 'FAILED'}, {time.monotonic() - began:.0f} s")
    return passed


if __name__ == "__main__":
    sys.exit(main())
