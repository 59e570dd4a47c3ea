# SPDX-License-Identifier: GPL-3.0-or-later
"""HMR2 (Goel et al. 2023): what GVHMR knows of a person's pose from each picture by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...camera import Array
from ..checkpoints import read_weights
from ..weights import device as best_device
from ..weights import fill, precision
from .gvhmr_package import HMR_LAYERS, feature_network
from .memory import infer, release
from .person_crops import Picture, as_tensor, in_batches

SIZE = (256, 256)
"""Width and height of what it sees."""
VALUES = 1024
_FILE = "epoch=10-step=25000.ckpt"
_PARTS = ("backbone.", "smpl_head.")
"""Of the checkpoint; the rest was for training."""
_AT_ONE_TIME, _WITHOUT_GPU = 32, 2


class HmrFeatures:
    """Sees a person."""

    def __init__(self, network: Any, device: torch.device) -> None:
        self._network, self._device = network.to(device), device

    @classmethod
    def load(cls, folder: Path) -> HmrFeatures:
        """Raises ModelError when the weights are not right."""
        values = read_weights(folder / _FILE)
        network = feature_network(HMR_LAYERS)
        own = {name: value for name, value in values.items() if name.startswith(_PARTS)}
        fill(network, own, folder)
        return cls(network, best_device())

    def see(self, pictures: Sequence[Picture]) -> Array:
        """(n, 1024) of pictures of `SIZE`. Raises ModelError where there is no room."""
        most = _WITHOUT_GPU if self._device.type == "cpu" else _AT_ONE_TIME
        return in_batches(pictures, most, self._seen)

    def _seen(self, pictures: Sequence[Picture]) -> Array:
        def work() -> Array:
            with self._half():
                found = self._network(as_tensor(pictures, self._device))
            return np.asarray(found.float().cpu().numpy(), np.float64)

        return infer(work, lambda: release(self._device))

    def _half(self) -> contextlib.AbstractContextManager[Any]:
        """Half precision on GPUs that are faster with it."""
        if self._device.type != "cuda":
            return contextlib.nullcontext()
        halved: contextlib.AbstractContextManager[Any] = torch.autocast(
            "cuda", precision(self._device)
        )
        return halved
