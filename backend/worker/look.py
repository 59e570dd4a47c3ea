# SPDX-License-Identifier: GPL-3.0-or-later
"""PLATE: prints what is inside a plate, one JSON object (see backend/look.py), and is done.

Run by the environment's Python: `python -I -B backend/worker/look.py PLATE`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def look(plate: str) -> dict[str, object]:
    """The facts of a plate; `error` is a sentence where it cannot be read."""
    from backend.errors import PlateError
    from backend.plates import resolve_plate
    from backend.worker.image_headers import read_header
    from backend.worker.media import probe_image, probe_movie

    try:
        source = resolve_plate(plate)
        if source.kind == "sequence":
            header = read_header(source.path)
            picture = header.picture() if header.floats else probe_image(source.path)
            rate, count = str(header.rate or ""), len(source.files)
        else:
            movie = probe_movie(source.path)
            picture, rate, count = movie.picture, str(movie.rate), movie.frame_count
    except PlateError as error:
        return {"error": error.reason}
    size = {"width": picture.width, "height": picture.height}
    return {**size, "bits": picture.depth, "codec": picture.codec, "fps": rate, "frames": count}


if __name__ == "__main__":
    # -I leaves the folder of this file out of the path; the project's root is what is wanted.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.stdout.write(json.dumps(look(sys.argv[1])) + "\n")
