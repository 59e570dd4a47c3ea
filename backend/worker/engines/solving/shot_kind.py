# SPDX-License-Identifier: GPL-3.0-or-later
"""Names the kind of shot that tracks show: moving, tripod, locked-off, planar, or nothing to solve.

Windows of the plate are explained twice: by a camera that only turns, and by one that travels too.
What the turn leaves over is noise, things that move by themselves, or parallax; only parallax has
one travel a frame and one depth a track behind it, so how much of the rest depth explains tells
a moving camera from a tripod, whatever the size of the parallax. No single number decides; the
limits lie between the values of real and rendered plates that are named beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

from ....solve import Motion
from ....tracks import Tracks
from ..diagnosis import stands_still
from .kind_figures import Figures, PlateWindows, counted
from .kind_turn import TurnOfWindows
from .kind_windows import windows_of, within

_TURN_SHARE = 0.55
"""Explained by a turn at least in a tripod shot (measured: nodal 0.64 to 1, moving to 0.52)."""

_TURN_SURE = 0.65
_TURN_DOUBTED = 0.5
"""Explained by a turn from which on parallax must hold without a rolling shutter's doing too."""

_TURN_FINE = 0.3
"""Or to half a pixel, where more than half of the tracks are on actors."""

_PARALLAX_WINDOWS = 0.25
"""Share of the windows with parallax from which on the camera travels."""

_STILL = 1.5
"""Px, at 1280, that a locked-off picture moves at most (measured: to 0.3; slow moves from 3)."""

_PLANE_LEFT = 0.18
"""Residual of homographies over that of a turn, at most before one plane (measured: grass with a
dog 0.15, a floor with low things on it 0.22, rooms and streets from 0.6)."""

_ZOOM_SHARE = 0.9
_FEWEST_TRACKS = 30
"""Good tracks that the typical frame's are worth at least (measured: a bare room 16, blurred and
compressed plates from 200)."""

_LEAST_COVERAGE = 0.1
_TRAVEL_DOUBTED = 0.1
_LEFT_DOUBTED, _DOUBTED = 0.35, 0.35
"""Depth leaves over at most, and px (at 1280) that it explains at least, in a tripod shot that the
artist should look at."""


class Kind(str, Enum):
    """What a plate shows."""

    MOVING = "moving"
    TRIPOD = "tripod"
    STATIC = "static"
    PLANAR = "planar"
    TOO_LITTLE_TEXTURE = "too_little_texture"


@dataclass(frozen=True)
class Verdict:
    """The kind of shot.

    reason   why, in a sentence, as `Quality.reason` tells it
    refusal  the sentence of the SolveError when there is no camera move to solve, else ""; a
             plane can be solved all the same when the focal length is known
    warning  for the artist when the verdict is near the line, else ""
    zooms    the tripod shot needs a focal length for each frame
    """

    kind: Kind
    reason: str
    figures: Figures
    refusal: str = ""
    warning: str = ""
    zooms: bool = False

    @property
    def motion(self) -> Motion:
        """How to solve it."""
        return Motion.TRIPOD if self.kind is Kind.TRIPOD else Motion.MOVING

    def against(self, move: str) -> str:
        """A warning when the artist's `move` ("free", "tripod") goes against the plate."""
        figures = self.figures
        if move == "tripod" and self.kind in (Kind.MOVING, Kind.PLANAR):
            return (
                "Solved as a tripod shot as asked, but the camera seems to travel: turning alone "
                f"explains {figures.turn_share:.0%} of what moves in the picture."
            )
        if move == "free" and self.kind is Kind.TRIPOD:
            return (
                "Solved as a moving camera as asked, but turning alone explains "
                f"{figures.turn_share:.0%} of what moves in the picture: depth and focal length "
                "may be made up."
            )
        return ""

    def doubt(self, travel: float) -> str:
        """A warning for a moving solve that may be a turn in disguise, "" when there is no doubt.

        `travel` is the solved camera's way over the typical distance to the scene.
        """
        figures = self.figures
        nearly = figures.turn_share >= _TURN_SHARE or figures.parallax_windows < _PARALLAX_WINDOWS
        if not nearly or travel >= _TRAVEL_DOUBTED:
            return ""
        return (
            "Depth and focal length are uncertain: a camera that only turns would explain "
            f"{figures.turn_share:.0%} of what moves in the picture, and the solved one travels "
            f"{travel:.1%} of the distance to the scene. Check that the points hold still, or "
            "solve it as a tripod shot."
        )

    def to_json(self) -> dict[str, Any]:
        figures = {name: round(value, 4) for name, value in asdict(self.figures).items()}
        return {"kind": self.kind.value, "reason": self.reason, "figures": figures}


def classify(
    tracks: Tracks,
    frames: Sequence[int],
    width: int,
    height: int,
    *,
    focal: float | None = None,
    aspect: float = 1.0,
    zoom: str = "auto",
) -> Verdict:
    """Names the kind of shot that `frames` are; marks in other frames count for nothing.

    `focal` in px when it is known, `aspect` width over height of a pixel, `zoom` as in the
    options: "fixed" rules out a zooming tripod shot.
    """
    tracks = within(tracks, frames)
    known = counted(tracks, frames, width, height)
    if known.worth < _FEWEST_TRACKS or known.coverage < _LEAST_COVERAGE:
        return _too_little(known)
    windows = windows_of(tracks, frames, width, height)
    if not windows.count:
        return _short_lived(known)
    plate = PlateWindows(windows, max(width, height), focal, aspect)
    turn = plate.turn(zoom=False)
    figures = plate.figures(known, turn)
    if figures.turn_share >= _TURN_DOUBTED and figures.parallax_windows >= _PARALLAX_WINDOWS:
        without = plate.unrolled(turn, height)
        straight = without.figures(known, without.turn(zoom=False))
        if straight.parallax_windows < _PARALLAX_WINDOWS:
            figures = straight
    named = _named(figures, plate.unit)
    return named or _flat(plate, figures, turn, zoom != "fixed" and not focal) or _moving(figures)


