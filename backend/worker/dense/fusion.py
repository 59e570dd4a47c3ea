# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth maps of all views become one cloud in which each spot of a surface stands once.

A pixel's depth is kept where enough other views have the same surface there: its point, sent into
another view, onto that view's surface and back, must come home (Schoenberger et al., "Pixelwise
View Selection for Unstructured Multi-View Stereo", 2016). Depth is measured at pixel centers, and
another view's depth is taken where its surface's plane meets the ray itself and not at the center
of the pixel that was hit: nothing is shifted by half a pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from ...dense_files import Cloud
from . import fusion_loops as loops
from .clouds import chosen, joined, thinning
from .compiled import in_spans
from .views import DepthMap, Floats, View

Seen = tuple[View, DepthMap]
Load = Callable[[int], Seen]
"""A view and its depth map by frame number, read when they are asked for."""
Progress = Callable[[int, int], None]
"""Told how many of how many are done; what it raises ends the work."""

KEPT = 12
"""Views in memory at once: 2 megapixels with depth, normals and confidence are 50 MB."""
_LEAST_WEIGHT = 0.02


@dataclass(frozen=True)
class FusionOptions:
    """When views agree on a point.

    views          how many must have it, its own among them
    pixels         the most between a pixel and its way to another view and back
    depth          the most difference of depth, as a share
    degrees        the most between normals
    confidence     a depth map's pixels under it are left out
    most           points: where there would be more, each cell of a grid keeps one
    """

    views: int = 3
    pixels: float = 1.0
    depth: float = 0.01
    degrees: float = 30.0
    confidence: float = 0.1
    most: int = 10_000_000

    def limits(self) -> NDArray[np.float64]:
        """As the loops take them."""
        return np.array([self.pixels, self.depth, np.cos(np.radians(self.degrees))])


@dataclass(frozen=True, eq=False)
class _Part:
    """The points that a view, or several, gave, and how wide each is in the world."""

    cloud: Cloud
    sizes: Floats

    @cached_property
    def box(self) -> tuple[Floats, Floats]:
        """The least and the most of its points, of which there must be one."""
        return self.cloud.positions.min(axis=0), self.cloud.positions.max(axis=0)


def fuse(
    sources: Mapping[int, Sequence[int]],
    load: Load,
    options: FusionOptions | None = None,
    progress: Progress | None = None,
) -> Cloud:
    """The cloud of all views; it has no points where no views agree.

    `sources` has for each view the frame numbers of the views that it is checked with. Memory: a
    few views, for each of a view's sources 8 bytes a pixel, and 35 bytes a point, three times that
    where the points are put together: 1 GB for `FusionOptions.most`. Each view asks all points
    before it whether they cover its pixels, which takes 0.1 microseconds a point in its sight.
    """
    options = options or FusionOptions()
    # Neighbors are asked for again and again.
    recent = lru_cache(maxsize=KEPT)(load)
    parts: list[_Part] = []
    for done, (number, others) in enumerate(sources.items(), 1):
        parts.append(_points(number, others, recent, parts, options))
        if sum(len(part.sizes) for part in parts) > options.most:
            parts = [_fewer(parts, options.most)]
        if progress:
            progress(done, len(sources))
    return joined([part.cloud for part in parts]) if parts else _none()


