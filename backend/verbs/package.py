# SPDX-License-Identifier: GPL-3.0-or-later
"""`package`: the extension as a zip, built and validated by Blender's own tools."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from .. import blender, environment
from ..console import Console
from ..errors import BlenderError, OutputError, explain_os_error
from ..host import Host
from ..installation import site_packages
from ..processes import clean_environment
from .environment import ConsoleReport

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = "blender_manifest.toml"
CONTENT = (
    MANIFEST,
    "__init__.py",
    "LICENSE",
    "README.md",
    "backend",
    "operators",
    "panels",
    "workflows",
)
"""What the extension is made of; all else in its folder is for those who work on it."""
NEVER = frozenset({"tests", "docs", "demo", "dist", "__pycache__", "pyproject.toml"})
_BUILDER = "bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "package",
        help="build the extension's zip, for Install from Disk in Blender",
        description="Builds the extension's zip and validates it, both with Blender's own tools: "
        "those of the Blender package in the worker's environment, else of a Blender program, "
        "else the package is installed first (Python 3.11).",
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", default="dist", help="folder to write to (default: dist)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, host: Host) -> int:
    console = Console()
    tools = _tools(host, console)
    package = build(tools, ROOT, Path(arguments.output).absolute())
    console.line(f"{package}  {package.stat().st_size / 1000:.0f} kB")
    return 0


def _tools(host: Host, console: Console) -> list[str]:
    """The command that Blender's extension tools are started with. Raises ShotGopherError."""
    python = environment.find(host.home, ("blender",))
    program = None if python else blender.find_program(host.blender)
    if program is not None:
        return [str(program.path), "--factory-startup", "--command", "extension"]
    if python is None:
        report = ConsoleReport(console)
        groups = ("core", "blender")
        python = environment.install(host.home, groups, host.python, report, host.online)
    return wheel_tools(python)


def wheel_tools(python: Path) -> list[str]:
    """The extension tools inside the bpy wheel of an environment. They need no bpy to run."""
    venv = python.parent.parent
    found = [tool for site in site_packages(venv) for tool in sorted(site.glob(_BUILDER))]
    if not found:
        raise BlenderError("The Blender package in the environment has no extension tools.")
    return [str(python), "-I", "-B", str(found[-1])]


def build(tools: Sequence[str], root: Path, output: Path) -> Path:
    """Writes <id>-<version>.zip of the extension in `root` into `output`; its path.

    Raises OutputError, and BlenderError with what Blender's tools said.
    """
    try:
        with tempfile.TemporaryDirectory() as temporary:
            source = Path(temporary) / "source"
            _copy_content(root, source)
            package = Path(temporary) / package_name(source)
            _run(tools, "build", "--source-dir", str(source), "--output-filepath", str(package))
            _run(tools, "validate", str(package))
            check_content(package)
            output.mkdir(parents=True, exist_ok=True)
            part = shutil.copyfile(package, output / f"{package.name}.part")
            return part.replace(output / package.name)
    except OSError as error:
        raise OutputError(explain_os_error(error)) from error


def package_name(source: Path) -> str:
    """The name that Blender gives the package: from the manifest's id and version."""
    manifest = tomllib.loads((source / MANIFEST).read_text(encoding="utf-8"))
    return f"{manifest['id']}-{manifest['version']}.zip"


def _copy_content(root: Path, source: Path) -> None:
    """The parts of the extension alone: whatever else lies in a checkout never gets in."""
    source.mkdir()
    unwanted = shutil.ignore_patterns("__pycache__", "*.py[co]", ".*", "*.part")
    for name in CONTENT:
        if (root / name).is_dir():
            shutil.copytree(root / name, source / name, ignore=unwanted)
        elif (root / name).is_file():
            shutil.copyfile(root / name, source / name)


def check_content(package: Path) -> None:
    """Raises OutputError when a package holds what it should not, or lacks its core."""
    with zipfile.ZipFile(package) as archive:
        names = [PurePosixPath(name) for name in archive.namelist()]
    for name in names:
        if any(part in NEVER or part.startswith(".") for part in name.parts):
            raise OutputError(f"The package would hold {name}, which does not belong there.")
    tops = {name.parts[0] for name in names}
    missing = [name for name in CONTENT if name not in tops]
    if missing:
        raise OutputError(f"The package would lack {', '.join(missing)}.")


def _run(tools: Sequence[str], *arguments: str) -> None:
    answer = subprocess.run(
        [*tools, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        env=clean_environment(),
    )
    if answer.returncode:
        said = " ".join(answer.stdout.split())
        raise BlenderError(f"Blender's extension tools refuse to {arguments[0]}: {said}")