def _named(figures: Figures, unit: float) -> Verdict | None:
    """Locked-off and tripod shots, None for the rest; `unit` is a px of a picture 1280 long."""
    if figures.parallax_windows >= _PARALLAX_WINDOWS:
        return None
    if figures.turn_motion < _STILL * unit:
        return Verdict(
            Kind.STATIC,
            f"The picture moves by {figures.turn_motion:.1f} px: a locked-off shot.",
            figures,
            refusal=stands_still(figures.turn_motion),
        )
    if figures.turn_share >= _TURN_SHARE or figures.fine_share >= _TURN_FINE:
        return _tripod(figures, zooms=False, unit=unit)
    return None


def _tripod(figures: Figures, zooms: bool, unit: float) -> Verdict:
    how = "Turning and zooming explain" if zooms else "Turning alone explains"
    warning = ""
    if figures.turn_share < _TURN_SURE and figures.fine_share < _TURN_FINE:
        warning = (
            "It is not certain that the camera only turns, as much in the picture moves otherwise. "
            "Put masks over what moves by itself; if things slip, try a moving camera."
        )
    if figures.parallax > _DOUBTED * unit and figures.left < _LEFT_DOUBTED:
        warning = (
            f"Solved as a tripod shot, but near and far move apart by about "
            f"{figures.parallax:.1f} px, as they do when the lens does not sit over the tripod's "
            "axis. If things near the camera slip, try a moving camera."
        )
    return Verdict(
        Kind.TRIPOD,
        f"{how} {figures.turn_share:.0%} of what moves in the picture: solved as a tripod shot.",
        figures,
        warning=warning,
        zooms=zooms,
    )


def _flat(
    plate: PlateWindows, figures: Figures, turn: TurnOfWindows, may_zoom: bool
) -> Verdict | None:
    """Shots in which one homography takes a frame to another: zooming tripods, single planes."""
    figures = replace(figures, plane_left=plate.plane_left(turn))
    if figures.plane_left > _PLANE_LEFT:
        return None
    if may_zoom:
        zoomed = plate.figures(figures, plate.turn(zoom=True))
        turns = zoomed.parallax_windows < _PARALLAX_WINDOWS
        if turns and zoomed.turn_share >= _ZOOM_SHARE:
            zoomed = replace(zoomed, plane_left=figures.plane_left)
            return _tripod(zoomed, zooms=True, unit=plate.unit)
    return _planar(figures)


def _planar(figures: Figures) -> Verdict:
    return Verdict(
        Kind.PLANAR,
        "The camera travels, but all it sees lies in one plane.",
        figures,
        refusal=(
            "The camera looks at one flat surface: every frame is a picture of the same plane, "
            "which fits any focal length. Enter the focal length to solve it all the same, or "
            "take in a part of the shot with things at different depths."
        ),
        warning=(
            "All that is tracked lies in one plane, so the focal length cannot be checked and "
            "depth is uncertain: make sure that the focal length entered is right."
        ),
    )


def _moving(figures: Figures) -> Verdict:
    share = f"turning alone explains {figures.turn_share:.0%} of what moves in the picture"
    if figures.parallax_windows >= _PARALLAX_WINDOWS:
        reason = f"Near and far move apart, and {share}: solved as a moving camera."
        return Verdict(Kind.MOVING, reason, figures)
    return Verdict(
        Kind.MOVING,
        f"Turning does not explain the picture ({share}): solved as a moving camera.",
        figures,
        warning=(
            "It is not certain that the camera travels: neither turning nor depth explains most "
            "of what moves in the picture. Put masks over what moves by itself, and check that "
            "the points hold still."
        ),
    )


def _too_little(figures: Figures) -> Verdict:
    found = f"{figures.tracks:.0f} points"
    if figures.worth < _FEWEST_TRACKS <= figures.tracks:
        found += f" that hold so roughly that they are worth {figures.worth:.0f}"
    elif figures.worth >= _FEWEST_TRACKS:
        found += f" in {figures.coverage:.0%} of the picture"
    return Verdict(
        Kind.TOO_LITTLE_TEXTURE,
        "Too little in the picture can be tracked.",
        figures,
        refusal=(
            f"Too little texture to track: the typical frame shows {found}, where a solve needs "
            f"{_FEWEST_TRACKS} good ones over the whole picture. Try -q high, a sharper or "
            "brighter plate, or -M if the masks cover most of the picture."
        ),
    )


def _short_lived(figures: Figures) -> Verdict:
    return Verdict(
        Kind.TOO_LITTLE_TEXTURE,
        "Nothing can be followed for more than a few frames.",
        figures,
        refusal=(
            "Nothing in the picture can be followed for more than a few frames: the plate has "
            "too little texture, heavy blur or many cuts. Try -q high, or take in a part of the "
            "shot without them."
        ),
    )
