# SPDX-License-Identifier: GPL-3.0-or-later
"""COLMAP's dense stereo and fusion, on a GPU, against ours over the same frames of each scene.

It needs a Python with pycolmap-cuda12, the worker's environment `colmap-cuda` or the one that
SHOT_GOPHER_COLMAP_CUDA names.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backend.worker.dense.colmap_workspace import HALF_PIXEL, read_found, write_workspace
from backend.worker.dense.fusion import fuse
from backend.worker.dense.patchmatch.engine import PatchMatch
from backend.worker.dense.patchmatch.programs import gpu, has_cuda
from backend.worker.dense.views import DepthMap, View
from tests.bench.dense_maps import SCENES, both_passes, filled_maps, scene, sources_of
from tests.bench.dense_scores import cloud_score, unprojected
from tests.bench.figure import at_least
from tests.render.dense_scenes import Rendered

VARIABLE = "SHOT_GOPHER_COLMAP_CUDA"
GOAL = 1.25
_PROGRAM = Path(__file__).resolve().parents[2] / "backend" / "worker" / "colmap_patch_match.py"
_FUSE = """
import sys, numpy, pycolmap
fused = pycolmap.stereo_fusion(sys.argv[2], sys.argv[1], output_type="PLY", input_type="geometric")
numpy.save(sys.argv[3], numpy.array([p.xyz for p in fused.points3D.values()], numpy.float32))
"""


@dataclass(frozen=True, eq=False)
class Peer:
    """COLMAP's depth maps, the positions (n, 3) of its cloud, and seconds for all frames' depth."""

    maps: list[DepthMap]
    cloud: np.ndarray
    seconds: float


def run_colmap(
    folder: Path,
    views: Sequence[View],
    points: np.ndarray,
    sources: Mapping[int, Sequence[int]],
    corrected: bool,
) -> Peer:
    """`corrected`: with its half pixel undone, as our engine does."""
    python = os.environ.get(VARIABLE, sys.executable)
    folder.mkdir(parents=True)
    shift = HALF_PIXEL if corrected else 0.0
    write_workspace(folder, views, views, points, sources, shift)
    began = time.monotonic()
    subprocess.run([python, "-B", str(_PROGRAM), str(folder)], check=True)
    seconds = time.monotonic() - began
    cloud = folder / "cloud.npy"
    subprocess.run(
        [python, "-B", "-c", _FUSE, str(folder), str(folder / "fused.ply"), str(cloud)], check=True
    )
    return Peer([read_found(folder, view) for view in views], np.load(cloud), seconds)


def colmap_figures(folder: Path) -> list[dict[str, Any]]:
    """Raises RuntimeError where there is no GPU."""
    if not has_cuda():
        raise RuntimeError("There is no NVIDIA GPU, or the group cuda is not installed.")
    return [_against(folder, name) for name in SCENES]


def _against(folder: Path, name: str) -> dict[str, Any]:
    rendered, truth = scene(name)
    sources = sources_of(rendered.views)
    peer, own = (
        cloud_score(cloud, truth)
        for cloud in (_peer_cloud(folder / name, rendered, sources), _own_cloud(rendered, sources))
    )
    how = f"F1 {own.f1:.3f} of ours to {peer.f1:.3f} of COLMAP as it comes, at 2 pixels' width"
    return at_least(f"points on CUDA, {name}", own.f1 / peer.f1, "x COLMAP", GOAL, how)


def _peer_cloud(folder: Path, rendered: Rendered, sources: Mapping[int, Sequence[int]]) -> Any:
    points = truth_points(rendered)
    return run_colmap(folder, rendered.views, points, sources, corrected=False).cloud


def _own_cloud(rendered: Rendered, sources: Mapping[int, Sequence[int]]) -> Any:
    maps = filled_maps(both_passes(PatchMatch(gpu()), rendered.views, sources), sources)
    return fuse(sources, maps.__getitem__).positions


def truth_points(rendered: Rendered, step: int = 40) -> np.ndarray:
    """Some true points (n, 3), which stand for those of a solve."""
    pairs = zip(rendered.views[::3], rendered.truth[::3], strict=True)
    return np.concatenate([unprojected(*pair, step)[0] for pair in pairs]).astype(float)
