# SPDX-License-Identifier: GPL-3.0-or-later
"""A solved shot in which somebody walks (`tests.walking`), with masks: its camera is exact, and
what a model would find is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from backend import outputs
from backend.camera import CameraTrack, with_blender_axes
from backend.events import EventWriter
from backend.kinematics import rotations_of, vectors_of
from backend.motion import MocapRecord
from backend.shot import FRAME_PATTERN, Shot
from backend.stages import STAGES, MocapOptions
from backend.worker.engines.body_motion import Person, PlateCamera, Progress, SeenMotion
from backend.worker.report import Context, Report
from backend.worker.stages import mocap as stage
from tests.backend.textured_room import make_shot
from tests.extension.solved_shot import write_solved
from tests.walking import Walk


def camera_of(shot: Walk) -> CameraTrack:
    """The walk's camera in the world of the walk."""
    count, (width, height) = len(shot.frames), shot.size
    local = np.tile(np.eye(4), (count, 1, 1))
    local[:, :3, :3] = np.swapaxes(shot.camera_rotations, 1, 2)
    local[:, :3, 3] = shot.camera_centers
    return CameraTrack(
        frames=shot.frames,
        matrices=with_blender_axes(local),
        focal=np.tile([shot.matrix[0, 0], shot.matrix[1, 1]], (count, 1)),
        center=np.tile(shot.matrix[:2, 2], (count, 1)),
        solved=np.ones(count, bool),
        width=width,
        height=height,
        fps=shot.fps,
    )


def walked_shot(path: Path, walked: Walk, masks: bool = True) -> Shot:
    """The shot's world is 1.3 units a meter and its floor is off: `solved_shot.WORLD`."""
    camera, (width, height) = camera_of(walked), walked.size
    gray = np.full((height, width, 3), 90, np.uint8)
    shot = make_shot(path, camera, lambda _index: gray)
    random = np.random.default_rng(0)
    ground = np.concatenate([random.uniform(-6, 6, (400, 2)), np.zeros((400, 1))], axis=1)
    write_solved(shot, camera, ground)
    if masks:
        write_masks(shot.roto / "person_00", walked)
    return shot


def write_masks(folder: Path, walked: Walk) -> None:
    """Each a box around the joints."""
    folder.mkdir(parents=True)
    pixels = np.round(walked.project(walked.joints)).astype(int)
    for number, places in zip(walked.frames.tolist(), pixels, strict=True):
        mask = np.zeros(walked.size[::-1], np.uint8)
        (left, top), (right, bottom) = places.min(axis=0), places.max(axis=0)
        cv2.rectangle(mask, (int(left), int(top)), (int(right), int(bottom)), 255, -1)
        cv2.imwrite(str(folder / f"{FRAME_PATTERN.format(number)}.png"), mask)


class Knows:
    """Stands for a model: finds what is true of a walk, or what it is told to find."""

    name = "knows"

    def __init__(self, walked: Walk, contact: bool = True, **told: Any) -> None:
        self._walked, self._contact, self._told = walked, contact, told
        self.asked: list[str] = []
        self.boxes: dict[str, np.ndarray] = {}

    def people(self, camera: PlateCamera, _progress: Progress) -> Sequence[Person]:
        return [Person("person_00", camera.frames, np.zeros((len(camera.frames), 4)))]

    def motion(self, person: Person, camera: PlateCamera, progress: Progress) -> SeenMotion:
        self.asked.append(person.name)
        self.boxes[person.name] = person.boxes
        walked = self._walked.only(np.searchsorted(self._walked.frames, camera.frames))
        rotations = walked.rotations.copy()
        rotations[:, 0] = walked.seen_rotation
        upright = y_up_root(walked)
        progress(1, 1, "frames")
        found = {
            "frames": camera.frames,
            "rotations": rotations,
            "translation": walked.seen_translation,
            "betas": np.zeros(10),
            "confidence": np.ones(len(camera.frames)),
            "contact": walked.contact if self._contact else None,
            "upright": upright,
            "keypoints": walked.keypoints(),
        }
        return SeenMotion(**found | self._told)


def y_up_root(walked: Walk) -> np.ndarray:
    """(n, 3) how the pelvis is turned in a world whose y is up and that looks some other way."""

    y_up = np.array([[0, 1.0, 0], [0, 0, 1], [1, 0, 0]])
    return vectors_of(y_up @ rotations_of(walked.rotations[:, 0]))


class Runs:
    """Runs the stage on a shot with a model."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self._patch, self._folder = patch, folder
        self.events = folder / "events.jsonl"

    def __call__(
        self, shot: Shot, model: Any = None, blender: str = "", **options: Any
    ) -> MocapRecord:
        self._patch.setattr(stage.choice, "motion_engine", lambda *_: model, raising=False)
        asked, kind = MocapOptions(**options), STAGES["mocap"]
        report = Report(EventWriter(self.events), self._folder / "cancel")
        inputs = outputs.inputs_of(shot, kind, "")
        with outputs.writing(shot, kind, asked, inputs) as (part, record):
            stage.run(Context(shot, asked, "", blender, part, report, record))
        return MocapRecord.load(shot.mocap.record)

    def told(self) -> str:
        return self.events.read_text(encoding="utf-8")
