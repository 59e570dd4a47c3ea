# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's motion in a shot: `motion.npz`, and `mocap.json` of all persons.

The body is SMPL-X in meters: with its rotations, betas and translation the model gives vertices
that, times `scale`, stand in the shot's world (z up; see `Place`). Seen by the tracked camera they
cover the same pixels as the body before the camera (`camera_rotation`, `camera_translation`), from
which the motion was placed.

n frames, j = 55 joints in the order of `smplx.JOINTS`.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .atomic import write_bytes
from .camera import Array, Integers, Similarity
from .dense import Place
from .errors import FormatError
from .kinematics import rotations_of, vectors_of
from .shot import read_json, write_json
from .smplx import FEET, GENDERS, JOINTS, KEYPOINTS
from .survey import after

_FORMAT, _VERSION = "shot_gopher motion", 1
_MOST_FRAMES, _MOST_BETAS = 1_000_000, 400
_AXES = "z up, right-handed; camera_*: x right, y down, z forward"
_UNITS = (
    "angles: axis-angle vectors in radians, each joint from its parent, the pelvis from the world; "
    "translation: meters; keypoints: pixels of the plate, (0, 0) the corner of the first one; "
    "scale: units of the shot's world a meter"
)


@dataclass(frozen=True, eq=False)
class Motion:
    """One person.

    person               its name, a folder in mocap/
    gender               of the body model: one of `smplx.GENDERS`
    frames               (n,) the plate's own numbers, rising; there may be gaps
    fps                  the plate's rate
    rotations            (n, j, 3) axis-angle vectors; the pelvis's in the shot's world
    translation          (n, 3) SMPL-X's, in meters: what the posed body is moved by, without scale
    betas                (b,) the body's shape
    pelvis               (3,) where that shape has its pelvis at rest: the root turns around it
    camera_rotation      (n, 3) the pelvis's as the camera sees it
    camera_translation   (n, 3) SMPL-X's translation before the camera, in meters
    scale                units of the shot's world a meter
    place                the shot's world then
    confidence           (n,) 0 to 1
    contact              (n, 4) 0 to 1: how surely each of `smplx.FEET` stands still on the ground
    keypoints            (n, 17, 3) `smplx.KEYPOINTS` in the plate and how sure they are, 0 to 1;
                         None where none were looked for
    """

    person: str
    gender: str
    frames: Integers
    fps: Fraction
    rotations: Array
    translation: Array
    betas: Array
    pelvis: Array
    camera_rotation: Array
    camera_translation: Array
    scale: float
    place: Place
    confidence: Array
    contact: Array
    keypoints: Array | None = None

    def save(self, path: Path) -> None:
        """Raises OutputError."""
        arrays = {name: getattr(self, name) for name in _SHAPES if getattr(self, name) is not None}
        texts = {
            "format": _FORMAT,
            "version": str(_VERSION),
            "person": self.person,
            "gender": self.gender,
            "model": "smplx",
            "fps": str(self.fps),
            "place": self.place.to_text(),
            "units": _UNITS,
            "axes": _AXES,
        }
        data = io.BytesIO()
        np.savez_compressed(
            data,
            **arrays,
            scale=np.float64(self.scale),
            joint_names=np.array(JOINTS),
            keypoint_names=np.array(KEYPOINTS),
            foot_names=np.array([JOINTS[joint] for joint in FEET]),
            **{name: np.array(text) for name, text in texts.items()},
        )
        write_bytes(path, data.getvalue())

    @classmethod
    def load(cls, path: Path) -> Motion:
        """Raises FormatError."""
        try:
            with np.load(path, allow_pickle=False) as content:
                if str(content["format"]) != _FORMAT or int(str(content["version"])) > _VERSION:
                    raise FormatError(f"{path.name} is no motion that this version reads.")
                arrays = {name: content[name] for name in _SHAPES if name in content.files}
                _check(arrays)
                gender, fps = str(content["gender"]), Fraction(str(content["fps"]))
                scale = float(content["scale"])
                if gender not in GENDERS or fps <= 0 or not 0 < scale < math.inf:
                    raise ValueError(f"gender {gender!r}, {fps} fps, scale {scale}")
                return cls(
                    person=str(content["person"]),
                    gender=gender,
                    fps=fps,
                    scale=scale,
                    place=Place.from_text(str(content["place"])),
                    **{
                        name: values.astype(np.int64 if name == "frames" else np.float64)
                        for name, values in arrays.items()
                    },
                )
        except (
            OSError,
            KeyError,
            ArithmeticError,
            ValueError,
            zipfile.BadZipFile,
            EOFError,
        ) as error:
            raise FormatError(f"{path.name} is damaged or no motion: {error!r}.") from error

    def between(self, first: int, last: int) -> Motion:
        """Only the frames from `first` to `last`."""
        inside = (self.frames >= first) & (self.frames <= last)
        chosen = {
            name: getattr(self, name)[inside]
            for name in _SHAPES
            if name not in _STILL and getattr(self, name) is not None
        }
        return replace(self, **chosen)