def _fewer(parts: Sequence[_Part], most: int) -> _Part:
    """One part of at most half of `most`, so that it is not soon too much again."""
    cloud, sizes = joined([part.cloud for part in parts]), np.concatenate([p.sizes for p in parts])
    kept, cell = thinning(cloud, most // 2)
    return _Part(chosen(cloud, kept), np.maximum(sizes[kept], np.float32(cell)))


def _none() -> Cloud:
    three, one = np.empty((0, 3), np.float32), np.empty(0, np.float32)
    return Cloud(three, three, np.empty((0, 3), np.uint8), one)


def _points(
    number: int,
    others: Sequence[int],
    load: Load,
    before: Sequence[_Part],
    options: FusionOptions,
) -> _Part:
    """The view's points that no view `before` has given."""
    view, own = load(number)
    weight = weights(view, own, options.confidence)
    free = weight > 0
    for part in before:
        _cover(part, view, own, options.depth, free)
    height, width = own.depth.shape
    depths, trusts = (np.zeros((len(others), height, width), np.float32) for _ in range(2))
    sums = np.concatenate([own.normal, view.colors.astype(np.float32)], 2) * weight[..., None]
    against = np.zeros((height, width), np.uint8)
    for index, other in enumerate(others):
        _hear((view, own), load(other), index, free, options, (depths, trusts, sums, against))
    found, confidence = np.zeros_like(own.depth), np.zeros_like(own.depth)
    in_spans(
        lambda start, end: loops.settle(
            start, end, options.views, own.depth, weight, free, depths, trusts, against, found,
            confidence,
        ),
        height,
    )  # fmt: skip
    total = weight + trusts.sum(axis=0)
    return _made(view, found, sums / np.maximum(total, 1e-9)[..., None], confidence)


def weights(view: View, own: DepthMap, confidence: float) -> Floats:
    """(h, w) how far a pixel is trusted: 0 where it is masked, has no depth or is too doubtful."""
    good = view.usable & (own.depth > 0) & (own.confidence >= confidence)
    found: Floats = np.where(good, np.maximum(own.confidence, _LEAST_WEIGHT), 0).astype(np.float32)
    return found


def lens(view: View) -> NDArray[np.float64]:
    """fx, fy, cx, cy."""
    return np.array([*view.focal, *view.center], np.float64)


def _cover(part: _Part, view: View, own: DepthMap, share: float, free: NDArray[np.bool_]) -> None:
    points = part.cloud.positions
    if not len(points) or _out_of_sight(*part.box, view):
        return
    turn, move = np.ascontiguousarray(view.rotation), view.translation
    in_spans(
        lambda start, end: loops.cover(
            points[start:end], part.sizes[start:end], turn, move, lens(view), own.depth, share, free
        ),
        len(points),
    )


def _out_of_sight(low: Floats, high: Floats, view: View) -> bool:
    """Whether a box is wholly on the outer side of one of the planes that bound a view."""
    corners = np.stack(np.meshgrid(*np.stack([low, high], 1)), -1).reshape(-1, 3)
    x, y, z = (corners @ view.rotation.T + view.translation).T
    (fx, fy), (cx, cy), (width, height) = view.focal, view.center, view.size
    sides = [z, fx * x + cx * z, (width - cx) * z - fx * x, fy * y + cy * z]
    sides.append((height - cy) * z - fy * y)
    return any(bool((side < 0).all()) for side in sides)


Heard = tuple[Floats, Floats, Floats, NDArray[np.uint8]]


def _hear(
    seen: Seen, other: Seen, index: int, free: NDArray[np.bool_], options: FusionOptions, out: Heard
) -> None:
    """Asks one other view; see `fusion_loops.agree` for what `out` gets."""
    (view, own), (there, its) = seen, other
    turn = np.ascontiguousarray(there.rotation @ view.rotation.T)
    move = there.translation - turn @ view.translation
    trust = weights(there, its, options.confidence)
    in_spans(
        lambda start, end: loops.agree(
            start, end, index, turn, move, lens(view), own.depth, own.normal, free,
            lens(there), its.depth, its.normal, trust, there.colors, options.limits(), *out,
        ),
        len(own.depth),
    )  # fmt: skip


def _made(view: View, found: Floats, means: Floats, confidence: Floats) -> _Part:
    """Points of the world from depths that are not 0; `means` (h, w, 6) of normal and color."""
    y, x = np.nonzero(found)
    depth = found[y, x].astype(np.float64)
    fx, fy, cx, cy = lens(view)
    local = np.stack([(x + 0.5 - cx) / fx * depth, (y + 0.5 - cy) / fy * depth, depth], 1)
    normals = means[y, x, :3].astype(np.float64) @ view.rotation
    normals /= np.maximum(np.linalg.norm(normals, axis=1), 1e-12)[:, None]
    colors = np.clip(np.rint(means[y, x, 3:]), 0, 255).astype(np.uint8)
    cloud = Cloud(
        ((local - view.translation) @ view.rotation).astype(np.float32),
        normals.astype(np.float32),
        colors,
        np.clip(confidence[y, x], 0, 1),
    )
    return _Part(cloud, (depth / min(fx, fy)).astype(np.float32))
