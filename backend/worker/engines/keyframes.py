# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames carry the geometry, and which pairs of frames are worth matching."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, pairwise

from .matching import Pair

PROBES = 8


def probe_frames(frames: Sequence[int]) -> list[int]:
    """A few frames evenly over the shot, first and last included: looked at before the rest."""
    count = min(PROBES, len(frames))
    last = len(frames) - 1
    return sorted({frames[round(index * last / (count - 1))] for index in range(count)})


def neighbors(frames: Sequence[int]) -> list[Pair]:
    return list(pairwise(frames))


def choose_keyframes(
    frames: Sequence[int],
    shifts: Mapping[Pair, float],
    always: Iterable[int],
    gap: int,
    motion: float,
) -> list[int]:
    """Frames at most `gap` apart between which the picture moves about `motion` px at most.

    `shifts` is how far neighbors move; where a pair of neighbors has none, the shot may break, and
    both become keyframes. `always` are keyframes in any case.
    """
    keys = {frames[0], frames[-1], *always}
    moved, since = 0.0, 0
    for pair in neighbors(frames):
        moved, since = moved + shifts.get(pair, 0.0), since + 1
        if pair not in shifts:
            keys.update(pair)
        if pair[1] in keys or moved >= motion or since >= gap:
            keys.add(pair[1])
            moved, since = 0.0, 0
    return sorted(keys)


def keyframe_pairs(keyframes: Sequence[int], offsets: Iterable[int]) -> list[Pair]:
    """Each keyframe with those that many keyframes on; offset 0 stands for all pairs."""
    offsets = set(offsets)
    if 0 in offsets:
        return list(combinations(keyframes, 2))
    return [
        (key, keyframes[index + offset])
        for offset in sorted(offsets)
        for index, key in enumerate(keyframes[: max(0, len(keyframes) - offset)])
    ]


def links(frames: Sequence[int], keyframes: Sequence[int], reach: int) -> list[Pair]:
    """Each frame between keyframes with the `reach` keyframes before and after it."""
    keys, known = list(keyframes), set(keyframes)
    pairs: list[Pair] = []
    for frame in frames:
        if frame in known:
            continue
        before = keys[max(0, bisect_left(keys, frame) - reach) : bisect_left(keys, frame)]
        after = keys[bisect_right(keys, frame) :][:reach]
        pairs += [(key, frame) for key in before] + [(frame, key) for key in after]
    return pairs
