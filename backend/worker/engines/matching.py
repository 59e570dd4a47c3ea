# SPDX-License-Identifier: GPL-3.0-or-later
"""Features and matches of a plate in a COLMAP database."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pycolmap
from numpy.typing import NDArray

from ...camera import Array
from ..report import Report
from .background import cancelable

Pair = tuple[int, int]
"""Two plate frame numbers, the lower one first."""

T = TypeVar("T")

SEED = 1
_MAX_PAIR_ERROR = 4.0

# COLMAP tells nothing while it works, and its database must not be read by another SQLite in the
# same process. So it is given a second's worth at a time.
_FRAMES_PER_CORE = 4
_PAIRS_PER_CORE = 16


@dataclass(frozen=True)
class FeatureSettings:
    """What is looked for in a frame.

    `image_size` is the longer side that a larger image is reduced to; `first_octave` -1 doubles it
    before the search. `contrast` is the least that a feature must have (COLMAP's peak threshold).
    """

    image_size: int
    max_features: int
    first_octave: int
    contrast: float


@dataclass(frozen=True, eq=False)
class PairMatches:
    """The verified matches of two frames: pixels (m, 2) in each, `planar` as COLMAP labels it."""

    first: Array
    second: Array
    planar: bool

    def shift(self) -> float:
        """The median distance in px that matched points move."""
        return float(np.median(np.linalg.norm(self.second - self.first, axis=1)))


class FeatureDatabase:
    """Adds features and matches of plate frames to one database, telling how far it is."""

    def __init__(
        self, path: Path, frames: Mapping[int, Path], masks: Path | None, report: Report
    ) -> None:
        self.path = path
        self._frames = frames
        self._masks = masks
        self._report = report
        self._matched: set[Pair] = set()
        self._camera = -1
        self._ids: dict[int, int] = {}

    @property
    def images(self) -> Path:
        """The folder that image names are relative to."""
        return next(iter(self._frames.values())).parent

    def name(self, frame: int) -> str:
        return self._frames[frame].name

    def extract(self, frames: Sequence[int], settings: FeatureSettings) -> None:
        """Finds features in frames that have none yet; all share one SIMPLE_RADIAL camera."""
        new = [frame for frame in frames if frame not in self._ids]
        done = len(self._ids)
        options = _extraction(settings)
        for chunk in _chunks(new, _FRAMES_PER_CORE):
            self._report.progress(done, len(self._frames), "frames")
            self._extract(chunk, options)
            done += len(chunk)
        self._report.progress(done, len(self._frames), "frames")

    def _extract(self, frames: Sequence[int], options: pycolmap.FeatureExtractionOptions) -> None:
        names = [self.name(frame) for frame in frames]
        reader = self._reader()

        def work(token: pycolmap.CancellationToken) -> None:
            pycolmap.extract_features(
                self.path,
                self.images,
                names,
                pycolmap.CameraMode.SINGLE,
                reader,
                options,
                pycolmap.Device.cpu,
                token,
            )

        cancelable(work, self._report)
        self._read_ids()

    def _reader(self) -> pycolmap.ImageReaderOptions:
        reader = pycolmap.ImageReaderOptions()
        reader.camera_model = "SIMPLE_RADIAL"
        reader.existing_camera_id = self._camera
        if self._masks is not None:
            reader.mask_path = self._masks
        return reader

    def _read_ids(self) -> None:
        numbers = {path.name: frame for frame, path in self._frames.items()}
        with pycolmap.Database.open(self.path) as database:
            images = database.read_all_images()
        self._ids = {numbers[image.name]: image.image_id for image in images}
        self._camera = images[0].camera_id if images else -1

    def feature_counts(self, frames: Iterable[int]) -> list[int]:
        """How many features each of the frames has; 0 for one whose image could not be read."""
        with pycolmap.Database.open(self.path) as database:
            return [
                database.num_keypoints_for_image(self._ids[frame]) if frame in self._ids else 0
                for frame in frames
            ]

    def match(self, pairs: Iterable[Pair]) -> None:
        """Matches and verifies pairs that were not matched before."""
        new = sorted(
            pair
            for pair in set(pairs) - self._matched
            if pair[0] in self._ids and pair[1] in self._ids
        )
        if not new:
            return
        self._matched.update(new)
        done = 0
        for chunk in _chunks(new, _PAIRS_PER_CORE):
            self._report.progress(done, len(new), "pairs")
            self._match(chunk)
            done += len(chunk)
        self._report.progress(done, len(new), "pairs")

    def _match(self, pairs: Sequence[Pair]) -> None:
        pairing = pycolmap.ImportedPairingOptions()
        pairing.match_list_path = self._write_pairs(pairs)

        def work(token: pycolmap.CancellationToken) -> None:
            pycolmap.match_image_pairs(
                self.path, _matcher(), pairing, _verifier(), pycolmap.Device.cpu, token
            )

        cancelable(work, self._report)

    def _write_pairs(self, pairs: Sequence[Pair]) -> Path:
        path = self.path.with_name("pairs.txt")
        lines = [f"{self.name(first)} {self.name(second)}\n" for first, second in pairs]
        path.write_text("".join(lines), encoding="utf-8")
        return path

    def read_pairs(self, pairs: Iterable[Pair]) -> dict[Pair, PairMatches]:
        """The verified matches of those pairs that have any."""
        found: dict[Pair, PairMatches] = {}
        keypoints: dict[int, NDArray[np.float32]] = {}
        with pycolmap.Database.open(self.path) as database:
            for first, second in pairs:
                if (first, second) not in self._matched:
                    continue
                ids = self._ids[first], self._ids[second]
                geometry = database.read_two_view_geometry(*ids)
                matches = geometry.inlier_matches
                if len(matches) == 0:
                    continue
                for image in ids:
                    if image not in keypoints:
                        keypoints[image] = database.read_keypoints(image)[:, :2]
                found[first, second] = PairMatches(
                    first=keypoints[ids[0]][matches[:, 0]].astype(np.float64),
                    second=keypoints[ids[1]][matches[:, 1]].astype(np.float64),
                    planar=geometry.config in _PLANAR,
                )
        return found


_PLANAR = tuple(
    int(getattr(pycolmap.TwoViewGeometryConfiguration, name))
    for name in ("PLANAR", "PANORAMIC", "PLANAR_OR_PANORAMIC")
)


def _chunks(items: Sequence[T], per_core: int) -> Iterator[Sequence[T]]:
    size = per_core * (os.cpu_count() or 1)
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _extraction(settings: FeatureSettings) -> pycolmap.FeatureExtractionOptions:
    options = pycolmap.FeatureExtractionOptions()
    options.max_image_size = settings.image_size
    options.sift.max_num_features = settings.max_features
    options.sift.first_octave = settings.first_octave
    options.sift.peak_threshold = settings.contrast
    # A plate stays upright: a second orientation would only double the work.
    options.sift.max_num_orientations = 1
    return options


def _matcher() -> pycolmap.FeatureMatchingOptions:
    return pycolmap.FeatureMatchingOptions()


def _verifier() -> pycolmap.TwoViewGeometryOptions:
    options = pycolmap.TwoViewGeometryOptions()
    options.ransac.max_error = _MAX_PAIR_ERROR
    options.ransac.random_seed = SEED
    return options
