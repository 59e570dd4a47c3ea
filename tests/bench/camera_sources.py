# SPDX-License-Identifier: GPL-3.0-or-later
"""The plates that the camera bench solves: rendered here, put together from those, and real."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from backend.camera import with_blender_axes
from backend.shot import Shot
from tests.bench.camera_child import ask
from tests.data_folder import SHARED
from tests.render.bench_shots import PLATES, ROOT, SHOTS, folder_of, frame_of, missing

CLIPS_FOLDER = ROOT / ".tests" / "clips"
CLIPS: Mapping[str, str] = {
    "gopro_walk": "plates/gopro_walk.mp4",
    "london_hevc": "plates/london_hevc.mp4",
    "market_walk": "plates/market_walk",
    "kitchen": "gt_poses/kitchen/frames",
    "trees_rotation": "nodal/trees_rotation.mp4",
    "rollercoaster_pan": "nodal/rollercoaster_pan.mp4",
    "planar_grass": "nodal/planar_grass.mp4",
    "one_by_one_people": "static/one_by_one_people.mp4",
    "dog_park": "static/dog_park.mp4",
}
"""Real clips by name and their place in the shared test data."""


@dataclass(frozen=True)
class Source:
    """Frames and masks by frame number. `folder` keeps what is worth keeping about the plate.

    `truth` is the truth.json, `poses` known camera-to-world matrices by frame number; `tripod` is
    told to peers that must be told.
    """

    name: str
    frames: Mapping[int, Path]
    width: int = 1280
    height: int = 720
    masks: Mapping[int, Path] = field(default_factory=dict)
    truth: Path | None = None
    poses: Mapping[int, Any] | None = None
    aspect: float = 1.0
    hint: float | None = None
    tripod: bool = False
    folder: Path = PLATES

    def job(self, **options: Any) -> dict[str, Any]:
        """The job of a child that solves it with those options of the colmap stage."""
        return {
            "frames": {str(number): str(path) for number, path in self.frames.items()},
            "masks": {str(number): str(path) for number, path in self.masks.items()},
            "width": self.width,
            "height": self.height,
            "truth": str(self.truth) if self.truth else None,
            "poses": self.poses and {str(key): value for key, value in self.poses.items()},
            "aspect": self.aspect,
            "hint": self.hint,
            "tripod": self.tripod,
            "options": options,
        }

    def without_masks(self) -> Source:
        return replace(self, masks={})

    def first(self, count: int) -> Source:
        """The first frames alone."""
        return replace(self, frames=dict(list(self.frames.items())[:count]))


def make_ready(names: Iterable[str]) -> None:
    """Renders what is missing of those plates, and says on stderr how long that takes."""
    wanted = {name: len(missing(name)) for name in names}
    wanted = {name: count for name, count in wanted.items() if count}
    if not wanted:
        return
    seconds = sum(count * _seconds_a_frame(name) + 20 for name, count in wanted.items())
    told = ", ".join(f"{name} ({count} frames)" for name, count in wanted.items())
    print(f"Rendering {told}: about {seconds / 60:.0f} minutes", file=sys.stderr, flush=True)
    command = [sys.executable, "-B", "-m", "tests.render.bench_plates", *wanted]
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)


def _seconds_a_frame(name: str) -> float:
    """As measured on two cores with nothing else to do."""
    shot = SHOTS[name]
    return (0.3 + 0.25 * shot.samples) * shot.width * shot.height / (1280 * 720)


def plate(name: str) -> Source:
    """A rendered plate."""
    make_ready([name])
    shot, folder = SHOTS[name], folder_of(name)
    masks = {number: frame_of(folder / "masks", number) for number in shot.frames}
    return Source(
        name=name,
        frames={number: frame_of(folder, number) for number in shot.frames},
        width=shot.width,
        height=shot.height,
        masks=masks if shot.actor else {},
        truth=folder / "truth.json",
        tripod=name == "pan",
        folder=folder,
    )


def cut() -> Source:
    """50 frames of one shot, then 50 of another, as if they were one."""
    first, second = plate("dolly"), plate("orbit")
    frames = [first.frames[number] for number in range(1, 51)]
    frames += [second.frames[number] for number in range(1, 51)]
    return _put_together("cut", frames)


def long(count: int) -> Source:
    """The orbit played forth and back until there are `count` frames."""
    orbit = plate("orbit")
    numbers = [*orbit.frames, *list(orbit.frames)[-2:0:-1]]
    frames = [orbit.frames[numbers[index % len(numbers)]] for index in range(count)]
    return _put_together(f"orbit_{count}", frames)


def _put_together(name: str, frames: list[Path]) -> Source:
    """A folder of links to those frames, numbered from 1."""
    folder = PLATES / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    placed = {number: frame_of(folder, number) for number in range(1, len(frames) + 1)}
    for frame, place in zip(frames, placed.values(), strict=True):
        place.hardlink_to(frame)
    return Source(name=name, frames=placed, folder=folder)


def clip(name: str) -> Source | None:
    """A real clip, its frames extracted by the project; None when it is not beside the project."""
    original = SHARED / CLIPS[name]
    if not original.exists():
        return None
    shot = Shot(CLIPS_FOLDER / name)
    if not shot.has_plate():
        _take_in(shot, original)
    plate = shot.load_plate()
    return Source(
        name=name,
        frames={number: shot.frame_file(number) for number in plate.frames},
        width=plate.width,
        height=plate.height,
        poses=_kitchen_poses(original.parent / "poses") if name == "kitchen" else None,
        aspect=float(plate.pixel_aspect),
        hint=plate.focal_hint or None,
        folder=shot.path,
    )


def _take_in(shot: Shot, original: Path) -> None:
    shot.path.mkdir(parents=True, exist_ok=True)
    if original.is_dir():
        original = _numbered(original, shot.path / "original")
    told = ask("camera_clip", {"shot": str(shot.path), "plate": str(original)})
    if "crashed" in told:
        raise RuntimeError(f"{original} cannot be taken in: {told['crashed']}")


def _numbered(folder: Path, copy: Path) -> Path:
    """A copy of a sequence whose names end in their frame numbers, in `copy`."""
    copy.mkdir(exist_ok=True)
    for file in sorted(folder.iterdir()):
        shutil.copyfile(file, copy / f"frame_{_digits(file):06d}{file.suffix}")
    return copy


def _digits(file: Path) -> int:
    return int("".join(letter for letter in file.name if letter.isdigit()))


def _kitchen_poses(folder: Path) -> dict[int, Any]:
    """Camera-to-world matrices in Blender's axes of files frame-000000.pose.txt in OpenCV's."""
    poses = {}
    for file in sorted(folder.glob("*.txt")):
        poses[_digits(file)] = with_blender_axes(np.loadtxt(file)[None])[0].tolist()
    return poses
