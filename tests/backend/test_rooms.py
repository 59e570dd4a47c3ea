# SPDX-License-Identifier: GPL-3.0-or-later
"""The rooms of the project and the one way that imports run between them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("panels", "operators", "operators/scene", "backend", "backend/worker")
MAY_IMPORT = {
    "panels": {"panels", "operators", "operators/scene", "backend"},
    "operators": {"operators", "operators/scene", "backend"},
    "operators/scene": {"operators/scene", "backend"},
    "backend": {"backend"},
    "backend/worker": {"backend/worker", "backend"},
}
WORKER_ONLY = {
    "torch", "torchvision", "transformers", "diffusers", "huggingface_hub", "safetensors",
    "numba", "cv2", "pycolmap", "av", "ffmpeg", "imageio_ffmpeg", "requests", "websocket",
}  # fmt: skip
TOP_LEVEL = {
    "blender_manifest.toml", "__init__.py", "operators", "panels", "backend", "workflows", "tests",
    "README.md", "LICENSE", "pyproject.toml", "docs", ".ci", ".gitignore", ".gitattributes",
}  # fmt: skip


def room_of(file: Path) -> str:
    parents = [str(parent) for parent in file.relative_to(ROOT).parents]
    return next(parent for parent in parents if parent in ROOMS)


def sources() -> Iterator[Path]:
    for top in ("panels", "operators", "backend"):
        yield from sorted((ROOT / top).rglob("*.py"))


def imported(file: Path) -> Iterator[tuple[int, str]]:
    """Every import of a file: its line and the module, relative ones as a path below the root."""
    package = file.relative_to(ROOT).parent
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.lineno, str(node.module)
        elif isinstance(node, ast.ImportFrom):
            base = Path(*package.parts[: len(package.parts) - node.level + 1])
            target = base / str(node.module or "").replace(".", "/")
            for alias in node.names:
                whole = target / alias.name
                known = (ROOT / whole).is_dir() or (ROOT / whole.with_suffix(".py")).is_file()
                yield node.lineno, f"./{whole if known else target}"


def inner_room(module: str) -> str | None:
    """The room that an import reaches, None for a module of others."""
    if module.startswith("./"):
        path = ROOT / module
        return room_of(path if path.is_dir() else path.with_suffix(".py")) if path != ROOT else None
    top = module.replace(".", "/")
    return (
        room_of(ROOT / f"{top}.py")
        if top.split("/")[0] in ("backend", "operators", "panels")
        else None
    )


@pytest.mark.parametrize("file", list(sources()), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_run_one_way(file: Path) -> None:
    room = room_of(file)
    for line, module in imported(file):
        place = f"{file.relative_to(ROOT)}:{line} imports {module}"
        reached = inner_room(module)
        assert reached is None or reached in MAY_IMPORT[room], place
        top = module.split(".")[0]
        assert top != "bpy" or room not in ("backend", "backend/worker"), place
        assert top not in WORKER_ONLY or room == "backend/worker", place


def test_the_command_line_starts_on_a_bare_python() -> None:
    """No package beside the standard library may be needed before the environment exists."""
    program = (
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] not in sys.stdlib_module_names | {'backend'}:\n"
        "            raise ImportError('not on a bare Python: ' + name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import backend.cli, backend.worker.runner\n"
    )
    command = [sys.executable, "-I", "-S", "-B", "-c", program]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


def test_the_top_level_is_the_agreed_one() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert {line.split("/")[0] for line in listed.stdout.splitlines()} <= TOP_LEVEL


def test_every_file_names_its_licence() -> None:
    for folder in ("panels", "operators", "backend", "tests"):
        for file in (ROOT / folder).rglob("*.py"):
            first = file.read_text(encoding="utf-8").split("\n", 1)[0]
            assert first == "# SPDX-License-Identifier: GPL-3.0-or-later", file
