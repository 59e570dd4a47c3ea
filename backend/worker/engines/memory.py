# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory of the device that models run on: how much is free, and what to do without."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from .room import OutOfRoomError

Made = TypeVar("Made")


def infer(work: Callable[[], Made], make_room: Callable[[], None]) -> Made:
    """What `work` makes, without gradients.

    Raises OutOfRoomError when the device's memory does not do, after `make_room`.
    """
    try:
        with torch.inference_mode():
            return work()
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
    # The error held what the failed step had made: only here it is gone.
    make_room()
    raise OutOfRoomError


def free_memory(device: torch.device) -> int | None:
    """Free bytes of a GPU; None where there is none."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return None


def release(device: torch.device) -> None:
    """Gives the memory that torch keeps back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def _is_out_of_memory(error: RuntimeError) -> bool:
    """CUDA has an error of its own; Apple's GPUs and processors have words."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return any(words in str(error) for words in ("out of memory", "can't allocate memory"))
