# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth from a ComfyUI server, each frame by itself."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import PurePosixPath

import numpy as np

from ...comfyui import ComfySettings
from ...comfyui_graph import Graph
from ...shot import Shot
from ...workflows import load
from ..comfy.client import Clock
from ..comfy.depth import ANALYSIS, FRAMES, depth_maps
from ..comfy.session import Session, session
from ..image_headers import read_header
from ..report import Report
from .depth_models import Estimate, Floats, Frame

_LOADER, _WEIGHTS = "LoadDA3Model", "model_name"


class ComfyDepth:
    """Depth by Depth Anything 3 in ComfyUI (DepthEngine). The server is held until it is gone, so
    that the model stays loaded from call to call."""

    name = "comfyui"
    together = takes_poses = meters = False

    def __init__(
        self,
        shot: Shot,
        report: Report,
        settings: ComfySettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._shot, self._report = shot, report
        self._settings, self._clock = settings, clock
        self.model = _model_of(load(ANALYSIS, shot).graph)
        self._held = ExitStack()
        self._server: Session | None = None
        weakref.finalize(self, self._held.close)

    def room(self, _size: tuple[int, int]) -> int:
        """See DepthEngine."""
        return FRAMES

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        """See DepthEngine."""
        if self._server is None:
            opening = session(self._report, self._settings, self._clock)
            self._server = self._held.enter_context(opening)
        files = {frame.number: frame.file for frame in frames}
        size = read_header(frames[0].file).size
        return [
            Estimate(_known(depth))
            for _number, depth in depth_maps(self._server, files, size, self._shot)
        ]


def _model_of(graph: Graph) -> str:
    """The name of the weights that a workflow loads."""
    for node in graph.values():
        if node["class_type"] == _LOADER:
            return PurePosixPath(str(node["inputs"].get(_WEIGHTS, "")).replace("\\", "/")).stem
    return ANALYSIS


def _known(depth: Floats) -> Floats:
    good = np.isfinite(depth) & (depth > 0)
    return np.where(good, depth, np.float32(0))
