# SPDX-License-Identifier: GPL-3.0-or-later
"""`python3 -m tests.comfyui_validate`: our graphs and our validator against comfy-cli's.

comfy-cli is ComfyUI's own command line and checks graphs without a server. With what it needs it
takes 339 MB, so it gets an environment of its own, in Shot Gopher's home, the first time.

    --judge    reads {"object_info": ..., "graphs": [...]} and prints a verdict for each graph;
               this is how the tests run it, in that environment's Python
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

VERSION = "1.23.0"
ROOT = Path(__file__).resolve().parents[1]


def comfy_python() -> Path | None:
    """The Python that has comfy-cli, None while there is none."""
    from backend.processes import WINDOWS

    python = _folder() / ("Scripts/python.exe" if WINDOWS else "bin/python")
    return python if (_folder() / "ready").exists() else None


def verdicts(object_info: Any, graphs: list[Any]) -> list[dict[str, Any]]:
    """What comfy-cli says of each graph: {"valid": bool, "errors": [...]}."""
    python = comfy_python()
    assert python is not None
    answer = subprocess.run(
        [str(python), "-I", "-B", str(Path(__file__).resolve()), "--judge"],
        input=json.dumps({"object_info": object_info, "graphs": graphs}),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found: list[dict[str, Any]] = json.loads(answer.stdout.splitlines()[-1])
    return found


def _folder() -> Path:
    from backend.locations import home

    return home() / "tests" / f"comfy-cli-{VERSION}"


def _judge() -> int:
    from comfy_cli.cql.engine import Graph  # type: ignore[import-not-found]

    asked = json.load(sys.stdin)
    graph = Graph.from_object_info(asked["object_info"])
    print(json.dumps([graph.validate_workflow(each) for each in asked["graphs"]]))
    return 0


def _install() -> int:
    from tests.environments import DEFAULT_BPY, call, test_python

    if comfy_python() is None:
        folder = _folder()
        print(f"Installing comfy-cli {VERSION} in {folder}", flush=True)
        if call([str(test_python(DEFAULT_BPY)), "-m", "venv", "--clear", str(folder)], ROOT):
            return 1
        python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        if call([*pip, f"comfy-cli=={VERSION}"], ROOT):
            return 1
        (folder / "ready").touch()
    return 0


def main() -> int:
    if "--judge" in sys.argv:
        return _judge()
    from tests.environments import DEFAULT_BPY, call, test_python

    tests = ["tests/backend/test_comfyui_graph.py", "-k", "comfy_cli", "-rs"]
    pytest = [str(test_python(DEFAULT_BPY)), "-B", "-m", "pytest", *tests]
    return _install() or call(pytest, ROOT)


if __name__ == "__main__":
    sys.exit(main())
