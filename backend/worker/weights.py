# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading models onto the machine's device, and refusing weights that do not fit.

Nothing here asks the network. `prepare()` comes before the first import of transformers or
diffusers; the runner calls it before it imports a stage that has them.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from ..errors import InstallError, ModelError, Remedy

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


@functools.cache
def prepare() -> Any:
    """Makes transformers importable, offline. Returns what has to live as long as the process.

    Raises InstallError when torch and torchvision do not belong together in a way that matters.
    A torchvision from another build than torch has no compiled operations, and then fails to
    import where it describes two of them. They are declared here instead, non-maximum suppression
    with a body of ours; torchvision brings its own for what else is used (roi_align).
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        importlib.import_module("torchvision")
    except (RuntimeError, ImportError) as error:
        if "torchvision::nms" not in str(error):
            raise _bad_pair(error) from error
    else:
        return None
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operation in ("nms", "qnms"):
        library.define(f"{operation}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.impl(operation, nms, "CompositeExplicitAutograd")
    try:
        importlib.import_module("torchvision")
    except (RuntimeError, ImportError) as error:
        raise _bad_pair(error) from error
    return library


def odd_pair() -> str:
    """A sentence on a torchvision without its compiled operations, "" when it has them."""
    torchvision = importlib.import_module("torchvision")
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    try:
        torchvision.ops.nms(boxes, boxes[0, 2:3], 0.5)
    except RuntimeError:
        kind = f"CUDA {torch.version.cuda}" if torch.version.cuda else "the processor"
        return (
            f"torch {torch.__version__} is built for {kind} and torchvision "
            f"{torchvision.__version__} is not, and lacks its "
            "compiled operations. Stages do without; ProPainter is slower."
        )
    return ""


def _bad_pair(error: Exception) -> InstallError:
    return InstallError(
        f"torch and torchvision of the environment do not belong together ({error}). Remove the "
        "environment, then install it again.",
        Remedy.INSTALL_ENVIRONMENT,
    )


def nms(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> torch.Tensor:
    """Non-maximum suppression: indices of boxes to keep, the best first.

    `boxes` is (n, 4) as x0, y0, x1, y1 and `scores` (n,). A box goes when its intersection over
    union with a better one that stays is over `threshold`.
    """
    corners, sizes = boxes[:, :2], (boxes[:, 2:] - boxes[:, :2]).clamp(min=0)
    far = corners + sizes
    areas = sizes.prod(dim=1)
    left = scores.argsort(descending=True, stable=True)
    kept = []
    while left.numel():
        best, left = left[0], left[1:]
        kept.append(best)
        shared = torch.minimum(far[best], far[left]) - torch.maximum(corners[best], corners[left])
        inter = shared.clamp(min=0).prod(dim=1)
        left = left[inter <= threshold * (areas[best] + areas[left] - inter)]
    return torch.stack(kept) if kept else scores.new_zeros(0, dtype=torch.long)


def load_pretrained(cls: Any, folder: Path, **how: Any) -> Any:
    """`cls.from_pretrained` of a folder, in evaluation mode, when every weight is there.

    `how` goes to `from_pretrained`: dtype of transformers, torch_dtype of diffusers. Raises
    ModelError when a weight is missing, has another shape, or is none of the model's. Pickles are
    not read.
    """
    prepare()
    try:
        model, found = cls.from_pretrained(
            folder,
            local_files_only=True,
            output_loading_info=True,
            use_safetensors=True,
            **_files(folder),
            **how,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise refused(folder, (str(error).splitlines() or [repr(error)])[0]) from error
    _refuse_misfits(folder, found)
    return model.eval()


def fill(network: Any, values: Mapping[str, torch.Tensor], folder: Path) -> None:
    """Gives a network the weights that were read from `folder`.

    Raises ModelError when a weight is missing, has another shape, or is none of the network's.
    """
    own = network.state_dict()
    shared = own.keys() & values.keys()
    found = {
        "missing_keys": own.keys() - values.keys(),
        "unexpected_keys": values.keys() - own.keys(),
        "mismatched_keys": {key for key in shared if own[key].shape != values[key].shape},
    }
    _refuse_misfits(folder, found)
    network.load_state_dict(values)


def _files(folder: Path) -> dict[str, Any]:
    """Diffusers has to be told when only half-precision weights are there."""
    plain = folder / "diffusion_pytorch_model.safetensors"
    half = folder / f"diffusion_pytorch_model.{VARIANT}.safetensors"
    return {"variant": VARIANT} if half.is_file() and not plain.is_file() else {}


def _refuse_misfits(folder: Path, found: Mapping[str, Any]) -> None:
    for kind in ("missing", "unexpected", "mismatched"):
        keys = sorted(map(str, found.get(f"{kind}_keys") or ()))
        if keys:
            raise refused(folder, f"{len(keys)} {kind} weights, such as {keys[0]}")


def refused(folder: Path, why: str) -> ModelError:
    """The error for weights that are not what they should be."""
    return ModelError(
        f"The weights in {folder} are not those of this model ({why}). Get the model again, or "
        "choose another folder.",
        Remedy.GET_MODEL,
    )
