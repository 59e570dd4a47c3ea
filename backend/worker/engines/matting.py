# SPDX-License-Identifier: GPL-3.0-or-later
"""What refines masks to mattes: an engine behind one interface, and the size that it works at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

Alpha = NDArray[np.float32]
"""(h, w) at the engine's size: the share of each pixel that the thing covers, 0 to 1."""


@dataclass(frozen=True)
class Fit:
    """How a plate fits into the size that a model works at; its aspect is kept.

    `inner` is the size (width, height) of the plate's picture, `size` that of the whole: its right
    and lower edges are repeated up to a multiple of what the model needs.
    """

    plate: tuple[int, int]
    inner: tuple[int, int]
    size: tuple[int, int]

    @classmethod
    def of(cls, plate: tuple[int, int], pixels: int, multiple: int) -> Fit:
        """About so many pixels in all, larger or smaller than the plate."""
        width, height = plate
        scale = (pixels / (width * height)) ** 0.5
        inner = max(1, round(width * scale)), max(1, round(height * scale))
        up = [-(-length // multiple) * multiple for length in inner]
        return cls(plate, inner, (up[0], up[1]))

    def into(self, image: Any) -> Any:
        """An image (h, w) or (h, w, 3) of the plate's size, uint8, as the model sees it."""
        smaller = self.inner[0] < self.plate[0]
        way = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        inner = cv2.resize(image, self.inner, interpolation=way)
        right, below = (whole - part for whole, part in zip(self.size, self.inner, strict=True))
        return cv2.copyMakeBorder(inner, 0, below, 0, right, cv2.BORDER_REPLICATE)

    def out_of(self, alpha: Alpha) -> Alpha:
        """The part of a model's answer that is the plate's picture."""
        return alpha[: self.inner[1], : self.inner[0]]


@dataclass(frozen=True, eq=False)
class Seen:
    """One frame as the engine sees it: `image` (h, w, 3) in red, green, blue, `mask` (h, w) True
    where the thing is. Both have the `size` of the engine's fit."""

    frame: int
    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]


class MatteEngine(Protocol):
    """Refines the masks of one thing in frames that follow each other."""

    name: str

    def fit(self, plate: tuple[int, int]) -> Fit:
        """How it sees a plate of that width and height."""

    def room(self) -> int:
        """How many frames at one time the device has room for, about; at least 1."""

    def refine(self, frames: Sequence[Seen]) -> list[Alpha]:
        """The matte of each frame, in the fit's `size`. The same frame has the same noise in every
        call. Raises OutOfRoomError (room.py); the model stays loaded then."""
