# SPDX-License-Identifier: GPL-3.0-or-later
"""From tracks on keyframes to a scene that holds them all: a start, then frame after frame.

Several starts are tried, with several focal lengths where none is known; the best is grown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ....camera import Integers
from .bundle import Adjusted, Check, Settings, adjusted
from .guessed_poses import interpolated, nearest_pose
from .lens import Lens
from .lens_choice import relative_sigmas
from .linear import Freedom
from .marks import Flags, Marks
from .placing import inlier_shares, moved_poses, resected, triangulated
from .scene import Scene
from .seeds import Pair, calm, pairs, started, widest
from .window import Window, Windows

SEED = 1
FOCALS = (1.0, 0.6, 1.8, 3.0)
"""Focal lengths over the picture's width that are tried where none is known."""

_WIDE = (20.0, 6.0, 2.0)
_GOOD = 3.0
"""Px within which a point counts as explained while the lens is still rough."""

_LEAST_SHARE = 0.4
_LEAST_POINTS = 15
_CUTS = (8.0, 4.0)
_LOSSES, _LOSS_SIGMAS = (0.2, 0.5), 2.5
"""Px where the loss turns over, between those and so many times what marks are expected to be off
by: a wide one takes a camera that suits what holds still and what moves alike, half well."""

_FEW = 5
_WINDOW, _AROUND = 10, 40
"""Keyframes that are adjusted together while a scene grows, and those that may hold their points:
where a camera comes back, tracks would tie each to the whole shot."""

_GROWTH = 1.4
"""Everything is adjusted each time the placed keyframes have grown by as much."""

_NOISE = 0.05
"""Px that tracks are off by anyway."""

_SURE, _EXPLAINED = 0.03, 0.6
"""Relative standard deviation of the focal length, and share of marks explained, of a mapping that
no other need be held against."""

_NEARLY_ALL, _ALL = 0.75, 0.9
"""Share of marks explained without which a mapping leaves doubt, and with which a start, or a
mapping with a focal length for each frame, leaves none."""

_LONG = 48
"""Keyframes from which a shot is long: its start is chosen on a stretch of so many."""

_CLEAN, _EXPECTED = 0.00012, 1.6
"""Of the longer side (0.15 px at 1280), and of what the marks are expected to be off by, that they
are at the median in a clean mapping (measured: 1.0 to 1.25 of it)."""

_CALM_STARTS, _CALM_TRIES, _BETTER = 6, 2, 1.5
"""Starts that a mapping which leaves doubt is held against, how many of them are grown at most, and
by how much such a start must suit its frames better."""

_USUAL = 0.15
"""How much less a start is worth the further its focal length is from the picture's width."""

_PREFERRED = 1.03
_MOST_FAILURES = 6
_GIVEN_UP = 2
_DISTINCT = 0.1
_WORTH = 0.3
_FOCAL_LIMITS = (0.25, 12.0)


@dataclass(frozen=True)
class MapSettings:
    """`starts` pairs are tried, with at most `around` keyframes between each; as many as `tries`
    starts are grown. About `per_frame` marks a frame take part."""

    starts: int = 3
    around: int = 6
    per_frame: int = 300
    tries: int = 3


@dataclass(frozen=True, eq=False)
class Guess:
    """What is known of the lens before: `focal` in square px and how sure it is (relative)."""

    focal: float
    sigma: float
    fixed: bool

    @property
    def prior(self) -> tuple[float, float]:
        return self.focal, self.sigma


@dataclass(frozen=True, eq=False)
class Start:
    """Where mapping may begin. `explained` is the share of its marks within reach, `error` their
    median in px."""

    scene: Scene
    pair: Pair
    guess: Guess
    explained: float
    error: float

    @property
    def focal(self) -> float:
        return float(self.scene.lens.focal[self.pair.first])

    def merit(self, width: float) -> float:
        plausible = _FOCAL_LIMITS[0] < self.focal / width < _FOCAL_LIMITS[1]
        usual = float(np.exp(-_USUAL * np.log(self.focal / width) ** 2))
        return self.explained / (_NOISE + self.error) * (usual if plausible else 0.2)