def moved(motion: Motion, step: Similarity) -> Motion:
    """The motion in a world that `step` has moved: x becomes Q x k + d.

    The root turns around the pelvis p, so the translation T becomes Q (p + T) - p + d / (k scale).
    What the camera sees stays as it is.
    """
    scale = step.scale * motion.scale
    rotations = motion.rotations.copy()
    rotations[:, 0] = vectors_of(step.rotation @ rotations_of(motion.rotations[:, 0]))
    at = (motion.pelvis + motion.translation) @ step.rotation.T
    return replace(
        motion,
        rotations=rotations,
        translation=at - motion.pelvis + step.translation / scale,
        scale=scale,
        place=replace(motion.place, world=after(step, motion.place.world)),
    )


def follow(motion: Motion, place: Place) -> Motion | None:
    """The motion in the shot's world as it is now; None after another solve."""
    step = motion.place.step_to(place)
    return None if step is None else moved(motion, step)


_SHAPES: dict[str, tuple[int | str, ...]] = {
    "frames": ("n",),
    "rotations": ("n", len(JOINTS), 3),
    "translation": ("n", 3),
    "betas": ("b",),
    "pelvis": (3,),
    "camera_rotation": ("n", 3),
    "camera_translation": ("n", 3),
    "confidence": ("n",),
    "contact": ("n", len(FEET)),
    "keypoints": ("n", len(KEYPOINTS), 3),
}


_STILL = ("betas", "pelvis")
"""What is the same in every frame."""


def _check(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raises ValueError for what is absent, of another shape, or not finite."""
    absent = [name for name in _SHAPES if name not in arrays and name != "keypoints"]
    if absent:
        raise ValueError(f"without {absent[0]}")
    frames, betas = len(arrays["frames"]), len(arrays["betas"])
    if not 0 < frames <= _MOST_FRAMES or betas > _MOST_BETAS:
        raise ValueError(f"{frames} frames, {betas} betas")
    sizes = {"n": frames, "b": betas}
    for name, values in arrays.items():
        wanted = tuple(sizes.get(str(side), side) for side in _SHAPES[name])
        if values.shape != wanted or values.dtype.kind not in "fiu":
            raise ValueError(f"{name} of {values.dtype} {values.shape}, not {wanted}")
        if not np.isfinite(values).all():
            raise ValueError(f"{name} is not finite")
    if (np.diff(arrays["frames"].astype(np.int64)) <= 0).any():
        raise ValueError("frames do not rise")


@dataclass(frozen=True, eq=False)
class MocapRecord:
    """mocap.json.

    engine    what found the motion
    people    names of folders in mocap/, the one that is seen longest first
    scale     units of the shot's world a meter
    scale_from   how that was found, in plain words
    notes     sentences for the artist: what could not be told, and why
    offered   what would make the shot's world metric, upright and stand on the ground: from `place`
              to it; None where the motion cannot tell
    place     the shot's world then
    details   anything else worth keeping
    """

    engine: str
    people: tuple[str, ...]
    scale: float
    scale_from: str
    place: Place
    notes: tuple[str, ...] = ()
    offered: Place | None = None
    details: Mapping[str, Any] | None = None

    @property
    def facts(self) -> tuple[str, ...]:
        """Short lines for a panel."""
        count = len(self.people)
        return (f"{count} {'person' if count == 1 else 'people'}", self.scale_from, *self.notes)

    def save(self, path: Path) -> None:
        write_json(
            path,
            {
                "engine": self.engine,
                "people": list(self.people),
                "scale": self.scale,
                "scale_from": self.scale_from,
                "notes": list(self.notes),
                "place": json.loads(self.place.to_text()),
                "offered": None if self.offered is None else json.loads(self.offered.to_text()),
                "details": dict(self.details or {}),
            },
        )

    @classmethod
    def load(cls, path: Path) -> MocapRecord:
        """Raises FormatError."""
        data = read_json(path)
        try:
            offered = data["offered"]
            return cls(
                engine=str(data["engine"]),
                people=tuple(str(name) for name in data["people"]),
                scale=float(data["scale"]),
                scale_from=str(data["scale_from"]),
                notes=tuple(str(note) for note in data["notes"]),
                place=Place.from_json(data["place"]),
                offered=None if offered is None else Place.from_json(offered),
                details=dict(data.get("details", {})),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"{path.name} is damaged: {error!r}.") from error
