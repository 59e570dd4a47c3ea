# SPDX-License-Identifier: GPL-3.0-or-later
"""A tracked shot with the body motion of people who walk, as a run of the stage leaves it."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from shot_gopher.backend.body_model import BodyModel
from shot_gopher.backend.dense import Place, place_of
from shot_gopher.backend.formats.pc2 import write_point_cache
from shot_gopher.backend.lens import bend
from shot_gopher.backend.motion import MocapRecord, Motion
from shot_gopher.backend.outputs import stage_file
from shot_gopher.backend.reconstruction import CameraModel
from shot_gopher.backend.shot import Shot, write_json
from shot_gopher.backend.stages import STAGES

from tests.body_model import write_model
from tests.walking import Walk, forward, matrices, walk

from .shots import WORLD, Poses, make_shot

FIRST, COUNT, SCALE = 1001, 12, 2.5
BETAS = np.array([0.8, -0.5, 1.2, -1.0, 0.4, 0, 0, 0, 0, 0])
PEOPLE = ("ann", "bob")


@functools.cache
def model_folder() -> Path:
    """With the synthetic SMPL-X file."""
    return write_model(Path(tempfile.mkdtemp())).parent


@functools.cache
def body_model() -> BodyModel:
    return BodyModel.load(model_folder() / "SMPLX_NEUTRAL.npz", BETAS)


def body_shot(
    folder: Path,
    count: int = COUNT,
    people: tuple[str, ...] = PEOPLE[:1],
    distortion: tuple[float, ...] = (),
    frames: np.ndarray | None = None,
    mesh: bool = True,
    images: bool = False,
) -> Shot:
    """`frames` are places of those that have motion; without `mesh` SMPL-X was not there."""
    person = _walk(count)
    (fx, _zero, cx), (_, fy, cy) = person.matrix[:2]
    model = "OPENCV" if distortion else "PINHOLE"
    lens = CameraModel(model, *person.size, (fx, fy, cx, cy, *distortion))
    rotations = person.camera_rotations @ WORLD.rotation
    centers = (SCALE * person.camera_centers - WORLD.translation) @ WORLD.rotation / WORLD.scale
    poses = Poses(rotations, -np.einsum("nij,nj->ni", rotations, centers))
    shot = make_shot(folder, lens, FIRST, count, poses, Fraction(24000, 1001), images=images)
    write_json(stage_file(shot, STAGES["colmap"]), {"finished": 1.0, "fingerprint": "x"})
    for index, name in enumerate(people):
        _save_person(shot, name, _walk(count, index), lens, frames, mesh)
    record = MocapRecord("test", people, SCALE, "scale from planted feet", place_of(shot))
    record.save(shot.mocap.record)
    write_json(stage_file(shot, STAGES["mocap"]), {"finished": 2.0, "fingerprint": "y"})
    return shot


def _walk(count: int, turned: int = 0) -> Walk:
    return walk(count, FIRST, rest=body_model().joints, across=1.2 + 0.5 * turned)


def _save_person(
    shot: Shot, name: str, person: Walk, lens: CameraModel, frames: np.ndarray | None, mesh: bool
) -> None:
    chosen = person if frames is None else person.only(frames)
    place = Place.from_text(place_of(shot).to_text())
    motion = replace(chosen.motion(name, place, SCALE), betas=BETAS, fps=Fraction(24000, 1001))
    keypoints = motion.keypoints.copy()
    rays = (keypoints[..., :2] - chosen.matrix[:2, 2]) / chosen.matrix[[0, 1], [0, 1]]
    keypoints[..., :2] = bend(lens, rays.reshape(-1, 2)).reshape(rays.shape)
    own = shot.mocap.person(name)
    own.path.mkdir(parents=True, exist_ok=True)
    stored = {field: getattr(motion, field) for field in Motion.__dataclass_fields__}
    Motion(**stored | {"keypoints": keypoints, "place": place}).save(own.motion)
    if not mesh:
        return
    model = body_model()
    model.rest.save(own.body)
    own.corrected.parent.mkdir(exist_ok=True)
    count = len(model.vertices)
    write_point_cache(own.corrected, count, model.corrected(motion.rotations), start=0)
    posed = model.posed(motion.rotations, motion.translation)
    write_point_cache(own.posed, count, (SCALE * batch for batch in posed), start=0)


def vertices(motion: Motion, index: int) -> np.ndarray:
    """(v, 3) of a frame in the motion's world, straight from the model's file: correctives, then
    skinning by all weights, in double precision."""
    with np.load(model_folder() / "SMPLX_NEUTRAL.npz") as file:
        rest = file["v_template"] + file["shapedirs"][..., : len(motion.betas)] @ motion.betas
        joints = file["J_regressor"] @ rest
        entries = matrices(motion.rotations[index])[1:] - np.eye(3)
        rest = rest + file["posedirs"].astype(float) @ entries.reshape(-1)
        weights = file["weights"]
    chosen = slice(index, index + 1)
    places, turns = forward(joints, motion.rotations[chosen], motion.translation[chosen])
    moved = np.einsum("jab,vjb->vja", turns[0], rest[:, None] - joints) + places[0]
    return motion.scale * np.einsum("vj,vja->va", weights, moved)
