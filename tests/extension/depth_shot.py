# SPDX-License-Identifier: GPL-3.0-or-later
"""The solved shot of the textured room with its true depth, a clean plate and a mesh of its walls.

As runs of the stages leave them, with a contact sheet of the depth.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from backend import outputs
from backend.dense import DenseRecord, place_of
from backend.dense_files import Triangles, write_mesh
from backend.depth import NOTHING, SOLVE, DepthRecord
from backend.previews import PREVIEW
from backend.shot import Shot, write_json
from backend.stages import STAGES, DepthOptions
from tests.backend.textured_room import depth, room, sideways, track
from tests.scene.exr import write_exr

from .solved_shot import WORLD, solved_shot

FRAMES = 16


def depth_shot(path: Path) -> Shot:
    shot = solved_shot(path, FRAMES)
    _write_depth(shot)
    _write_clean(shot)
    _write_mesh(shot)
    return shot


def _write_depth(shot: Shot) -> None:
    camera, planes, small = track(sideways, FRAMES, 480, 270), room(), []
    for index, number in enumerate(camera.frames.tolist()):
        far = depth(planes, camera, index)
        there = np.isfinite(far)
        write_exr(shot.depth.map(number), np.where(there, WORLD.scale * far, NOTHING))
        image = np.where(there, 65535 * far[there].min() / far, 0).astype(np.uint16)
        cv2.imwrite(str(shot.depth.image(number)), image)
        small.append(cv2.resize((image >> 8).astype(np.uint8), (240, 135)))
    rows = [np.hstack(small[start : start + 4]) for start in (0, 4)]
    sheet = cv2.applyColorMap(np.vstack(rows), cv2.COLORMAP_MAGMA)
    cv2.imwrite(str(shot.depth.path / PREVIEW), sheet)
    frames = tuple(camera.frames.tolist())
    record = DepthRecord("true", "test", SOLVE, place_of(shot), 1.0, 20.0, frames, 0.004)
    record.save(shot.depth.record)
    _write_notes(shot)


def _write_notes(shot: Shot) -> None:
    """Those of the stage, so that its output counts as up to date."""
    stage = STAGES["depth"]
    inputs = outputs.inputs_of(shot, stage, "")
    notes = {
        "stage": "depth",
        "fingerprint": outputs.fingerprint(stage, DepthOptions(), inputs),
        "options": {},
        "inputs": inputs,
        "finished": 1.0,
        "results": [],
    }
    write_json(outputs.stage_file(shot, stage), notes)


def _write_clean(shot: Shot) -> None:
    """The plate without its reds, so that it is told from the plate."""
    for number in range(1, FRAMES + 1):
        shot.clean_plate.mkdir(exist_ok=True)
        image = cv2.imread(str(shot.frame_file(number)))
        image[..., 2] //= 8
        cv2.imwrite(str(shot.clean_frame(number)), image)
    record = {"method": "project", "changed_frames": FRAMES, "seen": 0.93}
    write_json(outputs.stage_file(shot, STAGES["cleanplate"]), record)


def _write_mesh(shot: Shot) -> None:
    corners = [(p.corner, p.corner + p.u, p.corner + p.u + p.v, p.corner + p.v) for p in room()]
    positions = WORLD.apply(np.array(corners).reshape(-1, 3)).astype(np.float32)
    quads = np.arange(len(positions), dtype=np.int32).reshape(-1, 4)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    shot.dense.path.mkdir(parents=True)
    write_mesh(shot.dense.mesh, Triangles(positions, faces, None))
    DenseRecord("test", place_of(shot), (1,), 0, len(faces)).save(shot.dense.record)
