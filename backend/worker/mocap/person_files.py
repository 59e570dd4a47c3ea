# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a person's files: the motion, the body at rest, and its mesh frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ...body_model import BodyModel
from ...camera import Y_UP_FROM_SHOT, Array
from ...formats.obj import obj_writer
from ...formats.pc2 import Vertices, write_point_cache
from ...motion import Motion
from ...shot import PersonFolder
from .plain_pickle import write_pickle

Progress = Callable[[int, int, str], None]


def write_person(
    motion: Motion, model: BodyModel | None, folder: PersonFolder, meshes: str, progress: Progress
) -> None:
    """All but Alembic, which Blender writes. Without a model there is no mesh.

    Raises OutputError.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    motion.save(folder.motion)
    write_pickle(motion, folder.pickle)
    if model is None:
        return
    folder.corrected.parent.mkdir(exist_ok=True)
    model.rest.save(folder.body)
    count, total = len(model.vertices), 2 * len(motion.frames)
    corrected = _told(model.corrected(motion.rotations), 0, total, progress)
    write_point_cache(folder.corrected, count, corrected, start=0)
    posed = _told(posed_in_world(motion, model), total // 2, total, progress)
    write_point_cache(folder.posed, count, posed, start=0)
    if meshes == "obj":
        _write_meshes(motion, model, folder, progress)


def posed_in_world(motion: Motion, model: BodyModel) -> Iterator[Array]:
    """Batches (m, v, 3) of the body in the shot's world."""
    for batch in model.posed(motion.rotations, motion.translation):
        yield motion.scale * batch


def _told(
    batches: Iterator[Array] | Iterator[Vertices], done: int, total: int, progress: Progress
) -> Iterator[Array | Vertices]:
    for batch in batches:
        yield batch
        done += len(batch)
        progress(done, total, "meshes")


def _write_meshes(
    motion: Motion, model: BodyModel, folder: PersonFolder, progress: Progress
) -> None:
    """Other programs take meshes as y up."""
    write = obj_writer(model.faces, model.uv, motion.person)
    numbers = iter(motion.frames.tolist())
    done, total = 0, len(motion.frames)
    for batch in posed_in_world(motion, model):
        for vertices in batch:
            write(folder.mesh(next(numbers)), np.asarray(vertices @ Y_UP_FROM_SHOT.T))
            done += 1
            progress(done, total, "meshes")
