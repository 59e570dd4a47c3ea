# SPDX-License-Identifier: GPL-3.0-or-later
"""The solve on disk: what is saved comes back, and damage is told in a sentence."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from backend.camera import PLATE, UNDISTORTED_PLATE, Similarity
from backend.errors import FormatError
from backend.reconstruction import PARAMETERS, CameraModel
from backend.solve import FrameSolve, FrameState, Grade, Motion, Quality, Solve
from tests.backend.cameras import moving_track, with_gaps
from tests.backend.readers import turn

RADIAL = CameraModel("RADIAL", 1920, 1080, (1500.0, 950.0, 545.0, -0.05, 0.01))


def some_solve(camera: CameraModel = RADIAL) -> Solve:
    track = with_gaps(moving_track())
    count = len(track.frames)
    track = replace(
        track,
        focal=np.tile(camera.focal, (count, 1)),
        center=np.tile(camera.center, (count, 1)),
    )
    states = {
        frame: FrameState.SOLVED if solved else FrameState.INTERPOLATED
        for frame, solved in zip(track.frames.tolist(), track.solved.tolist(), strict=True)
    }
    frames = tuple(
        FrameSolve(frame, states.get(frame, FrameState.UNSOLVED), 0.5, 321)
        for frame in range(1001, 1065)
    )
    return Solve(
        engine="colmap",
        camera=camera,
        world=Similarity(1.5, turn("x", 40), np.array([1.0, 2.0, 3.0])),
        world_note="the ground was found",
        track=track,
        frames=frames,
        point_count=1234,
        mean_error=0.61,
        max_error=1.9,
        quality=Quality(Motion.MOVING, "The camera travels.", Grade.GOOD),
        warnings=("Little parallax — übel",),
    )


def test_comes_back(tmp_path: Path) -> None:
    solve = some_solve()
    solve.save(tmp_path)
    back = Solve.load(tmp_path)
    for name in ("engine", "camera", "world_note", "frames", "point_count", "warnings"):
        assert getattr(back, name) == getattr(solve, name), name
    assert (back.mean_error, back.max_error) == (0.61, 1.9)
    for name in ("frames", "matrices", "focal", "center", "solved"):
        np.testing.assert_array_equal(getattr(back.track, name), getattr(solve.track, name), name)
    assert back.track.fps == Fraction(24000, 1001)
    np.testing.assert_array_equal(back.world.rotation, solve.world.rotation)
    assert back.numbers(FrameState.UNSOLVED)[-4:] == [1061, 1062, 1063, 1064]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "extrinsics.json",
        "intrinsics.json",
        "solve.json",
    ]


def test_intrinsics_and_extrinsics_stand_alone(tmp_path: Path) -> None:
    solve = some_solve()
    solve.save(tmp_path)
    intrinsics = json.loads((tmp_path / "intrinsics.json").read_text(encoding="utf-8"))
    assert [intrinsics[name] for name in ("fx", "fy", "cx", "cy")] == [1500, 1500, 950, 545]
    extrinsics = json.loads((tmp_path / "extrinsics.json").read_text(encoding="utf-8"))
    matrix = np.array(extrinsics["camera_to_world"][3])
    # x right, y down, z forward: the camera that looks along its -Z now looks along +Z.
    ours = solve.track.matrices[3]
    np.testing.assert_allclose(matrix[:3, 2], -ours[:3, 2])
    np.testing.assert_allclose(matrix[:3, 3], ours[:3, 3])


@pytest.mark.parametrize(
    ("model", "params", "fits"),
    [
        ("PINHOLE", (1500.0, 1500.0, 960.0, 540.0), PLATE),
        ("SIMPLE_RADIAL", (1500.0, 960.0, 540.0, 0.0), PLATE),
        ("SIMPLE_RADIAL", (1500.0, 960.0, 540.0, -0.1), UNDISTORTED_PLATE),
        ("SIMPLE_FISHEYE", (1500.0, 960.0, 540.0), UNDISTORTED_PLATE),
        ("EUCM", (1500.0, 1500.0, 960.0, 540.0, 0.0, 1.0), PLATE),
        ("OPENCV", (1500.0, 1500.0, 960.0, 540.0, 0.0, 0.0, 0.0, 1e-4), UNDISTORTED_PLATE),
    ],
)
def test_says_which_plate_the_pinhole_fits(
    tmp_path: Path, model: str, params: tuple[float, ...], fits: str
) -> None:
    some_solve(CameraModel(model, 1920, 1080, params)).save(tmp_path)
    assert Solve.load(tmp_path).track.fits == fits


def test_every_model_names_its_parameters() -> None:
    for model, names in PARAMETERS.items():
        camera = CameraModel(model, 100, 50, tuple(range(1, len(names) + 1)))
        assert CameraModel.from_json(camera.to_json()) == camera
        if model == "EQUIRECTANGULAR":
            with pytest.raises(FormatError, match="panorama"):
                _ = camera.focal
        else:
            assert len({*camera.focal, *camera.center} | set(camera.distortion())) >= 3


@pytest.mark.parametrize("name", ["solve.json", "extrinsics.json"])
def test_damage_is_a_format_error(tmp_path: Path, name: str) -> None:
    some_solve().save(tmp_path)
    whole = (tmp_path / name).read_bytes()
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(150):
        data = bytearray(whole)
        if rng.random() < 0.4:
            data = data[: rng.integers(0, len(data))]
        for _ in range(3):
            if data:
                data[rng.integers(0, len(data))] = rng.integers(32, 127)
        (tmp_path / name).write_bytes(data)
        with contextlib.suppress(FormatError):
            Solve.load(tmp_path)
            refused -= 1
        refused += 1
    assert refused > 50


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("fps", "24/0"),
        ("fps", "fast"),
        ("camera", {"model": "LOOKING_GLASS", "width": 1, "height": 1, "params": []}),
        ("camera", {"model": "PINHOLE", "width": 1, "height": 1, "params": [1]}),
        ("camera", {"model": "PINHOLE", "width": 1e999, "height": 1, "params": [1, 1, 1, 1]}),
        ("camera", []),
        ("world", {"scale": 1, "rotation": [1, 2], "translation": [0, 0, 0], "note": ""}),
        ("frames", [{"frame": 1, "state": "dreamt", "error_px": 0, "observations": 0}]),
        ("frames", "none"),
        ("mean_error_px", None),
        ("warnings", 3),
    ],
)
def test_each_wrong_entry_is_a_format_error(tmp_path: Path, key: str, value: object) -> None:
    some_solve().save(tmp_path)
    data = json.loads((tmp_path / "solve.json").read_text(encoding="utf-8"))
    (tmp_path / "solve.json").write_text(json.dumps(data | {key: value}), encoding="utf-8")
    with pytest.raises(FormatError, match=r"solve\.json"):
        Solve.load(tmp_path)


def test_a_pose_that_is_none_is_a_format_error(tmp_path: Path) -> None:
    some_solve().save(tmp_path)
    data = json.loads((tmp_path / "extrinsics.json").read_text(encoding="utf-8"))
    data["camera_to_world"][2][0][3] = float("nan")
    (tmp_path / "extrinsics.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(FormatError, match="damaged"):
        Solve.load(tmp_path)


def test_a_missing_solve_is_a_format_error(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="missing"):
        Solve.load(tmp_path)
