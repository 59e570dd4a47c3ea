# SPDX-License-Identifier: GPL-3.0-or-later
"""A plate is dropped, a shot is opened: what the scene then works on, and that nothing is lost."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy
import pytest
from shot_gopher.backend import locations
from shot_gopher.backend.plates import IMAGE_SUFFIXES, MOVIE_SUFFIXES
from shot_gopher.backend.recent import RecentShots
from shot_gopher.backend.shot import Plate, Shot, write_json


@pytest.fixture
def projects(settings: Any, tmp_path: Path) -> Path:
    """The folder of the saved .blend, which is where shots are suggested."""
    folder = tmp_path / "projects"
    folder.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "scene.blend"))
    assert not settings.plate
    return folder


def footage(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    made = [folder / name for name in names]
    for file in made:
        file.write_bytes(b"something")
    return made


def set_up_shot(folder: Path, plate: Path) -> Shot:
    shot = Shot(folder)
    shot.frames.mkdir(parents=True)
    taken = Plate(str(plate), "movie", 64, 36, Fraction(24), (1, 2), (0, 1), (0.0, 1 / 24))
    write_json(shot.plate_file, taken.to_json())
    return shot


def chosen() -> tuple[str, str]:
    settings = bpy.context.scene.shot_gopher
    return settings.plate, settings.shot


def recent(tmp_path: Path) -> list[str]:
    return [Path(shot.folder).name for shot in RecentShots(tmp_path / "home").all()]


def opened(**properties: Any) -> tuple[str, str]:
    """What the scene has after the operator, and that the function it calls does the same."""
    from shot_gopher.operators import choosing

    before = chosen()
    assert bpy.ops.shot_gopher.plate_open(**properties) == {"FINISHED"}
    by_operator = chosen()
    settings = bpy.context.scene.shot_gopher
    settings.plate, settings.shot = before
    folder = Path(properties.get("directory", "."))
    files = [folder / entry["name"] for entry in properties.get("files", ())]
    path = properties.get("filepath") or properties.get("directory")
    choosing.choose(bpy.context.scene, files or [Path(path)], properties.get("shot", ""))
    assert chosen() == by_operator
    return by_operator


def test_a_drop_is_understood_in_every_form(projects: Path, tmp_path: Path) -> None:
    (movie,) = footage(tmp_path / "in", "take 7.mov")
    names = [f"sh010.{number}.png" for number in (1001, 1002, 1003)]
    images = footage(tmp_path / "in" / "plates", *names)
    folder = str(images[0].parent)
    as_movie = (str(movie), str(projects / "take_7"))
    as_images = (str(images[0]), str(projects / "sh010"))
    assert opened(filepath=str(movie)) == as_movie
    assert opened(filepath=str(images[1])) == as_images
    assert opened(directory=folder) == as_images
    assert opened(directory=str(movie.parent), files=[{"name": movie.name}]) == as_movie
    listed = [{"name": name} for name in names]
    assert opened(directory=folder, files=listed) == as_images
    one = [{"name": movie.name}]
    assert opened(filepath=str(movie), directory=str(movie.parent), files=one) == as_movie
    mine = str(tmp_path / "mine")
    assert opened(filepath=str(movie), shot=mine) == (str(movie), mine)


def test_another_plate_starts_another_shot_and_the_first_is_a_recent_one(
    projects: Path, tmp_path: Path
) -> None:
    (first,), (second,) = footage(tmp_path / "a", "sh010.mov"), footage(tmp_path / "b", "sh010.mov")
    bpy.ops.shot_gopher.plate_open(filepath=str(first))
    set_up_shot(projects / "sh010", first)
    bpy.ops.shot_gopher.plate_open(filepath=str(second))
    assert chosen() == (str(second), str(projects / "sh010_2"))
    assert recent(tmp_path) == ["sh010"]
    bpy.ops.shot_gopher.plate_open(filepath=str(first))
    assert chosen() == (str(first), str(projects / "sh010"))
    bpy.context.scene.shot_gopher.plate = str(second)
    assert chosen() == (str(second), str(projects / "sh010_2"))


def test_two_scenes_do_not_share_a_shot_that_is_not_set_up(projects: Path, tmp_path: Path) -> None:
    (first,), (second,) = footage(tmp_path / "a", "sh010.mov"), footage(tmp_path / "b", "sh010.mov")
    bpy.ops.shot_gopher.plate_open(filepath=str(first))
    other = bpy.data.scenes.new("Other")
    with bpy.context.temp_override(scene=other):
        bpy.ops.shot_gopher.plate_open(filepath=str(second))
    assert other.shot_gopher.shot == str(projects / "sh010_2")


def test_a_shot_that_is_being_set_up_is_not_taken(projects: Path, tmp_path: Path) -> None:
    """Its folder holds no frames before the job is done."""
    from shot_gopher.backend.jobs import Job
    from shot_gopher.operators import choosing

    (first,), (second,) = footage(tmp_path / "a", "sh010.mov"), footage(tmp_path / "b", "sh010.mov")
    request = {"shot": str(projects / "sh010"), "plate": str(first), "stages": [], "versions": {}}
    write_json(tmp_path / "request.json", request)
    jobs = [Job(tmp_path)]
    choosing.choose(bpy.context.scene, [second], jobs=jobs)
    assert chosen() == (str(second), str(projects / "sh010_2"))
    choosing.choose(bpy.context.scene, [first], jobs=jobs)
    assert chosen() == (str(first), str(projects / "sh010"))


def test_a_folder_that_was_chosen_is_left_for_another_plate(projects: Path, tmp_path: Path) -> None:
    """Typed into the field, a plate goes into the folder that was chosen; a drop begins anew."""
    (first,), (second,) = footage(tmp_path / "a", "one.mov"), footage(tmp_path / "b", "two.mov")
    bpy.ops.shot_gopher.plate_open(filepath=str(first), shot=str(tmp_path / "mine"))
    bpy.ops.shot_gopher.plate_open(filepath=str(first))
    assert chosen() == (str(first), str(tmp_path / "mine"))
    bpy.ops.shot_gopher.plate_open(filepath=str(second))
    assert chosen() == (str(second), str(projects / "two"))


@pytest.mark.usefixtures("projects")
def test_a_dropped_shot_folder_opens_that_shot(tmp_path: Path) -> None:
    (movie,) = footage(tmp_path / "in", "sh020.mov")
    shot = set_up_shot(tmp_path / "elsewhere" / "sh020", movie)
    bpy.ops.shot_gopher.plate_open(directory=str(shot.path))
    assert chosen() == (str(movie), str(shot.path))
    assert recent(tmp_path) == ["sh020"]
    movie.unlink()
    bpy.ops.shot_gopher.plate_open(filepath=str(shot.frames / "frame_0001.png"))
    assert chosen() == ("", str(shot.path))


@pytest.mark.usefixtures("projects")
def test_a_recent_shot_is_opened_with_its_plate(tmp_path: Path) -> None:
    """Also one that was left before it was set up."""
    from shot_gopher.operators.view import read_recent

    (movie,) = footage(tmp_path / "in", "sh030.mov")
    waiting, gone = tmp_path / "sh030", tmp_path / "sh040"
    waiting.mkdir()
    noted = RecentShots(tmp_path / "home")
    noted.note(waiting, str(movie))
    noted.note(gone, str(movie))
    assert [shot.folder for shot in read_recent(tmp_path / "home")] == [str(waiting)]
    bpy.ops.shot_gopher.shot_open(directory=str(waiting))
    assert chosen() == (str(movie), str(waiting))
    with pytest.raises(RuntimeError, match="sh040 was not found"):
        bpy.ops.shot_gopher.shot_open(directory=str(gone))
    assert chosen() == (str(movie), str(waiting))


@pytest.mark.usefixtures("projects")
def test_what_cannot_be_a_plate_changes_nothing(tmp_path: Path) -> None:
    (movie, text) = footage(tmp_path / "in", "sh010.mov", "notes.txt")
    bpy.ops.shot_gopher.plate_open(filepath=str(movie))
    before = chosen()
    for path in (text, tmp_path / "in" / "nowhere.mov"):
        with pytest.raises(RuntimeError, match=path.name):
            bpy.ops.shot_gopher.plate_open(filepath=str(path), then="TRACK")
        assert chosen() == before
    assert not locations.jobs_folder(tmp_path / "home").exists()


@pytest.mark.usefixtures("projects")
def test_a_drop_can_be_undone(tmp_path: Path) -> None:
    (movie,) = footage(tmp_path / "in", "sh010.mov")
    bpy.ops.ed.undo_push(message="Before")
    bpy.ops.shot_gopher.plate_open("EXEC_DEFAULT", True, filepath=str(movie))
    assert chosen()[0] == str(movie)
    bpy.ops.ed.undo()
    assert chosen() == ("", "")


@pytest.mark.parametrize(
    ("then", "stages"), [("SET_UP", ["ingest"]), ("TRACK", ["ingest", "colmap"])]
)
def test_a_drop_starts_what_was_asked_for(
    projects: Path, tmp_path: Path, then: str, stages: list[str]
) -> None:
    """The plate cannot be read, and there is no environment: the job is there and says so."""
    (movie,) = footage(tmp_path / "in", "sh010.mov")
    with pytest.raises(RuntimeError):
        bpy.ops.shot_gopher.plate_open(filepath=str(movie), then=then)
    (job,) = locations.jobs_folder(tmp_path / "home").iterdir()
    request = json.loads((job / "request.json").read_text())
    assert (request["plate"], request["shot"]) == (str(movie), str(projects / "sh010"))
    assert [stage["name"] for stage in request["stages"]] == stages
    assert RecentShots(tmp_path / "home").all()[0].plate == str(movie)


def test_folders_are_shown_only_where_there_are_some(settings: Any) -> None:
    for operator, reason in (
        (bpy.ops.shot_gopher.shot_folder_show, "Choose a plate or a shot folder first"),
        (bpy.ops.shot_gopher.plate_show, "Choose a plate first"),
    ):
        with pytest.raises(RuntimeError, match=reason):
            operator()
    settings.shot = "/nowhere"
    with pytest.raises(RuntimeError, match="not there yet"):
        bpy.ops.shot_gopher.shot_folder_show()


@pytest.mark.usefixtures("settings")
def test_blender_hands_over_every_kind_of_plate() -> None:
    handler = bpy.types.FileHandler.bl_rna_get_subclass_py("SHOTGOPHER_FH_plate")
    assert set(handler.bl_file_extensions.split(";")) == MOVIE_SUFFIXES | IMAGE_SUFFIXES
    # Blender keeps so many bytes of them.
    assert len(handler.bl_file_extensions) < 512
    assert handler.bl_import_operator == "shot_gopher.plate_open"
