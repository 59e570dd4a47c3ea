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
from ...models import ModelState, ModelStore
from ...shot import Shot
from ...stages import InteractiveOptions, RotoOptions
from .masking import PromptEngine, TextEngine

Engine = TypeVar("Engine")
Load = Callable[[Path], Engine]
"""Makes an engine of the folder with its weights."""
Reach = Callable[[], Engine]
"""Makes an engine of the ComfyUI server; it says what it lacks when it begins."""

_TEXT_MODEL = "sam3"


def choose_engine(
    asked: str, model: str, store: ModelStore, stage: str, load: Load[Engine], reach: Reach[Engine]
) -> Engine:
    """`asked` is "auto", "embedded" or "comfyui". Raises ModelError, with the remedy to get the
    model."""
    ready = store.state(model) is ModelState.READY
    if asked == "comfyui" or (asked == "auto" and not ready and _server_can(stage, store)):
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

    return choose_engine(options.engine, _TEXT_MODEL, store, "roto", load, reach)


def page_engine(options: InteractiveOptions, shot: Shot) -> PromptEngine:
    """What waits for masks that an artist makes on the ComfyUI server's page."""
    from .comfy_masks import ComfyPage

    return ComfyPage(shot, options.wait)


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
    """The name of the model that tracks: with "auto" SAM 3 on a GPU when it is there, else SAM 2.1
    tiny, else what there is."""
    if asked != "auto":
        return asked
    ready = [name for name in _by_preference() if store.state(name) is ModelState.READY]
    return ready[0] if ready else "sam2-tiny"


def _by_preference() -> tuple[str, ...]:
    from ..weights import device

    if device().type == "cpu":
        return ("sam2-tiny", "sam2-large", "sam3")
    return ("sam3", "sam2-large", "sam2-tiny")
