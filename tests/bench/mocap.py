# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of body motion: the scale that feet tell, the body's place in the picture, and
what becomes of it in Blender.

    python3 -m tests.bench mocap [NAME ...]

Names are of parts: scale, reprojection, shot, body, keys, play.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from tests.bench.mocap_blender import body_figures, key_figures, play_figures
from tests.bench.mocap_scale import reprojection_figures, scale_figures
from tests.bench.mocap_shot import shot_figures
from tests.bench.parts import Part, run_parts

PARTS: Mapping[str, Part] = {
    "scale": scale_figures,
    "reprojection": reprojection_figures,
    "shot": shot_figures,
    "body": body_figures,
    "keys": key_figures,
    "play": play_figures,
}


def main() -> int:
    return run_parts("mocap", PARTS)


if __name__ == "__main__":
    sys.exit(main())
