# SPDX-License-Identifier: GPL-3.0-or-later
"""The rendered walk as a shot whose camera is solved and whose motion GVHMR has told: does the body
that the stage writes cover the person in the pictures?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from backend import locations, outputs
from backend.accuracy import load_truth
from backend.body import RestBody
from backend.camera import Array, CameraTrack
from backend.events import EventWriter
from backend.formats.pc2 import PointCache
from backend.models import ModelStore
from backend.motion import MocapRecord
from backend.shot import Plate, Shot, write_json
from backend.solve import solve_of
from backend.stages import STAGES, MocapOptions
from backend.worker.carrying import link
from backend.worker.report import Context, Report
from backend.worker.stages import mocap
from tests.bench.figure import at_least, at_most
from tests.body_model import write_model
from tests.environments import DEFAULT_BPY, ROOT, call, test_python
from tests.extension.solved_shot import WORLD, write_solved
from tests.render.bench_shots import FPS
from tests.render.walk_shot import (
    FRAMES,
    HEIGHT,
    WIDTH,
    body,
    folder,
    frame_of,
    mask_of,
    missing,
    walk_of,
)

PERSON = "person_00"
_LARGER = 8


def shot_figures(place: Path) -> list[dict[str, Any]]:
    if missing():
        call([str(test_python(DEFAULT_BPY)), "-B", "-m", "tests.render.render_walk"], ROOT)
    shot = _shot(place / "shot")
    with _home(place / "home"):
        _run(shot, place, source=str(_told(place)), people=PERSON)
    record = MocapRecord.load(shot.mocap.record)
    alike = _likeness(shot)
    how = (
        f"{FRAMES} frames {WIDTH}x{HEIGHT} rendered by Cycles; the mesh that the stage writes, "
        f"seen by the solved camera, over the rendered masks: the worst frame; the middle one has "
        f"{np.median(alike):.4f}"
    )
    scale = abs(record.scale / WORLD.scale - 1)
    told = f"{record.scale_from}; the shot's world has {WORLD.scale} units a meter"
    return [
        at_least("rendered walk, body over the person", float(alike.min()), "IoU", 0.97, how),
        at_most("rendered walk, scale", 100 * scale, "%", 0.5, told),
    ]


def _shot(path: Path) -> Shot:
    """Frames, masks, and the true camera as its solve."""
    shot, numbers = Shot(path), tuple(range(1, FRAMES + 1))
    shot.frames.mkdir(parents=True)
    (shot.roto / PERSON).mkdir(parents=True)
    for number in numbers:
        link(frame_of(number), shot.frame_file(number))
        link(mask_of(number), shot.roto / PERSON / shot.frame_file(number).name)
    times = tuple(index / FPS for index in range(FRAMES))
    size = WIDTH, HEIGHT
    plate = Plate("plate", "movie", *size, Fraction(FPS), numbers, tuple(range(FRAMES)), times)
    write_json(shot.plate_file, plate.to_json())
    write_solved(shot, *load_truth(folder() / "truth.json"))
    return shot


def _told(place: Path) -> Path:
    """The walk as GVHMR's package writes what it has found."""
    place.mkdir(parents=True, exist_ok=True)
    walk = walk_of(body(place / "model"))
    file = place / "gvhmr.npz"
    np.savez(
        file,
        camera_body_pose=walk.rotations[:, 1:22].reshape(FRAMES, -1),
        camera_betas=np.zeros((FRAMES, 10)),
        camera_global_orient=walk.seen_rotation,
        camera_transl=walk.seen_translation,
        K_fullimg=np.tile(walk.matrix, (FRAMES, 1, 1)),
        fps=np.float64(FPS),
    )
    return file


@contextmanager
def _home(place: Path) -> Iterator[None]:
    """A home in which the artist's body models are known."""
    before = os.environ.get(locations.HOME_VARIABLE)
    os.environ[locations.HOME_VARIABLE] = str(place)
    write_model(place / "bodies")
    ModelStore(locations.home()).choose("smplx", place / "bodies")
    try:
        yield
    finally:
        del os.environ[locations.HOME_VARIABLE]
        if before is not None:
            os.environ[locations.HOME_VARIABLE] = before


def _run(shot: Shot, place: Path, **options: Any) -> None:
    report = Report(EventWriter(place / "events.jsonl"), place / "cancel")
    stage, chosen = STAGES["mocap"], MocapOptions(**options)
    inputs = outputs.inputs_of(shot, stage, "")
    with outputs.writing(shot, stage, chosen, inputs) as (part, record):
        mocap.run(Context(shot, chosen, "", "", part, report, record))


def _likeness(shot: Shot) -> Array:
    """(n,) what the mesh and the rendered mask both cover over what either does."""
    person, camera = shot.mocap.person(PERSON), solve_of(shot).track
    faces = RestBody.load(person.body).faces
    found = []
    for index, vertices in enumerate(PointCache.open(person.posed).read()):
        drawn = _silhouette(camera, index, vertices.astype(float), faces)
        mask = cv2.imread(str(mask_of(index + 1)), cv2.IMREAD_GRAYSCALE) > 127
        found.append((drawn & mask).sum() / (drawn | mask).sum())
    return np.array(found)


def _silhouette(camera: CameraTrack, index: int, vertices: Array, faces: Any) -> np.ndarray:
    """(h, w) of which pixels triangles cover half or more."""
    # OpenCV draws a triangle's edges too, half a pixel wide: larger, they are less of a pixel.
    corners = (camera.project(vertices, index) * _LARGER - 0.5)[faces]
    drawn = np.zeros((HEIGHT * _LARGER, WIDTH * _LARGER), np.uint8)
    for corner in np.rint(16 * corners).astype(np.int32):
        cv2.fillConvexPoly(drawn, corner, 255, cv2.LINE_8, 4)
    covered = cv2.resize(drawn, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(covered) > 127
