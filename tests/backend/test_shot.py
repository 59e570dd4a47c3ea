# SPDX-License-Identifier: GPL-3.0-or-later
"""The shot folder: names, frame numbers, labels, shot.json."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import FormatError
from backend.shot import Plate, Shot, by_frame, folder_name, frame_number, write_json

PLATE = Plate(
    source="a.mov",
    kind="movie",
    width=1920,
    height=1080,
    fps=Fraction(24000, 1001),
    frames=(1001, 1002, 1004),
    source_indices=(0, 1, 2),
    times=(0.0, 0.0417, 0.125),
    missing=(1003,),
)


def test_a_plate_survives_its_file(tmp_path: Path) -> None:
    shot = Shot(tmp_path)
    shot.plate_file.parent.mkdir()
    write_json(shot.plate_file, PLATE.to_json())
    assert shot.load_plate() == PLATE


@pytest.mark.parametrize("text", ["", "{", "[]", '{"fps": "1/0"}', '{"frames": 3}'])
def test_a_damaged_plate_is_named(tmp_path: Path, text: str) -> None:
    shot = Shot(tmp_path)
    shot.plate_file.parent.mkdir()
    shot.plate_file.write_text(text)
    with pytest.raises(FormatError, match=r"shot\.json"):
        shot.load_plate()


def test_files_pair_by_number_not_by_order() -> None:
    names = ["frame_0010.png", "frame_9.png", "frame_10000.png", "cover.png"]
    assert list(by_frame(map(Path, names))) == [9, 10, 10000]
    assert frame_number("sh010.1001.exr") == 1001
    assert frame_number("cover.png") is None


@given(st.text(max_size=200))
def test_a_label_never_leaves_the_shot(label: str) -> None:
    name = folder_name(label)
    assert name
    assert name not in (".", "..")
    assert not set(name) & set('/\\:*?"<>|\0')
    assert len(name.encode()) <= 161
    assert (Path("shot") / name).parent == Path("shot")


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("person", "person"),
        ("../../etc", "etc"),
        ("CON", "CON_"),
        ("  ", "unnamed"),
        ("孫 悟空", "孫_悟空"),
    ],
)
def test_labels_become_folder_names(label: str, name: str) -> None:
    assert folder_name(label) == name
