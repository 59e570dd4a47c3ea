# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a stage runs models in the worker, as far as that can be told without their packages.

A stage that a ComfyUI server does, or whose model is not here, needs none of the group `ml`: in the
latter case it says how to get the model before anything large is installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .groups import MODELS_GROUP
from .models import ModelState, ModelStore
from .stages import Stage

AUTO, EMBEDDED, COMFYUI = "auto", "embedded", "comfyui"
"""What the option `engine` may be."""
TEXT_MODEL = "sam3"
PROMPT_MODELS = ("sam3", "sam2-large", "sam2-base", "sam2-tiny")
"""What can track prompts, the best on a GPU first."""
MATTE_MODELS = ("videomama", "svd-vae")
"""What refines mattes; both are needed."""


def groups_of(stage: Stage, options: Mapping[str, Any], store: ModelStore) -> tuple[str, ...]:
    """The environment groups that a stage cannot do without; `options` are those that differ from
    the usual ones, by name."""
    extra = (MODELS_GROUP,) if runs_models(stage.name, options, store) else ()
    return (*stage.groups, *extra)


def runs_models(stage: str, options: Mapping[str, Any], store: ModelStore) -> bool:
    """Whether the stage runs models in the worker."""
    if options.get("engine") == COMFYUI:
        return False
    return any(ready(store, models) for models in _choices(stage, options))


def ready(store: ModelStore, models: tuple[str, ...]) -> bool:
    """Whether all these models are on this machine."""
    return all(store.state(name) is ModelState.READY for name in models)


def _choices(stage: str, options: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """The models of a stage: any of these sets does."""
    if stage == "roto":
        return ((TEXT_MODEL,),)
    if stage == "interactive":
        asked = options.get("model", AUTO)
        return tuple((name,) for name in (PROMPT_MODELS if asked == AUTO else (asked,)))
    return (MATTE_MODELS,) if stage == "mama" else ()
