# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of our own solves: slip, jitter, time, memory, and shots named for what they are."""

from __future__ import annotations

import re
from typing import Any

from backend.solve import Motion
from tests.bench.camera_child import Answer, ask
from tests.bench.camera_sources import CLIPS, Source, clip, long
from tests.bench.figure import at_least, at_most

FREE_SLIP = {"dolly": 0.12, "orbit": 0.2, "pan": 0.05}
OTHER_FREE_SLIP, GIVEN_SLIP, JITTER, TURN = 0.5, 0.25, 0.01, 0.005
FRAMES_A_SECOND = {720: 15.0, 1080: 6.0}
LENS, SENSOR = 28.0, 36.0
LONG, LONG_TIMES, LONG_MEMORY = 2000, 25.0, 2500.0
NAMED_WITHIN, CLIP_ERROR, KITCHEN_PATH = 10.0, 0.6, 2.5
LIMIT = 1800.0
"""Seconds after which a solve is given up."""

WRONG = {
    "low_texture": r"textur|detail|feature|little to (track|follow)",
    "static": r"stand|still|static|not move|locked",
    "cut": r"\bcuts?\b",
    "3_frames": r"frames",
}
"""Shots that cannot be solved, and what a sentence about one must speak of."""

TRIPOD_CLIPS = ("trees_rotation", "rollercoaster_pan")
WRONG_CLIPS = {
    "planar_grass": r"flat|plane|planar",
    "one_by_one_people": WRONG["static"],
    "dog_park": WRONG["static"],
}

Figure = dict[str, Any]


def best_of(source: Source, runs: int, **options: Any) -> Answer:
    """Our answer; of several runs, which all give the same, the one that took the least time."""
    answers = [ask("camera_ours", source.job(**options), LIMIT) for _ in range(runs)]
    return min(answers, key=alone)


def solve_figures(label: str, source: Source, ours: Answer) -> list[Figure]:
    """Slip, jitter, frames and time of a solve with free focal."""
    how = described(ours, source)
    goal = FREE_SLIP.get(source.name, OTHER_FREE_SLIP)
    figures = [
        at_most(f"{label}: slip", _of(ours, "slip"), "px", goal, how),
        at_most(f"{label}: jitter", _of(ours, "jitter"), "px", JITTER, how),
        _registered(label, source, ours),
        time_figure(label, source, ours),
    ]
    if source.tripod:
        figures.append(at_most(f"{label}: rotation", _of(ours, "rotation"), "deg", TURN, how))
    return figures


def given_figures(label: str, source: Source, **options: Any) -> list[Figure]:
    """Slip with the focal length given."""
    told = best_of(source, 1, focal_length=LENS, sensor_width=SENSOR, **options)
    how = f"{LENS:g} mm on {SENSOR:g} mm given; {described(told, source)}"
    return [at_most(f"{label}: slip, focal given", _of(told, "slip"), "px", GIVEN_SLIP, how)]


def time_figure(label: str, source: Source, ours: Answer) -> Figure:
    """Frames a second of the whole solve, reading included, on two cores."""
    size = min(source.width, source.height)
    goal = FRAMES_A_SECOND[size]
    seconds, cpu = alone(ours), ours.get("cpu", float("inf"))
    how = (
        f"{len(source.frames)} frames of {source.width}x{source.height}, the whole solve with "
        f"reading, in {seconds:.2f} s on two cores ({cpu:.2f} CPU s), {_busy(ours)}"
    )
    rate = len(source.frames) / seconds
    return at_least(f"{label}: frames a second at {size}p", rate, "1/s", goal, how)


def alone(told: Answer) -> float:
    """Seconds by the clock less those in which other programs had the cores."""
    return told.get("wall", float("inf")) - told.get("waited", 0.0)


def _busy(told: Answer) -> str:
    return f"waits for cores that other programs had ({told.get('waited', 0.0):.1f} s) left out"


