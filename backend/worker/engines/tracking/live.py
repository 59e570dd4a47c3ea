# SPDX-License-Identifier: GPL-3.0-or-later
"""The tracks alive, as arrays of n; positions in working px from the middle of the first pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....camera import Integers
from ....tracks import Floats
from .anchoring import References, Window, cut_out, references
from .records import PATCH_REACH, Booleans
from .wide import inner, wide_references


@dataclass(eq=False)
class Live:
    """center, shape  the warp of the reference patch in the last frame
    offset         (n, 2) from the patch's center to the track, in the reference patch
    motion         (n, 2) from the frame before the last to the last
    missed         (n,) frames in a row without a mark
    row            (n,) of the reference patch in `Sources`
    patches, wide  what is registered finely, and what finds a track that is some pixels away
    """

    id: Integers
    center: Floats
    shape: Floats
    offset: Floats
    motion: Floats
    missed: Integers
    row: Integers
    patches: References
    wide: References

    @classmethod
    def none(cls, window: Window) -> Live:
        side = 2 * PATCH_REACH + 1
        nothing, values = np.zeros((0, 2), np.float32), np.zeros((0, side, side), np.float32)
        ids = np.zeros(0, np.int64)
        return cls.born(ids, ids, nothing, nothing, values, window)

    @classmethod
    def born(
        cls,
        ids: Integers,
        rows: Integers,
        position: Floats,
        motion: Floats,
        values: Floats,
        window: Window,
    ) -> Live:
        """Tracks in the middle of their patches `values` (n, 25, 25)."""
        return cls(
            id=ids,
            center=position,
            shape=np.tile(np.eye(2, dtype=np.float32), (len(ids), 1, 1)),
            offset=np.zeros((len(ids), 2), np.float32),
            motion=motion,
            missed=np.zeros(len(ids), np.int64),
            row=rows,
            patches=references(inner(values, window), window),
            wide=wide_references(values),
        )

    def __len__(self) -> int:
        return len(self.id)

    @property
    def position(self) -> Floats:
        return moved(self.center, self.shape, self.offset)

    def only(self, keep: Booleans) -> Live:
        if keep.all():
            return self
        index = np.flatnonzero(keep)
        return Live(
            id=self.id[index],
            center=self.center[index],
            shape=self.shape[index],
            offset=self.offset[index],
            motion=self.motion[index],
            missed=self.missed[index],
            row=self.row[index],
            patches=self.patches.take(index),
            wide=self.wide.take(index),
        )

    def joined(self, other: Live) -> Live:
        return Live(
            id=np.concatenate([self.id, other.id]),
            center=np.concatenate([self.center, other.center]),
            shape=np.concatenate([self.shape, other.shape]),
            offset=np.concatenate([self.offset, other.offset]),
            motion=np.concatenate([self.motion, other.motion]),
            missed=np.concatenate([self.missed, other.missed]),
            row=np.concatenate([self.row, other.row]),
            patches=References.joined(self.patches, other.patches),
            wide=References.joined(self.wide, other.wide),
        )

    def thinned(self, apart: float) -> Live:
        """Without tracks that share a square of side `apart` with an older one."""
        place = np.floor(self.position / apart).astype(np.int64)
        order = np.argsort(self.id, kind="stable")
        _, first = np.unique(place[order], axis=0, return_index=True)
        keep = np.zeros(len(self), bool)
        keep[order[first]] = True
        return self.only(keep)

    def renew(self, index: Integers, image: Floats, window: Window) -> None:
        """Takes new reference patches from this picture, around the nearest whole pixels."""
        position = self.position[index]
        whole = np.rint(position).astype(np.int64)
        values = cut_out(image, whole, PATCH_REACH)
        self.patches.put(index, references(inner(values, window), window))
        self.wide.put(index, wide_references(values))
        self.center[index] = whole
        self.shape[index] = np.eye(2, dtype=np.float32)
        self.offset[index] = position - whole


def moved(center: Floats, shape: Floats, offset: Floats) -> Floats:
    """(n, 2) where warps take `offset`."""
    return np.asarray(center + np.einsum("nij,nj->ni", shape, offset), dtype=np.float32)
