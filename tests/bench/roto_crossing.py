# SPDX-License-Identifier: GPL-3.0-or-later
"""Two actors who cross: whether each keeps the folder that he began with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.worker import weights
from tests.backend.roto_shots import FIRST, clip_of, make_shot, report_in, write_found
from tests.bench.figure import at_least, at_most

_HOW = "SAM 3's matching and clean-up and the folders' writer, with a detector and tracker that see"


def crossing_figures(folder: Path) -> list[dict[str, Any]]:
    """Frames with the wrong actor in a folder, and with any; folders beyond two."""
    weights.prepare()
    from tests.models import sam_measures, tiny_sam

    settings = {"score_threshold_detection": 0.5, "new_det_thresh": 0.7}
    sam3 = tiny_sam.save_sam3(folder / "sam3", **settings)
    count = sam_measures.CrossingSam3.length
    shot = make_shot(folder, count)
    write_found(shot, sam_measures.crossing(sam3, clip_of(shot), report_in(folder)))
    folders = sorted(shot.roto.glob("person_[0-9]*"))
    wrong, total = sam_measures.swaps(folders, count, FIRST)
    how = f"{_HOW} a synthetic crossing of {count} frames, one actor hidden in 4"
    return [
        at_most("frames under another's number", wrong, "frames", 0, how),
        at_least("frames with an actor", total, "frames", 2 * count - 4, how),
        at_most("folders of instances", len(folders), "folders", 2, how),
    ]