def long_figures(**options: Any) -> list[Figure]:
    """What 2000 frames cost against 100 of the same shot."""
    short, longer = long(100), long(LONG)
    few, many = (ask("camera_ours", source.job(**options), LIMIT) for source in (short, longer))
    how = f"the orbit forth and back; 100 frames: {_cost(few)}; {LONG} frames: {_cost(many)}"
    times = _of(many, "cpu") / few.get("cpu", 1e-9) if "named" not in many else float("inf")
    return [
        at_most(f"CPU time of {LONG} frames over that of 100", times, "x", LONG_TIMES, how),
        at_most(f"peak memory, {LONG} frames", _of(many, "peak"), "MB", LONG_MEMORY, how),
        _registered(f"{LONG} frames", longer, many),
    ]


def _cost(told: Answer) -> str:
    if "crashed" in told:
        return told["crashed"]
    named = f"; {told['named']}" if "named" in told else ""
    return f"{told['cpu']:.1f} CPU s, {told['wall']:.1f} s, {told['peak']:.0f} MB{named}"


def wrong_figures(label: str, source: Source, pattern: str, **options: Any) -> list[Figure]:
    """Seconds until a shot that cannot be solved is named; infinite when it is not.

    A plate of little texture may be solved as well, if it is solved right.
    """
    told = ask("camera_ours", source.job(**options), LIMIT)
    said = told.get("named") or " ".join(told.get("said", ()))
    doubted = "named" in told or told.get("grade") != "good"
    right = label == "low_texture" and _of(told, "slip") <= OTHER_FREE_SLIP
    named = doubted and re.search(pattern, said, re.IGNORECASE) is not None
    seconds = alone(told) if named or right else float("inf")
    how = f"by the clock, {_busy(told)}; {described(told, source)}"
    how += "" if "named" in told else f"; it says: {said}"
    return [at_most(f"{label}: named", seconds, "s", NAMED_WITHIN, how)]


def clip_figures(name: str, **options: Any) -> list[Figure]:
    """The figures of a real clip; none when it is not beside the project."""
    source = clip(name)
    if source is None:
        return []
    if name in WRONG_CLIPS:
        return wrong_figures(name, source, WRONG_CLIPS[name], **options)
    told = ask("camera_ours", source.job(**options), LIMIT)
    how = described(told, source)
    error = _of(told, "mean_error")
    figures = [_registered(name, source, told)]
    if name in TRIPOD_CLIPS:
        tripod = float(told.get("motion") == Motion.TRIPOD.value)
        figures.append(at_least(f"{name}: solved as a tripod shot", tripod, "yes", 1, how))
    else:
        figures.append(at_most(f"{name}: mean error", error, "px", CLIP_ERROR, how))
    if source.poses:
        apart = 100 * _of(told, "path_error")
        figures.append(at_most(f"{name}: off the known path", apart, "cm", KITCHEN_PATH, how))
    return figures


def described(told: Answer, source: Source) -> str:
    """A solve in a line."""
    if "crashed" in told:
        return f"no solve: {told['crashed']}"
    cost = f"{told['cpu']:.1f} CPU s, {told['wall']:.1f} s, {told['peak']:.0f} MB"
    if "named" in told:
        return f"refused after {cost}: {told['named']}"
    judged = ""
    if source.truth is not None:
        judged = (
            f"slip {told['slip']:.3f} px at most {told['worst']:.2f}, jitter {told['jitter']:.4f} "
            f"px, focal length off by {100 * told['focal_error']:.2f} %, "
        )
    return (
        f"{judged}{told['registered']} of {len(source.frames)} frames, mean error "
        f"{told['mean_error']:.3f} px, worst frame {told['worst_frame_error']:.3f}, "
        f"{told['motion']}, graded {told['grade']}, {cost}"
    )


def _registered(label: str, source: Source, told: Answer) -> Figure:
    count = len(source.frames)
    how = described(told, source)
    return at_least(f"{label}: frames registered", told.get("registered", 0), "frames", count, how)


def _of(told: Answer, name: str) -> float:
    return float(told.get(name, float("inf")))


CLIP_NAMES = tuple(CLIPS)
