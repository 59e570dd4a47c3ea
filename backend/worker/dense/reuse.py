# SPDX-License-Identifier: GPL-3.0-or-later
"""What an earlier run made that still holds: copied, and moved when only the shot's world was.

A survey moves the world by a similarity, and other faces or another texture change no depth. A key
says what each part was made of; parts whose key is still the same are taken over.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...camera import Similarity
from ...dense import DenseRecord, Place
from ...dense_files import read_cloud, read_mesh, write_cloud, write_mesh
from ...errors import FormatError
from ...shot import DenseFolder
from .map_files import move_maps

DEPTH, CLOUD, MESH, TEXTURE = "depth", "cloud", "mesh", "texture"
"""The parts by which a record's `details` has their keys."""


def key_of(**made_of: Any) -> str:
    """Tells one set of numbers and words from every other."""
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Earlier:
    """The result of an earlier run. `step` moves it to where the camera stands now."""

    folder: DenseFolder
    record: DenseRecord
    step: Similarity

    @classmethod
    def of(cls, folder: DenseFolder, place: Place) -> Earlier | None:
        """None where there is none, or one of another solve."""
        try:
            record = DenseRecord.load(folder.record)
        except FormatError:
            return None
        step = record.place.step_to(place)
        return None if step is None else cls(folder, record, step)

    def holds(self, part: str, keys: Mapping[str, str]) -> bool:
        """Whether a part would come out the same today."""
        made_of = self.record.details.get("made_of", {}) if self.record.details else {}
        return bool(made_of.get(part) == keys[part])

    @property
    def _stays(self) -> bool:
        same = np.allclose(self.step.rotation, np.eye(3), atol=1e-12)
        return same and abs(self.step.scale - 1) < 1e-12 and not self.step.translation.any()

    def take_maps(self, numbers: Sequence[int], target: DenseFolder) -> None:
        """Brings the frames' maps into a folder, those that are whole and not there yet."""
        for number in numbers:
            files = (self.folder.confidence, self.folder.normal, self.folder.depth)
            there = all(file(number).is_file() for file in files)
            if not there or target.depth(number).is_file():
                continue
            if self._stays:
                for kind in ("confidence", "normal", "depth"):
                    _link(getattr(self.folder, kind)(number), getattr(target, kind)(number))
            else:
                # A map that cannot be read is found anew.
                with suppress(FormatError):
                    move_maps(self.folder, target, number, self.step)

    def take_cloud(self, target: DenseFolder) -> bool:
        """False where there is none."""
        if not self.folder.cloud.is_file():
            return False
        if self._stays:
            shutil.copyfile(self.folder.cloud, target.cloud)
            return True
        cloud = read_cloud(self.folder.cloud)
        turned = cloud.normals @ self.step.rotation.T.astype(np.float32)
        positions = self.step.apply(cloud.positions.astype(np.float64)).astype(np.float32)
        write_cloud(target.cloud, replace(cloud, positions=positions, normals=turned))
        return True

    def take_mesh(self, target: DenseFolder, textured: bool) -> bool:
        """The mesh as it was before it was simplified; the whole one too when it is `textured`."""
        names = [(self.folder.raw_mesh, target.raw_mesh, "")]
        if textured:
            names.append((self.folder.mesh, target.mesh, target.texture.name))
        needed = [source for source, _target, _texture in names]
        needed += [self.folder.texture] if textured else []
        if not all(source.is_file() for source in needed):
            return False
        for source, moved, texture in names:
            self._take_triangles(source, moved, texture)
        if textured:
            shutil.copyfile(self.folder.texture, target.texture)
        return True

    def _take_triangles(self, source: Path, target: Path, texture: str) -> None:
        if self._stays:
            shutil.copyfile(source, target)
            return
        mesh = read_mesh(source)
        positions = self.step.apply(mesh.positions.astype(np.float64)).astype(np.float32)
        write_mesh(target, replace(mesh, positions=positions), texture)


def _link(source: Path, target: Path) -> None:
    """The same file at another place: nothing ever writes into it again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
