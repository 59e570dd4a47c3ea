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
from backend.worker.lens_maps import plate_for

from .pictures import keep_pictures
from .real_blender import RealBlender
from .solved_shot import solved_shot

FRAMES = 24
DOT = (110.0, 75.0)
"""Px of the plate without its distortion."""
Color = tuple[int, int, int]
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
    bent = CameraModel("SIMPLE_RADIAL", lens.width, lens.height, (lens.focal[0], 255, 128, -0.1))
    track = replace(solve.track, fits=UNDISTORTED_PLATE)
    replace(solve, camera=bent, track=track).save(shot.camera)
    numbers = shot.load_plate().frames
    matte = shot.roto / "actor"
    matte.mkdir(parents=True)
    for number in numbers:
        name = f"{FRAME_PATTERN.format(number)}.png"
        _write(shot.frame_file(number), lens.width, lens.height, GRAY)
        _write(matte / name, lens.width, lens.height, GRAY)
    _write_overscan(shot, bent)
    return shot


def _write_overscan(shot: Shot, lens: CameraModel) -> None:
    """The undistorted plate, with a dot where that of `write_proxies` is."""
    size = plate_for([lens])
    size.save(shot.undistorted_file)
    dot = np.array(DOT) - lens.center + np.array([size.width, size.height]) / 2
    for number in shot.load_plate().frames:
        file = shot.undistorted_frame(number)
        _write(file, size.width, size.height, GRAY, tuple(dot.tolist()))


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
            dot = DOT if (name, percent) == ("undistorted", 100) else None
            _write(file, 480 * percent // 100, 270 * percent // 100, color, dot)
    Made(matte.digest(), lens_digest(shot)).save(written)


def _write(
    file: Path, width: int, height: int, color: Color, dot: tuple[float, float] | None = None
) -> None:
    """An image of one color; `dot` is the middle of a black disc, (0, 0) the image's corner."""
    file.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((height, width, 3), color[::-1], np.uint8)
    if dot is not None:
        x, y = ((place - 0.5) * 16 for place in dot)
        cv2.circle(image, (round(x), round(y)), 8 * 16, (0, 0, 0), -1, cv2.LINE_AA, shift=4)
    cv2.imwrite(str(file), image)


def dot_in(picture: Path, box: list[int]) -> np.ndarray:
    """Where the black disc is in a picture of the window, inside the box."""
    left, top, width, height = box
    seen = cv2.imread(str(picture))[top : top + height, left : left + width]
    dark = (seen.max(axis=2) < 30).astype(np.uint8)
    _count, _labels, stats, middles = cv2.connectedComponentsWithStats(dark)
    # The overlay's letters are smaller.
    return middles[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))]


def test_proxies_are_what_is_shown(blender: RealBlender, tmp_path: Path) -> None:
    shot = colored_shot(tmp_path / "sh050")
    write_proxies(shot)
    told = blender.play("backgrounds.py", tmp_path, shot.path, seconds=200)
    keep_pictures(tmp_path, told.get("pictures", {}), blender.version)
    assert told["ok"], told.get("error", "") + told["log"][-3000:]
    assert "Traceback" not in told["log"], told["log"]
    assert (told["trouble"], told["touched"]) == ("", [])
    assert told["backgrounds"] == [
        "plate", "undistorted", "camera/undistorted", "roto/actor",
    ]  # fmt: skip
    assert told["first"] == "undistorted"
    wrong = {}
    for name, (x, y) in told["places"].items():
        _kind, source, size = name.rsplit("_", 2)
        if source == "camera-undistorted":
            continue
        expected = GRAY if size == "FULL" else COLORS[source.replace("-", "/"), int(size)]
        seen = cv2.imread(str(tmp_path / f"{name}.png"))[y, x, ::-1]
        if np.abs(seen.astype(int) - expected).max() > 60:
            wrong[name] = (seen.tolist(), expected)
    assert not wrong, wrong
    inside, beyond = (
        dot_in(tmp_path / f"VIEW_3D_{name}.png", told["view"])
        for name in ("undistorted_100", "camera-undistorted_FULL")
    )
    # A pixel of the plate is more than two of the window here.
    assert np.abs(inside - beyond).max() < 1.0, (inside, beyond)
