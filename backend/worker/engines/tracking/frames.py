# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading frames ahead of the tracker, each as the few pictures it works on."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ....errors import SolveError
from ....tracks import Floats
from ...frame_files import read_frame
from ...masks import read_mask
from .records import Sizes

Bytes = NDArray[np.uint8]
Gray = NDArray[Any]
"""Gray levels of 0..255, 8 bit or float32."""

_AHEAD = 2
"""Frames read ahead: bounds the memory."""

_THUMB = (64, 36)

_PREFILTER = np.array([0.2, 0.6, 0.2], np.float32)
"""Takes out what bilinear interpolation would distort."""

_COMB = 5.0
"""Gray levels by which a line of another field stands out."""

_COMB_LINES = 6

_GAIN_STEP = 0.02
"""Change of exposure from frame to frame that the search has to be told about."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One frame as the tracker sees it.

    working  float32, gray levels of 0..255, slightly smoothed: what tracks are registered in
    coarse   8 bit: what tracks are searched in, exposure evened out over the plate
    ignored  8 bit of the coarse size, nonzero where the grown mask hides the plate; None: nowhere
    thumb    float32, a few cells of averages
    gain     exposure over that of the first frame
    combing  see `combing`
    """

    number: int
    working: Floats
    coarse: Bytes
    ignored: Bytes | None
    thumb: Floats
    gain: float
    combing: float


class Reader:
    """Makes Pictures of frames in order. Remembers the exposure, so use one for one pass."""

    def __init__(self, sizes: Sizes, masks: Mapping[int, Path], margin: float) -> None:
        self._sizes = sizes
        self._masks = masks
        self._margin = margin
        self._thumb: Floats | None = None
        self._gain = 1.0

    def pictures(self, frames: Sequence[tuple[int, Path]]) -> Generator[Picture]:
        """Reads in a thread of its own, a few frames ahead.

        Raises SolveError for a frame or a mask that cannot be read or has the wrong size.
        """
        with ThreadPoolExecutor(1) as thread:
            ahead: list[Future[Picture]] = []
            try:
                for number, path in frames:
                    ahead.append(thread.submit(self._read, number, path))
                    if len(ahead) > _AHEAD:
                        yield ahead.pop(0).result()
                while ahead:
                    yield ahead.pop(0).result()
            finally:
                for future in ahead:
                    future.cancel()

    def _read(self, number: int, path: Path) -> Picture:
        gray = read_gray(path, self._sizes.plate)
        comb = combing(gray)
        gray = _reduced(gray, self._sizes.working)
        coarse = _reduced(gray, self._sizes.coarse)
        thumb = cv2.resize(coarse, _THUMB, interpolation=cv2.INTER_AREA).astype(np.float32)
        gain = self._exposure(thumb)
        return Picture(
            number=number,
            working=_smoothed(gray),
            coarse=np.asarray(cv2.convertScaleAbs(coarse, alpha=1 / gain), np.uint8),
            ignored=self._ignored(number),
            thumb=thumb / np.float32(gain),
            gain=gain,
            combing=comb,
        )

    def _exposure(self, thumb: Floats) -> float:
        """Follows steps of the exposure; the picture's own slow changes are left alone."""
        before, self._thumb = self._thumb, thumb
        if before is not None:
            seen = (before > 8) & (thumb > 8) & (before < 240) & (thumb < 240)
            if seen.sum() > seen.size // 10:
                step = float(np.median(thumb[seen] / before[seen]))
                if abs(step - 1) > _GAIN_STEP:
                    self._gain = float(np.clip(self._gain * step, 0.2, 5.0))
        return self._gain

    def _ignored(self, number: int) -> Bytes | None:
        if number not in self._masks:
            return None
        return ignored_area(self._masks[number], self._sizes, self._margin)


def ignored_area(path: Path, sizes: Sizes, margin: float) -> Bytes:
    """A mask of the coarse size, 1 = ignore, grown by `margin` of the longer side."""
    mask = read_mask(path, sizes.plate)
    small = cv2.resize(mask, sizes.coarse, interpolation=cv2.INTER_AREA)
    reach = max(1, round(margin * max(small.shape)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return cv2.dilate((small >= 64).astype(np.uint8), kernel).astype(np.uint8)


def working_picture(path: Path, sizes: Sizes) -> Floats:
    """A frame as `Picture.working`."""
    return _smoothed(_reduced(read_gray(path, sizes.plate), sizes.working))


def _reduced(gray: Gray, size: tuple[int, int]) -> Gray:
    if gray.shape == size[::-1]:
        return gray
    return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA))


def _smoothed(gray: Gray) -> Floats:
    return np.asarray(cv2.sepFilter2D(gray, cv2.CV_32F, _PREFILTER, _PREFILTER))


def read_gray(path: Path, size: tuple[int, int]) -> Gray:
    """A frame in gray levels of 0..255: 8 bit, or float32 where the file has more.

    Raises SolveError when it cannot be read or is not of that size.
    """
    frame = read_frame(path)
    if frame is None:
        raise SolveError(f"The frame {path.name} cannot be read: extract the frames again.")
    gray: Gray = frame if frame.ndim == 2 else np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
    if gray.shape != size[::-1]:
        raise SolveError(
            f"The frame {path.name} is {gray.shape[1]} x {gray.shape[0]} but the plate is "
            f"{size[0]} x {size[1]}: extract the frames again."
        )
    if gray.dtype == np.uint16:
        return (gray * np.float32(1 / 257)).astype(np.float32)
    return gray


def combing(gray: Gray) -> float:
    """Share of places where lines alternate, beyond that of columns: 0..1.

    Two fields of a moving picture differ from line to line; nothing makes columns do so. A plate
    of one field a frame stays under 0.001.
    """
    return max(0.0, _alternating(gray[:, ::16]) - _alternating(gray[::16].T))


def _alternating(gray: Gray) -> float:
    """Share of pixels from which `_COMB_LINES` steps go up and down in turn, each a large one."""
    steps = np.diff(gray.astype(np.float32), axis=0)
    steps[1::2] *= -1
    count = max(0, len(steps) - _COMB_LINES + 1)
    runs = [steps[start : start + count] for start in range(_COMB_LINES)]
    up, down = np.minimum.reduce(runs), np.maximum.reduce(runs)
    return float(((up > _COMB) | (down < -_COMB)).mean()) if up.size else 0.0
