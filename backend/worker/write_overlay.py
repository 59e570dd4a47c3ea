# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a review movie from the command line: `write_overlay.py SHOT MOVIE OPTIONS.json`.

OPTIONS is a JSON text of OverlayOptions. Writes JSON Lines: `done` and `total` frames as it goes,
`error` when it fails. Exit status 0, 1 on failure, 130 when it was interrupted.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from backend.options import from_mapping
from backend.overlay import OverlayOptions
from backend.shot import Shot
from backend.worker.json_lines import run_program, tell
from backend.worker.overlay import write_overlay


def main(shot: str, movie: str, options: str) -> int:
    def work() -> None:
        chosen = from_mapping(OverlayOptions, json.loads(options))
        write_overlay(
            Shot(Path(shot)), Path(movie), chosen, lambda done, total: tell(done=done, total=total)
        )

    return run_program(work)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
