# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line, the same for `python3 -m backend` and `blender --command shot_gopher`.

Exit status: 0 when all that was asked succeeded, 1 on failure, 2 on wrong use, 130 on Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence

from .console import Console
from .errors import Canceled, ShotGopherError, UsageError
from .host import Host
from .verbs import (
    comfyui,
    demo,
    environment,
    jobs,
    masks,
    models,
    overlay,
    package,
    run,
    shots,
    stages,
    survey,
)

VERBS = (
    *(demo, run, stages, jobs, shots, survey, overlay, masks),
    *(environment, models, comfyui, package),
)
CTRL_C = 130

_DESCRIPTION = """\
Shot Gopher turns a plate (a movie or an image sequence) into a prepared scene: frames, a tracked
camera, a point cloud, a .blend file and camera files for other programs.

First time here? Run the demo. It installs what it needs, tracks the sample plate and shows how
well that went."""


def parser(host: Host) -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog=host.command,
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = top.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in VERBS:
        verb.add_parser(subparsers)
    return top


def main(arguments: Sequence[str], host: Host) -> int:
    """Runs one command line. Returns the exit status."""
    # A Windows console or a redirected stream may not hold every letter of a plate's name.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        parsed = parser(host).parse_args(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else UsageError.exit_code
    try:
        status: int = parsed.run(parsed, host)
    except ShotGopherError as error:
        Console().error(error.reason)
        return error.exit_code
    except (KeyboardInterrupt, Canceled):
        Console().error("Canceled.")
        return CTRL_C
    return status
