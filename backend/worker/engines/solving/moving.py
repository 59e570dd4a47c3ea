# SPDX-License-Identifier: GPL-3.0-or-later
"""The solve of a traveling camera, from marks to an adjusted scene."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ....errors import SolveError
from ..diagnosis import NO_MODEL
from . import choosing
from .bundle import Check, Settings, adjusted, usual_loss
from .finish import Clock, Finished, finished
from .lens_choice import LensFinding, choose_radial, searched_focal
from .linear import Freedom
from .mapping import FOCALS, Guess, Mapped, Mapper, Start, fit_of
from .marks import Flags, Marks
from .presets import Preset
from .scene import Scene
from .whole import cut, placed_everywhere, with_all_points

_HINT_SIGMA = 0.1
_FREE_SIGMA = 0.7
_LENS_MARKS = 600
SMOOTH = 0.002
"""Standard deviation of the change of slope of the log focal length from frame to frame."""

_ZOOM_GAIN, _ZOOM_RANGE = 0.08, 0.015
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

    @property
    def others(self) -> tuple[Freedom, ...]:
        """What else may be tried."""
        return (replace(self.freedom, radial=1),) if self.distortion == "auto" else ()

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


@dataclass(frozen=True, eq=False)
class _Keyed:
    """The scene on the keyframes `keys`, what its lens leaves free, and how well it fits."""

    scene: Scene
    start: Start
    freedom: Freedom
    finding: LensFinding | None
    keys: tuple[int, ...]
    merit: float
    clean: bool


class MovingSolve:
    """One run over the marks of a plate. `always` (t,) are tracks that must have their say."""

    def __init__(
        self, marks: Marks, wish: LensWish, preset: Preset, check: Check, always: Flags
    ) -> None:
        self.marks, self.wish, self.preset, self.check = marks, wish, preset, check
        self.always = always
        self.clock = Clock()
        self.zoom_gain = 0.0
        self._zoomed: _Keyed | None = None

    def run(self) -> Moving:
        """Raises SolveError when no two frames start a scene."""
        preset = self.preset
        thin = self._thinned(preset.map.per_frame)
        self.clock.lap("choose")
        keyed = self._keyed(thin)
        scene = placed_everywhere(thin, keyed.scene, self.check)
        self.clock.lap("place")
        done = finished(
            self.marks, scene, keyed.freedom, preset, self.check, self.always, self.clock
        )
        return Moving(
            done, keyed.finding, keyed.keys, keyed.start, self.zoom_gain, self.clock.seconds
        )

    def _thinned(self, per_frame: int) -> Marks:
        return self.marks.only(
            choosing.spread(self.marks, per_frame, self.always)[self.marks.track]
        )

    def _keyed(self, thin: Marks) -> _Keyed:
        """The keyframes' scene, with one focal length or one for each as the plate wants it.

        Raises SolveError when there is none.
        """
        fixed = None if self.wish.zoom == "zoom" and not self.wish.known else self._fixed(thin)
        zoomed = self._zoomed
        if zoomed is not None and zoomed.clean:
            return zoomed
        if fixed is not None and not self._may_zoom(fixed):
            return fixed
        if zoomed is None and not self._stays_fixed:
            zoomed = self._with_zoom(thin, fixed.merit if fixed is not None else 0.0)
        if zoomed is None or (fixed is not None and zoomed.merit < _ZOOM_MERIT * fixed.merit):
            zoomed = fixed
        if zoomed is None:
            raise SolveError(NO_MODEL)
        return zoomed

    @property
    def _stays_fixed(self) -> bool:
        return self.wish.zoom == "fixed" or self.wish.known is not None

    def _fixed(self, thin: Marks) -> _Keyed | None:
        """The keyframes' scene with one focal length; where that leaves doubt and a zoom suits the
        plate, the scene with a zoom is found on the way, and may make this one needless."""

        def zooms(mapped: Mapped, marks: Marks) -> bool:
            self.clock.lap("map")
            if not self._stays_fixed and self._gains(marks, mapped.scene, mapped.freedom):
                self._zoomed = self._with_zoom(thin)
            return self._zoomed is not None and self._zoomed.clean

        mapper = self._mapper(thin, self.wish.freedom, self.preset.gap)
        mapped = mapper.best(self.wish.others, leaves=zooms)
        self.clock.lap("map")
        needless = self._zoomed is not None and self._zoomed.clean
        return None if mapped is None or needless else self._keyed_with_lens(mapper, mapped)

    def _with_zoom(self, thin: Marks, floor: float = 0.0) -> _Keyed | None:
        """The keyframes' scene with a focal length for each; they are closer than usual."""
        freedom = replace(self.wish.freedom, zoom=True, smooth=SMOOTH)
        mapper = self._mapper(thin, freedom, max(self.preset.gap // 2, 2))
        mapped = mapper.best((), floor)
        self.clock.lap("zoom")
        return None if mapped is None else self._keyed_with_lens(mapper, mapped)

    def _keyed_with_lens(self, mapper: Mapper, mapped: Mapped) -> _Keyed:
        scene, freedom, finding = self._with_lens(mapped)
        _share, _error, merit = fit_of(mapper.marks, scene)
        keys = tuple(mapper.keys)
        return _Keyed(scene, mapped.start, freedom, finding, keys, merit, mapped.clean)

    def _may_zoom(self, keyed: _Keyed) -> bool:
        """Whether a focal length for each keyframe explains the marks clearly better."""
        scene = keyed.scene
        if self._stays_fixed:
            return False
        if not scene.placed[list(keyed.keys)].all():
            return True
        marks = self._thinned(_LENS_MARKS)
        return self._gains(marks, scene, keyed.freedom)

    def _gains(self, marks: Marks, scene: Scene, freedom: Freedom) -> bool:
        """Whether a zoom explains the marks clearly better, and is none too slight."""
        marks, scene = cut(marks.only(scene.placed[marks.frame]), scene, 4.0)
        loss = usual_loss(marks, scene, self.preset.whole.loss)
        settings = Settings(6, loss, 1e-3, damping=1e-6, exact=True)
        before = adjusted(marks, scene, freedom, settings, self.check)
        freedom = replace(freedom, zoom=True, smooth=SMOOTH)
        after = adjusted(marks, before.scene, freedom, settings, self.check)
        focal = after.scene.lens.focal[after.scene.placed]
        self.clock.lap("zoom")
        self.zoom_gain = 1 - after.cost / max(before.cost, 1e-12)
        return self.zoom_gain > _ZOOM_GAIN and float(np.ptp(np.log(focal))) > _ZOOM_RANGE

    def _mapper(self, thin: Marks, freedom: Freedom, gap: int) -> Mapper:
        """One on keyframes at most `gap` apart."""
        preset = self.preset
        keys = choosing.keyframes(self.marks, preset.motion, preset.survival, gap)
        settings = replace(preset.map, tries=6) if freedom.zoom else preset.map
        guesses = self.wish.guesses(self.marks.width)
        return Mapper(thin, keys, guesses, freedom, settings, self.check)

    def _with_lens(self, mapped: Mapped) -> tuple[Scene, Freedom, LensFinding | None]:
        scene, freedom = mapped.scene, mapped.freedom
        if self.wish.distortion != "auto":
            return scene, freedom, None
        marks = self._thinned(_LENS_MARKS)
        marks = marks.only(scene.placed[marks.frame])
        scene = with_all_points(marks, scene)
        marks, scene = cut(marks, scene, 4.0)
        loss = usual_loss(marks, scene, self.preset.whole.loss)
        if freedom.focal and not freedom.zoom:
            scene = searched_focal(marks, scene, replace(freedom, radial=2), loss, self.check)
            self.clock.lap("focal")
        finding, scene = choose_radial(marks, scene, freedom, loss, self.check)
        self.clock.lap("lens")
        return scene, replace(freedom, radial=finding.radial), finding
