# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands people in the shot's world: how large they are in it, what is up, and where the ground is.

Everything that cannot be told is said. n frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ...camera import Array
from ...dense import Place
from ...kinematics import rotations_of, vectors_of
from ...motion import Motion
from ...smplx import FEET
from ...solve import Motion as CameraMove
from ...solve import Solve
from ...stages import MocapOptions
from ...survey import after
from ..engines.body_motion import SeenMotion
from .bodies import Body
from .contacts import contact_from_heights, contact_from_speed
from .foot_lock import lock_feet
from .picture_limit import Limited
from .placing import Root, Views, before_camera, placed, refocused
from .scale import Pairs, joined, pairs_of, scale_from_feet, scale_from_floor
from .smoothing import smooth
from .upright import degrees_off, mean_up, standing_world, up_of, upright_turn

_SAME_FOCAL, _TOLD_FOCAL = 1e-6, 0.02
"""Shares by which focal lengths are the same; by which they are told to differ."""
_TOLD_TILT = 5.0
"""Degrees between up and up that are told."""
_AHEAD = 4.0
"""Meters before the camera that a motion without one is put."""
_Z = np.array([0, 0, 1.0])


@dataclass(frozen=True, eq=False)
class Found:
    """A person before the camera, the body, and the pinholes (n, 3, 3) it was found with; None for
    the shot's own."""

    name: str
    gender: str
    seen: SeenMotion
    body: Body
    matrix: Array | None = None


@dataclass(frozen=True, eq=False)
class Stood:
    """People in the shot's world; the rest as in `motion.MocapRecord`."""

    motions: tuple[Motion, ...]
    scale: float
    scale_from: str
    notes: tuple[str, ...]
    offered: Place | None
    doubt: float = 0.0


class Standing:
    """Stands people in a shot that was solved. `measured`: the artist has told a distance in it."""

    def __init__(
        self, solve: Solve, place: Place, fps: Fraction, options: MocapOptions, measured: bool
    ) -> None:
        self._solve, self._place, self._fps = solve, place, fps
        self._options, self._measured = options, measured
        self._notes: list[str] = []

    def stand(self, people: Sequence[Found]) -> Stood:
        each = [_Person(found, self._solve, float(self._fps)) for found in people]
        self._notes += [note for person in each for note in person.notes]
        scale, scale_from, told, doubt = self._scale(each)
        up = self._up(each)
        motions = [person.motion(scale, up, self._place, self._fps) for person in each]
        offered = self._offered(each, motions, up) if told else None
        motions = [
            self._changed(motion, person) for motion, person in zip(motions, each, strict=True)
        ]
        return Stood(tuple(motions), scale, scale_from, tuple(self._notes), offered, doubt)

    @property
    def _only_turns(self) -> bool:
        return self._solve.quality.motion is CameraMove.TRIPOD

    def _scale(self, people: Sequence[_Person]) -> tuple[float, str, bool, float]:
        """Units a meter, how that was found, whether it tells anything, and its doubt."""
        asked = self._options.scale
        if asked == "meters":
            return 1.0, "The shot's world is in meters, as was said", True, 0.0
        if asked == "auto" and self._measured:
            return 1.0, "From the distance that was measured in the shot", True, 0.0
        if asked == "auto" and not self._only_turns:
            found = scale_from_feet(joined(_pairs(people)))
            if found is not None:
                words = f"From feet that stand still, within {max(1, round(200 * found.doubt))} %"
                return found.value, words, True, found.doubt
            self._notes.append(
                "Feet do not tell the scale: the camera travels too little while they stand."
            )
        if self._only_turns:
            self._notes.append(
                "The camera only turns, so the shot has no scale of its own: people are as large "
                "as they are, and everything else is at a distance that is made up."
            )
        floor = _floor(people)
        if floor is not None:
            return floor, "From feet on the shot's floor", True, 0.0
        self._notes.append(
            "The feet are not on the shot's floor, or the camera is not above it: one unit is "
            "taken for a meter. Measure a distance in the shot to set its scale."
        )
        return 1.0, "One unit is taken for a meter", self._only_turns, 0.0

    def _up(self, people: Sequence[_Person]) -> Array:
        told = [person.up for person in people if person.up is not None]
        if not told:
            self._notes.append("The motion does not tell what is up: the shot's own up is kept.")
            return _Z
        up = mean_up(np.concatenate(told))
        off = degrees_off(up)
        if off > _TOLD_TILT:
            self._notes.append(
                f"People stand {off:.0f} degrees off the shot's up: use the body's scale and "
                "ground, or set the shot's floor."
            )
        return up

    def _offered(
        self, people: Sequence[_Person], motions: Sequence[Motion], up: Array
    ) -> Place | None:
        soles = [
            motion.scale * person.touching(motion, up)
            for person, motion in zip(people, motions, strict=True)
        ]
        if not sum(len(each) for each in soles):
            self._notes.append("Nobody stands on the ground: where it is cannot be told.")
            return None
        step = standing_world(up, motions[0].scale, soles)
        return replace(self._place, world=after(step, self._place.world))

    def _changed(self, motion: Motion, person: _Person) -> Motion:
        """With feet held and jitter taken out, where that is asked for."""
        options, joints, views = self._options, person.body.joints, person.views
        if options.smooth > 0:
            found = smooth(motion, joints, views, options.smooth, options.most_off)
            motion = self._told(found, "Smoothing")
        if options.lock_feet:
            found = lock_feet(motion, joints, views, options.most_off)
            motion = self._told(found, "Locking feet")
        if options.smooth > 0 or options.lock_feet:
            root = Root(motion.rotations[:, 0], motion.translation)
            seen = before_camera(root, views, motion.pelvis, motion.scale)
            motion = replace(
                motion, camera_rotation=seen.rotation, camera_translation=seen.translation
            )
        return motion

    def _told(self, found: Limited, what: str) -> Motion:
        self._notes.append(
            f"{found.motion.person}: {what} moves joints by {found.off:.1f} px in the picture at "
            f"most; {found.done:.0%} of it was done."
        )
        return found.motion


