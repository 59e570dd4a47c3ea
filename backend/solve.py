# SPDX-License-Identifier: GPL-3.0-or-later
"""The solve of a shot: `camera/solve.json`, `extrinsics.json` and `intrinsics.json`.

solve.json holds everything; the other two are for programs that want a camera and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from .camera import (
    PLATE,
    UNDISTORTED_PLATE,
    CameraTrack,
    Similarity,
    with_blender_axes,
    with_opencv_axes,
)
from .errors import FormatError, Remedy, SolveError
from .reconstruction import CameraModel
from .shot import Shot, read_json, write_json


class FrameState(str, Enum):
    """How a plate frame came by its pose."""

    SOLVED = "solved"
    INTERPOLATED = "interpolated"
    UNSOLVED = "unsolved"


class Motion(str, Enum):
    """What kind of camera move was solved."""

    MOVING = "moving"
    TRIPOD = "tripod"


class Grade(str, Enum):
    """How far the solve can be relied on."""

    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"


@dataclass(frozen=True)
class Quality:
    """What can be said of a solve without knowing the truth.

    reason       why this kind of camera move and lens was solved, in a sentence
    grade        `advice` are sentences on how to do better; empty when there is nothing to do
    focal_sigma  standard deviation of the focal length over the focal length; 0 when it was given
    parallax     degrees; the median over points of the widest angle they are seen under; 0 for a
                 tripod solve
    coverage     share of the picture's cells (8 x 8 a frame) with a track, mean over frames
    """

    motion: Motion
    reason: str
    grade: Grade
    advice: tuple[str, ...] = ()
    focal_sigma: float = 0.0
    parallax: float = 0.0
    coverage: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "motion": self.motion.value,
            "grade": self.grade.value,
            "advice": list(self.advice),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Quality:
        return cls(
            motion=Motion(data["motion"]),
            reason=str(data["reason"]),
            grade=Grade(data["grade"]),
            advice=tuple(str(text) for text in data["advice"]),
            focal_sigma=float(data["focal_sigma"]),
            parallax=float(data["parallax"]),
            coverage=float(data["coverage"]),
        )


@dataclass(frozen=True)
class FrameSolve:
    """One plate frame: `error` is the mean reprojection error in px over `observations` points.

    Both are 0 for a frame that is not solved.
    """

    frame: int
    state: FrameState
    error: float = 0.0
    observations: int = 0


@dataclass(frozen=True, eq=False)
class Solve:
    """A solved camera with its quality.

    `track` covers the solved and interpolated frames, in the shot's world; `frames` has every
    plate frame. `world` took COLMAP's world to the shot's; `world_note` says how it was found.
    `camera` is the lens; where it zooms, that of the first solved frame, and the track has the
    focal length of each.
    `mean_error` is over all observations, `max_error` the mean of the worst frame, both in px.
    """

    engine: str
    camera: CameraModel
    world: Similarity
    world_note: str
    track: CameraTrack
    frames: tuple[FrameSolve, ...]
    point_count: int
    mean_error: float
    max_error: float
    quality: Quality
    warnings: tuple[str, ...] = field(default=())

    @property
    def zooms(self) -> bool:
        return bool(np.ptp(self.track.focal, axis=0).any())

    def camera_at(self, index: int) -> CameraModel:
        """The lens in one frame of the track."""
        return self.camera.with_focal(*self.track.focal[index].tolist())

    def numbers(self, state: FrameState) -> list[int]:
        """The plate frames in that state."""
        return [frame.frame for frame in self.frames if frame.state is state]

    def save(self, folder: Path) -> None:
        write_json(folder / "solve.json", self._solve_json())
        write_json(folder / "extrinsics.json", self._extrinsics_json())
        write_json(folder / "intrinsics.json", self._intrinsics_json())

    def _solve_json(self) -> dict[str, Any]:
        return {
            "schema": 2,
            "engine": self.engine,
            "mean_error_px": self.mean_error,
            "max_error_px": self.max_error,
            "points": self.point_count,
            "solved": self.numbers(FrameState.SOLVED),
            "interpolated": self.numbers(FrameState.INTERPOLATED),
            "unsolved": self.numbers(FrameState.UNSOLVED),
            "quality": self.quality.to_json(),
            "warnings": list(self.warnings),
            "fps": str(self.track.fps),
            "camera": self.camera.to_json(),
            "world": self.world.to_json() | {"note": self.world_note},
            "frames": [
                {
                    "frame": frame.frame,
                    "state": frame.state.value,
                    "error_px": frame.error,
                    "observations": frame.observations,
                }
                for frame in self.frames
            ],
        }

    def _extrinsics_json(self) -> dict[str, Any]:
        matrices = with_opencv_axes(self.track.matrices)
        return {
            "axes": "camera_to_world, row-major; camera x right, y down, z forward; world z up",
            "frames": self.track.frames.tolist(),
            "interpolated": self.numbers(FrameState.INTERPOLATED),
            "camera_to_world": matrices.tolist(),
        } | self._focal_json()

    def _focal_json(self) -> dict[str, Any]:
        """fx, fy of each frame, only where the lens zooms."""
        return {"focal_px": self.track.focal.tolist()} if self.zooms else {}

    def _intrinsics_json(self) -> dict[str, Any]:
        fx, fy = self.camera.focal
        cx, cy = self.camera.center
        pinhole = {"fx": fx, "fy": fy, "cx": cx, "cy": cy}
        return {"units": "pixels; (0, 0) is the corner of the first pixel"} | (
            self.camera.to_json() | pinhole
        )

    @classmethod
    def load(cls, folder: Path) -> Solve:
        """Reads solve.json and extrinsics.json back. Raises FormatError."""
        data = read_json(folder / "solve.json")
        extrinsics = read_json(folder / "extrinsics.json")
        try:
            return cls._from_json(data, extrinsics)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise FormatError(f"{folder / 'solve.json'} is damaged: {error!r}.") from error

    @classmethod
    def _from_json(cls, data: dict[str, Any], extrinsics: dict[str, Any]) -> Solve:
        camera = CameraModel.from_json(data["camera"])
        frames = tuple(
            FrameSolve(
                int(entry["frame"]),
                FrameState(entry["state"]),
                float(entry["error_px"]),
                int(entry["observations"]),
            )
            for entry in data["frames"]
        )
        return cls(
            engine=str(data["engine"]),
            camera=camera,
            world=Similarity.from_json(data["world"]),
            world_note=str(data["world"]["note"]),
            track=_track(camera, data, extrinsics),
            frames=frames,
            point_count=int(data["points"]),
            mean_error=float(data["mean_error_px"]),
            max_error=float(data["max_error_px"]),
            quality=Quality.from_json(data["quality"]),
            warnings=tuple(str(text) for text in data["warnings"]),
        )


def solve_of(shot: Shot) -> Solve:
    """The shot's solve. Raises SolveError when its camera is not tracked yet, FormatError."""
    if not shot.solve_file.is_file():
        raise SolveError(
            f"The shot {shot.name} has no camera yet: track it first.", Remedy.TRACK_CAMERA
        )
    return Solve.load(shot.camera)


