# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera solver over SIFT features and COLMAP's mapper, with settings fit for video.

One lens for the whole plate, a few frames looked at first to name a shot that cannot be solved,
keyframes mapped from pairs at several distances, every other frame resected between them, and one
adjustment over all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pycolmap

from ...errors import SolveError
from ...options import specs
from ...solve import Grade, Motion, Quality
from ...stages import ColmapOptions
from ..masks import write_colmap_masks
from ..report import Report
from . import Solution, SolveInput, diagnosis
from .keyframes import choose_keyframes, keyframe_pairs, links, neighbors, probe_frames
from .mapping import Mapped, Mapper, MapSettings, Rung
from .matching import FeatureDatabase, FeatureSettings, Pair, PairMatches
from .records import from_pycolmap

MIN_FRAMES = 5


@dataclass(frozen=True)
class Preset:
    """What a quality means.

    Up to about `features` of at least `contrast` (COLMAP's peak threshold) are found on an image
    of at most `share` of the plate's size and `largest` px. A
    keyframe comes every `gap` frames or `motion` (share of the width), and is matched with those
    `offsets` keyframes on (0: with all) and with the frames up to `reach` keyframes away.
    """

    share: float
    largest: int
    features: int
    gap: int
    motion: float
    offsets: tuple[int, ...]
    reach: int
    map: MapSettings
    contrast: float = 0.0067


_USUAL = (Rung(0.95, 16.0), Rung(1.0, 16.0), Rung(1.0, 4.0), Rung(1.0, 1.5))
_SMALL = (Rung(1.0, 4.0), Rung(1.0, 1.5), Rung(0.95, 16.0), Rung(1.0, 0.5))

PRESETS: Mapping[str, Preset] = {
    "low": Preset(0.5, 960, 1500, 8, 0.06, (1, 2, 4), 1, MapSettings(_USUAL, 1.5, 1, 10, 500)),
    "medium": Preset(
        1.0, 1920, 2500, 5, 0.04, (1, 2, 3, 4, 8, 16), 1, MapSettings(_USUAL, 1.5, 2, 15, 1000)
    ),
    "high": Preset(
        1.0, 3200, 5000, 4, 0.03, (1, 2, 3, 4, 6, 8, 12, 16, 24, 32), 2,
        MapSettings(_USUAL, 1.0, 3, 25, 2000), 0.004,
    ),
    "slow": Preset(1.0, 3200, 4000, 6, 0.02, (0,), 2, MapSettings(_SMALL, 0.3, 3, 30, 2000), 0.004),
}  # fmt: skip

_SMALL_PLATE = 800
"""Plates up to this size are doubled before features are found: they have too few else."""

_MOST_KEYFRAMES_FOR_ALL_PAIRS = 48


_NOT_FOLLOWED = ("move", "focal_length", "zoom", "distortion", "squeeze")
"""Options of the camera that only the engine of long tracks follows."""


class SiftSolver:
    """SIFT features, matched over keyframes, mapped by COLMAP."""

    name = "sift"

    def solve(self, task: SolveInput, report: Report) -> Solution:
        if len(task.frames) < MIN_FRAMES:
            raise SolveError(
                f"This plate has {len(task.frames)} frames; a camera solve needs at least "
                f"{MIN_FRAMES}. Take in a longer part of the shot."
            )
        return _Run(task, report).solution()