class _Person:
    """Somebody before the tracked camera."""

    def __init__(self, found: Found, solve: Solve, fps: float) -> None:
        self.body, self._name, self._gender, self.fps = found.body, found.name, found.gender, fps
        self.seen = found.seen
        self.views, self._zooms = Views.of(solve.track, found.seen.frames), solve.zooms
        self.notes: list[str] = []
        self._rotations = found.body.posed(found.seen.rotations)
        root = Root(found.seen.rotations[:, 0], found.seen.translation)
        self.root = self._refocused(root, found.matrix)
        joints = found.body.places(self._rotations, self.root.translation)
        self.feet, self.middle = joints[:, FEET], joints[:, 0]
        turned = placed(self.root, self.views, found.body.pelvis, 1.0).rotation
        upright = found.seen.upright
        self.up = None if upright is None else up_of(turned, upright)
        # Where nobody is seen, what is said of feet is made up.
        self.contact = self._contact() * (found.seen.confidence > 0)[:, None]

    def _refocused(self, root: Root, matrix: Array | None) -> Root:
        if matrix is None:
            return root
        own = np.stack([matrix[:, 0, 0], matrix[:, 1, 1]], axis=1)
        off = float(np.abs(own / self.views.focal - 1).max())
        center = float(np.abs(matrix[:, :2, 2] - self.views.center).max())
        if off < _SAME_FOCAL and center < _SAME_FOCAL * float(self.views.focal.max()):
            return root
        if off > _TOLD_FOCAL and not self._zooms:
            self.notes.append(
                f"{self._name} was found with a focal length {off:.0%} off the solved camera's: "
                "it was moved so that it keeps its place and size in the picture."
            )
        return refocused(root, self.body.pelvis, matrix, self.views)

    def _contact(self) -> Array:
        if self.seen.contact is not None:
            return self.seen.contact
        up = _Z if self.up is None else mean_up(self.up)
        heights = self.views.to_world(self.feet) @ up
        return contact_from_heights(heights, self.seen.frames, self.fps)

    def motion(self, scale: float, up: Array, place: Place, fps: Fraction) -> Motion:
        stands = placed(self.root, self.views, self.body.pelvis, scale)
        rotations = self._rotations.copy()
        rotations[:, 0] = stands.rotation
        contact = self.contact
        if self.seen.contact is None:
            feet = self.body.places(rotations, stands.translation)[:, FEET]
            contact = contact_from_speed(feet, up, self.seen.frames, self.fps)
        return Motion(
            person=self._name,
            gender=self._gender,
            frames=self.seen.frames,
            fps=fps,
            rotations=rotations,
            translation=stands.translation,
            betas=self.seen.betas,
            pelvis=self.body.pelvis,
            camera_rotation=self.root.rotation,
            camera_translation=self.root.translation,
            scale=scale,
            place=place,
            confidence=self.seen.confidence,
            contact=contact,
            keypoints=self.seen.keypoints,
        )

    def touching(self, motion: Motion, up: Array) -> Array:
        """(m, 3) of standing soles, in meters of the motion's world."""
        every = np.tile(up, (len(motion.frames), 1))
        return self.body.touching(motion.rotations, motion.translation, motion.contact, every)[0]

    def from_camera(self) -> tuple[Array, Views]:
        """Standing soles (m, 3) from the camera, in meters along the world's axes, and the views
        (m) that see them."""
        rotations = self._rotations.copy()
        rotations[:, 0] = self.root.rotation
        down = self.views.rotations @ _Z
        soles, index = self.body.touching(rotations, self.root.translation, self.contact, down)
        views = self.views.only(index)
        return np.einsum("nba,nb->na", views.rotations, soles), views