def _track(camera: CameraModel, data: dict[str, Any], extrinsics: dict[str, Any]) -> CameraTrack:
    numbers = np.array(extrinsics["frames"], dtype=np.int64)
    matrices = np.array(extrinsics["camera_to_world"], dtype=np.float64).reshape(-1, 4, 4)
    if len(numbers) != len(matrices) or not np.isfinite(matrices).all():
        raise ValueError("frames and matrices do not match")
    if (np.diff(numbers) <= 0).any():
        raise ValueError("the frames do not ascend")
    every = np.tile(np.array(camera.focal), (len(numbers), 1))
    focal = np.array(extrinsics.get("focal_px", every), dtype=np.float64)
    if focal.shape != every.shape or not (np.isfinite(focal).all() and (focal > 0).all()):
        raise ValueError("the focal lengths do not match the frames")
    return CameraTrack(
        frames=numbers,
        matrices=with_blender_axes(matrices),
        focal=focal,
        center=np.tile(np.array(camera.center), (len(numbers), 1)),
        solved=~np.isin(numbers, np.array(data["interpolated"], dtype=np.int64)),
        width=camera.width,
        height=camera.height,
        fps=Fraction(data["fps"]),
        fits=PLATE if camera.is_pinhole else UNDISTORTED_PLATE,
    )
