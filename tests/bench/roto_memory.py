# SPDX-License-Identifier: GPL-3.0-or-later
"""What SAM remembers of a clip in the worker against transformers as it comes, on the same clip."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.worker import weights
from tests.backend.roto_shots import clip_of, make_shot, report_in
from tests.bench.figure import at_most

if TYPE_CHECKING:
    from tests.models.sam_measures import Growth

FRAMES, SINCE = 100, 70
"""Counted from where the four newest conditioning frames, one in 16, are all that is kept whole."""


def memory_figures(folder: Path) -> list[dict[str, Any]]:
    """Bytes of tensors more for each object and frame, and masks that differ."""
    weights.prepare()
    from tests.models import sam_measures, tiny_sam

    clip = clip_of(make_shot(folder, FRAMES))
    sam3 = tiny_sam.save_sam3(folder / "sam3", **sam_measures.STEADY)
    sam2 = tiny_sam.save_sam2(folder / "sam2")
    labels, report = ["a", "b"], report_in(folder)
    text = (
        sam_measures.our_growth(sam3, clip, labels, report, SINCE),
        sam_measures.stock_growth(sam3, clip, labels, SINCE),
    )
    return [
        *_figures("text prompts, SAM 3", *text),
        *_figures("points, SAM 3", *sam_measures.tracker_growths("sam3", sam3, clip, SINCE)),
        *_figures("points, SAM 2.1", *sam_measures.tracker_growths("sam2-tiny", sam2, clip, SINCE)),
    ]


def _figures(what: str, ours: Growth, stock: Growth) -> list[dict[str, Any]]:
    bytes_ = f"{ours.per_object_frame:.0f} of {stock.per_object_frame:.0f} bytes"
    how = f"{bytes_} per object and frame, frames {SINCE} to {FRAMES} of {FRAMES}, tiny weights"
    different = sum(
        key not in ours.masks or not np.array_equal(ours.masks[key], mask)
        for key, mask in stock.masks.items()
    ) + len(ours.masks.keys() - stock.masks.keys())
    ratio = ours.per_object_frame / stock.per_object_frame
    return [
        at_most(f"memory growth, {what}", ratio, "of stock", 0.1, how),
        at_most(f"masks that differ, {what}", different, "masks", 0, f"of {len(stock.masks)}"),
    ]