@dataclass(frozen=True, eq=False)
class Mapped:
    """A start grown: `explained` is the share of all keyframes' marks within reach, `error` their
    median in px; `clean` when neither leaves any doubt."""

    scene: Scene
    start: Start
    freedom: Freedom
    explained: float
    error: float
    merit: float
    clean: bool = False


Leaves = Callable[[Mapped, Marks], bool]
"""Whether a mapping that leaves doubt need not be held against others, given its marks."""


def _never(_mapped: Mapped, _marks: Marks) -> bool:
    return False


class Mapper:
    """Maps the keyframes `keys` of `marks`, which should be a well spread choice of tracks."""

    def __init__(
        self,
        marks: Marks,
        keys: Sequence[int],
        guesses: Sequence[Guess],
        freedom: Freedom,
        settings: MapSettings,
        check: Check,
    ) -> None:
        on_keys = np.zeros(marks.frames, dtype=np.bool_)
        on_keys[list(keys)] = True
        marks = marks.only(on_keys[marks.frame])
        self.marks = marks.only((marks.lengths >= 2)[marks.track])
        self.windows = Windows(self.marks)
        self.keys = list(keys)
        self.guesses, self.freedom, self.settings = guesses, freedom, settings
        self.check = check
        self.thorough = freedom.zoom
        self.loss = float(np.clip(_LOSS_SIGMAS * marks.sigma, *_LOSSES))

    def best(
        self, others: Sequence[Freedom] = (), floor: float = 0.0, leaves: Leaves = _never
    ) -> Mapped | None:
        """The best of several starts grown, None where none holds.

        Where that leaves doubt, the starts are grown with each of `others` too: a lens that bends
        much is only found when it may, and a slight move only when it may not. It is given up
        when the first few have less merit than `floor`. What still leaves doubt is held against
        calmer starts, unless `leaves` says that it is not worth it.
        """
        led = self._led(others, floor, leaves) if len(self.keys) > _LONG else None
        return self._best(others, floor, leaves) if led is None else led

    @cached_property
    def _pairs(self) -> list[Pair]:
        return pairs(self.marks, self.keys)

    def _led(self, others: Sequence[Freedom], floor: float, leaves: Leaves) -> Mapped | None:
        """What is best on a stretch of a long shot, grown over all of it: the shot is then mapped
        once. None where that does not reach every keyframe."""
        if not self._pairs:
            return None
        first = self._pairs[0]
        begin = min(max(self.keys.index(first.first) - _LONG // 2, 0), len(self.keys) - _LONG)
        part = self._on(self.keys[begin : begin + _LONG], self.freedom)
        found = part.best(others, floor, leaves)
        if found is None:
            return None
        whole = self._on(self.keys, found.freedom)
        scene = whole._grow(replace(found.start, scene=found.scene))
        mapped = whole._measured(scene, found.start)
        return mapped if scene.placed[self.keys].all() else None

    def _on(self, keys: Sequence[int], freedom: Freedom) -> Mapper:
        return Mapper(self.marks, keys, self.guesses, freedom, self.settings, self.check)

    def _best(self, others: Sequence[Freedom], floor: float, leaves: Leaves) -> Mapped | None:
        """The best over all keyframes: of the first start that leaves no doubt, or of all."""
        freedoms = (self.freedom, *others)
        starts = self._starts(hasty=True)
        best, doubted = self._freed(starts, freedoms, floor)
        hasty = any(map(self._certain, starts))
        if hasty and (best is None or not self._sure(best)):
            self.freedom = freedoms[0]
            best, doubted = self._freed(self._starts(), freedoms, floor)
        if best is None or doubted or best.clean or leaves(best, self.marks):
            return best
        return self._doubted(best)

    def _freed(
        self, starts: Sequence[Start], freedoms: Sequence[Freedom], floor: float
    ) -> tuple[Mapped | None, bool]:
        """The best with one freedom after the other, until one is exact; and whether it was held
        against calmer starts on the way, as it is where it explains little."""
        best: Mapped | None = None
        asked = False
        for freedom in freedoms:
            self.freedom = freedom
            found = self._best_of(starts, floor)
            if found is not None:
                # What has led somewhere once goes first the next time.
                first = found.start
                starts = [first, *(start for start in starts if start is not first)]
            if found and (best is None or found.merit > _PREFERRED * best.merit):
                best = found
            if best and best.explained < _NEARLY_ALL and not asked:
                best, asked = self._doubted(best), True
            if best and self._exact(best):
                break
        return best, asked

    def _doubted(self, best: Mapped) -> Mapped:
        """Holds a mapping that leaves doubt against starts on tracks that hold still for certain:
        things that move by themselves may have led it."""
        self.freedom = best.freedom
        focal = float(best.scene.lens.focal[best.start.pair.first])
        guess = replace(best.start.guess, focal=focal)
        grown = 0
        for pair in self._apart(widest(self._pairs), _CALM_STARTS):
            start = self._start(calm(pair, self.marks.size), guess, 2 * self.loss)
            if start is None or not self._beats(start, best):
                continue
            mapped = self._measured(self._grow(start), start)
            best, grown = max(best, mapped, key=_merit), grown + 1
            if self._exact(best) or grown == _CALM_TRIES:
                break
        return best

    def _beats(self, start: Start, best: Mapped) -> bool:
        """Whether a start suits its frames clearly better than a mapping does."""
        seen = self.marks.only(start.scene.placed[self.marks.frame])
        share, error = _within(seen, best.scene)
        return start.explained / (_NOISE + start.error) > _BETTER * share / (_NOISE + error)

    def _best_of(self, starts: Sequence[Start], floor: float) -> Mapped | None:
        best: Mapped | None = None
        tried: list[float] = []
        failures = 0
        for start in starts:
            if len(tried) == self.settings.tries or failures == _MOST_FAILURES:
                break
            if not self._worth(start, starts[0], tried, best):
                continue
            mapped = self._measured(self._grow(start), start)
            if mapped.scene.placed.sum() < len(self.keys) / 2:
                failures += 1
            else:
                tried.append(start.focal)
            if best is None or mapped.merit > best.merit:
                best = mapped
            hopeless = len(tried) >= _GIVEN_UP and best.merit < floor
            if hopeless or self._sure(mapped):
                break
        return best

    def _sure(self, mapped: Mapped) -> bool:
        """Whether another start need not be tried: all is placed and the focal length is told."""
        scene = mapped.scene
        if not scene.placed[self.keys].all() or mapped.explained < _EXPLAINED:
            return False
        if self.thorough:
            exact = mapped.error < self._clean
            return exact and mapped.explained > _ALL
        freedom = self.freedom
        if not freedom.focal:
            return True
        part = self.marks.only(scene.usable(self.marks))
        cost = float((np.minimum(scene.errors(part), _GOOD) ** 2).sum())
        settled = Adjusted(scene, cost, len(part.track), 0)
        return relative_sigmas(self.marks, settled, freedom, 0.5)["focal"] < _SURE

    def _exact(self, mapped: Mapped) -> bool:
        """Whether what is explained is off by noise alone, and all is placed."""
        return mapped.error < self._clean and self._sure(mapped)

    @property
    def _clean(self) -> float:
        """Px under which the median error is that of clean marks."""
        return max(_CLEAN * self.marks.size, _EXPECTED * self.marks.sigma)

    def _worth(
        self, start: Start, first: Start, tried: Sequence[float], best: Mapped | None
    ) -> bool:
        """Whether a start may lead elsewhere than those before it."""
        if best is None or not best.scene.placed[self.keys].all():
            return True
        distinct = all(abs(np.log(start.focal / focal)) > _DISTINCT for focal in tried)
        width = self.marks.width
        return distinct and start.merit(width) > _WORTH * first.merit(width)

    def _measured(self, scene: Scene, start: Start) -> Mapped:
        share, error, merit = fit_of(self.marks, scene)
        mapped = Mapped(scene, start, self.freedom, share, error, merit)
        return replace(mapped, clean=share > _NEARLY_ALL and self._exact(mapped))

    def _starts(self, hasty: bool = False) -> list[Start]:
        """Starts over pairs and focal lengths, the best first; no more pairs once one leaves no
        doubt, and in haste no more focal lengths."""
        starts: list[Start] = []
        guesses = list(self.guesses)
        for pair in self._candidates():
            for guess in guesses:
                self.check()
                found = self._start(pair, guess)
                if found is not None:
                    starts.append(found)
                if hasty and starts and self._certain(starts[-1]):
                    break
            starts.sort(key=lambda start: start.merit(self.marks.width), reverse=True)
            if starts and self._certain(starts[0]):
                break
            if starts and not starts[0].guess.fixed and not self.thorough:
                guesses = [replace(starts[0].guess, focal=starts[0].focal)]
        return starts

    def _certain(self, start: Start) -> bool:
        """Whether a start leaves no doubt."""
        return start.explained > _ALL and start.error < self._clean

    def _candidates(self) -> list[Pair]:
        """The best pairs, no two of them nearly the same."""
        return self._apart(self._pairs, self.settings.starts)

    def _apart(self, found: Sequence[Pair], count: int) -> list[Pair]:
        """The first so many pairs, those left out that are nearly one before."""
        chosen: list[Pair] = []
        for pair in found:
            near = [abs(pair.first - c.first) + abs(pair.second - c.second) for c in chosen]
            if not near or min(near) > max(1, (pair.second - pair.first) // 3):
                chosen.append(pair)
            if len(chosen) == count:
                break
        return chosen

    def _start(self, pair: Pair, guess: Guess, loss: float = 1.0) -> Start | None:
        scene = started(self.marks, pair, Lens.fixed(guess.focal, self.marks.frames), SEED)
        if scene is None:
            return None
        scene = self._between(scene, pair)
        scene = self._adjust(scene, guess, 12, loss)
        scene = _without_strays(self.marks, scene, _CUTS[0])
        scene = self._adjust(scene, guess, 6)
        share, error = _within(self.marks.only(scene.placed[self.marks.frame]), scene)
        return Start(scene, pair, guess, share, error) if share else None

    def _between(self, scene: Scene, pair: Pair) -> Scene:
        """Places the keyframes between the pair's, on the line between its poses first."""
        inner = [key for key in self.keys if pair.first < key < pair.second]
        step = max(1, -(-len(inner) // self.settings.around))
        flags = np.zeros(self.marks.frames, dtype=np.bool_)
        flags[inner[::step]] = True
        scene = interpolated(scene, flags)
        scene = moved_poses(self.marks, scene, flags, _WIDE)
        scene = _accepted(self.marks, scene, flags)
        return triangulated(self.marks, scene, np.ones(self.marks.tracks, dtype=np.bool_), 2.0)

    def _adjust(
        self,
        scene: Scene,
        guess: Guess,
        iterations: int,
        loss: float | None = None,
        damping: float = 1e-4,
    ) -> Scene:
        freedom = self.freedom
        count = int(scene.placed.sum())
        if count < _FEW:
            # Two views tell next to nothing of the focal length: it would run away.
            freedom = replace(
                freedom, radial=0, ratio=False, zoom=False, focal=freedom.focal and count > 2
            )
        prior = None if guess.fixed else guess.prior
        settings = Settings(iterations, loss or self.loss, 1e-4, prior, damping, exact=True)
        return adjusted(self.marks, scene, freedom, settings, self.check).scene

    def _grow(self, start: Start) -> Scene:
        """Adds keyframe after keyframe on either side, until all are placed or none can be.

        Each is adjusted with its neighbors; everything is each time the scene has grown by a
        share, so that both cost linearly with the length of the shot.
        """
        scene, guess, refused = start.scene, start.guess, set[int]()
        adjusted_at = int(scene.placed.sum())
        while True:
            self.check()
            key = self._next(scene, refused)
            if key is None:
                break
            window, near = self._window(scene, key)
            grown = self._placed(window, scene, key)
            if grown is None:
                refused.add(key)
                continue
            refused = {other for other in refused if not self._beside(other, window)}
            part = triangulated(window.marks, grown, ~grown.known, 2.0)
            count = int(scene.placed.sum()) + 1
            full = count >= max(adjusted_at + 2, _GROWTH * adjusted_at)
            if full:
                scene = self._adjust(window.back(scene, part), guess, 6)
                scene = _without_strays(self.marks, scene, _CUTS[1])
                adjusted_at = count
            else:
                part = self._adjust_window(window, part, near)
                scene = window.back(scene, _without_strays(window.marks, part, _CUTS[1]))
        scene = self._adjust(scene, guess, 15, damping=1e-6)
        return _without_strays(self.marks, scene, _CUTS[1])

    def _beside(self, key: int, window: Window) -> bool:
        """Whether the window may hold a keyframe's neighbors."""
        return bool(window.frames[0] <= key <= window.frames[-1])

    def _window(self, scene: Scene, key: int) -> tuple[Window, Integers]:
        """What a keyframe and its nearest placed neighbors see, and which those are."""
        placed = np.flatnonzero(scene.placed)
        nearest = placed[np.argsort(np.abs(placed - key), kind="stable")[:_AROUND]]
        near = np.append(nearest[: _WINDOW - 1], key)
        frames = np.zeros(self.marks.frames, dtype=np.bool_)
        frames[nearest] = frames[key] = True
        return self.windows.around(near, frames), near

    def _next(self, scene: Scene, refused: set[int]) -> int | None:
        """Of the keyframes beside or between those placed, the one that sees most points."""
        known = scene.known[self.marks.track]
        counts = np.bincount(self.marks.frame[known], minlength=self.marks.frames)
        order = [key for key in self.keys if not scene.placed[key] and key not in refused]
        order = [key for key in order if counts[key] >= _LEAST_POINTS]
        return max(order, key=lambda key: counts[key], default=None)

    def _placed(self, window: Window, scene: Scene, key: int) -> Scene | None:
        """The window's part of the scene with the keyframe in its place."""
        marks, place = window.marks, int(np.searchsorted(window.frames, key))
        flags = np.zeros(marks.frames, dtype=np.bool_)
        flags[place] = True
        near = moved_poses(marks, window.part(nearest_pose(scene, key)), flags, _WIDE)
        found = _accepted(marks, near, flags)
        if not found.placed[place]:
            far = resected(marks, window.part(scene), place, 2 * _GOOD, SEED)
            found = _accepted(marks, moved_poses(marks, far, flags, _WIDE[1:]), flags)
        return found if found.placed[place] else None

    def _adjust_window(self, window: Window, part: Scene, near: Integers) -> Scene:
        """Adjusts the `near` frames and the points of the window; the lens and the frames further
        off stay."""
        held = ~np.isin(window.frames, near)
        freedom = replace(self.freedom, radial=0, zoom=False, focal=False, ratio=False)
        settings = Settings(2, self.loss, 1e-4, exact=True)
        return adjusted(window.marks, part, freedom, settings, self.check, held).scene


def _merit(mapped: Mapped) -> float:
    return mapped.merit


def _within(marks: Marks, scene: Scene) -> tuple[float, float]:
    """The share of the marks within reach of their points, and their median error in px."""
    errors = np.where(scene.known[marks.track], scene.errors(marks), np.inf)
    good = errors < _GOOD / 2
    if not good.any():
        return 0.0, np.inf
    return float(good.mean()), float(np.median(errors[good]))


def _accepted(marks: Marks, scene: Scene, frames: Flags) -> Scene:
    shares, counts = inlier_shares(marks, scene, 2 * _GOOD)
    good = (shares >= _LEAST_SHARE) & (counts >= _LEAST_POINTS)
    return replace(scene, placed=scene.placed | (frames & good))


def _without_strays(marks: Marks, scene: Scene, limit: float) -> Scene:
    """Forgets points that lie more than `limit` px off on average."""
    seen = marks.only(scene.usable(marks))
    errors = np.minimum(scene.errors(seen), 100.0)
    counts = np.bincount(seen.track, minlength=marks.tracks)
    mean = np.bincount(seen.track, errors, marks.tracks) / np.maximum(counts, 1)
    return replace(scene, known=scene.known & (mean < limit) & (counts >= 2))


def fit_of(marks: Marks, scene: Scene) -> tuple[float, float, float]:
    """The share of the marks that the scene explains, their median error in px, and a merit made
    of both."""
    errors = scene.errors(marks.only(scene.usable(marks)))
    good = errors < _GOOD
    error = float(np.median(errors[good])) if good.any() else np.inf
    share = float(good.sum()) / max(len(marks.track), 1)
    placed = float(scene.placed[np.unique(marks.frame)].mean())
    return share, error, placed**2 * share / (_NOISE + error)
