# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stage needs of the worker's environment, as far as that can be told without it.

A stage that a ComfyUI server does, or whose model is not here, needs none of the group `ml`: in the
latter case it says how to get the model before anything large is installed. Dense stereo takes the
group `cuda` where there is a driver, and does without when it cannot be had.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .groups import COLMAP_CUDA_GROUP, CUDA_GROUP, MODELS_GROUP
from .models import ModelState, ModelStore
from .nvidia import has_driver
from .stages import Stage

AUTO, EMBEDDED, COMFYUI = "auto", "embedded", "comfyui"
"""What the option `engine` may be."""
CPU, CUDA, COLMAP_CUDA = "cpu", "cuda", "colmap-cuda"
"""What it may be for dense stereo, beside "auto"."""
TEXT_MODEL = "sam3"
PROMPT_MODELS = ("sam3", "sam2-large", "sam2-base", "sam2-tiny")
"""What can track prompts, the best on a GPU first."""
MATTE_MODELS = ("videomama", "svd-vae")
"""What refines mattes; both are needed."""


def groups_of(stage: Stage, options: Mapping[str, Any], store: ModelStore) -> tuple[str, ...]:
    """The environment groups that a stage cannot do without; `options` are those that differ from
    the usual ones, by name."""
    extra = [MODELS_GROUP] if runs_models(stage.name, options, store) else []
    if stage.name == "dense" and options.get("engine") == CUDA:
        extra.append(CUDA_GROUP)
    return (*stage.groups, *extra)


def helpful_groups(stage: Stage, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Those that the stage is faster with on this machine."""
    faster = stage.name == "dense" and options.get("engine", AUTO) == AUTO and has_driver()
    return (CUDA_GROUP,) if faster else ()


def groups_apart(stage: Stage, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Those that the stage needs in environments of their own."""
    apart = stage.name == "dense" and options.get("engine") == COLMAP_CUDA
    return (COLMAP_CUDA_GROUP,) if apart else ()


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
