# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a plate is told before it is set up, and a plate that cannot be read is named."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from backend.errors import PlateError
from backend.look import look_into
from tests.backend.movies import coded_movie, write_images

PYTHON = Path(sys.executable)


def test_a_movie_tells_size_rate_and_length(tmp_path: Path) -> None:
    movie = coded_movie(tmp_path / "sh 010 素材.mov", 7, rate="24000/1001")
    assert look_into(str(movie), PYTHON) == ("192 x 108 px, 23.976 fps", "7 frames, h264, 8 bit")


def test_a_sequence_tells_size_and_depth(tmp_path: Path) -> None:
    write_images(tmp_path, "sh010.{:04d}.png", range(1001, 1004), "uint16")
    first = str(tmp_path / "sh010.1001.png")
    assert look_into(first, PYTHON) == ("192 x 108 px", "png, 16 bit")


def test_a_plate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no movie at all")
    with pytest.raises(PlateError, match=r"broken\.mp4"):
        look_into(str(broken), PYTHON)


def test_without_a_python_nothing_is_told(tmp_path: Path) -> None:
    movie = coded_movie(tmp_path / "sh010.mov", 2)
    assert look_into(str(movie), tmp_path / "nowhere") == ()
