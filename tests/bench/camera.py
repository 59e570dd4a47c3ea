# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of the camera solve, on plates rendered with known cameras and on real clips.

    python3 -m tests.bench camera [NAME ...] [--only ours|peers] [--peers dolly|all] [--fresh]

Names are of plates and clips; all by default. Plates that are not rendered yet are rendered first
(about an hour for all, kept in .tests/plates). `--peers all` runs the upstream pipeline on every
plate and not on the dolly alone: it takes over 15 s of processor time a frame.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from tests.bench.camera_child import use_two_cores
from tests.bench.camera_ours_figures import (
    CLIP_NAMES,
    WRONG,
    best_of,
    clip_figures,
    given_figures,
    long_figures,
    solve_figures,
    time_figure,
    wrong_figures,
)
from tests.bench.camera_peers import blender_figures, upstream_figures
from tests.bench.camera_sources import Source, cut, make_ready, plate

SOLVABLE = ("dolly", "orbit", "slow", "walk", "blur", "zoom", "pan")
LARGE, LONG = "dolly_1080", "2000_frames"
NAMES = (*SOLVABLE, *WRONG, LARGE, LONG, *CLIP_NAMES)
RENDERED = {
    **{name: (name,) for name in (*SOLVABLE, LARGE, "low_texture", "static")},
    "cut": ("dolly", "orbit"),
    "3_frames": ("dolly",),
    LONG: ("orbit",),
}
"""The rendered plates that each name needs."""
TIMED_RUNS = 2
"""Solves of the plates whose time counts; the faster one is taken."""

Figure = dict[str, Any]


def figures_of(name: str, options: argparse.Namespace) -> Iterator[Figure]:
    """The figures of one plate or clip, as they are known."""
    solver = {"engine": options.engine, "quality": options.quality}
    if name in SOLVABLE:
        yield from _solvable(name, options, solver)
    elif options.only == "peers":
        return
    elif name in WRONG:
        yield from wrong_figures(name, _wrong(name), WRONG[name], **solver)
    elif name == LARGE:
        source = plate(LARGE)
        yield time_figure(LARGE, source, best_of(source, TIMED_RUNS, **solver))
    elif name == LONG:
        yield from long_figures(**solver)
    else:
        yield from clip_figures(name, **solver)


def _solvable(name: str, options: argparse.Namespace, solver: dict[str, Any]) -> Iterator[Figure]:
    source = plate(name)
    ours = best_of(source, TIMED_RUNS, **solver)
    if options.only != "peers":
        yield from solve_figures(name, source, ours)
        # A zoom has no one focal length to give.
        if name != "zoom":
            yield from given_figures(name, source, **solver)
        if source.masks:
            yield from _unmasked(name, source, solver)
    if options.only != "ours":
        yield from blender_figures(name, source, ours, options.fresh)
        if name == "dolly" or options.peers == "all":
            yield from upstream_figures(name, source, ours, options.fresh)


def _unmasked(name: str, source: Source, solver: dict[str, Any]) -> Iterator[Figure]:
    """The same with the masks held back."""
    label, bare = f"{name} without masks", source.without_masks()
    yield from solve_figures(label, bare, best_of(bare, 1, **solver))
    yield from given_figures(label, bare, **solver)


def _wrong(name: str) -> Source:
    if name == "cut":
        return cut()
    return plate("dolly").first(3) if name == "3_frames" else plate(name).without_masks()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m tests.bench camera", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--only", choices=("ours", "peers"), help="leave the others out")
    parser.add_argument("--peers", choices=("dolly", "all"), default="dolly",
                        help="plates that the upstream pipeline solves too")  # fmt: skip
    parser.add_argument("--fresh", action="store_true", help="ask peers anew")
    parser.add_argument("--engine", default="tracks", help="the engine under test")
    parser.add_argument("--quality", default="medium", help="its quality")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(NAMES))
    if unknown:
        parser.error(f"no plate is called {', '.join(unknown)}")
    return options


def main() -> int:
    options, held = _options(), True
    use_two_cores()
    names = options.names or NAMES
    needed = dict.fromkeys(need for name in names for need in RENDERED.get(name, ()))
    make_ready(needed)
    for name in names:
        for figure in figures_of(name, options):
            print(json.dumps(figure, ensure_ascii=False), flush=True)
            held &= bool(figure["holds"])
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
