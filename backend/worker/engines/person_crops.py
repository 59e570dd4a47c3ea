# SPDX-License-Identifier: GPL-3.0-or-later
"""What networks that look at one person see of a frame, and how many of that at one time.

A window is a center and a size, (n, 4): x, y, width and height in pixels of the plate, (0, 0) the
corner of the first one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ...camera import Array
from ...errors import ModelError
from .memory import infer, release
from .room import OutOfRoomError

Made = TypeVar("Made")

Picture = NDArray[np.uint8]
"""(h, w, 3), red first."""

COLORS = np.array(((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), np.float32)
"""Mean and spread of colors from 0 to 1 in what networks were trained on (ImageNet)."""
LARGER = 1.2
"""How much more than a person the windows show that GVHMR was trained with."""
_TALL = 4 / 3
"""Height over width that a person is at least given in them."""
_BLURRED = 1.1
"""Half of how much a window is made smaller, from which it is blurred first (4D-Humans)."""


def windows_around(boxes: Array, aspect: float) -> Array:
    """Windows (n, 4) around boxes (n, 4) of left, top, right, bottom: squares where the plate's
    pixels are `aspect` times as wide as high."""
    size = boxes[:, 2:] - boxes[:, :2]
    side = LARGER * np.maximum(size[:, 0] * _TALL, size[:, 1] / aspect)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.column_stack([middle, side, side * aspect])


def cut(picture: Picture, window: Array, size: tuple[int, int]) -> Picture:
    """The window in `size` pixels, width and height; black where it is outside of the picture.

    The first pixel shows the window's edge and the last one the other, as the networks were trained
    (Huang et al. 2020).
    """
    scale = (np.array(size) - 1) / window[2:]
    start = window[:2] - window[2:] / 2 - 0.5
    smaller = 1 / scale.min()
    first = np.clip(np.floor(start - smaller), 0, None).astype(int)
    last = np.ceil(start + window[2:] + smaller).astype(int) + 1
    part = picture[first[1] : max(last[1], first[1]), first[0] : max(last[0], first[0])]
    if not part.size:
        return np.zeros((size[1], size[0], 3), np.uint8)
    if smaller / 2 > _BLURRED:
        part = np.asarray(cv2.GaussianBlur(part, (0, 0), (smaller / 2 - 1) / 2), np.uint8)
    move = np.column_stack([np.diag(scale), scale * (first - start)])
    return np.asarray(cv2.warpAffine(part, move, size, flags=cv2.INTER_LINEAR), np.uint8)


def as_tensor(pictures: Sequence[Picture], device: torch.device) -> torch.Tensor:
    """(n, 3, h, w) with the colors that networks take."""
    values = (np.stack(pictures).astype(np.float32) / 255 - COLORS[0]) / COLORS[1]
    return torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2))).to(device)


def in_batches(
    pictures: Sequence[Picture], most: int, see: Callable[[Sequence[Picture]], Array]
) -> Array:
    """What `see` makes of all pictures, at most so many at one time, fewer where memory asks for
    that. Raises ModelError where it does not do for one."""
    found, start = [], 0
    while start < len(pictures):
        try:
            found.append(see(pictures[start : start + most]))
            start += most
        except OutOfRoomError:
            if most == 1:
                raise no_room() from None
            most //= 2
    return np.concatenate(found)


def in_room(work: Callable[[], Made], device: torch.device) -> Made:
    """What `work` makes on a device, without gradients. Raises ModelError where there is no
    room."""
    try:
        return infer(work, lambda: release(device))
    except OutOfRoomError:
        raise no_room() from None


def no_room() -> ModelError:
    """The error where memory does not do for the least that can be looked at."""
    return ModelError(
        "The device has no room to look at even one picture of a person: close other programs that "
        "use the GPU, then run again."
    )
