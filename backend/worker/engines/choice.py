# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engine does the work of a stage: the worker's own model, a ComfyUI server, or for body
motion an installation of the artist's.

Automatic takes the worker when its model is ready, else the other where there is one, else says how
to get the model. torch is imported only when a model is loaded.
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
    EXTERNAL,
    INPAINT_MODEL,
    MOTION_MODELS,
    PERSON_MODEL,
    POSE_MODELS,
    PROMPT_MODELS,
    TEXT_MODEL,
    ready,
)
from ...errors import ModelError, Remedy, UsageError
from ...model_table import Commercial, model_named, size_text
from ...models import ModelState, ModelStore
from ...shot import Shot, rate_text
from ...stages import (
    CleanPlateOptions,
    DepthOptions,
    InteractiveOptions,
    MocapOptions,
    RotoOptions,
)
from ..report import Report
from .body_motion import MotionEngine
from .depth_models import DepthEngine
from .inpainting import Inpainter, InpaintSettings
from .masking import PromptEngine, TextEngine

Engine = TypeVar("Engine")
_SERVER_DEPTH = "da3-mono"
"""The model of the workflow that estimates depth on a server."""
_FAST = 1.5
"""How much faster than what it was trained with a plate may be, so that GVHMR makes no mistakes."""
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


def motion_engine(
    options: MocapOptions, store: ModelStore, shot: Shot, report: Report
) -> MotionEngine:
    """What finds body motion. Raises ModelError, with all that is missing, and FormatError."""
    pose = pose_model(store)
    models = (*MOTION_MODELS, pose)
    own = options.engine != EXTERNAL and ready(store, models)
    if not own and (options.engine == EXTERNAL or (options.engine == AUTO and options.gvhmr)):
        from .external_gvhmr import ExternalGvhmr, Installation

        return ExternalGvhmr(Installation.find(options.gvhmr), report)
    if not own:
        raise _missing(models, store)
    from .gvhmr import FPS, Gvhmr

    fps = shot.load_plate().fps
    if fps > _FAST * FPS:
        report.warning(
            f"GVHMR knows people at {FPS} frames a second; at {rate_text(fps)} they move in slow "
            "motion for it, and feet that glide seem to stand."
        )
    detects = ready(store, (PERSON_MODEL,))
    return Gvhmr.load(
        store.folder("gvhmr"),
        store.folder(pose),
        store.folder("hmr2"),
        store.folder(PERSON_MODEL) if detects else None,
    )


def pose_model(store: ModelStore) -> str:
    """The name of the model that finds joints in a frame: the best that is here, without a GPU the
    smallest; that one too when there is none."""
    here = [name for name in POSE_MODELS if ready(store, (name,))]
    if len(here) < 2:
        return here[0] if here else POSE_MODELS[-1]
    from ..weights import device

    return here[-1] if device().type == "cpu" else here[0]


def _missing(models: Sequence[str], store: ModelStore) -> ModelError:
    """What is missing of the models that find body motion, what it is under and how it is had."""
    absent = [model_named(name) for name in models if store.state(name) is not ModelState.READY]
    if not absent:
        licence = model_named(MOTION_MODELS[0]).licence
        return ModelError(
            f"The license of GVHMR ({licence.name}) is not accepted yet: {licence.limits} Read it "
            f"at {licence.address}, then accept it in the preferences under Models, or with "
            "`models get gvhmr --accept-licence`.",
            Remedy.GET_MODEL,
        )
    named = [f"{model.title} ({size_text(model.size)}, {model.licence.name})" for model in absent]
    return ModelError(
        f"Finding body motion needs {', '.join(named)}: get what is missing in the preferences "
        f"under Models, or with `models get {' '.join(model.name for model in absent)}`. Or name "
        "the folder of a GVHMR of your own (--mocap-gvhmr), or a motion that is ready "
        "(--mocap-from).",
        Remedy.GET_MODEL,
    )
