# SPDX-License-Identifier: GPL-3.0-or-later
"""What a review movie shows, and how many of the solved points."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import UsageError
from .options import Choice, option

STRONGEST = 300
"""Points of a frame that are drawn unless more are asked for."""
MOST = 1000
"""Points of a frame that can be drawn."""

AS_SHOT, UNDISTORTED, BOTH = "shot", "undistorted", "both"
ENDINGS = (".mp4", ".mov", ".mkv")


@dataclass(frozen=True)
class OverlayOptions:
    """How the solve is drawn over the plate."""

    plate: str = option(
        AS_SHOT,
        "Which plate the points are drawn over",
        label="Plate",
        flags=("--plate",),
        choices=(
            Choice(AS_SHOT, "as it was shot"),
            Choice(UNDISTORTED, "with its lens distortion taken out"),
            Choice(BOTH, "side by side"),
        ),
    )
    points: int = option(
        STRONGEST,
        "Points in each frame at most: the strongest, from all over the picture",
        label="Points",
        flags=("--points",),
        minimum=1,
        maximum=MOST,
        unit="n",
    )


def check_movie_name(path: Path) -> None:
    """Raises UsageError for a name that says nothing of how to write it."""
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"{path.name}: the name of a movie ends in {', '.join(ENDINGS)}.")


def part_of(path: Path) -> Path:
    """What a movie is called while it is written."""
    return path.with_name(f"{path.name}.part")
