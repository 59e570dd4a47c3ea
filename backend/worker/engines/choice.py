# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engine makes the masks: the worker's own model or a ComfyUI server.

Automatic takes the worker when its model is ready, else ComfyUI when a server answers, else says
how to get the model. torch is imported only when a model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ... import comfyui
from ...engines import AUTO, COMFYUI, PROMPT_MODELS, TEXT_MODEL, ready
from ...models import ModelStore
from ...shot import Shot
from ...stages import InteractiveOptions, RotoOptions
from .masking import PromptEngine, TextEngine

Engine = TypeVar("Engine")
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
