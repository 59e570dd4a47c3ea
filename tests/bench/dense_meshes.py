# SPDX-License-Identifier: GPL-3.0-or-later
"""The mesh against the truth and against Poisson alone; its texture against plates held out."""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from backend.dense import settings
from backend.dense_files import Triangles
from backend.stages import DenseOptions
from backend.worker.dense.fusion import fuse
from backend.worker.dense.meshing import cleaned, simplified, surface, trusted
from backend.worker.dense.texture import Settings, project_texture
from backend.worker.dense.unwrap import unwrap
from tests.bench.dense_maps import SCENES, Found, found
from tests.bench.dense_picture import beside_the_plate
from tests.bench.dense_scores import MeshScore, mesh_score
from tests.bench.figure import at_least, at_most

GOAL_NEAR, GOAL_FREE = 0.92, 0.01
GOAL_DECIBELS = 25.0
"""Under this a render is told from its plate at a glance."""
USUAL = settings(DenseOptions())
FACES, TEXTURE = USUAL.faces, USUAL.texture_size


def mesh_figures(_folder: Path) -> list[dict[str, Any]]:
    return [figure for name in SCENES for figure in _of_scene(name)]


def _of_scene(name: str) -> list[dict[str, Any]]:
    raw, mesh, seconds = _mesh(name)
    alone, own = (mesh_score(each, found(name).truth) for each in (raw, mesh))
    how = (
        f"{len(mesh.faces)} faces, {own.covered:.1%} of what the views see covered, "
        f"{seconds:.0f} s; Poisson alone: {_told(alone)}"
    )
    return [
        at_least(f"mesh within 2 pixels, {name}", own.near, "of samples", GOAL_NEAR, how),
        at_most(f"mesh in free space, {name}", own.free, "of samples", GOAL_FREE, how),
    ]


def _told(score: MeshScore) -> str:
    return f"{score.near:.1%} within, {score.free:.1%} in free space, {score.covered:.1%} covered"


@cache
def _mesh(name: str) -> tuple[Triangles, Triangles, float]:
    """Poisson's surface, what becomes of it, and the seconds for both."""
    of: Found = found(name)
    load, numbers = of.maps.__getitem__, list(of.maps)
    cloud = trusted(fuse(of.sources, load), numbers, load)
    began = time.monotonic()
    raw = surface(cloud)
    mesh = simplified(cleaned(raw, cloud, numbers, load), FACES)
    return raw, mesh, time.monotonic() - began


def texture_figures(folder: Path) -> list[dict[str, Any]]:
    """Pictures of each scene go where SHOT_GOPHER_PICTURES says."""
    target = Path(os.environ.get("SHOT_GOPHER_PICTURES") or folder)
    return [_likeness(name, target) for name in SCENES]


def _likeness(name: str, target: Path) -> dict[str, Any]:
    of, (_raw, mesh, _seconds) = found(name), _mesh(name)
    began = time.monotonic()
    uvs = unwrap(mesh.positions, mesh.faces, TEXTURE).uvs
    unwrapped = time.monotonic()
    texture = project_texture(
        mesh.positions, mesh.faces, uvs, list(of.maps), lambda number: of.maps[number][0],
        Settings(size=TEXTURE),
    )  # fmt: skip
    done = time.monotonic()
    whole = Triangles(mesh.positions, mesh.faces, uvs)
    alike = [
        beside_the_plate(target / f"dense_{name}_{held.number}.png", whole, texture.colors, held)
        for held in of.rendered.held
    ]
    how = (
        f"mean PSNR of {len(alike)} cameras held out over what the mesh covers of their plates, "
        f"{np.mean([each.covered for each in alike]):.1%}; {TEXTURE} px texture, "
        f"unwrapped in {unwrapped - began:.0f} s, projected in {done - unwrapped:.0f} s"
    )
    mean = float(np.mean([each.decibels for each in alike]))
    return at_least(f"render beside the plate, {name}", mean, "dB", GOAL_DECIBELS, how)
