# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a review movie from the command line: `write_overlay.py SHOT MOVIE OPTIONS.json`.

OPTIONS is a JSON text of OverlayOptions. Writes JSON Lines: `done` and `total` frames as it goes,
`error` when it fails. Exit status 0, 1 on failure, 130 when it was interrupted.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from backend.errors import ShotGopherError
from backend.options import from_mapping
from backend.overlay import OverlayOptions
from backend.processes import INTERRUPT_SIGNALS
from backend.shot import Shot
from backend.worker.overlay import write_overlay


def _tell(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def main(shot: str, movie: str, options: str) -> int:
    for number in INTERRUPT_SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        chosen = from_mapping(OverlayOptions, json.loads(options))
        write_overlay(
            Shot(Path(shot)), Path(movie), chosen, lambda done, total: _tell(done=done, total=total)
        )
    except ShotGopherError as error:
        _tell(error=error.reason)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
