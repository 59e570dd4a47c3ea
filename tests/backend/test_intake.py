# SPDX-License-Identifier: GPL-3.0-or-later
"""What is pointed at becomes a plate or a shot, and no plate gets the folder of another."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from backend.errors import PlateError, UsageError
from backend.intake import free_folder, is_same_plate, recorded_plate, summary, take_in
from backend.plates import locate_plate
from backend.shot import Plate, Shot, write_json


def files(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    made = [folder / name for name in names]
    for file in made:
        file.write_bytes(b"something")
    return made


def shot_of(folder: Path, plate: Path) -> Shot:
    """A shot whose frames were taken from that plate."""
    shot = Shot(folder)
    shot.frames.mkdir(parents=True)
    taken = Plate(str(plate), "movie", 64, 36, Fraction(24), (1, 2), (0, 1), (0.0, 1 / 24))
    write_json(shot.plate_file, taken.to_json())
    files(shot.frames, "frame_0001.png", "frame_0002.png")
    return shot


def test_images_of_a_sequence_and_its_folder_are_one_plate(tmp_path: Path) -> None:
    images = files(tmp_path, *(f"sh010.{number}.png" for number in (1001, 1002, 1004)))
    for pointed in ([images[1]], images, [tmp_path]):
        intake = take_in(pointed)
        assert (intake.source.path, intake.left_out) == (images[0], ())  # type: ignore[union-attr]
        assert summary(intake.source) == ("3 images, 1001 to 1004", "1 missing: 1003")  # type: ignore[arg-type]


def test_of_several_plates_the_first_is_taken_and_the_others_are_named(tmp_path: Path) -> None:
    one, two = files(tmp_path, "one.MOV", "two.mp4")
    (image,) = files(tmp_path, "other.0001.png")
    intake = take_in([one, two, image])
    assert intake.source == locate_plate(one)
    assert intake.left_out == ("two.mp4", "other.0001.png")
    assert summary(locate_plate(one)) == ("Movie, MOV",)


def test_a_shot_is_opened_from_its_folder_and_from_its_frames(tmp_path: Path) -> None:
    shot = shot_of(tmp_path / "sh010", tmp_path / "sh010.mov")
    inside = (shot.path, shot.plate_file.parent, shot.frames, shot.plate_file)
    for pointed in (*inside, shot.frames / "frame_0002.png"):
        assert (take_in([pointed]).shot, take_in([pointed]).source) == (shot, None)
    (movie,) = files(shot.path, "b_roll.mov")
    assert take_in([movie]).source == locate_plate(movie)
    frames = [shot.frames / "frame_0001.png", shot.frames / "frame_0002.png", movie]
    assert take_in(frames).left_out == ("b_roll.mov",)


def test_nothing_and_what_is_no_plate_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        take_in([])
    with pytest.raises(PlateError):
        take_in([tmp_path / "nowhere.mp4"])
    with pytest.raises(PlateError):
        take_in([tmp_path])


def test_no_plate_gets_the_folder_of_another(tmp_path: Path) -> None:
    shots, a, b = tmp_path / "shots", tmp_path / "a", tmp_path / "b"
    mine, theirs, third = (folder / "sh010.mov" for folder in (a, b, tmp_path))
    assert free_folder(shots, mine, {}) == shots / "sh010"
    shot_of(shots / "sh010", mine)
    assert recorded_plate(Shot(shots / "sh010")) == str(mine)
    assert free_folder(shots, mine, {}) == shots / "sh010"
    assert free_folder(shots, theirs, {}) == shots / "sh010_2"
    taken = {str(shots / "x" / ".." / "sh010_2"): str(theirs)}
    assert free_folder(shots, theirs, taken) == shots / "sh010_2"
    assert free_folder(shots, third, taken) == shots / "sh010_3"
    shot_of(shots / "sh010_2", theirs)
    assert free_folder(shots, theirs, {}) == shots / "sh010_2"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a/sh010.1001.png", "a/sh010.0990.png", True),
        ("a/sh010.1001.png", "a/sh010.1001.jpg", False),
        ("a/sh010.1001.png", "b/sh010.1001.png", False),
        ("a/sh010.1001.png", "a/sh020.1001.png", False),
        ("a/take1.mov", "a/take2.mov", False),
        ("a/take1.mov", "a/b/../take1.mov", True),
    ],
)
def test_images_of_one_sequence_are_one_plate(one: str, other: str, same: bool) -> None:
    assert is_same_plate(Path(one), Path(other)) is same
