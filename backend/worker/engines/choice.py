# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engine does the work of a stage: the worker's own model or a ComfyUI server.

Automatic takes the worker when its model is ready, else ComfyUI when a server answers, else says
how to get the model. torch is imported only when a model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from ... import comfyui
from ...engines import (
    AUTO,
    COMFYUI,
    DEPTH_MODELS,
    EMBEDDED,
    INPAINT_MODEL,
    PROMPT_MODELS,
    TEXT_MODEL,
    ready,
)
from ...errors import UsageError
from ...model_table import Commercial, model_named
from ...models import ModelStore
from ...shot import Shot
from ...stages import CleanPlateOptions, DepthOptions, InteractiveOptions, RotoOptions
from ..report import Report
from .depth_models import DepthEngine
from .inpainting import Inpainter, InpaintSettings
from .masking import PromptEngine, TextEngine

Engine = TypeVar("Engine")
_SERVER_DEPTH = "da3-mono"
"""The model of the workflow that estimates depth on a server."""
Load = Callable[[Path], Engine]
"""Makes an engine of the folder with its weights."""
Reach = Callable[[], Engine]
"""Makes an engine of the ComfyUI server; it says what it lacks when it begins."""


def choose_engine(
    asked: str, model: str, store: ModelStore, stage: str, load: Load[Engine], reach: Reach[Engine]
) -> Engine:
    """`asked` is "auto", "embedded" or "comfyui". Raises ModelError, with the remedy to get the
    model."""
    here = ready(store, (model,))
    if asked == COMFYUI or (asked == AUTO and not here and _server_can(stage, store)):
        return reach()
    return load(store.folder(model))


def _server_can(stage: str, store: ModelStore) -> bool:
    return comfyui.available(comfyui.ComfySettings.load(store.home).url, stage)


def text_engine(options: RotoOptions, store: ModelStore, shot: Shot) -> TextEngine:
    """What finds things by words. Raises ModelError."""

    def load(folder: Path) -> TextEngine:
        from .sam3_text import Sam3Text

        return Sam3Text(folder)

    def reach() -> TextEngine:
        from .comfy_masks import ComfyText

        return ComfyText(shot)

    return choose_engine(options.engine, TEXT_MODEL, store, "roto", load, reach)


def prompt_engine(options: InteractiveOptions, store: ModelStore, shot: Shot) -> PromptEngine:
    """What tracks an artist's prompts. Raises ModelError."""
    model = prompt_model(options.model, store)

    def load(folder: Path) -> PromptEngine:
        from .sam_tracker import SamTracker

        return SamTracker(model, folder, shot.path)

    def reach() -> PromptEngine:
        from .comfy_masks import ComfyPrompts

        return ComfyPrompts(shot)

    return choose_engine(options.engine, model, store, "interactive", load, reach)


def prompt_model(asked: str, store: ModelStore) -> str:
    """The name of the model that tracks: with "auto" the best that is here, without a GPU the
    smallest; that one too when there is none."""
    if asked != AUTO:
        return asked
    here = [name for name in PROMPT_MODELS if ready(store, (name,))]
    if len(here) < 2:
        return here[0] if here else PROMPT_MODELS[-1]
    from ..weights import device

    return here[-1] if device().type == "cpu" else here[0]


def depth_engine(
    options: DepthOptions, store: ModelStore, shot: Shot, report: Report
) -> DepthEngine:
    """What estimates depth. Raises ModelError, and UsageError for a model that a server has not."""
    model = depth_model(options.model, store)
    engine = options.engine
    if options.model not in (AUTO, _SERVER_DEPTH):
        if engine == COMFYUI:
            raise UsageError(
                f"ComfyUI estimates depth with {model_named(_SERVER_DEPTH).title}: choose that "
                "model or none, or another engine."
            )
        engine = EMBEDDED

    def load(folder: Path) -> DepthEngine:
        from .depth_anything import DepthAnything

        aspect = float(shot.load_plate().pixel_aspect)
        return DepthAnything.load(model, folder, options.resolution, aspect)

    def reach() -> DepthEngine:
        from .comfy_depth import ComfyDepth

        return ComfyDepth(shot, report)

    return choose_engine(engine, model, store, "depth", load, reach)


def depth_model(asked: str, store: ModelStore) -> str:
    """The name of the model that estimates depth: with "auto" the best that is here, without a GPU
    the smallest; one that allows no paid work only where there is no other."""
    if asked != AUTO:
        return asked
    here = [name for name in DEPTH_MODELS if ready(store, (name,))]
    free = [name for name in here if model_named(name).licence.commercial is not Commercial.NO]
    usable = free or here
    if len(usable) < 2:
        return usable[0] if usable else _smallest(DEPTH_MODELS)
    from ..weights import device

    return _smallest(usable) if device().type == "cpu" else usable[0]


def _smallest(models: Sequence[str]) -> str:
    return min(models, key=lambda name: model_named(name).size)


def inpainter(
    options: CleanPlateOptions, store: ModelStore, shot: Shot, report: Report
) -> Inpainter | None:
    """What makes up background. None where the options leave open whether, and nothing can.

    Raises ModelError, with the remedy to get the model, where they ask for it.
    """
    settings = InpaintSettings(options.scale, options.refine_iterations, options.flow_frames)
    open_ = INPAINT_MODEL not in (options.method, options.unseen)
    if open_ and not _can_inpaint(options.engine, store):
        return None

    def load(folder: Path) -> Inpainter:
        from .propainter import ProPainter

        return ProPainter.load(folder, settings)

    def reach() -> Inpainter:
        from .comfy_inpainting import ComfyInpainter

        return ComfyInpainter(shot, settings, report)

    return choose_engine(options.engine, INPAINT_MODEL, store, "cleanplate", load, reach)


def _can_inpaint(engine: str, store: ModelStore) -> bool:
    here = engine != COMFYUI and ready(store, (INPAINT_MODEL,))
    return here or (engine != EMBEDDED and _server_can("cleanplate", store))
