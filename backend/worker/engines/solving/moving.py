# SPDX-License-Identifier: GPL-3.0-or-later
"""The solve of a traveling camera, from marks to an adjusted scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ....errors import SolveError
from ..diagnosis import NO_MODEL
from . import choosing
from .bundle import Check, Settings, adjusted
from .finish import Clock, Finished, finished
from .lens_choice import LensFinding, choose_radial
from .linear import Freedom
from .mapping import FOCALS, Guess, Mapped, Mapper, Start
from .marks import Flags, Marks
from .presets import Preset
from .scene import Scene
from .whole import cut, placed_everywhere, with_all_points

_HINT_SIGMA = 0.1
_FREE_SIGMA = 0.7
_LENS_MARKS = 600
SMOOTH = 0.002
"""Standard deviation of the change of slope of the log focal length from frame to frame."""

_ZOOM_GAIN, _ZOOM_RANGE = 0.05, 0.015
"""Share of the cost that a zoom must explain, and of the focal length that it must cover."""

_ZOOM_MERIT = 1.15


@dataclass(frozen=True)
class LensWish:
    """What the artist asks of the lens; focal lengths in square px.

    known, hint  the focal length given, or guessed by the plate's metadata
    zoom         "auto", "fixed" or "zoom"
    distortion   "auto", "none", "k1", "k2" or "anamorphic"
    """

    known: float | None = None
    hint: float | None = None
    zoom: str = "auto"
    distortion: str = "auto"

    @property
    def freedom(self) -> Freedom:
        """What may change while the scene is mapped."""
        radial = {"k1": 1, "k2": 2, "anamorphic": 2}.get(self.distortion, 0)
        return Freedom(
            focal=self.known is None, ratio=self.distortion == "anamorphic", radial=radial
        )

    def guesses(self, width: float) -> list[Guess]:
        if self.known:
            return [Guess(self.known, 0.0, True)]
        if self.hint:
            return [Guess(self.hint, _HINT_SIGMA, False), *_free_guesses(width)]
        return _free_guesses(width)


def _free_guesses(width: float) -> list[Guess]:
    return [Guess(share * width, _FREE_SIGMA, False) for share in FOCALS]


@dataclass(frozen=True, eq=False)
class Moving:
    """A solved shot: `done` is the scene, `lens` what the plate told of the distortion, `keys` the
    keyframes, `start` where mapping began, `zoom_gain` the share of the cost that a zoom explains
    on the keyframes."""

    done: Finished
    lens: LensFinding | None
    keys: tuple[int, ...]
    start: Start
    zoom_gain: float
    seconds: dict[str, float]


class MovingSolve:
    """One run over the marks of a plate. `always` (t,) are tracks that must have their say."""

    def __init__(
        self, marks: Marks, wish: LensWish, preset: Preset, check: Check, always: Flags
    ) -> None:
        self.marks, self.wish, self.preset, self.check = marks, wish, preset, check
        self.always = always
        self.clock = Clock()
        self.freedom = wish.freedom
        self.keys: list[int] = []
        self.zoom_gain = 0.0

    def run(self) -> Moving:
        """Raises SolveError when no two frames start a scene."""
        preset = self.preset
        self.keys = choosing.keyframes(self.marks, preset.motion, preset.survival, preset.gap)
        thin = self._thinned(preset.map.per_frame)
        self.clock.lap("choose")
        start, scene = self._mapped(thin, self.keys)
        scene, freedom, finding = self._with_lens(scene)
        scene = placed_everywhere(thin, scene, self.check)
        self.clock.lap("place")
        done = finished(self.marks, scene, freedom, preset, self.check, self.always, self.clock)
        keys = tuple(self.keys)
        return Moving(done, finding, keys, start, self.zoom_gain, self.clock.seconds)

    def _thinned(self, per_frame: int) -> Marks:
        return self.marks.only(
            choosing.spread(self.marks, per_frame, self.always)[self.marks.track]
        )

    def _mapped(self, thin: Marks, keys: Sequence[int]) -> tuple[Start, Scene]:
        """The keyframes' scene, with one focal length or one for each as the plate wants it."""
        fixed = None
        if self.wish.zoom != "zoom" or self.wish.known:
            fixed = self._mapper(thin, keys, self.wish.freedom).best()
            self.clock.lap("map")
        if fixed is not None and not self._may_zoom(thin, keys, fixed):
            self.freedom = self.wish.freedom
            return fixed.start, fixed.scene
        return self._zoomed(thin, fixed)

    def _zoomed(self, thin: Marks, fixed: Mapped | None) -> tuple[Start, Scene]:
        """Maps with a focal length for each keyframe; keeps `fixed` unless that does better."""
        preset = self.preset
        gap = max(preset.gap // 2, 2)
        self.keys = choosing.keyframes(self.marks, preset.motion, preset.survival, gap)
        radial = 0 if self.wish.distortion == "auto" else self.wish.freedom.radial
        freedom = replace(self.wish.freedom, zoom=True, smooth=SMOOTH, radial=radial)
        zoomed = self._mapper(thin, self.keys, freedom).best()
        self.clock.lap("zoom")
        best = zoomed
        if fixed is not None and (zoomed is None or zoomed.merit < _ZOOM_MERIT * fixed.merit):
            best = fixed
        if best is None:
            raise SolveError(NO_MODEL)
        self.freedom = freedom if best is zoomed else self.wish.freedom
        return best.start, best.scene

    def _may_zoom(self, thin: Marks, keys: Sequence[int], mapped: Mapped) -> bool:
        """Whether a focal length for each keyframe explains the marks clearly better."""
        if self.wish.zoom != "auto" or self.wish.known:
            return False
        scene = mapped.scene
        if not scene.placed[list(keys)].all():
            return True
        freedom = replace(self.wish.freedom, zoom=True, smooth=SMOOTH)
        marks, scene = cut(thin.only(scene.placed[thin.frame]), scene, 4.0)
        settings = Settings(6, self.preset.whole.loss, 1e-3, damping=1e-6)
        before = adjusted(marks, scene, self.wish.freedom, settings, self.check)
        after = adjusted(marks, before.scene, freedom, settings, self.check)
        focal = after.scene.lens.focal[after.scene.placed]
        self.clock.lap("zoom")
        self.zoom_gain = 1 - after.cost / max(before.cost, 1e-12)
        return self.zoom_gain > _ZOOM_GAIN and float(np.ptp(np.log(focal))) > _ZOOM_RANGE

    def _mapper(self, thin: Marks, keys: Sequence[int], freedom: Freedom) -> Mapper:
        settings = self.preset.map
        if freedom.zoom:
            settings = replace(settings, tries=6)
        guesses = self.wish.guesses(self.marks.width)
        return Mapper(thin, keys, guesses, freedom, settings, self.check)

    def _with_lens(self, scene: Scene) -> tuple[Scene, Freedom, LensFinding | None]:
        freedom, loss = self.freedom, self.preset.whole.loss
        if self.wish.distortion != "auto":
            return scene, freedom, None
        marks = self._thinned(_LENS_MARKS)
        marks = marks.only(scene.placed[marks.frame])
        scene = with_all_points(marks, scene)
        marks, scene = cut(marks, scene, 4.0)
        finding, scene = choose_radial(marks, scene, freedom, loss, self.check)
        self.clock.lap("lens")
        return scene, replace(freedom, radial=finding.radial), finding
