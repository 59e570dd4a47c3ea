# SPDX-License-Identifier: GPL-3.0-or-later
"""From tracks on keyframes to a scene that holds them all: a start, then frame after frame.

Several starts are tried, with several focal lengths where none is known; the best is grown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ....camera import Array
from .bundle import Adjusted, Check, Settings, adjusted
from .lens import Lens
from .lens_choice import relative_sigmas
from .linear import Freedom
from .marks import Flags, Marks
from .placing import inlier_shares, moved_poses, resected, triangulated
from .scene import Scene, rotation_vectors, rotations
from .seeds import Pair, pairs, started

SEED = 1
FOCALS = (1.0, 0.6, 1.8, 3.0)
"""Focal lengths over the picture's width that are tried where none is known."""

_WIDE = (20.0, 6.0, 2.0)
_GOOD = 3.0
"""Px within which a point counts as explained while the lens is still rough."""

_LEAST_SHARE = 0.4
_LEAST_POINTS = 15
_CUTS = (8.0, 4.0)
_FEW = 5
_WINDOW = 10
_NOISE = 0.05
"""Px that tracks are off by anyway."""

_SURE, _EXPLAINED = 0.03, 0.6
"""Relative standard deviation of the focal length, and share of marks explained, of a mapping that
no other need be held against."""

