# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands behind the camera in a real Blender: the proxies are what is shown, in each size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from backend.camera import UNDISTORTED_PLATE
from backend.outputs import lens_digest
from backend.pictures import find_pictures
from backend.proxies import Made, Proxies
from backend.reconstruction import CameraModel
from backend.shot import FRAME_PATTERN, Shot
from backend.solve import Solve

from .pictures import keep_pictures
from .real_blender import RealBlender
from .solved_shot import solved_shot

FRAMES = 24
COLORS = {
    ("plate", 25): (255, 0, 0),
    ("plate", 50): (0, 255, 0),
    ("plate", 100): (0, 0, 255),
    ("undistorted", 25): (0, 255, 255),
    ("undistorted", 50): (255, 0, 255),
    ("undistorted", 100): (255, 255, 0),
    ("roto/actor", 25): (255, 128, 0),
    ("roto/actor", 50): (0, 128, 255),
    ("roto/actor", 100): (128, 0, 255),
}
"""Red, green, blue of every proxy; images of full size are gray."""
GRAY = (128, 128, 128)


def colored_shot(path: Path) -> Shot:
    """A shot with a lens that bends, and a matte; each kind of image has a color of its own."""
    shot = solved_shot(path, FRAMES)
    solve = Solve.load(shot.camera)
    lens = solve.camera
    bent = CameraModel(
        "SIMPLE_RADIAL", lens.width, lens.height, (lens.focal[0], *lens.center, -0.1)
    )
    track = replace(solve.track, fits=UNDISTORTED_PLATE)
    replace(solve, camera=bent, track=track).save(shot.camera)
    numbers = shot.load_plate().frames
    matte = shot.roto / "actor"
    matte.mkdir(parents=True)
    for number in numbers:
        name = f"{FRAME_PATTERN.format(number)}.png"
        _write(shot.frame_file(number), lens.width, lens.height, GRAY)
        _write(matte / name, lens.width, lens.height, GRAY)
    return shot


def write_proxies(shot: Shot) -> None:
    numbers = shot.load_plate().frames
    first = shot.frame_file(numbers[0]).name
    matte = next(each for each in find_pictures(shot) if each.name == "roto/actor")
    written = shot.written_proxies / matte.name
    folders = {
        "plate": (Proxies(shot.proxies, first), False),
        "undistorted": (Proxies(shot.undistorted_proxies, first), True),
        "roto/actor": (Proxies(written, first), True),
    }
    for (name, percent), color in COLORS.items():
        proxies, undistorted = folders[name]
        for place in range(1, len(numbers) + 1):
            file = proxies.file(percent, undistorted, place)
            _write(file, 480 * percent // 100, 270 * percent // 100, color)
    Made(matte.digest(), lens_digest(shot)).save(written)


def _write(file: Path, width: int, height: int, color: tuple[int, int, int]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), np.full((height, width, 3), color[::-1], np.uint8))


def test_proxies_are_what_is_shown(blender: RealBlender, tmp_path: Path) -> None:
    shot = colored_shot(tmp_path / "sh050")
    write_proxies(shot)
    told = blender.play("backgrounds.py", tmp_path, shot.path, seconds=200)
    keep_pictures(tmp_path, told.get("pictures", {}), blender.version)
    assert told["ok"], told.get("error", "") + told["log"][-3000:]
    assert "Traceback" not in told["log"], told["log"]
    assert (told["trouble"], told["touched"]) == ("", [])
    assert told["backgrounds"] == ["plate", "undistorted", "roto/actor"]
    assert told["first"] == "undistorted"
    wrong = {}
    for name, (x, y) in told["places"].items():
        _kind, source, size = name.rsplit("_", 2)
        expected = GRAY if size == "FULL" else COLORS[source.replace("-", "/"), int(size)]
        seen = cv2.imread(str(tmp_path / f"{name}.png"))[y, x, ::-1]
        if np.abs(seen.astype(int) - expected).max() > 60:
            wrong[name] = (seen.tolist(), expected)
    assert not wrong, wrong
