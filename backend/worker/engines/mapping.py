# SPDX-License-Identifier: GPL-3.0-or-later
"""From matches to one reconstruction: keyframes first, then every other frame, then adjustment.

Mapping all frames of a plate incrementally spends its time on adjusting neighbors that are nearly
the same picture. Keyframes hold the geometry; the frames between need a pose and their points.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pycolmap
from numpy.typing import NDArray

from ..report import Report
from .background import cancelable
from .matching import SEED, FeatureDatabase

_MIN_MODEL = 3
_MIN_MATCHES = 15
_MIN_TRACK = 3
_FIRST_LOSS = 0.5
_LOSS_LIMITS = (0.2, 1.0)
_THREADS_FROM = 8000
"""Residuals from which the adjustment is worth several threads."""


@dataclass(frozen=True)
class Rung:
    """Limits for the pair that a reconstruction starts from; degrees, and share of forward."""

    max_forward: float
    min_angle: float


@dataclass(frozen=True)
class MapSettings:
    """`rungs` are tried in turn until one holds all keyframes; the best result is kept.

    `min_angle` (degrees) is the least angle a point must be seen under. The final adjustment takes
    up to `observations` a frame, `rounds` times of `iterations`, and cuts outliers at `max_error`
    (px) in the end.
    """

    rungs: tuple[Rung, ...]
    min_angle: float
    rounds: int
    iterations: int
    observations: int
    max_error: float = 2.0


@dataclass(frozen=True, eq=False)
class Mapped:
    """The model that holds most frames, and the frames of each smaller one that was dropped."""

    model: pycolmap.Reconstruction
    dropped: tuple[tuple[str, ...], ...]
    rung: Rung


class Mapper:
    """Maps the frames of a matched database."""

    def __init__(
        self, database: FeatureDatabase, work: Path, settings: MapSettings, report: Report
    ) -> None:
        self._database = database
        self._work = work
        self._settings = settings
        self._report = report

    def map_keyframes(self, keyframes: Sequence[int]) -> Mapped | None:
        """The best model of the keyframes over all rungs; None when there is none."""
        best: Mapped | None = None
        for rung in self._settings.rungs:
            models = self._map_from(rung, keyframes)
            found = largest(models, rung)
            if found is not None and (best is None or _rank(found) > _rank(best)):
                best = found
            if best is not None and best.model.num_reg_images() == len(keyframes):
                break
        return best

    def _map_from(self, rung: Rung, keyframes: Sequence[int]) -> list[pycolmap.Reconstruction]:
        output = self._work / f"keyframes_{rung.max_forward:g}_{rung.min_angle:g}"
        output.mkdir()
        options = self._options(rung)
        options.image_names = [self._database.name(frame) for frame in keyframes]
        registered = [0]

        def started() -> None:
            registered[0] = 2

        def registered_one() -> None:
            registered[0] += 1

        def work(token: pycolmap.CancellationToken) -> dict[int, pycolmap.Reconstruction]:
            return pycolmap.incremental_mapping(
                self._database.path,
                self._database.images,
                output,
                options,
                initial_image_pair_callback=started,
                next_image_callback=registered_one,
                cancellation_token=token,
            )

        def tick() -> None:
            done = min(registered[0], len(keyframes))
            self._report.progress(done, len(keyframes), "keyframes")

        return list(cancelable(work, self._report, tick).values())

    def _options(self, rung: Rung) -> pycolmap.IncrementalPipelineOptions:
        options = pycolmap.IncrementalPipelineOptions()
        options.random_seed = SEED
        options.extract_colors = False
        options.min_model_size = _MIN_MODEL
        # The adjustments keep COLMAP's own number of steps: with fewer, a forward move ends in a
        # wrong focal length that nothing later repairs.
        options.ba_min_num_residuals_for_cpu_multi_threading = _THREADS_FROM
        options.mapper.init_max_forward_motion = rung.max_forward
        options.mapper.init_min_tri_angle = rung.min_angle
        options.mapper.filter_min_tri_angle = self._settings.min_angle
        options.triangulation.min_angle = self._settings.min_angle
        return options

    def register_rest(self, model: pycolmap.Reconstruction, frames: Sequence[int]) -> None:
        """Adds every other frame to the model by resection, then the points they see."""
        options = self._options(self._settings.rungs[0])
        mapping, triangulation = options.get_mapper(), options.get_triangulation()
        # The keyframes settle the lens better than any single frame could.
        mapping.abs_pose_refine_focal_length = False
        mapping.abs_pose_refine_extra_params = False
        with pycolmap.Database.open(self._database.path) as database:
            cache_options = pycolmap.DatabaseCacheOptions()
            cache_options.min_num_matches = _MIN_MATCHES
            cache = pycolmap.DatabaseCache.create(database, cache_options)
        mapper = pycolmap.IncrementalMapper(cache)
        mapper.begin_reconstruction(model)
        waiting = self._register(mapper, mapping, triangulation, model, frames)
        if waiting:
            self._register(mapper, mapping, triangulation, model, frames)
        cancelable(lambda _token: mapper.complete_and_merge_tracks(triangulation), self._report)
        mapper.end_reconstruction(False)

    def _register(
        self,
        mapper: pycolmap.IncrementalMapper,
        mapping: pycolmap.IncrementalMapperOptions,
        triangulation: pycolmap.IncrementalTriangulatorOptions,
        model: pycolmap.Reconstruction,
        frames: Sequence[int],
    ) -> int:
        """Tries each frame that has no pose yet; how many still have none."""
        ids = {image.name: image.image_id for image in model.images.values()}
        missing = 0
        for index, frame in enumerate(frames):
            self._report.progress(index, len(frames), "frames")
            image = ids.get(self._database.name(frame))
            if image is None or model.images[image].has_pose:
                continue
            if mapper.register_next_image(mapping, image):
                mapper.triangulate_image(triangulation, image)
            else:
                missing += 1
        self._report.progress(len(frames), len(frames), "frames")
        return missing

    def adjust(self, model: pycolmap.Reconstruction) -> None:
        """Adjusts all poses, points and the lens together; outliers are cut between rounds."""
        settings = self._settings
        self._thin(model)
        for index in range(settings.rounds):
            self._report.progress(index, settings.rounds, "rounds")
            self._adjust_once(model, _FIRST_LOSS if index == 0 else _loss_scale(model))
            limit = settings.max_error * (2 if index < settings.rounds - 1 else 1)
            manager = pycolmap.ObservationManager(model)
            manager.filter_all_points3D(limit, settings.min_angle)
            manager.filter_points3D_with_short_tracks(_MIN_TRACK)
            model.update_point_3d_errors()
        self._report.progress(settings.rounds, settings.rounds, "rounds")

    def _thin(self, model: pycolmap.Reconstruction) -> None:
        """Keeps the finest observations of each frame.

        A large blob is placed less exactly than a small corner, and where the view slants, always
        to the same side: without them the adjustment is both faster and nearer to the truth.
        """
        ids = [image.image_id for image in model.images.values() if image.has_pose]
        with pycolmap.Database.open(self._database.path) as database:
            sizes = {id_: _feature_sizes(database.read_keypoints(id_)) for id_ in ids}
        for id_ in ids:
            seen = np.array(model.images[id_].get_observation_point2D_idxs(), dtype=np.int64)
            coarse = np.argsort(sizes[id_][seen], kind="stable")[self._settings.observations :]
            for index in seen[coarse].tolist():
                # Taking one observation away may have taken its point, and others with it.
                if model.images[id_].points2D[index].has_point3D():
                    model.delete_observation(id_, index)
        pycolmap.ObservationManager(model).filter_points3D_with_short_tracks(_MIN_TRACK)

    def _adjust_once(self, model: pycolmap.Reconstruction, loss_scale: float) -> None:
        options = pycolmap.BundleAdjustmentOptions()
        options.print_summary = False
        options.ceres.loss_function_type = pycolmap.LossFunctionType.CAUCHY
        options.ceres.loss_function_scale = loss_scale
        options.ceres.min_num_residuals_for_cpu_multi_threading = _THREADS_FROM
        solver = options.ceres.solver_options
        solver.max_num_iterations = self._settings.iterations
        solver.function_tolerance = 1e-6
        solver.num_threads = os.cpu_count() or 1

        def work(token: pycolmap.CancellationToken) -> None:
            pycolmap.bundle_adjustment(model, options, token)

        cancelable(work, self._report)

    def color(self, model: pycolmap.Reconstruction, keyframes: Sequence[int]) -> None:
        """Gives points the plate's colors, reading no more frames than it takes."""
        ids = {image.name: image.image_id for image in model.images.values() if image.has_pose}
        names = [self._database.name(frame) for frame in keyframes]
        black = list(model.points3D)
        for name in [*names, *sorted(set(ids) - set(names))]:
            self._report.check()
            if name in ids:
                model.extract_colors_for_image(ids[name], self._database.images)
                black = [id_ for id_ in black if not model.points3D[id_].color.any()]
            if not black:
                return


