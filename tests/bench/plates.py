# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of plates: ingest against bare ffmpeg, memory, exact values, frame maps, scrubbing.

    python3 -m tests.bench plates [NAME ...]

Names are of parts: ratio, memory, exact, maps, scrub; all by default. The last needs real Blenders.
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

from tests.bench.ingest_exact import exact_figures
from tests.bench.ingest_maps import map_figures
from tests.bench.ingest_memory import memory_figures
from tests.bench.ingest_ratio import ratio_figures
from tests.bench.scrub import scrub_figures

PARTS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    "ratio": ratio_figures,
    "memory": memory_figures,
    "exact": exact_figures,
    "maps": map_figures,
    "scrub": scrub_figures,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.bench plates")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PARTS)}")
    names = parser.parse_args().names or list(PARTS)
    held = True
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            place = Path(folder) / name
            place.mkdir()
            # What ffmpeg says on the way is no figure.
            with contextlib.redirect_stdout(sys.stderr):
                figures = PARTS[name](place)
            for figure in figures:
                print(json.dumps(figure, ensure_ascii=False), flush=True)
                held &= bool(figure["holds"])
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
