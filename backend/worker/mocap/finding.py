# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds people's motion: by a model in the plate, person by person, or in a file that is ready.

n frames. What a model has found is kept beside the motion and taken over by later runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...camera import Array, Integers
from ...errors import FormatError, MaskError, ModelError, Remedy, SolveError
from ...frame_range import chosen, cut_of, point
from ...mask_folders import mask_files
from ...models import ModelStore
from ...outputs import file_fingerprint
from ...shot import MocapFolder, Plate, Shot, folder_name, label_folders
from ...solve import Solve
from ...stages import MocapOptions
from ..dense.reuse import key_of
from ..engines.body_motion import MotionEngine, Person, PlateCamera, SeenMotion
from ..frame_lenses import FrameLenses
from ..projection import colmap_camera
from ..report import Report
from .boxes import labels_of_people, person_of
from .importing import Ready
from .matching import Matched, matched
from .placing import Views
from .seen_file import check_seen, load_seen, save_seen

_METHOD = 1
"""Goes up when the same frames would now be found otherwise."""
_HIDDEN = 1.0
"""Seconds out of sight that are told."""
DEFAULT_PERSON = "person_00"


def frames_asked_for(plate: Plate, options: MocapOptions) -> Integers:
    """The plate's frames between the options' ends. Raises UsageError, PlateError."""
    stamps = plate.timecodes()
    ends = [
        point(text, plate.first_frame, stamps[0] if stamps else None, plate.fps)
        for text in (options.first, options.last)
    ]
    return np.array(chosen(plate.frames, cut_of(plate.frames, *ends)), dtype=np.int64)


def plate_camera(shot: Shot, plate: Plate, solve: Solve, options: MocapOptions) -> PlateCamera:
    """The solved camera in the frames that are asked for. Raises UsageError, PlateError, and
    SolveError where none of them has a camera."""
    wanted = frames_asked_for(plate, options)
    frames = wanted[np.isin(wanted, solve.track.frames)]
    if not len(frames):
        raise SolveError(
            f"The frames {wanted[0]} to {wanted[-1]} have no camera: track it there first.",
            Remedy.TRACK_CAMERA,
        )
    views = Views.of(solve.track, frames)
    middle = len(frames) // 2
    bent = colmap_camera(FrameLenses(solve).at(int(frames[middle])))
    matrix = np.eye(3)
    matrix[[0, 1], [0, 1]], matrix[:2, 2] = views.focal[middle], views.center[middle]

    def straight(pixels: Array) -> Array:
        slopes = np.asarray(bent.cam_from_img(pixels.reshape(-1, 2).astype(np.float64)))
        straightened: Array = slopes * views.focal[middle] + views.center[middle]
        return straightened.reshape(pixels.shape)

    return PlateCamera(
        frames=frames,
        files={int(number): shot.frame_file(int(number)) for number in frames},
        size=(plate.width, plate.height),
        matrix=matrix,
        rotations=views.rotations,
        centers=views.centers,
        straighten=straight,
    )


