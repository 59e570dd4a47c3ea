# SPDX-License-Identifier: GPL-3.0-or-later
"""A body model in SMPL-X's file format and of its sizes, made of nothing but formulas.

10475 vertices, 20908 triangles, 55 joints, 20 shapes, 486 pose correctives: the package smplx loads
it, and it can be had where the real one, which asks for a registration, cannot. Its body is a crude
one of tubes, 1.7 m tall; its arms point to the sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.smplx import JOINTS, PARENTS

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

SHAPES, CORRECTIVES = 20, 9 * (len(JOINTS) - 1)
_REACH = 4
"""Joints that move a vertex."""


@dataclass(frozen=True)
class _Tube:
    """A closed tube of `rings` of `sides` vertices along the `path` (p, 3), `radius` (p,) thick,
    moved by those joints."""

    path: Array
    radius: Array
    sides: int
    rings: int
    joints: tuple[int, ...]


def rest_joints() -> Array:
    """(55, 3) in meters."""
    left = {
        "hip": (0.07, -0.09, 0.0), "knee": (0.09, -0.48, 0.0), "ankle": (0.09, -0.88, -0.03),
        "foot": (0.11, -0.94, 0.09), "collar": (0.06, 0.40, -0.01), "shoulder": (0.17, 0.43, -0.02),
        "elbow": (0.43, 0.43, -0.03), "wrist": (0.68, 0.43, -0.02),
    }  # fmt: skip
    middle = {
        "pelvis": (0, 0, 0), "spine1": (0, 0.11, -0.02), "spine2": (0, 0.24, -0.02),
        "spine3": (0, 0.30, 0.0), "neck": (0, 0.46, -0.02), "head": (0, 0.54, 0.0),
        "jaw": (0, 0.53, 0.02),
    }  # fmt: skip
    fingers = {"index": 0.025, "middle": 0.0, "pinky": -0.045, "ring": -0.022}
    found = {name: np.array(place, float) for name, place in middle.items()}
    for side, sign in (("left", 1), ("right", -1)):
        mirror = np.array([sign, 1, 1])
        for name, place in left.items():
            found[f"{side}_{name}"] = mirror * place
        found[f"{side}_eye_smplhf"] = mirror * [0.03, 0.59, 0.07]
        for finger, across in fingers.items():
            for place in (1, 2, 3):
                along = 0.76 + 0.025 * place - 0.2 * abs(across)
                found[f"{side}_{finger}{place}"] = mirror * [along, 0.42, across]
        for place in (1, 2, 3):
            along = 0.70 + 0.02 * place
            found[f"{side}_thumb{place}"] = mirror * [along, 0.41, 0.03 + 0.015 * place]
    return np.array([found[name] for name in JOINTS])


def write_model(folder: Path, gender: str = "neutral") -> Path:
    """Writes smplx/SMPLX_<GENDER>.npz into a folder, which `smplx.create` takes; each gender has a
    body of its own."""
    random = np.random.default_rng(len(gender))
    joints, tubes = rest_joints(), _tubes(rest_joints())
    parts = [_tube_mesh(tube) for tube in tubes]
    counts = [len(vertices) for vertices, _ in parts]
    starts = np.cumsum([0, *counts])
    vertices = np.concatenate([*(part for part, _ in parts), np.zeros((1, 3))])
    faces = np.concatenate(
        [part + start for (_, part), start in zip(parts, starts[:-1], strict=True)]
    )
    weights = np.zeros((len(vertices), len(JOINTS)))
    for tube, start, count in zip(tubes, starts[:-1], counts, strict=True):
        weights[start : start + count] = _weights(vertices[start : start + count], joints, tube)
    weights[-1, 0] = 1
    if gender != "neutral":
        vertices = vertices * (1.04 if gender == "male" else 0.96)
        joints = joints * (1.04 if gender == "male" else 0.96)
    file = folder / "smplx" / f"SMPLX_{gender.upper()}.npz"
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        file,
        v_template=vertices,
        f=faces.astype(np.uint32),
        weights=weights,
        J_regressor=_regressor(vertices, joints),
        shapedirs=_shapes(vertices, random),
        posedirs=_correctives(vertices, joints, random).astype(np.float32),
        kintree_table=np.array([np.where(np.array(PARENTS) < 0, 2**32 - 1, PARENTS),
                                np.arange(len(JOINTS))]),
        **_what_smplx_asks_for(len(faces)),
    )  # fmt: skip
    return file


def _tubes(joints: Array) -> list[_Tube]:
    """Ten, whose vertices and triangles sum up to SMPL-X's, but for one vertex."""

    def tube(
        names: str, radius: list[float], sides: int, rings: int, end: Array, start: float = 0.0
    ) -> _Tube:
        chosen = [JOINTS.index(name) for name in names.split()]
        first = joints[chosen[0]] + [0, start, 0]
        path = np.vstack([first, joints[chosen[1:]], joints[chosen[-1]] + end])
        return _Tube(path, np.array(radius), sides, rings, tuple(chosen))

    up = np.array([0, 0.22, 0.0])
    found = [
        tube("pelvis spine1 spine2 spine3 neck", [0.14, 0.13, 0.14, 0.15, 0.06, 0.05], 46, 49,
             np.array([0, 0.06, 0]), -0.15),
        tube("neck head", [0.05, 0.1, 0.07], 36, 50, up),
    ]  # fmt: skip
    head = found[1]
    face = tuple(JOINTS.index(f"{name}") for name in ("jaw", "left_eye_smplhf", "right_eye_smplhf"))
    found[1] = _Tube(head.path, head.radius, head.sides, head.rings, (*head.joints, *face))
    for side, sign in (("left", 1), ("right", -1)):
        out = np.array([sign, 0, 0])
        leg = " ".join(f"{side}_{name}" for name in ("hip", "knee", "ankle", "foot"))
        arm = " ".join(f"{side}_{name}" for name in ("collar", "shoulder", "elbow", "wrist"))
        thumb = " ".join(f"{side}_thumb{place}" for place in (1, 2, 3))
        middle = " ".join(f"{side}_middle{place}" for place in (1, 2, 3))
        found += [
            tube(leg, [0.09, 0.06, 0.045, 0.04, 0.02], 32, 40, np.array([0, 0, 0.08])),
            tube(arm, [0.05, 0.05, 0.04, 0.03, 0.03], 28, 40, 0.06 * out),
            tube(f"{side}_wrist {middle}", [0.03, 0.045, 0.045, 0.04, 0.02], 24, 24, 0.02 * out),
            tube(thumb, [0.015, 0.014, 0.012, 0.008], 16, 14, 0.02 * out),
        ]
        mitt = found[-2]
        names = [f"{side}_{name}{place}" for name in ("index", "pinky", "ring") for place in "123"]
        fingers = tuple(JOINTS.index(name) for name in names)
        found[-2] = _Tube(mitt.path, mitt.radius, mitt.sides, mitt.rings, (*mitt.joints, *fingers))
    return found