class _Run:
    """One solve, from frames to solution."""

    def __init__(self, task: SolveInput, report: Report) -> None:
        self.task = task
        self.report = report
        self.preset = PRESETS[task.options.quality]
        self.frames = sorted(task.frames)
        self.width, self.height = task.width, task.height
        self.warnings: list[str] = []
        self.planar = 0.0
        self.turn = diagnosis.TurnFit(0.0, 0.0, 0.0)
        size = (self.width, self.height)
        masks = write_colmap_masks(task.masks, task.frames, task.work / "masks", size)
        self.database = FeatureDatabase(task.work / "database.db", task.frames, masks, report)

    @property
    def size(self) -> int:
        return max(self.width, self.height)

    def solution(self) -> Solution:
        self._tell_ignored()
        self._probe()
        keyframes = self._match()
        self._refuse_turn(keyframes)
        mapped = self._map(keyframes)
        reconstruction = from_pycolmap(mapped.model)
        self._warn_of(diagnosis.travel_over_depth(reconstruction), mapped)
        record = {
            "keyframes": len(keyframes),
            "features_per_frame": round(float(np.mean(self._counts(self.frames)))),
            "initial_pair": {"forward": mapped.rung.max_forward, "angle": mapped.rung.min_angle},
            "planar_share": round(self.planar, 3),
            "turn_share": round(self.turn.share, 3),
            "pycolmap": pycolmap.__version__,
        }
        return Solution(
            reconstruction, self._quality(), warnings=tuple(self.warnings), record=record
        )

    def _tell_ignored(self) -> None:
        """Warns of settings that were made and that this engine has no way to follow."""
        made, usual = self.task.options, ColmapOptions()
        labels = {spec.name: spec.label for spec in specs(ColmapOptions)}
        ignored = [
            labels[name] for name in _NOT_FOLLOWED if getattr(made, name) != getattr(usual, name)
        ]
        if ignored:
            self._warn(
                "The engine Features solves a traveling camera and its lens freely; it does not "
                f"follow {', '.join(ignored)}. The engine Tracks does."
            )

    def _quality(self) -> Quality:
        return Quality(
            motion=Motion.MOVING,
            reason="Feature matching solves a traveling camera.",
            grade=Grade.POOR if self.warnings else Grade.FAIR,
            advice=tuple(self.warnings),
        )

    def _warn(self, text: str) -> None:
        self.warnings.append(text)
        self.report.warning(text)

    def _counts(self, frames: Sequence[int]) -> list[int]:
        return self.database.feature_counts(frames)

    def _settings(self) -> FeatureSettings:
        preset = self.preset
        limit = min(preset.largest, round(preset.share * self.size))
        size = min(self.task.options.max_size or limit, self.size)
        octave = -1 if self.size <= _SMALL_PLATE else 0
        return FeatureSettings(size, preset.features, octave, preset.contrast)

    def _probe(self) -> None:
        """Looks at a few frames over the whole shot. Raises SolveError for what is plain."""
        self.report.status("Looking at a few frames")
        probes = probe_frames(self.frames)
        self.database.extract(probes, self._settings())
        diagnosis.refuse_untextured(self._counts(probes))
        pairs = keyframe_pairs(probes, (1, 2, 3, 5, len(probes) - 1))
        self.database.match(pairs)
        diagnosis.refuse_static(self.database.read_pairs(pairs).values(), self.size)

    def _match(self) -> list[int]:
        """Features and matches for the whole plate; returns the keyframes."""
        self.report.status("Finding features")
        self.database.extract(self.frames, self._settings())
        self.report.status("Matching neighboring frames")
        near = neighbors(self.frames)
        self.database.match(near)
        found = self.database.read_pairs(near)
        diagnosis.refuse_unmatched(found.values(), len(near))
        keyframes = choose_keyframes(
            self.frames,
            {pair: matches.shift() for pair, matches in found.items()},
            probe_frames(self.frames),
            self.preset.gap,
            self.preset.motion * self.size,
        )
        self.report.status("Matching keyframes")
        self.database.match(
            [
                *keyframe_pairs(keyframes, self._offsets(len(keyframes))),
                *links(self.frames, keyframes, self.preset.reach),
            ]
        )
        return keyframes

    def _offsets(self, keyframes: int) -> tuple[int, ...]:
        if 0 in self.preset.offsets and keyframes > _MOST_KEYFRAMES_FOR_ALL_PAIRS:
            return (*range(1, 13), 16, 24, 32, 48, 64)
        return self.preset.offsets

    def _key_matches(self, keyframes: Sequence[int]) -> dict[Pair, PairMatches]:
        probes = probe_frames(self.frames)
        pairs = {
            *keyframe_pairs(keyframes, self._offsets(len(keyframes))),
            *keyframe_pairs(probes, (1, 2, 3, 5, len(probes) - 1)),
        }
        return self.database.read_pairs(sorted(pairs))

    def _refuse_turn(self, keyframes: Sequence[int]) -> None:
        """Raises SolveError when turning alone explains what the widest pairs show."""
        matches = list(self._key_matches(keyframes).values())
        widest = diagnosis.widest(matches, self.size)
        self.planar = float(np.mean([pair.planar for pair in widest])) if widest else 0.0
        if widest:
            pairs = [(pair.first, pair.second) for pair in widest]
            self.turn = diagnosis.fit_turn(pairs, self.width, self.height)
        diagnosis.refuse_turn(self.turn, self.planar)

    def _map(self, keyframes: Sequence[int]) -> Mapped:
        self.report.status("Mapping keyframes")
        mapper = Mapper(self.database, self.task.work, self.preset.map, self.report)
        mapped = mapper.map_keyframes(keyframes)
        if mapped is None:
            raise SolveError(diagnosis.NO_MODEL)
        self.report.status("Placing the other frames")
        mapper.register_rest(mapped.model, self.frames)
        self.report.status("Adjusting all frames together")
        mapper.adjust(mapped.model)
        model = mapped.model
        diagnosis.refuse_stub(model.num_reg_images(), model.num_points3D(), len(self.frames))
        mapper.color(mapped.model, keyframes)
        return mapped

    def _warn_of(self, travel: float, mapped: Mapped) -> None:
        lens = next(iter(mapped.model.cameras.values()))
        for text in (
            diagnosis.weak_parallax(self.turn, self.planar, travel),
            diagnosis.odd_lens(lens.mean_focal_length() / self.width, float(lens.params[3])),
            *diagnosis.dropped(mapped.dropped),
        ):
            if text:
                self._warn(text)
