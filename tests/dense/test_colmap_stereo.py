# SPDX-License-Identifier: GPL-3.0-or-later
"""COLMAP's workspace, told by COLMAP itself: it reads the cameras, and our reader its maps."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pycolmap
import pytest

from backend.errors import JobError, Remedy
from backend.shot import Shot
from backend.worker.dense import colmap_stereo
from backend.worker.dense.colmap_workspace import read_found, write_workspace
from backend.worker.dense.depth_work import DepthWork
from backend.worker.dense.map_files import read_map
from backend.worker.dense.shot_views import ShotViews
from tests.backend.textured_room import room, scene_points
from tests.dense.dense_shot import report_in, run_dense
from tests.dense.known_room import NUMBERS, SOURCES, distances, truth
from tests.extension.solved_shot import solved_shot

VIEWS = [truth()[number][0] for number in NUMBERS]
POINTS = scene_points(room())


def with_true_maps(workspace: Path, shift: float) -> Path:
    """What COLMAP would have left had it found the exact depth and normals."""
    write_workspace(workspace, VIEWS, VIEWS, POINTS, SOURCES, shift)
    for number in NUMBERS:
        _view, known = truth()[number]
        name = f"frame_{number:04d}.png.geometric.bin"
        write_maps(workspace, name, known.depth, known.normal)
    return workspace


def write_maps(workspace: Path, name: str, depth: np.ndarray, normal: np.ndarray) -> None:
    stereo = workspace / "stereo"
    pycolmap.DepthMap.from_array(depth, 0.1, 100).write(stereo / "depth_maps" / name)
    pycolmap.NormalMap.from_array(normal).write(stereo / "normal_maps" / name)


def test_maps_are_read_as_colmap_writes_them(tmp_path: Path) -> None:
    workspace = with_true_maps(tmp_path, 0.5)
    found = read_found(workspace, VIEWS[2])
    known = truth()[NUMBERS[2]][1]
    np.testing.assert_array_equal(found.depth, known.depth)
    np.testing.assert_array_equal(found.normal, known.normal)
    assert (found.confidence > 0.5).mean() == (known.depth > 0).mean()
    (workspace / "stereo" / "depth_maps" / f"frame_{NUMBERS[2]:04d}.png.geometric.bin").unlink()
    assert not read_found(workspace, VIEWS[2]).depth.any()


def test_colmap_reads_the_cameras_and_its_half_pixel_is_undone(tmp_path: Path) -> None:
    """COLMAP's own fusion of exact maps: on the walls, and off by its half pixel as it is."""
    off = {}
    for shift in (0.5, 0.0):
        workspace = with_true_maps(tmp_path / str(shift), shift)
        fused = pycolmap.stereo_fusion(
            workspace / "fused.ply", workspace, input_type="geometric", output_type="PLY"
        )
        points = np.array([point.xyz for point in fused.points3D.values()])
        assert len(points) > 500
        off[shift] = np.median(distances(points))
    assert off[0.5] < 0.2 * off[0.0]


def test_a_colmap_that_cannot_is_told_with_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual pycolmap, which has no CUDA, in the place of the other one."""
    shot = solved_shot(tmp_path / "sh010", 8)
    monkeypatch.setattr(colmap_stereo.environment, "find", lambda *_words: None)
    with pytest.raises(JobError, match="not installed"):
        run_dense(shot, engine="colmap-cuda", max_frames=3)
    monkeypatch.setattr(colmap_stereo.environment, "find", lambda *_words: Path(sys.executable))
    with pytest.raises(JobError, match="built without CUDA") as told:
        run_dense(shot, engine="colmap-cuda", max_frames=3)
    assert told.value.remedy is Remedy.OPEN_LOG


def test_what_colmap_finds_becomes_the_shots_maps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its program is stood in for by maps that lie there already; all the rest is run."""
    shot = Shot(tmp_path / "sh010")
    solved_shot(shot.path, 8)
    asked: list[Path] = []

    def run(_python: Path, workspace: Path, _views: int, _report: object) -> None:
        asked.append(workspace)
        for image in (workspace / "images").iterdir():
            depth = np.full((270, 480), 3, np.float32)
            normal = np.full((270, 480, 3), [0, 0, -1], np.float32)
            write_maps(workspace, f"{image.name}.geometric.bin", depth, normal)

    monkeypatch.setattr(colmap_stereo, "_run", run)
    monkeypatch.setattr(colmap_stereo.environment, "find", lambda *_words: Path(sys.executable))
    report = report_in(tmp_path)
    folder = shot.dense
    work = DepthWork(ShotViews.of(shot, 0, 4, use_masks=True), folder, report)
    numbers = work.unmatched()
    assert len(numbers) == len(work.views.numbers) > 2
    colmap_stereo.find_depth(work.views, work.sources, numbers, work.matched, report)
    assert work.unmatched() == []
    assert np.unique(read_map(work.matched.depth(numbers[0]))) == pytest.approx(3)
    assert not asked[0].exists()