def _tube_mesh(tube: _Tube) -> tuple[Array, Indices]:
    lengths = np.linalg.norm(np.diff(tube.path, axis=0), axis=1)
    at = np.concatenate([[0], np.cumsum(lengths)])
    along = np.linspace(0, at[-1], tube.rings + 2)
    center = np.stack([np.interp(along, at, axis) for axis in tube.path.T], axis=1)
    radius = np.interp(along, at, tube.radius)
    ahead = np.gradient(center, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    # A direction that no part of the body has.
    aside = np.cross(ahead, [0.43, 0.29, 0.85])
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    other = np.cross(ahead, aside)
    angle = 2 * np.pi * np.arange(tube.sides) / tube.sides
    ring = np.cos(angle)[:, None] * aside[1:-1, None] + np.sin(angle)[:, None] * other[1:-1, None]
    rings = center[1:-1, None] + radius[1:-1, None, None] * ring
    vertices = np.concatenate([rings.reshape(-1, 3), center[[0]], center[[-1]]])
    one = np.arange(tube.rings * tube.sides).reshape(tube.rings, tube.sides)
    right = np.roll(one, -1, axis=1)
    bottom, top = len(vertices) - 2, len(vertices) - 1
    faces = [
        np.stack([one[:-1], right[:-1], one[1:]], axis=-1),
        np.stack([right[:-1], right[1:], one[1:]], axis=-1),
        np.stack([right[0], one[0], np.full(tube.sides, bottom)], axis=-1),
        np.stack([one[-1], right[-1], np.full(tube.sides, top)], axis=-1),
    ]
    return vertices, np.concatenate([part.reshape(-1, 3) for part in faces])


def _weights(vertices: Array, joints: Array, tube: _Tube) -> Array:
    """(v, 55): the nearer to a joint's bone, the more; four joints at most."""
    near = np.full((len(vertices), len(JOINTS)), np.inf)
    for joint in tube.joints:
        ends = [joints[child] for child in tube.joints if PARENTS[child] == joint]
        ends = ends or [joints[joint] + 0.3 * (joints[joint] - joints[PARENTS[joint]])]
        near[:, joint] = np.min([_away(vertices, joints[joint], end) for end in ends], axis=0)
    weights = np.exp(-((near - near.min(axis=1, keepdims=True)) / 0.03))
    least = np.sort(weights, axis=1)[:, [-_REACH - 1]]
    weights[(weights <= least) | (weights < 1e-3)] = 0
    return weights / weights.sum(axis=1, keepdims=True)


def _away(places: Array, start: Array, end: Array) -> Array:
    """(v,) distances from a line between two points."""
    along = end - start
    share = np.clip((places - start) @ along / (along @ along), 0, 1)
    distance: Array = np.linalg.norm(places - start - share[:, None] * along, axis=1)
    return distance


def _regressor(vertices: Array, joints: Array) -> Array:
    """(55, v) of 60 vertices each, whose weighted mean is exactly the joint."""
    found = np.zeros((len(joints), len(vertices)))
    for place, joint in enumerate(joints):
        near = np.argsort(np.linalg.norm(vertices - joint, axis=1))[:60]
        rows = np.vstack([vertices[near].T, np.ones(len(near))])
        even = np.full(len(near), 1 / len(near))
        wanted = np.append(joint, 1) - rows @ even
        found[place, near] = even + np.linalg.lstsq(rows, wanted, rcond=None)[0]
    return found


def _shapes(vertices: Array, random: np.random.Generator) -> Array:
    """(v, 3, 20): taller, wider, and waves of some millimeters."""
    found = np.empty((len(vertices), 3, SHAPES))
    found[..., 0] = vertices * [0.01, 0.03, 0.01]
    found[..., 1] = vertices * [0.05, 0, 0.1]
    for shape in range(2, SHAPES):
        wave = np.sin(vertices @ random.normal(0, 6, (3, 3)) + random.uniform(0, 6, 3))
        found[..., shape] = 0.004 * wave
    return found


def _correctives(vertices: Array, joints: Array, random: np.random.Generator) -> Array:
    """(v, 3, 486): waves of some millimeters around the joint that each belongs to."""
    found = np.empty((len(vertices), 3, CORRECTIVES))
    for joint in range(1, len(JOINTS)):
        near = np.exp(-((np.linalg.norm(vertices - joints[joint], axis=1) / 0.12) ** 2))
        for entry in range(9):
            wave = np.sin(vertices @ random.normal(0, 10, (3, 3)) + random.uniform(0, 6, 3))
            found[..., 9 * (joint - 1) + entry] = 0.01 * near[:, None] * wave
    return found


def _what_smplx_asks_for(faces: int) -> dict[str, NDArray[np.generic]]:
    """Hands and landmarks, which nothing here looks at."""
    hands = {f"hands_components{side}": np.eye(45) for side in "lr"}
    hands |= {f"hands_mean{side}": np.zeros(45) for side in "lr"}
    middle = np.full((79, 17, 3), 1 / 3)
    return {
        **hands,
        "lmk_faces_idx": np.arange(51) % faces,
        "lmk_bary_coords": np.full((51, 3), 1 / 3),
        "dynamic_lmk_faces_idx": np.arange(79 * 17).reshape(79, 17) % faces,
        "dynamic_lmk_bary_coords": middle,
    }
