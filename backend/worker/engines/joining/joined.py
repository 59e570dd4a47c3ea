# SPDX-License-Identifier: GPL-3.0-or-later
"""Joins a plate's pieces, and the places that its camera comes back to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ....errors import SolveError
from ....plates import ranges
from ....tracks import Tracks
from ...report import Report
from ..tracking import Found, Tracking
from .groups import Joining
from .linking import Linker
from .loops import loops
from .marks import with_marks
from .pieces import Piece, pieces_of

_BREAK = "(a cut, a whip pan, or something before the lens)"


@dataclass(frozen=True, eq=False)
class Joined:
    """`tracks` have marks on both sides of what was joined; `numbers` are the frames (ascending)
    that hang together and are to be solved. `warning` tells of breaks, "" without any."""

    tracks: Tracks
    numbers: list[int]
    warning: str = ""
    record: dict[str, Any] = field(default_factory=dict)


def joined(
    tracking: Tracking,
    frames: Mapping[int, Path],
    masks: Mapping[int, Path],
    links: int,
    fewest: int,
    report: Report,
) -> Joined:
    """Joins what shows one place: pieces parted by breaks always, and with `links`, that many
    frames all over the shot with each other where no tracks do.

    Raises SolveError when what hangs together has less than `fewest` frames.
    """
    numbers = sorted(frames)
    pieces = pieces_of(tracking, numbers)
    if len(pieces) == 1 and not links:
        return Joined(tracking.tracks, numbers)
    report.status("Joining tracks")
    linker = Linker(tracking, frames, masks, report)
    joining = Joining(pieces, linker)
    group = joining.joined()
    numbers = sorted(number for index in group for number in pieces[index].numbers)
    if len(numbers) < fewest:
        cuts = ranges([piece.numbers[0] for piece in pieces[1:]])
        raise SolveError(f"The plate is cut too often ({cuts}) to be solved: take in one shot.")
    again = loops(linker, numbers, links) if links else {}
    found = [*joining.found.values(), *again.values()]
    tracks = with_marks(tracking.tracks, Found.joined(found)) if found else tracking.tracks
    record = {"joined": [list(ends) for ends in joining.found], "links": [list(e) for e in again]}
    return Joined(tracks, numbers, _warning(pieces, group), record)


def _warning(pieces: Sequence[Piece], group: Sequence[int]) -> str:
    """Which breaks there are, and what is solved; `group` are the pieces that are."""
    if len(pieces) == 1:
        return ""
    cuts = ranges([piece.numbers[0] for piece in pieces[1:]])
    text = f"No track crosses frame {cuts} {_BREAK}"
    solved = sorted(number for index in group for number in pieces[index].numbers)
    rest = [piece for index, piece in enumerate(pieces) if index not in group]
    if len(group) == 1:
        return (
            f"{text}: only the longest piece, {ranges(solved)}, is solved. Set up each piece by "
            "itself for the others."
        )
    text += ", but what lies on both sides shows the same place: "
    if not rest:
        return f"{text}all frames are joined and solved as one shot."
    left = ranges([number for piece in rest for number in piece.numbers])
    return (
        f"{text}{ranges(solved)} are joined and solved as one shot. Frames {left} could not be "
        "matched with them and stay unsolved."
    )
