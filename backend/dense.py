# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a shot's dense points and mesh: `dense.json`, and which world they stand in.

A survey moves the shot's world without a run of the dense stage. The record therefore says in which
world of which solve the files were made; who reads them moves them by the step to today's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .camera import Similarity
from .errors import FormatError
from .shot import Shot, read_json, write_json
from .solve import solve_of
from .stages import DenseOptions
from .survey import between, solve_time


@dataclass(frozen=True)
class Settings:
    """Numbers: the longest side of the images and of the texture in px (0 for the plate's own),
    and the faces the mesh may have."""

    image_size: int
    faces: int
    texture_size: int


_QUALITIES = {
    "preview": Settings(1000, 50_000, 2048),
    "default": Settings(2000, 500_000, 4096),
    "high": Settings(0, 1_000_000, 8192),
}


def settings(options: DenseOptions) -> Settings:
    """What the options stand for."""
    usual = _QUALITIES[options.quality]
    return Settings(
        image_size=usual.image_size,
        faces=options.faces or usual.faces,
        texture_size=options.texture_size or usual.texture_size,
    )


@dataclass(frozen=True, eq=False)
class Place:
    """A world: the similarity that took COLMAP's world to it, of the solve made at that time."""

    solve: float
    world: Similarity

    def step_to(self, other: Place) -> Similarity | None:
        """What moves things that stand here to where they stand there; None between two solves,
        which have nothing to do with each other."""
        return between(self.world, other.world) if self.solve == other.solve else None

    def to_text(self) -> str:
        return json.dumps({"solve": self.solve, "world": self.world.to_json()})

    @classmethod
    def from_text(cls, text: str) -> Place:
        """Raises FormatError."""
        try:
            return cls.from_json(json.loads(text))
        except ValueError as error:
            raise FormatError(f"A world is damaged: {error}.") from error

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Place:
        """Raises FormatError."""
        try:
            return cls(float(data["solve"]), Similarity.from_json(data["world"]))
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"A world is damaged: {error!r}.") from error


def place_of(shot: Shot) -> Place:
    """Where the shot's camera stands now. Raises SolveError, FormatError."""
    return Place(solve_time(shot), solve_of(shot).world)


def model_place(shot: Shot) -> Place:
    """Where the sparse model and the blockout mesh stand: in the solver's own world."""
    return Place(solve_time(shot), Similarity(1.0, np.eye(3), np.zeros(3)))


@dataclass(frozen=True, eq=False)
class DenseRecord:
    """dense.json: what was made of how much, and where it stands.

    frames    the plate's numbers of those whose depth was found
    faces     0 without a mesh; texture_size in px, 0 without a texture
    details   anything else worth keeping: errors in px, settings, hashes
    """

    engine: str
    place: Place
    frames: tuple[int, ...]
    points: int
    faces: int = 0
    texture_size: int = 0
    details: Mapping[str, Any] | None = None

    def save(self, path: Path) -> None:
        content = {
            "engine": self.engine,
            "solve": self.place.solve,
            "world": self.place.world.to_json(),
            "frames": list(self.frames),
            "points": self.points,
            "faces": self.faces,
            "texture_size": self.texture_size,
        }
        write_json(path, content | {"details": dict(self.details or {})})

    @classmethod
    def load(cls, path: Path) -> DenseRecord:
        """Raises FormatError."""
        data = read_json(path)
        try:
            return cls(
                engine=str(data["engine"]),
                place=Place.from_json(data),
                frames=tuple(int(number) for number in data["frames"]),
                points=int(data["points"]),
                faces=int(data["faces"]),
                texture_size=int(data["texture_size"]),
                details=dict(data.get("details", {})),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"{path.name} is damaged: {error!r}.") from error

    @property
    def facts(self) -> tuple[str, ...]:
        """Short lines for a panel."""
        lines = [f"{len(self.frames)} frames with depth", f"{self.points:,} points"]
        if self.faces:
            lines.append(f"{self.faces:,} faces")
        if self.texture_size:
            lines.append(f"{self.texture_size} px texture")
        return tuple(lines)


@dataclass(frozen=True)
class DenseParts:
    """What of it lies in a shot. `blockout`: a rough mesh over the sparse points, and no better."""

    cloud: bool = False
    mesh: bool = False
    blockout: bool = False
    facts: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.cloud or self.mesh or self.blockout


def find_parts(shot: Shot) -> DenseParts:
    """What is there and whole. Raises nothing: a damaged record counts as none."""
    dense = shot.dense
    try:
        facts = DenseRecord.load(dense.record).facts
    except FormatError:
        return DenseParts(blockout=shot.blockout.is_file())
    mesh = dense.mesh.is_file()
    blockout = not mesh and shot.blockout.is_file()
    return DenseParts(dense.cloud.is_file(), mesh, blockout, facts)
