# SPDX-License-Identifier: GPL-3.0-or-later
"""The SMPL-X body model (Pavlakos et al. 2019) from the artist's own SMPLX_<GENDER>.npz.

A body is its template, moved by betas, then by correctives that follow from each joint's rotation
matrix less the unit matrix, then by linear blend skinning. v vertices, f triangles, j = 55 joints,
n frames. Meters; y up, z out of the chest, x to the body's left. Nothing is unpickled.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from .body import RestBody
from .camera import Array
from .errors import FormatError, ModelError
from .kinematics import joint_places, joint_turns, rotations_of
from .smplx import GENDERS, JOINTS, PARENTS

_JOINTS = len(JOINTS)
_FEATURES = 9 * (_JOINTS - 1)
_MOST_VERTICES, _MOST_FACES, _MOST_SHAPES = 100_000, 200_000, 1000
_HANDS = slice(JOINTS.index("left_index1"), _JOINTS)
_BATCH = 16
"""Frames at once: about 50 MB of vertices."""
_LEAST = 1e-6
"""Weights under this move no vertex by a hundredth of a millimeter."""

Vertices = NDArray[np.float32]


def model_file(folder: Path, gender: str) -> Path:
    """SMPLX_<GENDER>.npz in the folder that the artist named, or in its folder smplx. Raises
    ModelError."""
    name = f"SMPLX_{gender.upper()}.npz"
    for path in (folder / name, folder / "smplx" / name):
        if gender in GENDERS and path.is_file():
            return path
    raise ModelError(f"{folder} has no {name}: choose the folder that SMPL-X was unpacked to.")


@dataclass(frozen=True, eq=False)
class BodyModel:
    """A person's body, with the shape that its betas give.

    vertices     (v, 3) at rest
    joints       (j, 3) at rest
    faces        (f, 3)
    weights      (v, j) how much each joint moves a vertex
    correctives  (486, 3 v) what a joint's rotation less the unit matrix moves, row by row
    uv           (f, 3, 2), or (0, 3, 2) where the file has none
    hands        (30, 3) axis-angle vectors of hands at ease, in the order of `smplx.JOINTS`
    """

    vertices: Array
    joints: Array
    faces: NDArray[np.int32]
    weights: Array
    correctives: NDArray[np.float32]
    uv: NDArray[np.float32]
    hands: Array

    @classmethod
    def load(cls, path: Path, betas: Array) -> BodyModel:
        """The body with `betas` (b,); those that the file has no shape for are left out. Raises
        FormatError."""
        try:
            with zipfile.ZipFile(path) as file:
                return _model(_Arrays(file), betas)
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise FormatError(f"{path.name} is damaged or no SMPL-X model: {error!r}.") from error

    @cached_property
    def rest(self) -> RestBody:
        """What an armature deforms."""
        kept = np.where(self.weights > _LEAST, self.weights, 0)
        reach = int((kept > 0).sum(axis=1).max())
        movers = np.argsort(-kept, axis=1, kind="stable")[:, :reach]
        weights = np.take_along_axis(kept, movers, axis=1)
        weights /= weights.sum(axis=1, keepdims=True)
        return RestBody(
            vertices=self.vertices,
            faces=self.faces,
            joints=self.joints,
            movers=movers.astype(np.uint8),
            weights=weights.astype(np.float32),
            uv=self.uv,
        )

    def corrected(self, rotations: Array) -> Iterator[Vertices]:
        """Batches (m, v, 3) of the body at rest, corrected for each frame's pose (n, j, 3)."""
        base = self.vertices.astype(np.float32).reshape(-1)
        for start in range(0, len(rotations), _BATCH):
            local = rotations_of(rotations[start : start + _BATCH, 1:]) - np.eye(3)
            features = local.reshape(len(local), _FEATURES).astype(np.float32)
            yield (base + features @ self.correctives).reshape(len(local), -1, 3)

    def posed(self, rotations: Array, translation: Array) -> Iterator[Array]:
        """Batches (m, v, 3) of the posed body; translation (n, 3)."""
        at = 0
        for corrected in self.corrected(rotations):
            chosen = slice(at, at + len(corrected))
            turns = joint_turns(rotations[chosen])
            places = joint_places(rotations[chosen], self.joints, translation[chosen])
            yield _skinned(corrected, turns, places, self.joints, self.weights)
            at += len(corrected)


