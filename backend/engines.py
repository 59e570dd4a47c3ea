# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stage needs of the worker's environment, as far as that can be told without it.

A stage that a ComfyUI server does, or whose model is not here, needs no group for models: in the
latter case it says how to get the model before anything large is installed. Dense stereo takes the
group `cuda` where there is a driver, and does without when it cannot be had.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .groups import (
    COLMAP_CUDA_GROUP,
    CUDA_GROUP,
    DEPTH_GROUP,
    MOCAP_GROUP,
    MODELS_GROUP,
    PROPAINTER_GROUP,
)
from .model_table import model_named
from .models import ModelState, ModelStore
from .nvidia import has_driver
from .stages import Stage

AUTO, EMBEDDED, COMFYUI = "auto", "embedded", "comfyui"
"""What the option `engine` may be."""
EXTERNAL = "external"
"""What it may be for body motion, beside "auto" and "embedded"."""
CPU, CUDA, COLMAP_CUDA = "cpu", "cuda", "colmap-cuda"
"""What it may be for dense stereo, beside "auto"."""
TEXT_MODEL = "sam3"
PROMPT_MODELS = ("sam3", "sam2-large", "sam2-base", "sam2-tiny")
"""What can track prompts, the best on a GPU first."""
MATTE_MODELS = ("videomama", "svd-vae")
"""What refines mattes; both are needed."""
DEPTH_MODELS = ("da3-base", "da3-small", "da3-metric", "da3-mono", "da3-large", "da3-giant")
"""What can estimate depth, the best on a GPU first; those that allow no paid work are last."""
INPAINT_MODEL = "propainter"
MOTION_MODELS = ("gvhmr", "hmr2")
"""What finds body motion; both are needed, and one of the next."""
POSE_MODELS = ("vitpose-huge", "vitpose-base")
"""What can find joints in a frame, the best on a GPU first."""
PERSON_MODEL = "rt-detr"
_MODEL_GROUPS = {
    "depth": (MODELS_GROUP, DEPTH_GROUP),
    "cleanplate": (MODELS_GROUP, PROPAINTER_GROUP),
    "mocap": (MODELS_GROUP, MOCAP_GROUP),
}
"""What stages need when they run models, if more than the usual group."""
_ONE_OF = {"interactive": PROMPT_MODELS, "depth": DEPTH_MODELS}
"""Models of which a stage runs one, asked for by name or not."""


def groups_of(stage: Stage, options: Mapping[str, Any], store: ModelStore) -> tuple[str, ...]:
    """The environment groups that a stage cannot do without; `options` are those that differ from
    the usual ones, by name."""
    extra = list[str]()
    if runs_models(stage.name, options, store):
        extra.extend(_MODEL_GROUPS.get(stage.name, (MODELS_GROUP,)))
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
    """Whether all these models are on this machine, and the license of what runs them is accepted
    where there is something to install for them."""
    return all(
        store.state(name) is ModelState.READY
        and (store.accepted(name) or not model_named(name).installs)
        for name in models
    )


def _choices(stage: str, options: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """The models of a stage: any of these sets does."""
    if stage == "roto":
        return ((TEXT_MODEL,),)
    if stage in _ONE_OF:
        asked = options.get("model", AUTO)
        return tuple((name,) for name in (_ONE_OF[stage] if asked == AUTO else (asked,)))
    if stage == "cleanplate":
        return ((INPAINT_MODEL,),) if _may_inpaint(options) else ()
    if stage == "mocap":
        own = options.get("engine", AUTO) != EXTERNAL and not options.get("source")
        return tuple((*MOTION_MODELS, pose) for pose in POSE_MODELS) if own else ()
    return (MATTE_MODELS,) if stage == "mama" else ()


def _may_inpaint(options: Mapping[str, Any]) -> bool:
    """Whether a clean plate takes something of a model that makes it up, if there is one."""
    return any(options.get(name, AUTO) in (AUTO, INPAINT_MODEL) for name in ("method", "unseen"))
