# SPDX-License-Identifier: GPL-3.0-or-later
"""Background by ProPainter in ComfyUI (workflow 03_cleanplate).

ProPainter makes the whole frame anew at its own size; it is scaled to the plate's here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...comfyui import ComfySettings
from ...errors import ComfyError
from ...shot import Shot
from ...workflows import load
from ..comfy import fill as filling
from ..comfy.client import Clock
from ..comfy.fill import Filled
from ..comfy.footage import chunks
from ..comfy.session import Session, saved, session
from ..report import Report
from . import inpainting
from .inpainting import InpaintSettings, Picture

CLEAN_PLATE = "03_cleanplate"
_FRAMES, _SHARED = 80, 8
"""In a job, and how many of them two jobs share: the node says nothing before its end."""
_LARGEST = 2560
_EDGE = 8
"""The node rounds sizes down to these."""
_INPAINT = "ProPainterInpaint"


class ComfyInpainter:
    """Background by ProPainter in ComfyUI (Inpainter).

    Its node calls `refine_iterations` raft_iter, and `flow_frames` neighbor_length. A workflow of
    the shot's own keeps its numbers.
    """

    name = "comfyui"

    def __init__(
        self,
        shot: Shot,
        settings: InpaintSettings,
        report: Report,
        server: ComfySettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._workflow, self._settings = load(CLEAN_PLATE, shot), settings
        self._report, self._server, self._clock = report, server, clock

    def fill(
        self, files: Mapping[int, Path], masks: Mapping[int, Path], size: tuple[int, int]
    ) -> Iterator[tuple[int, Picture]]:
        """See Inpainter."""
        inpainting.require(files, masks)
        with session(self._report, self._server, self._clock) as server:
            server.require(CLEAN_PLATE, self._workflow)
            longest = min(_FRAMES, server.longest(list(files.values()), size))
            runs = chunks(list(files), longest, _SHARED)
            for index, run in enumerate(runs):
                first = _SHARED // 2 if index else 0
                last = len(run) - (_SHARED - _SHARED // 2 if index + 1 < len(runs) else 0)
                made = self._run(server, run, files, masks, size)
                for number, png in list(zip(run, made, strict=True))[first:last]:
                    yield number, _decoded(server.client.view(png), number, size)

    def _run(
        self,
        server: Session,
        run: tuple[int, ...],
        files: Mapping[int, Path],
        masks: Mapping[int, Path],
        size: tuple[int, int],
    ) -> Any:
        filled = self._set(filling.start(self._workflow.graph), size)
        filled = server.put(filled, "<clip>", [files[number] for number in run])
        filled = server.put(filled, "<masks>", [masks[number] for number in run])
        return saved(server.run(filled, len(run)), filled, len(run))[()]

    def _set(self, filled: Filled, size: tuple[int, int]) -> Filled:
        width, height = inner_size(size, self._settings.scale)
        numbers = {
            "width": width,
            "height": height,
            "raft_iter": self._settings.refine_iterations,
            "neighbor_length": self._settings.flow_frames,
        }
        for node in () if self._workflow.own else filled.of_class(_INPAINT):
            filled.graph[node]["inputs"] |= numbers
        return filled


def inner_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """The size that ProPainter works at."""
    scale = min(scale, _LARGEST / max(size))
    width, height = (max(_EDGE, int(side * scale) // _EDGE * _EDGE) for side in size)
    return width, height


def _decoded(png: bytes, number: int, size: tuple[int, int]) -> Picture:
    """A frame at the plate's size. Raises ComfyError."""
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR) if png else None
    if image is None:
        raise ComfyError(f"The clean plate of frame {number} cannot be read. Run the stage again.")
    made = np.ascontiguousarray(image[:, :, ::-1], np.uint8)
    way = cv2.INTER_AREA if size[0] < made.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(made, size, interpolation=way), np.uint8)
