# SPDX-License-Identifier: GPL-3.0-or-later
"""ViTPose (Xu et al. 2022) of transformers: the joints of a person in a picture.

What goes in and comes out is done here: the package's own way needs another package, and takes
pictures one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from ...camera import Array
from ...smplx import KEYPOINTS
from ..weights import device as best_device
from ..weights import load_pretrained, prepare, refused
from .memory import infer, release
from .person_crops import Picture, as_tensor, in_batches

SIZE = (192, 256)
"""Width and height of what it sees."""
_AT_ONE_TIME, _WITHOUT_GPU = 32, 4
_SMOOTHED, _FLOOR = 2.0, 1e-3
"""Spread in pixels that heatmaps are smoothed over before their peak is looked for, and what is the
least in them (Zhang et al. 2020; the spread is that of the peaks it was trained with)."""
_SIDES = {"left": "right", "right": "left"}
_MIRRORED = [
    KEYPOINTS.index("_".join(_SIDES.get(word, word) for word in name.split("_")))
    for name in KEYPOINTS
]


class VitPose:
    """Finds `smplx.KEYPOINTS`."""

    def __init__(self, network: Any, device: torch.device) -> None:
        self._network, self._device = network.to(device), device

    @classmethod
    def load(cls, folder: Path) -> VitPose:
        """Raises ModelError when the weights are not right."""
        prepare()
        from transformers import VitPoseForPoseEstimation

        network = load_pretrained(VitPoseForPoseEstimation, folder)
        if network.config.num_labels != len(KEYPOINTS):
            raise refused(folder, f"they are of {network.config.num_labels} joints")
        return cls(network, best_device())

    def joints(self, pictures: Sequence[Picture]) -> Array:
        """(n, 17, 3) of pictures of `SIZE`: x and y from 0 to 1 between the edges of the window
        that each shows, and how sure they are, 0 to 1. Raises ModelError where there is no
        room."""
        most = _WITHOUT_GPU if self._device.type == "cpu" else _AT_ONE_TIME
        maps = in_batches(pictures, most, self._heatmaps)
        found = peaks(maps)
        found[..., :2] /= np.array(maps.shape[:1:-1]) - 1
        return found

    def _heatmaps(self, pictures: Sequence[Picture]) -> Array:
        """(n, 17, h, w): the mean of what it sees of each and of its mirror image."""
        seen = as_tensor(pictures, self._device)

        def work() -> Array:
            straight, mirrored = self._run(seen), self._run(seen.flip(-1))
            both = (straight + mirrored.flip(-1)[:, _MIRRORED]) / 2
            return np.asarray(both.float().cpu().numpy(), np.float64)

        return infer(work, lambda: release(self._device))

    def _run(self, seen: torch.Tensor) -> torch.Tensor:
        expert: dict[str, Any] = {}
        if self._network.config.backbone_config.num_experts > 1:
            # The first one is that of COCO, whose joints are asked for.
            expert["dataset_index"] = torch.zeros(len(seen), dtype=torch.long, device=self._device)
        maps: torch.Tensor = self._network(seen, **expert).heatmaps
        return maps


def peaks(maps: Array) -> Array:
    """(n, j, 3) where heatmaps (n, j, h, w) are highest, between their samples, and how high.

    The logarithm of a smoothed peak is a paraboloid, whose top its derivatives at the highest
    sample tell (Zhang et al. 2020).
    """
    found = np.empty((*maps.shape[:2], 3))
    for index in np.ndindex(*maps.shape[:2]):
        found[index] = _peak(maps[index])
    return found


def _peak(heat: Array) -> tuple[float, float, float]:
    y, x = np.unravel_index(int(heat.argmax()), heat.shape)
    smooth = cv2.GaussianBlur(heat, (0, 0), _SMOOTHED, borderType=cv2.BORDER_CONSTANT)
    around = np.pad(np.log(np.maximum(smooth, _FLOOR)), 1, mode="edge")[y : y + 3, x : x + 3]
    slope = np.array([around[1, 2] - around[1, 0], around[2, 1] - around[0, 1]]) / 2
    bend = np.array([
        around[1, 2] - 2 * around[1, 1] + around[1, 0],
        (around[2, 2] - around[2, 0] - around[0, 2] + around[0, 0]) / 4,
        around[2, 1] - 2 * around[1, 1] + around[0, 1],
    ])  # fmt: skip
    step = np.zeros(2)
    if bend[0] < 0 and bend[0] * bend[2] > bend[1] ** 2:
        step = -np.linalg.solve(bend[[[0, 1], [1, 2]]], slope)
    step = np.clip(step, -1, 1)
    return float(x + step[0]), float(y + step[1]), float(np.clip(heat[y, x], 0, 1))
