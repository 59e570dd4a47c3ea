# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets torchvision be imported where it is of another build than torch.

Package indexes give torch for the processor and torchvision for CUDA as a pair; that torchvision's
compiled operations do not load, and then it cannot be imported at all. The models in use call none
of them. Call this before anything imports torchvision.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

_OPERATIONS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def stand_in_operations() -> torch.library.Library | None:
    """Declares the operations that torchvision describes; None where it has its own.

    They are declared for as long as the result lives.
    """
    found = importlib.util.find_spec("torchvision")
    assert found is not None
    assert found.origin is not None
    try:
        for library in Path(found.origin).parent.glob("_C.*"):
            torch.ops.load_library(library)
            return None
    except OSError:
        pass
    missing = torch.library.Library("torchvision", "DEF")
    for operation in _OPERATIONS:
        missing.define(operation)
    return missing
