# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps what a scenario took pictures of where SHOT_GOPHER_PICTURES says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2


def keep_pictures(folder: Path, boxes: dict[str, Any], version: str) -> None:
    """Each picture whole, and cut to its box: left, top, width, height."""
    target = os.environ.get("SHOT_GOPHER_PICTURES")
    if not target:
        return
    for name, (left, top, width, height) in boxes.items():
        whole = cv2.imread(str(folder / f"{name}.png"))
        cv2.imwrite(str(Path(target) / f"{version}_{name}_whole.png"), whole)
        cropped = whole[top : top + height, left : left + width]
        cv2.imwrite(str(Path(target) / f"{version}_{name}.png"), cropped)
