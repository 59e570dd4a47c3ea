# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding a Blender and running scripts in it: the bpy wheel, and real programs where there are."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

from backend import blender
from backend.blender import BlenderProgram
from backend.errors import BlenderError
from tests.data_folder import SHARED

needs_wheel = pytest.mark.skipif(find_spec("bpy") is None, reason="no bpy wheel in this Python")


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without any Blender, whatever this one has."""
    monkeypatch.delenv(blender.BLENDER_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(blender, "install_places", lambda *_: [])


def program(file: Path, says: str, status: int = 0) -> Path:
    """A program that answers --version as Blender does."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho '{says}'\nexit {status}\n")
    file.chmod(0o755)
    return file


def test_a_named_program_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = program(tmp_path / "my blender" / "blender", "Blender 4.3.2")
    on_path = program(tmp_path / "bin" / "blender", "Blender 5.0.1")
    assert blender.find("", None) == BlenderProgram(on_path)
    assert blender.find(str(named), None) == BlenderProgram(named)
    assert blender.find(str(named.parent), None) == BlenderProgram(named)
    assert blender.find("blender", None) == BlenderProgram(on_path)
    monkeypatch.setenv(blender.BLENDER_VARIABLE, str(named))
    assert blender.find("", None) == BlenderProgram(named)


@pytest.mark.parametrize(
    ("says", "status", "told"),
    [
        ("Blender 3.6.5", 0, "is Blender 3.6.5; Blender 4.2 or newer is needed"),
        ("Maya 2026", 0, "is not a Blender"),
        ("libX11.so.6: cannot open", 127, "does not run as a Blender"),
    ],
)
def test_a_named_program_is_never_passed_over(
    tmp_path: Path, says: str, status: int, told: str
) -> None:
    program(tmp_path / "bin" / "blender", "Blender 5.0.1")
    named = program(tmp_path / "named", says, status)
    with pytest.raises(BlenderError, match=told):
        blender.find(str(named), None)


def test_a_named_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BlenderError, match=r"There is no Blender program .*nowhere"):
        blender.find(str(tmp_path / "nowhere"), None)


def test_without_any_the_sentence_says_how_to_get_one() -> None:
    with pytest.raises(BlenderError) as caught:
        blender.find("", None)
    for word in ("blender.org", "--blender", "SHOT_GOPHER_BLENDER", "Python 3.11"):
        assert word in caught.value.reason


def test_programs_that_are_too_old_or_broken_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin" / "blender", "Blender 3.0.0")
    places = tmp_path / "places"
    program(places / "blender-5.2.0-linux-x64" / "blender", "broken", 1)
    newest = program(places / "blender-4.10.1-linux-x64" / "blender", "Blender 4.10.1")
    program(places / "blender-4.2.9-linux-x64" / "blender", "Blender 4.2.9")
    monkeypatch.setattr(blender, "install_places", lambda *_: [(places, "blender*/blender")])
    assert blender.find("", None) == BlenderProgram(newest)


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {"HOME": "/home/ada"}, "/opt/[Bb]lender*/blender"),
        ("linux", {"HOME": "/home/ada"}, "/home/ada/[Bb]lender*/blender"),
        ("darwin", {"HOME": "/u"}, "/Applications/Blender*.app/Contents/MacOS/Blender"),
        ("win32", {"ProgramFiles": "D:/P"}, "D:/P/Blender Foundation/*/blender.exe"),
        ("win32", {}, "C:/Program Files/Blender Foundation/*/blender.exe"),
    ],
)
def test_usual_places(
    platform: str, environ: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    places = blender.install_places(platform, environ)
    assert Path(expected) in [folder / pattern for folder, pattern in places]


def test_macos_application_can_be_named(tmp_path: Path) -> None:
    inside = program(tmp_path / "Blender.app/Contents/MacOS/Blender", "Blender 4.5.0")
    assert blender.find(str(tmp_path / "Blender.app"), None) == BlenderProgram(inside)


SCRIPT = """
import sys
import bpy
arguments = sys.argv[sys.argv.index("--") + 1:]
print("GOT", arguments, [scene.name for scene in bpy.data.scenes])
if "fail" in arguments:
    raise RuntimeError("asked to")
"""


def run(program: BlenderProgram, folder: Path, *arguments: str) -> tuple[int, str]:
    script = folder / "a script.py"
    script.write_text(SCRIPT)
    command = program.command(script, arguments)
    answer = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    return answer.returncode, answer.stdout + answer.stderr


@needs_wheel
def test_the_wheel_is_the_last_resort_and_works(tmp_path: Path) -> None:
    wheel = blender.find("", Path(sys.executable))
    assert wheel == BlenderProgram(Path(sys.executable), is_wheel=True)
    assert ".".join(map(str, blender.version(wheel))) == metadata.version("bpy")
    status, said = run(wheel, tmp_path, "plate ä.mp4", "-x")
    assert status == 0
    assert "GOT ['plate ä.mp4', '-x'] ['Scene']" in said
    assert run(wheel, tmp_path, "fail")[0] == 1


def test_a_python_without_bpy_is_no_blender(tmp_path: Path) -> None:
    bare = tmp_path / "venv"
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", str(bare)], check=True)
    with pytest.raises(BlenderError, match="No Blender was found"):
        blender.find("", bare / "bin" / "python")


def test_a_real_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    tool = SHARED.parent / "tools" / "real-blender"
    named = tmp_path / "blender"
    named.write_text(f'#!/bin/sh\nexec "{tool}" run 5.2 "$@"\n')
    named.chmod(0o755)
    try:
        found = blender.find(str(named), None)
    except BlenderError:
        pytest.skip("Blender 5.2 is not installed here")
    assert found == BlenderProgram(named)
    status, said = run(found, tmp_path, "plate ä.mp4", "fail")
    assert "GOT ['plate ä.mp4', 'fail'] ['Scene']" in said
    assert status == 1
