# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged files: 200 truncated and bit-flipped movies and images. Each ends in a sentence or in a
whole shot; never in a crash, a long wait or half an output."""

from __future__ import annotations

import random
import time
from pathlib import Path

import cv2
import numpy as np
import OpenImageIO as oiio
import pytest

from backend.errors import PlateError
from backend.shot import Shot

from . import movies
from .ingesting import check_files, run_ingest

_MOVIES = {
    "a.mp4": ("-c:v", "libx264", "-preset", "ultrafast", "-g", "6"),
    "a.mov": ("-c:v", "prores_ks"),
    "a.mkv": ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"),
    "a.avi": ("-c:v", "mjpeg"),
    "a.mxf": ("-c:v", "mpeg2video", "-q:v", "3"),
    "a.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"),
}
_IMAGES = ("a.0002.png", "a.0002.jpg", "a.0002.tif", "a.0002.dpx", "a.0002.exr")
_EACH = dict.fromkeys(_MOVIES, 18) | dict.fromkeys(_IMAGES, 19)
assert sum(_EACH.values()) >= 200
_LONGEST = 30.0


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One good plate of each kind: the file that will be damaged."""
    folder = tmp_path_factory.mktemp("whole")
    found = {name: movies.coded_movie(folder / name, 12, *how) for name, how in _MOVIES.items()}
    for name in _IMAGES:
        place = folder / name.rpartition(".")[2]
        place.mkdir()
        for number in (1, 2, 3):
            _write_image(place / name.replace("0002", f"{number:04d}"), number)
        found[name] = place / name
    return found


def _write_image(path: Path, number: int) -> None:
    image = movies.coded_frame(number)
    if path.suffix in (".dpx", ".exr"):
        kind = "uint16" if path.suffix == ".dpx" else "half"
        out = oiio.ImageOutput.create(str(path))
        assert out.open(str(path), oiio.ImageSpec(image.shape[1], image.shape[0], 3, kind))
        assert out.write_image(image.astype(np.float32) / 255)
        out.close()
    else:
        assert cv2.imwrite(str(path), image[..., ::-1])


def damaged(data: bytes, dice: random.Random) -> bytes:
    """Cut short, or with some bits turned over, in the header as often as anywhere."""
    found = bytearray(data)
    if dice.random() < 0.35:
        return bytes(found[: dice.randrange(1, len(found))])
    reach = len(found) if dice.random() < 0.5 else min(len(found), 400)
    for _ in range(dice.choice((1, 4, 30))):
        found[dice.randrange(reach)] ^= 1 << dice.randrange(8)
    return bytes(found)


@pytest.mark.parametrize("name", list(_EACH))
def test_damaged_files(tmp_path: Path, whole: dict[str, Path], name: str) -> None:
    dice = random.Random(name)
    original = whole[name]
    data = original.read_bytes()
    refused = 0
    for turn in range(_EACH[name]):
        folder = tmp_path / str(turn)
        folder.mkdir()
        for sibling in original.parent.glob("a.000*") if name in _IMAGES else ():
            (folder / sibling.name).write_bytes(sibling.read_bytes())
        plate = folder / name
        plate.write_bytes(damaged(data, dice))
        shot = Shot(folder / "shot")
        started = time.monotonic()
        reason = _refusal(plate, shot, proxies=turn % 3 == 0, accept_damage=turn % 2 == 0)
        assert time.monotonic() - started < _LONGEST
        if reason:
            assert reason.endswith(".")
            assert "\n" not in reason
            assert list(shot.path.iterdir()) == []
        elif turn % 3 == 0:
            check_files(shot, shot.load_plate())
        refused += bool(reason)
    assert refused > 0


def _refusal(plate: Path, shot: Shot, **options: bool) -> str:
    """Why the plate was not taken in, "" when it was."""
    try:
        run_ingest(plate, shot, **options)
    except PlateError as error:
        return error.reason
    return ""