def _skinned(
    vertices: Vertices, turns: Array, places: Array, joints: Array, weights: Array
) -> Array:
    """Linear blend skinning: each vertex by the weighted mean of its joints' motions."""
    shifts = places - np.einsum("njab,jb->nja", turns, joints)
    moves = np.concatenate([turns, shifts[..., None]], axis=-1)
    blended = np.tensordot(weights, moves, axes=(1, 1))
    turned = np.einsum("vnab,nvb->nva", blended[..., :3], vertices, optimize=True)
    posed: Array = turned + np.swapaxes(blended[..., 3], 0, 1)
    return posed


class _Arrays:
    """The arrays of an .npz whose shapes are looked at before they are read."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self._names = set(file.namelist())

    def __contains__(self, name: str) -> bool:
        return f"{name}.npy" in self._names

    def shape(self, name: str) -> tuple[int, ...]:
        """Raises KeyError, ValueError for what is no array of numbers."""
        with self._file.open(f"{name}.npy") as data:
            version = npy.read_magic(data)  # type: ignore[no-untyped-call]
            read: Any = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
            shape, _fortran, kind = read[version](data)
        if kind.kind not in "fiu":
            raise ValueError(f"{name} of {kind}")
        return tuple(shape)

    def read(self, name: str, wanted: tuple[int | range, ...]) -> NDArray[Any]:
        """An array whose sides are those, or in those ranges. Raises ValueError."""
        shape = self.shape(name)
        fits = len(shape) == len(wanted) and all(
            side in allowed if isinstance(allowed, range) else side == allowed
            for side, allowed in zip(shape, wanted, strict=False)
        )
        if not fits:
            raise ValueError(f"{name} of {shape}")
        with self._file.open(f"{name}.npy") as data:
            found: NDArray[Any] = npy.read_array(  # type: ignore[no-untyped-call]
                data, allow_pickle=False
            )
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            raise ValueError(f"{name} is not finite")
        return found


def _model(arrays: _Arrays, betas: Array) -> BodyModel:
    template = arrays.read("v_template", (range(1, _MOST_VERTICES), 3)).astype(np.float64)
    count = len(template)
    _check_parents(arrays.read("kintree_table", (2, _JOINTS)))
    shapes = arrays.read("shapedirs", (count, 3, range(_MOST_SHAPES)))
    used = min(len(betas), shapes.shape[2])
    vertices = template + shapes[:, :, :used].astype(np.float64) @ betas[:used]
    del shapes
    regressor = arrays.read("J_regressor", (_JOINTS, count)).astype(np.float64)
    correctives = arrays.read("posedirs", (count, 3, _FEATURES)).astype(np.float32)
    weights = arrays.read("weights", (count, _JOINTS)).astype(np.float64)
    if (weights < 0).any() or np.abs(weights.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError("weights that are none")
    return BodyModel(
        vertices=vertices,
        joints=regressor @ vertices,
        faces=_faces(arrays, "f", count).astype(np.int32),
        weights=weights / weights.sum(axis=1, keepdims=True),
        correctives=np.ascontiguousarray(correctives.reshape(3 * count, _FEATURES).T),
        uv=_uv(arrays),
        hands=_hands(arrays),
    )


def _check_parents(table: NDArray[Any]) -> None:
    if not np.array_equal(table[0, 1:].astype(np.int64), PARENTS[1:]):
        raise ValueError("joints in another order")


def _faces(arrays: _Arrays, name: str, corners: int) -> NDArray[Any]:
    faces = arrays.read(name, (range(1, _MOST_FACES), 3))
    if faces.min() < 0 or faces.max() >= corners:
        raise ValueError(f"{name} of corners that are not there")
    return faces


def _uv(arrays: _Arrays) -> NDArray[np.float32]:
    if "vt" not in arrays or "ft" not in arrays:
        return np.zeros((0, 3, 2), np.float32)
    places = arrays.read("vt", (range(1, 4 * _MOST_VERTICES), 2)).astype(np.float32)
    found: NDArray[np.float32] = places[_faces(arrays, "ft", len(places)).astype(np.int64)]
    return found


def _hands(arrays: _Arrays) -> Array:
    sides = [arrays.read(f"hands_mean{side}", (45,)).astype(np.float64) for side in "lr"]
    return np.concatenate(sides).reshape(30, 3)


def with_relaxed_hands(rotations: Array, hands: Array) -> Array:
    """Rotations (n, j, 3) whose hands, where they are all zero, are at ease."""
    if rotations[:, _HANDS].any():
        return rotations
    relaxed = rotations.copy()
    relaxed[:, _HANDS] = hands
    return relaxed
