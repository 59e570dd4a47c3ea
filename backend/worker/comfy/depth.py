# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth by Depth Anything 3 in ComfyUI (workflow 01_analysis).

The model looks at each frame by itself, so depth is not steady over time; the raw values are taken,
which at least no frame's own normalization makes flicker.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

from ...errors import ComfyError
from ...shot import Shot
from ...workflows import load
from . import fill as filling
from .footage import chunks
from .session import Session, saved

ANALYSIS = "01_analysis"
FRAMES = 40
"""In a job: the model neither says how far it is nor stops before a job's end."""


def depth_maps(
    server: Session, files: Mapping[int, Path], size: tuple[int, int], shot: Shot | None = None
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Each frame's number with its depth as the model gives it, (h, w). Raises ComfyError."""
    workflow = load(ANALYSIS, shot)
    server.require(ANALYSIS, workflow)
    numbers = list(files)
    for chunk in chunks(numbers, min(FRAMES, server.longest(list(files.values()), size)), 0):
        filled = server.named(ANALYSIS, filling.start(workflow.graph), workflow)
        filled = server.put(filled, "<clip>", [files[number] for number in chunk])
        images = server.run(filled, len(chunk))
        node = _raw_node(filled)
        made = saved(images, filled, len(chunk), [node])
        for number, image in zip(chunk, made[()], strict=True):
            yield number, read_exr(server.client.view(image))


def _raw_node(filled: filling.Filled) -> str:
    """The node that saves floating-point images."""
    for node in filled.saving():
        if filled.graph[node]["inputs"].get("format") == "exr":
            return node
    raise ComfyError(f"The workflow {ANALYSIS} saves no EXR any more, which depth is taken from.")


def read_exr(data: bytes) -> NDArray[np.float32]:
    """The first channel of an EXR, (h, w). Raises ComfyError."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "depth.exr"
        file.write_bytes(data)
        opened: Any = oiio.ImageInput.open(str(file))
        pixels = opened.read_image("float") if opened else None
        if opened:
            opened.close()
    if pixels is None:
        raise ComfyError("ComfyUI sent depth that is no EXR. Run the stage again.")
    return np.ascontiguousarray(pixels[:, :, 0], np.float32)