class Finding:
    """Asks a model of each person's motion, unless it was asked the same before."""

    def __init__(
        self, shot: Shot, folder: MocapFolder, engine: MotionEngine, camera: PlateCamera,
        options: MocapOptions, solved: float, report: Report,
    ) -> None:  # fmt: skip
        self._shot, self._folder, self._engine = shot, folder, engine
        self._camera, self._options, self._solved = camera, options, solved
        self._report = report
        self._frames_key = file_fingerprint(shot.frames)

    def people(self) -> list[Person]:
        """By their masks or, without any, as the model detects them. Raises MaskError where there
        is nobody."""
        labels = labels_of_people(self._shot, self._options.people)
        if not labels:
            self._tell_unused()
            self._report.status("Looking for people")
            found = list(self._engine.people(self._camera, self._report.progress))
        else:
            self._report.status("Reading people's masks")
            found = self._by_masks(labels)
        if not found:
            raise MaskError(
                "Nobody is seen in these frames: mask people first, one label each, and name the "
                "labels."
            )
        return sorted(found, key=lambda person: -len(person.frames))

    def _tell_unused(self) -> None:
        """There may be masks of people whose labels do not say so."""
        folders = label_folders(self._shot.roto)
        others = sorted(folder.name for folder in folders if mask_files(folder))
        if others:
            self._report.warning(
                f"No label in roto/ says that it is a person's: {', '.join(others)}. People are "
                "looked for in the plate; if these are masks of people, name them under People "
                "(--mocap-people)."
            )

    def _by_masks(self, labels: Sequence[str]) -> list[Person]:
        frames, done = self._camera.frames, 0
        total = len(labels) * len(frames)

        def count() -> None:
            nonlocal done
            done += 1
            self._report.progress(done, total, "masks")

        found = [person_of(self._shot, label, frames, self._camera.size, count) for label in labels]
        return [person for person in found if person is not None]

    def motion(self, person: Person) -> SeenMotion:
        """Raises what the engine does, and FormatError for what is no motion."""
        key, name = self._key(person), folder_name(person.name)
        for folder in (self._folder, self._shot.mocap):
            seen = load_seen(folder.person(name).seen, key)
            if seen is not None:
                self._report.status(f"Taking over what was found of {person.name}")
                break
        else:
            self._report.status(f"Finding the motion of {person.name}")
            seen = self._engine.motion(person, self._camera, self._report.progress)
            check_seen(seen)
        if not np.isin(seen.frames, self._camera.frames).all():
            raise FormatError("The model found a motion in frames that it was not asked for.")
        save_seen(seen, self._folder.person(name).seen, key)
        self._tell_hidden(person)
        return seen

    def _key(self, person: Person) -> str:
        """Tells what the model is asked from every other question."""
        return key_of(
            method=_METHOD,
            engine=self._engine.name,
            gvhmr=self._options.gvhmr,
            frames=[*self._frames_key, self._camera.frames.tolist()],
            boxes=[person.frames.tolist(), np.round(person.boxes, 3).tolist()],
            matrix=self._camera.matrix.tolist(),
            solve=self._solved,
        )

    def _tell_hidden(self, person: Person) -> None:
        rate = float(self._shot.load_plate().fps)
        gaps = np.flatnonzero(np.diff(person.frames) > _HIDDEN * rate)
        for gap in gaps:
            first, last = int(person.frames[gap]) + 1, int(person.frames[gap + 1]) - 1
            self._report.warning(
                f"{person.name} is out of sight from frame {first} to {last}: the motion there is "
                "a guess."
            )


def ready_motion(ready: Ready, plate: Integers, camera: PlateCamera, rate: float) -> Matched:
    """A file's motion in those frames of `plate` (k,) that have a camera. Raises FormatError."""
    found = matched(ready, plate, camera.frames, rate)
    matrix = found.ready.matrix
    if matrix is None:
        return found
    return Matched(_resized(found.ready, matrix, camera.size), found.frames, found.notes)


def _resized(ready: Ready, matrix: Array, size: tuple[int, int]) -> Ready:
    """The pinholes as if the file's pictures had been of the plate's size: their own is twice as
    large as where their middle is."""
    share = size[0] / (2 * matrix[:, :1, 2:])
    scaled = matrix.copy()
    scaled[:, :2] *= share
    return replace(ready, matrix=scaled)


def as_seen(found: Matched) -> SeenMotion:
    """A motion before the camera as a model would give it."""
    ready, count = found.ready, len(found.frames)
    return SeenMotion(
        frames=found.frames,
        rotations=ready.rotations,
        translation=ready.translation,
        betas=ready.betas,
        confidence=np.ones(count) if ready.confidence is None else ready.confidence,
        contact=ready.contact,
        upright=ready.upright,
        keypoints=ready.keypoints,
    )


def body_folder(store: ModelStore) -> Path | None:
    """Where the artist has SMPL-X; None where it is not."""
    try:
        return store.folder("smplx")
    except ModelError:
        return None