_NEARLY_ALL = 0.9
_CLEAN = 0.00012
"""Of the longer side (0.15 px at 1280) that marks are off by at the median in a clean mapping."""

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
        self.keys = list(keys)
        self.guesses, self.freedom, self.settings = guesses, freedom, settings
        self.check = check
        self.thorough = freedom.zoom

    def best(self, others: Sequence[Freedom] = (), floor: float = 0.0) -> Mapped | None:
        """The best of several starts grown, None where none holds.

        Where that leaves doubt, the starts are grown with each of `others` too: a lens that bends
        much is only found when it may, and a slight move only when it may not. It is given up
        when the first few have less merit than `floor`.
        """
        starts = self._starts()
        best: Mapped | None = None
        for freedom in (self.freedom, *others):
            self.freedom = freedom
            found = self._best_of(starts, floor)
            if found is not None:
                # What has led somewhere once goes first the next time.
                first = found.start
                starts = [first, *(start for start in starts if start is not first)]
            if found and (best is None or found.merit > _PREFERRED * best.merit):
                best = found
            if best and best.clean:
                break
        return best

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
            exact = mapped.error < _CLEAN * self.marks.size
            return exact and mapped.explained > _NEARLY_ALL
        freedom = self.freedom
        if not freedom.focal:
            return True
        part = self.marks.only(scene.usable(self.marks))
        cost = float((np.minimum(scene.errors(part), _GOOD) ** 2).sum())
        settled = Adjusted(scene, cost, len(part.track), 0)
        return relative_sigmas(self.marks, settled, freedom, 0.5)["focal"] < _SURE

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
        clean = error < _CLEAN * self.marks.size and self._sure(mapped)
        return replace(mapped, clean=clean)

    def _starts(self) -> list[Start]:
        """Starts over pairs and focal lengths, the best first."""
        starts: list[Start] = []
        guesses = list(self.guesses)
        width = self.marks.width
        for pair in self._candidates():
            for guess in guesses:
                self.check()
                found = self._start(pair, guess)
                if found is not None:
                    starts.append(found)
            starts.sort(key=lambda start: start.merit(width), reverse=True)
            if starts and not starts[0].guess.fixed and not self.thorough:
                guesses = [replace(starts[0].guess, focal=starts[0].focal)]
        return starts

    def _candidates(self) -> list[Pair]:
        """The best pairs, no two of them nearly the same."""
        chosen: list[Pair] = []
        for pair in pairs(self.marks, self.keys):
            near = [abs(pair.first - c.first) + abs(pair.second - c.second) for c in chosen]
            if not near or min(near) > max(1, (pair.second - pair.first) // 3):
                chosen.append(pair)
            if len(chosen) == self.settings.starts:
                break
        return chosen

    def _start(self, pair: Pair, guess: Guess) -> Start | None:
        scene = started(self.marks, pair, Lens.fixed(guess.focal, self.marks.frames), SEED)
        if scene is None:
            return None
        scene = self._between(scene, pair)
        scene = self._adjust(scene, guess, 12, None, loss=1.0)
        scene = self._cut(scene, _CUTS[0])
        scene = self._adjust(scene, guess, 6, None, loss=0.5)
        seen = self.marks.only(scene.placed[self.marks.frame])
        errors = np.where(scene.known[seen.track], scene.errors(seen), np.inf)
        good = errors < _GOOD / 2
        if not good.any():
            return None
        return Start(scene, pair, guess, float(good.mean()), float(np.median(errors[good])))

    def _between(self, scene: Scene, pair: Pair) -> Scene:
        """Places the keyframes between the pair's, on the line between its poses first."""
        inner = [key for key in self.keys if pair.first < key < pair.second]
        step = max(1, -(-len(inner) // self.settings.around))
        flags = np.zeros(self.marks.frames, dtype=np.bool_)
        flags[inner[::step]] = True
        scene = interpolated(scene, flags)
        scene = moved_poses(self.marks, scene, flags, _WIDE)
        scene = self._accepted(scene, flags)
        return triangulated(self.marks, scene, np.ones(self.marks.tracks, dtype=np.bool_), 2.0)

    def _accepted(self, scene: Scene, frames: Flags) -> Scene:
        shares, counts = inlier_shares(self.marks, scene, 2 * _GOOD)
        good = (shares >= _LEAST_SHARE) & (counts >= _LEAST_POINTS)
        return replace(scene, placed=scene.placed | (frames & good))

    def _adjust(
        self,
        scene: Scene,
        guess: Guess,
        iterations: int,
        held: Flags | None,
        loss: float = 0.5,
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
        settings = Settings(iterations, loss, 1e-4, prior, damping, exact=True)
        if held is None:
            return adjusted(self.marks, scene, freedom, settings, self.check).scene
        return self._adjust_window(scene, replace(freedom, radial=0, zoom=False), settings, held)

    def _adjust_window(
        self, scene: Scene, freedom: Freedom, settings: Settings, held: Flags
    ) -> Scene:
        """Adjusts the placed frames that are not held, and the points they see, lens held too."""
        free = scene.placed & ~held
        seen = np.zeros(self.marks.tracks, dtype=np.bool_)
        seen[self.marks.track[free[self.marks.frame]]] = True
        part = self.marks.only(seen[self.marks.track])
        near = np.bincount(part.frame, minlength=part.frames) > 0
        freedom = replace(freedom, focal=False, ratio=False)
        local = replace(scene, placed=scene.placed & near)
        moved = adjusted(part, local, freedom, settings, self.check, held).scene
        return replace(moved, placed=scene.placed)

    def _cut(self, scene: Scene, limit: float) -> Scene:
        """Forgets points that lie more than `limit` px off on average."""
        seen = self.marks.only(scene.usable(self.marks))
        errors = np.minimum(scene.errors(seen), 100.0)
        counts = np.bincount(seen.track, minlength=self.marks.tracks)
        mean = np.bincount(seen.track, errors, self.marks.tracks) / np.maximum(counts, 1)
        return replace(scene, known=scene.known & (mean < limit) & (counts >= 2))

    def _grow(self, start: Start) -> Scene:
        """Adds keyframe after keyframe on either side, until all are placed or none can be."""
        scene, guess, refused = start.scene, start.guess, set[int]()
        adjusted_at = int(scene.placed.sum())
        while True:
            self.check()
            key = self._next(scene, refused)
            if key is None:
                break
            grown = self._placed(scene, key)
            if grown is None:
                refused.add(key)
                continue
            refused.clear()
            scene = self._with_points(grown)
            count = int(scene.placed.sum())
            full = count >= max(adjusted_at + 2, 1.25 * adjusted_at)
            held = None if full else self._outside_window(scene, key)
            scene = self._adjust(scene, guess, 6 if full else 2, held)
            scene = self._cut(scene, _CUTS[1])
            adjusted_at = count if full else adjusted_at
        scene = self._adjust(scene, guess, 15, None, damping=1e-6)
        return self._cut(scene, _CUTS[1])

    def _outside_window(self, scene: Scene, key: int) -> Flags:
        placed = np.flatnonzero(scene.placed)
        near = placed[np.argsort(np.abs(placed - key))[:_WINDOW]]
        held = scene.placed.copy()
        held[near] = False
        return held

    def _next(self, scene: Scene, refused: set[int]) -> int | None:
        """Of the keyframes beside or between those placed, the one that sees most points."""
        known = self.marks.only(scene.known[self.marks.track])
        counts = np.bincount(known.frame, minlength=self.marks.frames)
        order = [key for key in self.keys if not scene.placed[key] and key not in refused]
        order = [key for key in order if counts[key] >= _LEAST_POINTS]
        return max(order, key=lambda key: counts[key], default=None)

    def _placed(self, scene: Scene, key: int) -> Scene | None:
        flags = np.zeros(self.marks.frames, dtype=np.bool_)
        flags[key] = True
        near = moved_poses(self.marks, nearest_pose(scene, key), flags, _WIDE)
        found = self._accepted(near, flags)
        if not found.placed[key]:
            far = resected(self.marks, scene, key, 2 * _GOOD, SEED)
            found = self._accepted(moved_poses(self.marks, far, flags, _WIDE[1:]), flags)
        return found if found.placed[key] else None

    def _with_points(self, scene: Scene) -> Scene:
        return triangulated(self.marks, scene, ~scene.known, 2.0)


def fit_of(marks: Marks, scene: Scene) -> tuple[float, float, float]:
    """The share of the marks that the scene explains, their median error in px, and a merit made
    of both."""
    errors = scene.errors(marks.only(scene.usable(marks)))
    good = errors < _GOOD
    error = float(np.median(errors[good])) if good.any() else np.inf
    share = float(good.sum()) / max(len(marks.track), 1)
    placed = float(scene.placed[np.unique(marks.frame)].mean())
    return share, error, placed**2 * share / (_NOISE + error)


def nearest_pose(scene: Scene, frame: int) -> Scene:
    """The scene with the frame standing where its nearest placed neighbor does."""
    placed = np.flatnonzero(scene.placed)
    near = placed[np.argmin(np.abs(placed - frame))]
    rotation, translation = scene.rotation.copy(), scene.translation.copy()
    rotation[frame], translation[frame] = rotation[near], translation[near]
    focal = scene.lens.focal.copy()
    focal[frame] = focal[near]
    lens = replace(scene.lens, focal=focal)
    return replace(scene, rotation=rotation, translation=translation, lens=lens)


def interpolated(scene: Scene, frames: Flags) -> Scene:
    """The scene with poses of `frames` (f,) on the line between their placed neighbors', or where
    the nearest stands beyond them."""
    placed, wanted = np.flatnonzero(scene.placed), np.flatnonzero(frames)
    after = np.searchsorted(placed, wanted).clip(0, len(placed) - 1)
    before = np.maximum(np.searchsorted(placed, wanted, side="right") - 1, 0)
    a, b = placed[before], placed[after]
    part = np.clip((wanted - a) / np.maximum(b - a, 1), 0, 1)[:, None]
    turn = rotation_vectors(scene.rotation[b] @ np.swapaxes(scene.rotation[a], 1, 2))
    rotation, translation = scene.rotation.copy(), scene.translation.copy()
    rotation[wanted] = rotations(part * turn) @ scene.rotation[a]
    centers: Array = scene.centers
    center = centers[a] * (1 - part) + centers[b] * part
    translation[wanted] = -np.einsum("fij,fj->fi", rotation[wanted], center)
    focal = scene.lens.focal.copy()
    if scene.lens.zooms:
        focal[wanted] = np.exp(np.interp(wanted, placed, np.log(focal[placed])))
    lens = replace(scene.lens, focal=focal)
    return replace(scene, rotation=rotation, translation=translation, lens=lens)
