# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading models onto the machine's device, and refusing weights that do not fit.

Nothing here asks the network. `transformers` imports torchvision, whose compiled operations are
missing where torch and torchvision come from different builds: see `prepare`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from ..errors import ModelError, Remedy

VARIANT = "fp16"
"""What half-precision weights of diffusers have in their names."""


def device() -> torch.device:
    """The fastest device that this machine has: a CUDA GPU, Apple's, else the processor."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def precision(device: torch.device) -> torch.dtype:
    """What models compute in on a device."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.float16 if device.type == "mps" else torch.float32


def load_pretrained(cls: Any, folder: Path, **how: Any) -> Any:
    """`cls.from_pretrained` of a folder, in evaluation mode, when every weight is there.

    `how` goes to `from_pretrained`: dtype of transformers, torch_dtype of diffusers. Raises
    ModelError when a weight is missing, has another shape, or is none of the model's.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        model, found = cls.from_pretrained(
            folder, local_files_only=True, output_loading_info=True, **_files(folder), **how
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise _refused(folder, str(error).splitlines()[0]) from error
    _refuse_misfits(folder, found)
    return model.eval()


def _files(folder: Path) -> dict[str, Any]:
    """Diffusers has to be told when only half-precision weights are there."""
    plain = folder / "diffusion_pytorch_model.safetensors"
    half = folder / f"diffusion_pytorch_model.{VARIANT}.safetensors"
    return {"variant": VARIANT} if half.is_file() and not plain.is_file() else {}


def _refuse_misfits(folder: Path, found: dict[str, Any]) -> None:
    for kind in ("missing", "unexpected", "mismatched"):
        keys = sorted(map(str, found.get(f"{kind}_keys") or ()))
        if keys:
            raise _refused(folder, f"{len(keys)} {kind} weights, such as {keys[0]}")


def _refused(folder: Path, why: str) -> ModelError:
    return ModelError(
        f"The weights in {folder} are not those of this model ({why}). Get the model again, or "
        "choose another folder.",
        Remedy.GET_MODEL,
    )
