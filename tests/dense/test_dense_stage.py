# SPDX-License-Identifier: GPL-3.0-or-later
"""The dense stage from a solved shot to its files: complete, taken up again, taken over."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from backend import dense, outputs, survey
from backend.camera import Similarity
from backend.dense import DenseRecord, find_parts, place_of
from backend.dense_files import read_mesh
from backend.errors import Canceled, JobError, SolveError
from backend.outputs import Freshness
from backend.shot import Shot
from backend.solve import Motion, Solve, solve_of
from backend.stages import STAGES, DenseOptions
from backend.worker.dense import choice
from backend.worker.dense.map_files import read_map
from backend.worker.dense.shot_views import ShotViews
from backend.worker.stages import dense as stage
from tests.dense.dense_shot import (
    FRAMES,
    SIDE,
    SMALL,
    cloud_of,
    in_room,
    off_walls,
    report_in,
    run_dense,
    told,
)
from tests.dense.known_room import PLANES, distances
from tests.dense.room_views import true_depth
from tests.extension.solved_shot import WORLD, solved_shot

PIXEL = 7 / (SIDE * 0.8)
"""About how wide a pixel is on the room's walls, in meters."""


@pytest.fixture(scope="module", autouse=True)
def quick() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(dense._QUALITIES, "preview", SMALL)
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    """A shot with everything that the stage makes."""
    shot = solved_shot(tmp_path_factory.mktemp("shots") / "sh010", FRAMES)
    record = run_dense(shot)
    assert record["engine"] == "cpu"
    return shot


@pytest.fixture
def shot(done: Shot, tmp_path: Path) -> Shot:
    """A copy of it."""
    shutil.copytree(done.path, tmp_path / "sh010")
    return Shot(tmp_path / "sh010")