def _feature_sizes(keypoints: NDArray[np.float32]) -> NDArray[np.float32]:
    """The size (m,) of features in px from their rows x, y, and an affine shape or a scale."""
    if keypoints.shape[1] < 6:
        return keypoints[:, 2]
    a11, a12, a21, a22 = keypoints[:, 2:6].T
    sizes: NDArray[np.float32] = np.sqrt(np.abs(a11 * a22 - a12 * a21))
    return sizes


def _loss_scale(model: pycolmap.Reconstruction) -> float:
    """Where the soft loss turns over, px: about the error that is usual in this plate."""
    usual = float(np.median([point.error for point in model.points3D.values()] or [_FIRST_LOSS]))
    return float(np.clip(usual, *_LOSS_LIMITS))


def largest(models: Sequence[pycolmap.Reconstruction], rung: Rung) -> Mapped | None:
    """Of all models the one with most frames, then points: COLMAP's first is often a stub."""
    ranked = sorted(models, key=lambda m: (m.num_reg_images(), m.num_points3D()), reverse=True)
    if not ranked:
        return None
    kept = set(_names(ranked[0]))
    dropped = [tuple(name for name in _names(model) if name not in kept) for model in ranked[1:]]
    return Mapped(ranked[0], tuple(names for names in dropped if names), rung)


def _names(model: pycolmap.Reconstruction) -> list[str]:
    return sorted(image.name for image in model.images.values() if image.has_pose)


def _rank(mapped: Mapped) -> tuple[int, int]:
    return mapped.model.num_reg_images(), mapped.model.num_points3D()
