# SPDX-License-Identifier: GPL-3.0-or-later
"""What transformers' SAM 3 lacks without a download while it runs.

It takes NMS of detections, hole filling and the removal of sprinkles from the package `kernels`,
which fetches a program from the network; without it they are left out. `Kernel` does them here.
Its `mask_iou` compares all pixels of all pairs at once: 200 detections take 26 GB.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from transformers.models.sam3_video import modeling_sam3_video

_SPECKLE = 16
"""Pixels of the model's small mask; SAM 3's own `fill_hole_area`."""


class Kernel:
    """The two functions of kernels-community/cv-utils that SAM 3 calls."""

    def generic_nms(
        self, ious: Any, scores: Any, threshold: float, use_iou_matrix: bool = True
    ) -> Any:
        """Places of the detections to keep, the surest first: each drops those after it that
        overlap it by more than `threshold`. `ious` is (n, n)."""
        if not use_iou_matrix:
            raise ValueError("boxes are not compared")
        table = (ious > threshold).cpu().numpy()
        open_ = np.ones(len(table), bool)
        kept = []
        for place in torch.argsort(scores, descending=True, stable=True).tolist():
            if open_[place]:
                kept.append(place)
                open_ &= ~table[place]
        return torch.tensor(kept, dtype=torch.long, device=ious.device)

    def cc_2d(self, masks: Any, get_counts: bool) -> tuple[Any, Any]:
        """Connected areas (8 neighbors) of (n, 1, h, w) masks: labels and, for each pixel, how
        many its area has; 0 outside."""
        if not get_counts:
            raise ValueError("counts are what is asked for")
        found = [_areas(mask) for mask in masks.reshape(-1, *masks.shape[-2:]).cpu().numpy()]
        labels, counts = (
            torch.from_numpy(np.stack(each)).to(masks.device).reshape(masks.shape)
            for each in zip(*found, strict=True)
        )
        return labels, counts


def _areas(mask: Any) -> tuple[Any, Any]:
    _count, labels, figures, _centers = cv2.connectedComponentsWithStats(mask, connectivity=8)
    sizes = figures[:, cv2.CC_STAT_AREA].astype(np.int32)
    sizes[0] = 0
    return labels, sizes[labels]


def mask_iou(first: Any, second: Any) -> Any:
    """(n, m) overlaps over unions of (n, h, w) and (m, h, w) masks; 0 for two empty ones.

    Counts are exact in 32-bit floats up to 16 million pixels.
    """
    one, other = first.flatten(1).float(), second.flatten(1).float()
    both = one @ other.T
    union = one.sum(1)[:, None] + other.sum(1)[None, :] - both
    return both / union.clamp(min=1)


def apply() -> None:
    """Puts both in place; nothing is downloaded then."""
    modeling_sam3_video.cv_utils_kernel = Kernel()
    modeling_sam3_video.mask_iou = mask_iou


def without_speckles(logits: Any) -> Any:
    """(n, 1, h, w) small masks with their pinholes filled and sprinkles removed."""
    apply()
    return modeling_sam3_video.fill_holes_in_mask_scores(logits, max_area=_SPECKLE)
