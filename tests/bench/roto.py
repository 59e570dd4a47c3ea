# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of roto: what the model remembers of a clip, who is who after a crossing, mattes of a
shot while the GPU runs out of memory, and how often an idle ComfyUI is asked.

    python3 -m tests.bench roto [NAME ...]

Names are of parts: memory, crossing, mattes, comfyui; all by default. The first three run the real
architectures of SAM 3 and VideoMaMa with small random weights, made here: they need the group `ml`,
and say nothing of quality.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.roto_comfyui import comfyui_figures
from tests.bench.roto_crossing import crossing_figures
from tests.bench.roto_mattes import matte_figures
from tests.bench.roto_memory import memory_figures

PARTS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    "memory": memory_figures,
    "crossing": crossing_figures,
    "mattes": matte_figures,
    "comfyui": comfyui_figures,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.bench roto")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PARTS)}")
    names = parser.parse_args().names or list(PARTS)
    held = True
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            place = Path(folder) / name
            place.mkdir()
            with contextlib.redirect_stdout(sys.stderr):
                figures = PARTS[name](place)
            for figure in figures:
                print(json.dumps(figure, ensure_ascii=False), flush=True)
                held &= bool(figure["holds"])
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
