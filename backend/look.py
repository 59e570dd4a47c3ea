# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks into a plate before it is set up, in a short run of the worker's environment."""

from __future__ import annotations

import json
import subprocess
from fractions import Fraction
from pathlib import Path

from . import environment
from .errors import PlateError, ShotGopherError
from .processes import output_of
from .shot import rate_text

PROGRAM = Path(__file__).resolve().parent / "worker" / "look.py"
PATIENCE = 60.0
"""Seconds after which a plate is left alone: a long movie on a slow drive."""


def look_into(plate: str, python: Path) -> tuple[str, ...]:
    """Size, rate and length of a plate in short lines; () where that cannot be told.

    Raises PlateError when the plate cannot be read.
    """
    command = [str(python), "-I", "-B", str(PROGRAM), plate]
    try:
        with environment.in_use(python):
            facts = json.loads(output_of(command, PATIENCE))
    except (OSError, ValueError, subprocess.SubprocessError, ShotGopherError):
        return ()
    if "error" in facts:
        raise PlateError(facts["error"])
    size = f"{facts['width']} x {facts['height']} px"
    coding = f"{facts['codec']}, {facts['bits']} bit"
    if not facts["fps"]:
        return size, coding
    rate = rate_text(Fraction(facts["fps"]))
    return f"{size}, {rate} fps", f"{facts['frames']} frames, {coding}"
