# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's zip, built and validated by Blender's own tools from the bpy wheel."""

from __future__ import annotations

import shlex
import shutil
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from backend import workflows
from backend.errors import BlenderError, OutputError
from backend.verbs import package

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tools() -> list[str]:
    if find_spec("bpy") is None:
        pytest.skip("no bpy wheel in this Python")
    return package.wheel_tools(Path(sys.executable))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small extension with all that a checkout collects beside it."""
    root = tmp_path / "checkout"
    for folder in (
        "backend/sample",
        "operators",
        "panels",
        "workflows",
        "tests/backend",
        "docs",
        ".git",
    ):
        (root / folder).mkdir(parents=True)
    for name in ("blender_manifest.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, root / name)
    for name in ("__init__.py", "backend/jobs.py", "operators/run.py", "panels/shot.py"):
        (root / name).write_text("")
    (root / "workflows/needs.json").write_text("{}")
    (root / "backend/sample/plate.mp4").write_bytes(b"movie")
    for stray in ("tests/backend/test_x.py", "docs/a.md", ".git/config", "plate/frame_0001.png"):
        (root / stray).parent.mkdir(exist_ok=True)
        (root / stray).write_text("")
    (root / "backend/__pycache__").mkdir()
    (root / "backend/__pycache__/jobs.cpython-311.pyc").write_text("")
    return root


def names_in(file: Path) -> set[str]:
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        return {name for name in archive.namelist() if not name.endswith("/")}


def test_the_package_holds_the_extension_and_nothing_else(
    tools: list[str], checkout: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log.txt"
    (tmp_path / "tools.sh").write_text(f'echo "$1" >> "{log}"; exec {shlex.join(tools)} "$@"\n')
    made = package.build(["sh", str(tmp_path / "tools.sh")], checkout, tmp_path / "dist")
    assert log.read_text().split() == ["build", "validate"]
    assert made == tmp_path / "dist" / package.package_name(ROOT)
    assert names_in(made) == {
        "blender_manifest.toml", "__init__.py", "LICENSE", "README.md", "backend/jobs.py",
        "backend/sample/plate.mp4", "operators/run.py", "panels/shot.py", "workflows/needs.json",
    }  # fmt: skip


def test_this_extension_is_built_and_valid(tools: list[str], tmp_path: Path) -> None:
    made = package.build(tools, ROOT, tmp_path)
    names = names_in(made)
    assert {name.partition("/")[0] for name in names} <= set(package.CONTENT)
    for name in ("__init__.py", "backend/requirements/core.txt", "backend/worker/__main__.py"):
        assert name in names
    assert {f"workflows/{name}.json" for name in workflows.needs()} <= names
    assert made.stat().st_size < 10_000_000


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('id = "shot_gopher"', 'id = "shot-gopher"'),
        ('tagline = "', 'tagline = "' + "x" * 64),
        ('schema_version = "1.0.0"', ""),
    ],
)
def test_what_blender_refuses_is_told_and_leaves_nothing(
    tools: list[str], checkout: Path, tmp_path: Path, right: str, wrong: str
) -> None:
    manifest = checkout / "blender_manifest.toml"
    text = manifest.read_text()
    assert right in text
    manifest.write_text(text.replace(right, wrong, 1))
    with pytest.raises(BlenderError, match="Blender's extension tools refuse to build"):
        package.build(tools, checkout, tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def test_a_package_without_its_core_is_refused(
    tools: list[str], checkout: Path, tmp_path: Path
) -> None:
    shutil.rmtree(checkout / "operators")
    with pytest.raises(OutputError, match="would lack operators"):
        package.build(tools, checkout, tmp_path / "dist")


@pytest.mark.parametrize(
    "stray", ["tests/test_x.py", "backend/__pycache__/a.pyc", ".git/config", "backend/.secret"]
)
def test_a_stray_file_is_refused(tmp_path: Path, stray: str) -> None:
    file = tmp_path / "x.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for name in (*package.CONTENT, stray):
            archive.writestr(name, "")
    with pytest.raises(OutputError, match="does not belong there"):
        package.check_content(file)


def test_a_target_that_cannot_be_written(tools: list[str], checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "dist").write_text("a file")
    with pytest.raises(OutputError, match="dist"):
        package.build(tools, checkout, tmp_path / "dist")


def test_an_environment_without_the_wheel(tmp_path: Path) -> None:
    with pytest.raises(BlenderError, match="no extension tools"):
        package.wheel_tools(tmp_path / "venv" / "bin" / "python")
