# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a motion of a file to the frames of the plate."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...camera import Array, Integers
from ...errors import FormatError
from .importing import GVHMR_RATE, Ready, at_rate

_SAME_RATE = 0.01
"""Share by which two rates are one."""


@dataclass(frozen=True, eq=False)
class Matched:
    """A motion whose frames are the plate's (n,), and sentences on how that was found."""

    ready: Ready
    frames: Integers
    notes: tuple[str, ...]


def matched(ready: Ready, plate: Integers, frames: Integers, rate: float) -> Matched:
    """By their numbers where the file has them, else by order from the first frame on of `plate`
    (k,), which are those that are asked for, at its `rate`. `frames` (m,) are those of them that
    have a camera. Raises FormatError."""
    if ready.numbers is not None:
        return _by_number(ready, ready.numbers, frames)
    ready, notes = _at_plate_rate(ready, plate, rate)
    if len(ready) == len(plate):
        order = np.searchsorted(plate, frames)
    else:
        order, count = frames - plate[0], int(plate[-1] - plate[0]) + 1
        if len(ready) != count:
            notes = (*notes, _lengths(len(ready), count))
    used = order < len(ready)
    if not used.any():
        raise FormatError("The motion ends before the first frame that has a camera.")
    return Matched(_only(ready, order[used]), frames[used], notes)


def _by_number(ready: Ready, numbers: Integers, frames: Integers) -> Matched:
    both, index, _other = np.intersect1d(numbers, frames, return_indices=True)
    if not len(both):
        raise FormatError(
            f"The motion has the frames {numbers[0]} to {numbers[-1]}, and none of the plate's "
            f"{frames[0]} to {frames[-1]} that have a camera."
        )
    return Matched(_only(replace(ready, numbers=None), index), both, ())


def _at_plate_rate(ready: Ready, plate: Integers, rate: float) -> tuple[Ready, tuple[str, ...]]:
    count = int(plate[-1] - plate[0]) + 1
    if ready.fps <= 0:
        # GVHMR's own program brings every movie to its rate and does not write that down.
        other = round(count * GVHMR_RATE / rate)
        if abs(len(ready) - count) <= abs(len(ready) - other):
            return ready, ()
        ready = replace(ready, fps=GVHMR_RATE)
    if abs(ready.fps - rate) <= _SAME_RATE * rate:
        return ready, ()
    if len(ready) in (count, len(plate)):
        return ready, (
            f"The motion says {ready.fps:g} frames a second and the plate has {rate:g}; it has as "
            "many frames as the plate and was taken one by one.",
        )
    note = f"The motion was brought from {ready.fps:g} to {rate:g} frames a second by time."
    return at_rate(ready, rate), (note,)


def _lengths(has: int, plate: int) -> str:
    which = "the rest was left out" if has > plate else "the plate goes on without it"
    return f"The motion has {has} frames and the plate {plate}: they start together, {which}."


def _only(ready: Ready, index: Integers) -> Ready:
    def chosen(values: Array | None) -> Array | None:
        return None if values is None else values[index]

    return replace(
        ready,
        rotations=ready.rotations[index],
        translation=ready.translation[index],
        contact=chosen(ready.contact),
        upright=chosen(ready.upright),
        matrix=chosen(ready.matrix),
        confidence=chosen(ready.confidence),
        keypoints=chosen(ready.keypoints),
    )
