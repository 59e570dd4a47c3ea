# SPDX-License-Identifier: GPL-3.0-or-later
"""The plate without what masks select, by ProPainter in ComfyUI (workflow 03_cleanplate).

ProPainter makes the whole frame anew at its own size; only what lies inside a mask is taken from
that, the rest stays the plate, pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...errors import ComfyError
from ...shot import Shot
from ...workflows import Workflow, load
from ..frame_files import read_colors
from ..masks import read_mask
from . import fill as filling
from .fill import Filled
from .footage import chunks
from .session import Session, saved

CLEAN_PLATE = "03_cleanplate"
_FRAMES, _SHARED = 80, 8
"""In a job, and how many of them two jobs share: the node says nothing before its end."""
_LARGEST = 2560
_EDGE = 8
"""The node rounds sizes down to these."""
_INPAINT = "ProPainterInpaint"
Pixels = NDArray[np.uint8]


def clean_frames(
    server: Session,
    files: Mapping[int, Path],
    masks: Mapping[int, Path],
    size: tuple[int, int],
    scale: float = 0.5,
    shot: Shot | None = None,
) -> Iterator[tuple[int, Pixels]]:
    """Each frame's number with its clean plate, (h, w, 3) red first. `masks` are 8-bit PNGs at
    plate size, white = to be removed, one for each frame; `scale` is the size that ProPainter works
    at over the plate's. Raises ComfyError."""
    workflow = load(CLEAN_PLATE, shot)
    server.require(CLEAN_PLATE, workflow)
    absent = [number for number in files if number not in masks]
    if absent or len(files) < 2:
        raise ComfyError("A clean plate needs two frames or more, and a mask for each of them.")
    longest = min(_FRAMES, server.longest(list(files.values()), size))
    runs = chunks(list(files), longest, _SHARED)
    for index, run in enumerate(runs):
        first = _SHARED // 2 if index else 0
        last = len(run) - (_SHARED - _SHARED // 2 if index + 1 < len(runs) else 0)
        made = _run(server, workflow, run, files, masks, inner_size(size, scale))
        for number, png in list(zip(run, made, strict=True))[first:last]:
            yield number, composite(files[number], masks[number], server.client.view(png), size)


def _run(
    server: Session,
    workflow: Workflow,
    run: tuple[int, ...],
    files: Mapping[int, Path],
    masks: Mapping[int, Path],
    inner: tuple[int, int],
) -> Any:
    filled = _sized(filling.start(workflow.graph), workflow, inner)
    filled = server.put(filled, "<clip>", [files[number] for number in run])
    filled = server.put(filled, "<masks>", [masks[number] for number in run])
    return saved(server.run(filled, len(run)), filled, len(run))[()]


def _sized(filled: Filled, workflow: Workflow, inner: tuple[int, int]) -> Filled:
    for node in () if workflow.own else filled.of_class(_INPAINT):
        filled.graph[node]["inputs"] |= {"width": inner[0], "height": inner[1]}
    return filled


def inner_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """The size that ProPainter works at."""
    scale = min(scale, _LARGEST / max(size))
    width, height = (max(_EDGE, int(side * scale) // _EDGE * _EDGE) for side in size)
    return width, height


def composite(plate: Path, mask: Path, made: bytes, size: tuple[int, int]) -> Pixels:
    """The plate with what was made inside the mask. Raises ComfyError."""
    image = cv2.imdecode(np.frombuffer(made, np.uint8), cv2.IMREAD_COLOR) if made else None
    frame = read_colors(plate)
    if image is None or frame is None:
        raise ComfyError(f"The clean plate of {plate.name} cannot be read. Run the stage again.")
    large = cv2.resize(np.asarray(image, np.uint8), size, interpolation=cv2.INTER_CUBIC)
    share = read_mask(mask, size).astype(np.float32)[:, :, None] / 255
    mixed = frame * (1 - share) + large[:, :, ::-1] * share
    return np.rint(mixed).astype(np.uint8)
