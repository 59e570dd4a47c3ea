# SPDX-License-Identifier: GPL-3.0-or-later
"""A solved shot of somebody who walks, drawn into its plate, with the motion that the stage makes
of what a model would find."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from backend import locations
from backend.models import ModelStore
from backend.shot import Shot
from backend.smplx import BODY_JOINTS, JOINTS, PARENTS
from tests.backend.walked_shot import Knows, Runs, walked_shot
from tests.body_model import write_model
from tests.walking import Walk, walk

COUNT = 24
_BODY = (90, 130, 170)
_GROUND, _LINES = (70, 80, 75), (120, 130, 125)


def walker_shot(path: Path, folder: Path, patch: pytest.MonkeyPatch) -> Shot:
    """Body models and events of the run lie in `folder`."""
    patch.setenv("SHOT_GOPHER_HOME", str(folder / "home"))
    write_model(folder / "bodies")
    ModelStore(locations.home()).choose("smplx", folder / "bodies")
    walked = walk(COUNT, first=1, travel=1.0)
    shot = walked_shot(path, walked)
    for index, number in enumerate(walked.frames.tolist()):
        cv2.imwrite(str(shot.frame_file(number)), drawn(walked, index))
    Runs(patch, folder)(shot, Knows(walked))
    return shot


def drawn(walked: Walk, index: int) -> np.ndarray:
    """A frame, BGR: a grid on the ground and a body of thick lines."""
    image = np.full((*walked.size[::-1], 3), _GROUND, np.uint8)
    one = walked.only(np.array([index]))

    def pixels(points: np.ndarray) -> np.ndarray:
        return np.round(one.project(points[None])[0]).astype(int)

    for place in np.arange(-4.0, 4.1, 0.5):
        for ends in ([[place, -4, 0], [place, 4, 0]], [[-4, place, 0], [4, place, 0]]):
            start, end = pixels(np.array(ends, float)).tolist()
            cv2.line(image, start, end, _LINES, 1, cv2.LINE_AA)
    places = pixels(one.joints[0])
    for joint, parent in enumerate(PARENTS):
        if JOINTS[joint] in BODY_JOINTS and parent >= 0:
            start, end = places[parent].tolist(), places[joint].tolist()
            cv2.line(image, start, end, _BODY, 13, cv2.LINE_AA)
    cv2.circle(image, places[JOINTS.index("head")].tolist(), 15, _BODY, -1, cv2.LINE_AA)
    return image
