# SPDX-License-Identifier: GPL-3.0-or-later
"""Sees whether torch and what is built on it work on this machine: `check_models.py`.

Writes one line of JSON: `error`, a sentence, "" when models can be run, and `warnings`.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from backend.errors import ShotGopherError
from backend.nvidia import driver_cuda

_USED = (
    ("transformers", "Sam3VideoModel"),
    ("transformers", "Sam2VideoModel"),
    ("diffusers", "UNetSpatioTemporalConditionModel"),
)


def main() -> int:
    warnings: list[str] = []
    try:
        error = _check(warnings)
    except ShotGopherError as failure:
        error = failure.reason
    except Exception as failure:
        error = f"The packages for models do not work here: {failure!r:.300}"
    sys.stdout.write(json.dumps({"error": error, "warnings": warnings}) + "\n")
    return 0


def _check(warnings: list[str]) -> str:
    import torch

    from backend.worker import weights

    device = weights.device()
    if not computes(device):
        return f"torch {torch.__version__} computes wrongly on this machine's {device.type}."
    if device.type == "cpu" and driver_cuda() > (0, 0):
        warnings.append(
            f"This machine has an NVIDIA GPU which torch {torch.__version__} does not use: remove "
            "the environment and install it again when the network is there, or update the driver."
        )
    weights.prepare()
    pair = weights.odd_pair()
    if pair:
        warnings.append(pair)
    # Both import lazily, and hide what fails until a class is asked for.
    for library, name in _USED:
        getattr(importlib.import_module(library), name)
    return ""


def computes(device: Any) -> bool:
    """Whether a product of matrices is right on a device, in the precision of models."""
    import torch

    from backend.worker import weights

    ones = torch.ones((64, 64), dtype=weights.precision(device), device=device)
    # Compared one by one: their sum is more than half precision can hold.
    return bool(((ones @ ones).float() == 64).all())


if __name__ == "__main__":
    sys.exit(main())
