# SPDX-License-Identifier: GPL-3.0-or-later
"""Peak memory of dense stereo and fusion with frames of 1080p, and what each frame adds.

python -m tests.bench.dense_memory stereo|FRAMES      peak memory in MB, as the only line
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench.figure import at_most

ROOT = Path(__file__).resolve().parents[2]
SIZE = 1920, 1080
FEW, MORE, MANY = 12, 36, 300
GOAL_GIGABYTES = 12.0
"""Ours: what a workstation has to spare."""


def memory_figures(_folder: Path) -> list[dict[str, Any]]:
    stereo, few, more = (_peak(what) for what in ("stereo", str(FEW), str(MORE)))
    growth = (more - few) / (MORE - FEW)
    many = more + growth * (MANY - MORE)
    how = f"peak of a process with frames of {SIZE[0]}x{SIZE[1]}"
    return [
        at_most("memory of stereo", stereo / 1000, "GB", GOAL_GIGABYTES, f"{how}, 6 sources; it "
                "does not grow with the frames"),
        at_most(f"memory of fusion, {MANY} frames", many / 1000, "GB", GOAL_GIGABYTES,
                f"{how}: {more / 1000:.2f} GB with {MORE}, {growth:.1f} MB more for each further"),
    ]  # fmt: skip


def _peak(what: str) -> float:
    command = [sys.executable, "-B", "-m", "tests.bench.dense_memory", what]
    answer = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return float(answer.stdout.splitlines()[-1])


def _stereo() -> None:
    """Both passes of one view; all of what a run holds at a time is in memory."""
    import numpy as np

    from backend.worker.dense.patchmatch.engine import PatchMatch
    from backend.worker.dense.patchmatch.programs import processor
    from tests.backend.textured_room import sideways, track
    from tests.dense.room_views import view

    random = np.random.default_rng(0)
    camera = track(sideways, 7, *SIZE)
    shape = (SIZE[1], SIZE[0], 3)
    views = [view(camera, index, random.integers(0, 255, shape, np.uint8)) for index in range(7)]
    engine = PatchMatch(processor())
    own = engine.photometric(views[3], [one for one in views if one is not views[3]])
    others = [(one, own) for one in views if one is not views[3]]
    engine.geometric(views[3], own, others)


def _fusion(frames: int) -> None:
    """Of exact depth of the textured room, along a path that shows more of it frame by frame."""
    import numpy as np

    from backend.worker.dense.fusion import Seen, fuse
    from tests.backend.textured_room import room, sideways, track
    from tests.dense.room_views import true_map, view

    camera, planes = track(sideways, frames, *SIZE), room()
    colors = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)

    def load(number: int) -> Seen:
        one = view(camera, number - 1, colors)
        return one, true_map(one, planes)

    near = range(-3, 4)
    sources = {
        number: [number + step for step in near if step and 0 < number + step <= frames]
        for number in range(1, frames + 1)
    }
    fuse(sources, load)


if __name__ == "__main__":
    _stereo() if sys.argv[1] == "stereo" else _fusion(int(sys.argv[1]))
    unit = 1e6 if sys.platform == "darwin" else 1e3
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)