def _pairs(people: Sequence[_Person]) -> list[Pairs]:
    found: list[Pairs] = []
    first = 0
    for person in people:
        pairs = pairs_of(
            person.feet, person.middle, person.contact, person.views, person.fps, first
        )
        first = int(pairs.run.max(initial=first)) + 1
        found.append(pairs)
    return found


def _floor(people: Sequence[_Person]) -> float | None:
    """The scale with which feet are on the shot's floor: what half of those say who can tell."""
    told = [scale_from_floor(*person.from_camera()) for person in people]
    known = [each for each in told if each is not None]
    return float(np.median(known)) if known else None


def standing_alone(
    ready_rotations: Array, translation: Array, up: Array, body: Body, views: Views, fps: float
) -> tuple[Array, Array, Array]:
    """Rotations, translation and contact of a motion of a world of its own, whose up is `up` (3,),
    put on the shot's floor before the first camera and facing it. Units are meters."""
    turn = upright_turn(up)
    rotations = body.posed(ready_rotations).copy()
    rotations[:, 0] = vectors_of(turn @ rotations_of(rotations[:, 0]))
    at = (body.pelvis + translation) @ turn.T
    feet = body.places(rotations, at - body.pelvis)[:, FEET]
    contact = contact_from_speed(feet, _Z, views.frames, fps)
    every = np.tile(_Z, (len(at), 1))
    soles, _frames = body.touching(rotations, at - body.pelvis, contact, every)
    ground = float(np.median(soles[:, 2])) if len(soles) else float(feet[..., 2].min())
    facing = rotations_of(rotations[:1, 0])[0] @ _Z
    ahead = views.rotations[0, 2]
    about = np.arctan2(-ahead[1], -ahead[0]) - np.arctan2(facing[1], facing[0])
    heading = rotations_of(np.array([[0, 0, about]]))[0]
    level = ahead * [1, 1, 0]
    length = float(np.linalg.norm(level))
    way = level / length if length > 1e-3 else np.array([0, 1.0, 0])
    start = views.centers[0] * [1, 1, 0] + _AHEAD * way
    rotations[:, 0] = vectors_of(heading @ rotations_of(rotations[:, 0]))
    moved = (at - at[0] * [1, 1, 0] - [0, 0, ground]) @ heading.T + start
    return rotations, moved - body.pelvis, contact
