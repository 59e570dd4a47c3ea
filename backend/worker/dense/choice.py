# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machine dense stereo runs on."""

from __future__ import annotations

import numpy as np

from ...engines import AUTO, CPU, CUDA
from ...errors import JobError
from ..report import Report
from .patchmatch.engine import PatchMatch
from .patchmatch.programs import gpu, has_cuda, processor
from .views import View

_TRIAL = 24, 32
"""Height and width of the pictures that the GPU is tried with."""


def choose_stereo(engine: str, report: Report) -> tuple[str, PatchMatch]:
    """The engine's name, "cpu" or "cuda", and the engine. A GPU that does not do its work is left
    to itself with a warning. Raises JobError when it was asked for."""
    if engine == CPU:
        return CPU, PatchMatch(processor())
    report.status("Preparing dense stereo")
    trouble = _trouble_with_gpu()
    if not trouble:
        return CUDA, PatchMatch(gpu())
    if engine == CUDA:
        raise JobError(f"Dense stereo cannot use an NVIDIA GPU here: {trouble}")
    if engine == AUTO and has_cuda():
        report.warning(f"The processor finds the depth, as the GPU cannot be used: {trouble}")
    return CPU, PatchMatch(processor())


def _trouble_with_gpu() -> str:
    """Why the GPU cannot be used, "" when both passes ran. Compiles them, which all views share."""
    if not has_cuda():
        return "there is none with a driver."
    try:
        _try(PatchMatch(gpu()))
    except Exception as error:
        # Of a driver, a compiler and a linker each has errors of its own.
        return f"{type(error).__name__}: {error}"
    return ""


def _try(matcher: PatchMatch) -> None:
    one, other = _trial_view(0), _trial_view(1)
    first = matcher.photometric(one, [other])
    matcher.geometric(one, first, [(other, matcher.photometric(other, [one]))])


def _trial_view(number: int) -> View:
    height, width = _TRIAL
    colors = np.random.default_rng(number).integers(0, 255, (height, width, 3), np.uint8)
    return View(
        number=number,
        colors=colors,
        usable=np.ones(_TRIAL, np.bool_),
        focal=(30.0, 30.0),
        center=(width / 2, height / 2),
        rotation=np.eye(3),
        translation=np.array([0.1 * number, 0.0, 0.0]),
        near=1.0,
        far=4.0,
    )
