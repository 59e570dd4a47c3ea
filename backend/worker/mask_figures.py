# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist should look at in tracked masks: holes, flicker, things that touch or merge.

Masks are compared small, at most `_SIDE` pixels on the longer side.

hole     frames in which an instance is not seen, between two in which it is
flicker  a frame in which a mask's shape is another than in the frame before: moved onto each other
         by their centers, they overlap by less than `_SHAPE`. Masks at the picture's edge or beside
         another instance change their shape by themselves and do not count, nor do tiny ones
touch    frames in which two instances of a label have no gap between them
merge    an instance is no longer seen, and one that it touched grows by most of its size
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..plates import ranges
from .mask_files import Mask

_SIDE = 160
_TINY = 24
"""Pixels of a small mask."""
_SHAPE = 0.6
_GROWTH = 0.5
"""How much of a vanished instance's size another one has to gain."""
_MOST_WARNINGS = 8

Small = NDArray[np.bool_]


@dataclass
class Sightings:
    """Small masks of one instance by frame, packed."""

    shape: tuple[int, int] = (0, 0)
    _packed: dict[int, bytes] = field(default_factory=dict)

    def add(self, frame: int, mask: Mask) -> None:
        small = _small(mask)
        self.shape = (small.shape[0], small.shape[1])
        self._packed[frame] = np.packbits(small).tobytes()

    def __contains__(self, frame: int) -> bool:
        return frame in self._packed

    def __getitem__(self, frame: int) -> Small:
        bits = np.frombuffer(self._packed[frame], np.uint8)
        count = self.shape[0] * self.shape[1]
        return np.unpackbits(bits, count=count).reshape(self.shape).astype(bool)

    @property
    def frames(self) -> list[int]:
        return sorted(self._packed)


def _small(mask: Mask) -> Small:
    height, width = mask.shape
    scale = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    reduced: Small = cv2.resize(mask, size, interpolation=cv2.INTER_AREA) >= 64
    return reduced


@dataclass(frozen=True)
class InstanceFigures:
    """`touches` and `merges` are frames by the other instance's name; merges name the first frame
    in which this one is not seen any more."""

    name: str
    first: int
    last: int
    frames: int
    holes: tuple[int, ...]
    flicker: tuple[int, ...]
    touches: Mapping[str, tuple[int, ...]]
    merges: Mapping[str, tuple[int, ...]]

    def to_json(self) -> dict[str, Any]:
        """Frames as artists write them: `1004-1006, 1010`."""
        return {
            "first": self.first,
            "last": self.last,
            "frames": self.frames,
            "holes": ranges(self.holes),
            "flicker": ranges(self.flicker),
            "touches": {name: ranges(frames) for name, frames in self.touches.items()},
            "merges": {name: ranges(frames) for name, frames in self.merges.items()},
        }


def figures(seen: Mapping[str, Sightings], plate: Sequence[int]) -> list[InstanceFigures]:
    """Of the instances of one label by name; `plate` are all frame numbers, ascending. An instance
    that is in no frame is left out."""
    found = {name: sightings for name, sightings in seen.items() if sightings.frames}
    return [_figures(name, found, plate) for name in found]


def _figures(name: str, seen: Mapping[str, Sightings], plate: Sequence[int]) -> InstanceFigures:
    own = seen[name]
    first, last = own.frames[0], own.frames[-1]
    others = {other: them for other, them in seen.items() if other != name}
    touches = {other: tuple(_touching(own, them)) for other, them in others.items()}
    merges = {
        other: tuple(_merging(own, them, plate, touches[other])) for other, them in others.items()
    }
    return InstanceFigures(
        name,
        first,
        last,
        len(own.frames),
        holes=tuple(n for n in plate if first < n < last and n not in own),
        flicker=tuple(_flickering(own, plate, {n for frames in touches.values() for n in frames})),
        touches={other: frames for other, frames in touches.items() if frames},
        merges={other: frames for other, frames in merges.items() if frames},
    )


def _flickering(own: Sightings, plate: Sequence[int], touching: Container[int]) -> Iterator[int]:
    for before, number in pairwise(plate):
        covered = before in touching or number in touching
        if before in own and number in own and not covered:
            one, other = own[before], own[number]
            if _is_whole(one) and _is_whole(other) and _likeness(one, other) < _SHAPE:
                yield number


def _is_whole(mask: Small) -> bool:
    at_edge = mask[[0, -1]].any() or mask[:, [0, -1]].any()
    return not at_edge and np.count_nonzero(mask) >= _TINY


def _likeness(one: Small, other: Small) -> float:
    """Overlap over union with the centers on each other; neither mask is empty."""
    shift = np.round(np.argwhere(one).mean(0) - np.argwhere(other).mean(0)).astype(int)
    moved = np.roll(other, tuple(shift), (0, 1))
    return float(np.count_nonzero(one & moved) / np.count_nonzero(one | moved))


def _touching(own: Sightings, other: Sightings) -> Iterator[int]:
    for number in own.frames:
        if number in other and (_grown(own[number]) & other[number]).any():
            yield number


def _grown(mask: Small) -> Small:
    return cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)


def _merging(
    own: Sightings, other: Sightings, plate: Sequence[int], touching: Sequence[int]
) -> Iterator[int]:
    for before, number in pairwise(plate):
        if before in touching and number not in own and number in other:
            lost = np.count_nonzero(own[before])
            gained = np.count_nonzero(other[number]) - np.count_nonzero(other[before])
            if gained > _GROWTH * lost:
                yield number


def warnings(found: Sequence[InstanceFigures]) -> list[str]:
    """The worst first, and not too many of them."""
    every = [
        *(text for each in found for text in _merge_warnings(each)),
        *(
            f"{each.name} is not seen in frames {ranges(each.holes)}: check whether it is hidden."
            for each in found
            if each.holes
        ),
        *(
            f"The mask of {each.name} flickers in frames {ranges(each.flicker)}: check it there."
            for each in found
            if each.flicker
        ),
        *(text for each in found for text in _touch_warnings(each)),
    ]
    left = len(every) - _MOST_WARNINGS
    more = [f"{left} more remarks on the masks are in the stage's record."] if left > 0 else []
    return every[:_MOST_WARNINGS] + more


def _merge_warnings(each: InstanceFigures) -> Iterator[str]:
    for other, frames in each.merges.items():
        yield (
            f"{each.name} seems to become a part of {other} in frame {ranges(frames)}: point at "
            "both there and track them."
        )


def _touch_warnings(each: InstanceFigures) -> Iterator[str]:
    for other, frames in each.touches.items():
        if each.name < other:
            yield f"{each.name} and {other} touch in frames {ranges(frames)}: check their edges."
