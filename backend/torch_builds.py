# SPDX-License-Identifier: GPL-3.0-or-later
"""Which build of torch and torchvision a machine takes: one for each kind of GPU.

Both come from one index of the vendor's, or both from the usual one, because builds of different
kinds do not work together. SHOT_GOPHER_TORCH names a build where the choice is wrong.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping

from .errors import UsageError
from .nvidia import driver_cuda

VARIABLE = "SHOT_GOPHER_TORCH"
INDEX = "https://download.pytorch.org/whl/{build}"
USUAL = "usual"
"""The build that the package server has which pip asks for everything else."""
CPU = "cpu"
CUDA_BUILDS = {"cu130": (13, 0), "cu126": (12, 0)}
"""Builds for NVIDIA GPUs with the CUDA version that a driver must have, the newest first. Builds of
one major version run on every driver of that."""
_CUDA_MEGABYTES = 6000
_PATIENCE = 15.0


def choose(platform: str = sys.platform, environ: Mapping[str, str] | None = None) -> str:
    """The build for this machine: of the table, "cpu", or "usual". Raises UsageError.

    macOS has one build, which uses Apple's GPUs.
    """
    named = (os.environ if environ is None else environ).get(VARIABLE, "")
    known = (USUAL, CPU, *CUDA_BUILDS)
    if named and named not in known:
        raise UsageError(f"{VARIABLE} is '{named}'; it takes {', '.join(known)}.")
    if named or platform == "darwin":
        return named or USUAL
    driver = driver_cuda()
    return next((build for build, needed in CUDA_BUILDS.items() if driver >= needed), CPU)


def megabytes(build: str) -> int:
    """Disk space that a build takes beyond the one for the processor, about, with the download."""
    return _CUDA_MEGABYTES if build in CUDA_BUILDS else 0


def reachable(build: str) -> bool:
    """Whether the vendor's index of a build answers."""
    request = urllib.request.Request(f"{INDEX.format(build=build)}/torch/", method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE):
            return True
    except (OSError, urllib.error.URLError, ValueError):
        return False