@pytest.fixture
def no_stereo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any stereo is a failure."""

    def choose(_engine: str, _report: Any) -> Any:
        raise AssertionError("depth was found again")

    monkeypatch.setattr(stage, "choose_stereo", choose)


def test_everything_is_there_and_told(done: Shot) -> None:
    record = DenseRecord.load(done.dense.record)
    assert 3 <= len(record.frames) <= 6
    for number in record.frames:
        for kind in (done.dense.depth, done.dense.normal, done.dense.confidence):
            assert kind(number).is_file()
    mesh = read_mesh(done.dense.mesh)
    assert mesh.uvs is not None
    assert record.points == len(cloud_of(done).positions) > 3000
    assert record.faces == len(mesh.faces) <= 1.1 * SMALL.faces
    assert len(read_mesh(done.dense.raw_mesh).faces) >= record.faces
    assert cv2.imread(str(done.dense.texture)).shape == (256, 256, 3)
    assert sorted(path.name for path in done.dense.path.iterdir() if path.name[0] == ".") == []
    parts = find_parts(done)
    assert (parts.cloud, parts.mesh) == (True, True)
    assert outputs.freshness_as_recorded(done, STAGES["dense"]) is Freshness.CURRENT


def test_points_and_mesh_stand_on_the_walls_in_the_shots_world(done: Shot) -> None:
    assert (off_walls(done) < 2 * PIXEL).mean() > 0.9
    corners = in_room(read_mesh(done.dense.mesh).positions)
    assert (distances(corners) < 3 * PIXEL).mean() > 0.8


def test_depth_is_in_the_worlds_units(done: Shot) -> None:
    views = ShotViews.of(done, SIDE, 6, use_masks=True)
    view = views.outline(views.numbers[1])
    moved = [plane_in_world(plane) for plane in PLANES]
    depth, _normal = true_depth(view, moved)
    found = read_map(done.dense.depth(view.number))
    sure = read_map(done.dense.confidence(view.number)) > 0.5
    assert sure.mean() > 0.5
    assert np.median(np.abs(found[sure] / depth[sure] - 1)) < 0.005


def plane_in_world(plane: Any) -> Any:
    turn = WORLD.scale * WORLD.rotation
    return type(plane)(
        **vars(plane)
        | {
            "corner": WORLD.apply(np.array([plane.corner], float))[0],
            "u": turn @ plane.u,
            "v": turn @ plane.v,
        }
    )


def test_progress_is_told_frame_by_frame_and_a_cancel_keeps_what_is_done(
    tmp_path: Path, done: Shot
) -> None:
    shutil.copytree(done.path, tmp_path / "sh010", ignore=shutil.ignore_patterns("dense*"))
    shot = Shot(tmp_path / "sh010")
    report = report_in(tmp_path)
    counted: list[tuple[int, int]] = []
    tell = report.progress

    def progress(count: int, total: int, unit: str) -> None:
        counted.append((count, total))
        if unit == "depth maps" and count == 3:
            raise Canceled
        tell(count, total, unit)

    report.progress = progress  # type: ignore[method-assign]
    with pytest.raises(Canceled):
        run_dense(shot, report)
    assert counted == [(1, 12), (2, 12), (3, 12)]
    part = shot.path / "colmap" / "dense.part"
    assert len(list(part.rglob("*.exr"))) == 3 * 3
    assert not shot.dense.path.exists()
    found = stage.choose_stereo("cpu", report)[1]
    asked: list[int] = []
    photometric = found.photometric

    def count(view: Any, *rest: Any) -> Any:
        asked.append(view.number)
        return photometric(view, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(found, "photometric", count)
        patch.setattr(stage, "choose_stereo", lambda *_words: ("cpu", found))
        run_dense(shot)
    assert len(asked) == 3
    again = read_map(shot.dense.depth(1))
    np.testing.assert_array_equal(again, read_map(done.dense.depth(1)))


@pytest.mark.usefixtures("no_stereo")
def test_other_faces_ask_for_no_other_depth(shot: Shot) -> None:
    """Nor for another surface: only what comes after that is made again."""
    before = shot.dense.raw_mesh.read_bytes()
    run_dense(shot, faces=800)
    assert len(read_mesh(shot.dense.mesh).faces) <= 900
    assert shot.dense.raw_mesh.read_bytes() == before
    assert DenseRecord.load(shot.dense.record).engine == "cpu"
    assert "Fusing the depth maps" not in told(shot)


@pytest.mark.usefixtures("no_stereo")
def test_a_moved_world_takes_everything_along(shot: Shot) -> None:
    before = cloud_of(shot).positions
    old = place_of(shot).world
    survey.apply(shot, survey.Constraints(distance=survey.Distance(
        5.0, WORLD.apply(np.zeros((1, 3)))[0], WORLD.apply(np.array([[1.0, 0, 0]]))[0]
    )))  # fmt: skip
    assert outputs.freshness_as_recorded(shot, STAGES["dense"]) is Freshness.STALE
    run_dense(shot)
    world: Similarity = place_of(shot).world
    assert world.scale == pytest.approx(5 * old.scale / WORLD.scale)
    assert (off_walls(shot, world) < 2 * PIXEL).mean() > 0.9
    assert np.allclose(np.ptp(cloud_of(shot).positions, axis=0),
                       np.ptp(before, axis=0) * world.scale / old.scale, rtol=1e-3)  # fmt: skip
    kept = DenseRecord.load(shot.dense.record)
    assert kept.place.step_to(place_of(shot)).scale == pytest.approx(1)
    number = kept.frames[0]
    then = read_map(Shot(shot.path).dense.path.with_name("dense.previous") / "depth" /
                    shot.dense.depth(number).name)  # fmt: skip
    now = read_map(shot.dense.depth(number))
    np.testing.assert_allclose(now, then * world.scale / old.scale, rtol=1e-5)
    assert outputs.freshness_as_recorded(shot, STAGES["dense"]) is Freshness.CURRENT


def test_what_a_mask_selects_gives_no_points(shot: Shot) -> None:
    """The right half of all frames."""
    shot.masks.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((270, 480), np.uint8)
    mask[:, 240:] = 255
    for number in range(1, FRAMES + 1):
        cv2.imwrite(str(shot.masks / f"frame_{number:04d}.png"), mask)
    run_dense(shot, mesh=False)
    views = ShotViews.of(shot, SIDE, 6, use_masks=True)
    positions = cloud_of(shot).positions.astype(float)
    assert len(positions) > 500
    for number in views.numbers:
        found = read_map(shot.dense.depth(number))
        assert not found[:, SIDE // 2 :].any()
    assert not shot.dense.mesh.is_file()


def test_a_turning_camera_is_told_why_not(shot: Shot) -> None:
    solve = solve_of(shot)
    quality = type(solve.quality)(**vars(solve.quality) | {"motion": Motion.TRIPOD})
    Solve(**vars(solve) | {"quality": quality}).save(shot.camera)
    with pytest.raises(SolveError, match="travels"):
        run_dense(shot)
    assert shot.dense.mesh.is_file()


def test_little_travel_is_told(shot: Shot, monkeypatch: pytest.MonkeyPatch) -> None:
    run_dense(shot)
    assert not any("travels little" in text for text in told(shot))
    monkeypatch.setattr(stage, "LITTLE_ANGLE", 60.0)
    run_dense(shot)
    assert any("travels little" in text for text in told(shot))


def test_a_gpu_that_was_asked_for_and_is_not_there_is_an_error(
    shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "has_cuda", lambda: False)
    with pytest.raises(JobError, match="cannot use an NVIDIA GPU"):
        run_dense(shot, engine="cuda", max_frames=4)


def test_a_gpu_that_fails_is_left_to_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine of a broken driver: it compiles nothing."""

    def broken() -> Any:
        raise RuntimeError("no kernel image is available")

    monkeypatch.setattr(choice, "has_cuda", lambda: True)
    monkeypatch.setattr(choice, "gpu", broken)
    report = report_in(tmp_path)
    engine, matcher = choice.choose_stereo("auto", report)
    assert (engine, matcher.machine) == ("cpu", "processor")
    assert any("no kernel image" in text for text in told(Shot(tmp_path / "sh")))


def test_options_by_quality_and_by_number() -> None:
    for quality in ("preview", "default", "high"):
        usual = dense.settings(DenseOptions(quality=quality))
        assert usual.faces > 0 < usual.texture_size
    chosen = dense.settings(DenseOptions(faces=7, texture_size=8))
    assert (chosen.faces, chosen.texture_size) == (7, 8)
