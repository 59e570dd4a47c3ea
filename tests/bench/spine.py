# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of the way from a plate to a tracked camera in the scene."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path

from tests.bench.exports import export_figures
from tests.bench.poll import poll_figures
from tests.bench.scene_figures import scene_figures

PARTS = (poll_figures, export_figures, scene_figures)


def main() -> int:
    held = True
    with tempfile.TemporaryDirectory() as folder:
        for part in PARTS:
            place = Path(folder) / part.__name__
            place.mkdir()
            # What stages and Blender say on the way is no figure.
            with contextlib.redirect_stdout(sys.stderr):
                figures = part(place)
            for figure in figures:
                print(json.dumps(figure, ensure_ascii=False), flush=True)
                held &= bool(figure["holds"])
    return 0 if held else 1


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Blender as a module may wait for its own threads for ever when Python ends.
    os._exit(status)
