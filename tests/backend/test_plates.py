# SPDX-License-Identifier: GPL-3.0-or-later
"""What a path stands for: movies, sequences, holes, and everything that is neither."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import pytest

from backend.errors import PlateError, UsageError
from backend.plates import parse_rate, plate_fingerprint, ranges, resolve_plate, shot_title

PNG = b"\x89PNG\r\n\x1a\n and so on"
JPEG = b"\xff\xd8\xff\xe0 and so on"
TIFF = b"II*\0 and so on"


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    starts = {".png": PNG, ".jpg": JPEG, ".tif": TIFF}
    for name in names:
        (folder / name).write_bytes(starts.get(Path(name).suffix.lower(), b"something"))
    return folder


def numbered(pattern: str, numbers: range) -> list[str]:
    return [pattern.format(n) for n in numbers]


def test_a_movie(tmp_path: Path) -> None:
    fill(tmp_path, "Séquence été 01.MOV")
    source = resolve_plate(tmp_path / "Séquence été 01.MOV")
    assert (source.kind, source.path.name, source.files, source.missing) == (
        "movie",
        "Séquence été 01.MOV",
        (),
        (),
    )


@pytest.mark.parametrize(
    ("pattern", "numbers"),
    [
        ("frame_{:04d}.png", range(1001, 1013)),
        ("my plate.{:06d}.jpg", range(12)),
        ("план {:04d}.TIF", range(9995, 10007)),
        ("take2_{:d}.png", range(8, 20)),
        ("shot_{:04d}_v2.png", range(1, 13)),
        ("{:04d}.png", range(1, 13)),
        ("100% {:03d}.png", range(95, 107)),
    ],
)
def test_a_sequence_by_its_folder_and_by_any_of_its_files(
    tmp_path: Path, pattern: str, numbers: range
) -> None:
    names = numbered(pattern, numbers)
    fill(tmp_path / "a b", *names)
    by_folder = resolve_plate(tmp_path / "a b")
    assert by_folder.numbers == tuple(numbers)
    assert [file.name for file in by_folder.files] == names
    assert by_folder.path == by_folder.files[0]
    assert resolve_plate(tmp_path / "a b" / names[5]) == by_folder


def test_the_largest_sequence_of_a_folder_and_the_one_that_was_named(tmp_path: Path) -> None:
    fill(tmp_path, *numbered("cam1_{:04d}.png", range(1, 11)))
    fill(tmp_path, *numbered("cam2_{:04d}.png", range(101, 113)))
    fill(tmp_path, *numbered("cam1_{:04d}.jpg", range(1, 6)))
    fill(tmp_path, "notes.txt", ".DS_Store", "._cam2_0101.png", "Thumbs.db", "cover.png")
    assert resolve_plate(tmp_path).numbers == tuple(range(101, 113))
    assert resolve_plate(tmp_path / "cam1_0003.png").numbers == tuple(range(1, 11))
    assert resolve_plate(tmp_path / "cam1_0003.jpg").numbers == tuple(range(1, 6))


def test_padding_tells_sequences_apart(tmp_path: Path) -> None:
    fill(
        tmp_path, *numbered("a{:04d}.png", range(998, 1003)), *numbered("a{:06d}.png", range(1, 3))
    )
    assert resolve_plate(tmp_path / "a0998.png").numbers == tuple(range(998, 1003))
    assert resolve_plate(tmp_path / "a000002.png").numbers == (1, 2)


def test_holes_keep_every_number(tmp_path: Path) -> None:
    fill(tmp_path, *(f"f_{n}.png" for n in (1001, 1002, 1005, 1006, 1008)))
    source = resolve_plate(tmp_path)
    assert source.numbers == (1001, 1002, 1005, 1006, 1008)
    assert source.missing == (1003, 1004, 1007)
    assert ranges(source.missing) == "1003-1004, 1007"


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "a_1.png", "a_2.png")
    monkeypatch.chdir(tmp_path)
    assert resolve_plate("a_1.png").path == tmp_path / "a_1.png"


@pytest.mark.parametrize(
    ("names", "asked", "words"),
    [
        ([], "gone.mp4", "was not found"),
        (["readme.txt"], "readme.txt", "kind that cannot be a plate"),
        (["readme.txt"], "", "no images"),
        (["a_0001.exr", "a_0002.exr"], "", "not the image its name says"),
        (["a_0001.exr"], "a_0001.exr", "not the image its name says"),
        (["one.png", "two.png"], "", "no frame numbers"),
        (["one.png"], "one.png", "no frame number"),
        (["IMG_20240101.png", "IMG_20240102.png"], "", "cannot be those of a shot"),
        (["a_1.png", "a_90000.png"], "", "cannot be those of a shot"),
    ],
)
def test_what_is_no_plate(tmp_path: Path, names: list[str], asked: str, words: str) -> None:
    fill(tmp_path, *names)
    with pytest.raises(PlateError, match=words) as raised:
        resolve_plate(tmp_path / asked)
    assert raised.value.reason.endswith(".")
    assert "\n" not in raised.value.reason


def test_empty_and_false_files_are_named(tmp_path: Path) -> None:
    fill(tmp_path, "a_1.png", "a_2.png", "a_3.png")
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(PlateError, match=r"empty\.mp4 is empty"):
        resolve_plate(tmp_path / "empty.mp4")
    (tmp_path / "a_2.png").write_bytes(b"")
    with pytest.raises(PlateError, match=r"a_2\.png is empty"):
        resolve_plate(tmp_path)
    (tmp_path / "a_2.png").write_bytes(JPEG)
    with pytest.raises(PlateError, match=r"a_2\.png is not the image"):
        resolve_plate(tmp_path)


def test_the_fingerprint_follows_every_file(tmp_path: Path) -> None:
    fill(tmp_path, "a_1.png", "a_2.png", "notes.txt")
    first = plate_fingerprint(tmp_path)
    assert first == plate_fingerprint(str(tmp_path / "a_2.png"))
    (tmp_path / "notes.txt").write_text("other words")
    assert plate_fingerprint(tmp_path) == first
    os.utime(tmp_path / "a_2.png", ns=(1, 1))
    touched = plate_fingerprint(tmp_path)
    assert touched != first
    fill(tmp_path, "a_3.png")
    assert plate_fingerprint(tmp_path) not in (first, touched)


def test_the_fingerprint_of_nothing() -> None:
    assert plate_fingerprint("") == ""
    assert plate_fingerprint("/no/such/plate.mp4") != ""


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("24", Fraction(24)),
        ("25.0", Fraction(25)),
        ("24000/1001", Fraction(24000, 1001)),
        ("23.976", Fraction(24000, 1001)),
        ("23.98", Fraction(24000, 1001)),
        ("23.976024", Fraction(24000, 1001)),
        ("29.97", Fraction(30000, 1001)),
        ("59.94", Fraction(60000, 1001)),
        ("119.88", Fraction(120000, 1001)),
        (" 12.5 ", Fraction(25, 2)),
    ],
)
def test_rates_as_typed(text: str, rate: Fraction) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "fast", "0", "-24", "24/0", "nan", "1e9", "24 fps"])
def test_rates_that_are_none(text: str) -> None:
    with pytest.raises(UsageError):
        parse_rate(text)


@pytest.mark.parametrize(
    ("plate", "title"),
    [
        ("in/shot 1.v2.mov", "shot 1.v2"),
        ("in/sh010.1001.png", "sh010"),
        ("in/sh010_plate-0001.jpg", "sh010_plate"),
        ("sh020/0001.png", "sh020"),
        ("in/some folder", "some folder"),
    ],
)
def test_a_shot_is_called_after_its_plate(plate: str, title: str) -> None:
    assert shot_title(Path(plate)) == title
