# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks drawn over the plate in a real Blender: live ones by the worker's program, tracked ones.

SAM 2.1's real architecture with small random weights: where its masks are means nothing.
"""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from backend.environment import Environment
from backend.groups import pins
from backend.locations import environments_folder
from backend.models import ModelStore
from tests.environments import ROOT, worker_python

from .pictures import keep_pictures
from .real_blender import RealBlender
from .solved_shot import solved_shot

FRAMES = 6
_SAVE = (
    "import sys; from pathlib import Path; from backend.worker import weights; weights.prepare(); "
    "from tests.models import tiny_sam; tiny_sam.save_sam2(Path(sys.argv[1]))"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine with all packages of the worker and a model."""
    made, python = tmp_path_factory.mktemp("home"), worker_python()
    groups, version = ("core", "ml"), (3, 11)
    folder = environments_folder(made) / "tests"
    folder.mkdir(parents=True)
    (folder / "venv").symlink_to(python.parent.parent)
    Environment(
        folder, "3.11", "linux-x86_64", groups, groups, pins(groups, version), finished=1.0
    ).save()
    command = [python, "-c", _SAVE, made / "sam2"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    ModelStore(made).choose("sam2-tiny", made / "sam2")
    return made


def test_a_mask_is_drawn_as_it_will_be_tracked(
    blender: RealBlender, home: Path, tmp_path: Path
) -> None:
    python = worker_python().resolve()
    if not blender.sees(python):
        pytest.skip(f"this Blender runs where {python} is not to be seen")
    shot = solved_shot(tmp_path / "sh060", FRAMES)
    told = replace(blender, home=home).play("live_masks.py", tmp_path, shot.path, seconds=200)
    keep_pictures(tmp_path, told["pictures"], blender.version)
    assert told["ok"], told.get("error", "") + told["log"][-3000:]
    assert "Traceback" not in told["log"], told["log"]
    assert told["trouble"] == ""
    mask = np.load(tmp_path / "mask.npy")
    _check_drawn(tmp_path, ("live", "off"), told, mask)
    plate = shot.load_plate()
    for name in ("car", "car_00"):
        assert len(list((shot.roto / name).glob("*.png"))) == FRAMES
    first = shot.roto / "car" / shot.frame_file(plate.first_frame).name
    np.testing.assert_array_equal(cv2.imread(str(first), cv2.IMREAD_GRAYSCALE), mask)
    later = shot.roto / "car" / shot.frame_file(told["frame"]).name
    assert later != first
    tracked = cv2.imread(str(later), cv2.IMREAD_GRAYSCALE)
    _check_drawn(tmp_path, ("tracked", "bare"), told, tracked)


def _check_drawn(
    folder: Path, names: tuple[str, str], told: dict[str, Any], mask: np.ndarray
) -> None:
    """Well inside the mask the plate has some of the object's color, well outside it has none.

    `names` are of the pictures with the mask and without it.
    """
    live, off = (cv2.imread(str(folder / f"{name}.png"))[..., ::-1].astype(float) for name in names)
    (left, top), (right, bottom) = told["plate"]
    near = cv2.resize(mask, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
    inside, outside = (cv2.erode(each, np.ones((9, 9))) == 255 for each in (near, 255 - near))
    assert inside.sum() > 100
    assert outside.sum() > 100
    drawn, plain = live[top:bottom, left:right], off[top:bottom, left:right]
    color = 255 * np.array(told["color"])
    expected = np.where(inside[..., None], plain + 0.45 * (color - plain), plain)
    off_by = np.abs(drawn - expected).max(axis=2)[inside | outside]
    # The marks of what was clicked are drawn above.
    assert np.quantile(off_by, 0.97) < 12, np.quantile(off_by, [0.5, 0.9, 0.97])
