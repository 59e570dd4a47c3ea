# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engine makes the masks: the worker's own model or a ComfyUI server.

Automatic takes the worker when its model is ready, else ComfyUI when a server answers, else says
how to get the model. torch is imported only when a model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ...models import ModelState, ModelStore
from ...shot import Shot
from ...stages import InteractiveOptions, RotoOptions
from .masking import PromptEngine, TextEngine

Engine = TypeVar("Engine")
Load = Callable[[Path], Engine]
"""Makes an engine of the folder with its weights."""
Reach = Callable[[bool], Engine | None]
"""Makes an engine of a server. None when none answers, which is an error when it was asked for."""

_TEXT_MODEL = "sam3"


def choose_engine(
    asked: str, model: str, store: ModelStore, load: Load[Engine], reach: Reach[Engine]
) -> Engine:
    """`asked` is "auto", "embedded" or "comfyui". Raises ModelError, with the remedy to get the
    model, and what `reach` raises when ComfyUI was asked for."""
    ready = store.state(model) is ModelState.READY
    if asked == "comfyui" or (asked == "auto" and not ready):
        engine = reach(asked == "comfyui")
        if engine is not None:
            return engine
    return load(store.folder(model))


def text_engine(options: RotoOptions, store: ModelStore) -> TextEngine:
    """What finds things by words. Raises ModelError."""
    return choose_engine(options.engine, _TEXT_MODEL, store, _load_text, _reach_text)


def prompt_engine(options: InteractiveOptions, store: ModelStore, shot: Shot) -> PromptEngine:
    """What tracks an artist's prompts. Raises ModelError."""
    model = prompt_model(options.model, store)

    def load(folder: Path) -> PromptEngine:
        from .sam_tracker import SamTracker

        return SamTracker(model, folder, shot.path)

    return choose_engine(options.engine, model, store, load, _reach_prompts)


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


def _load_text(folder: Path) -> TextEngine:
    from .sam3_text import Sam3Text

    return Sam3Text(folder)


def _reach_text(_asked_for: bool) -> TextEngine | None:
    return None


def _reach_prompts(_asked_for: bool) -> PromptEngine | None:
    return None
