# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth for what has no texture: floors, walls and panels, from the planes that the scene tells of.

Stereo is blind inside of a surface of one color and sees its edges. Planes are found in the points
of all frames (RANSAC, Fischler and Bolles 1981). A region of a picture without texture is given the
plane on which enough of its edge lies, unless the edge shows something behind that plane, or
something sure inside is off it: what lies before the plane may hide it, what lies behind cannot be
seen through it. As in TAPA-MVS (Romanoni and Matteucci 2019) each region counts as one surface; a
plane reaches no further than the edge that bears it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...dense_files import Cloud
from .prior import FILLED, SURE, depth_map
from .views import DepthMap, Floats, View

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]

MOST_PLANES = 12
_SAMPLE, _TRIES, _REFITS = 4000, 3000, 4
_BATCH = 500
_NEAR = 1.5
"""Pixels' width within which a point is on a plane."""
_LEAST_POINTS = 0.015
"""The share of the points left that a plane must have."""
_SMOOTHING = 1.5
_CALM = 5.0
"""A pixel is without texture where its smoothed picture rises by less than so many times what noise
makes of it."""
_FAINT = 0.5
"""The least noise that is reckoned with, in levels of 255."""
_EDGE = 5
"""Pixels on both sides of a region's border that are its edge."""
_SMALL, _MOST_REGIONS, _FEWEST_EDGE = 0.0008, 80, 40
_ON, _BEHIND = 0.012, 0.024
"""Shares of depth: an edge is on a plane within the one, behind it from the other on."""
_LEAST_ON, _MOST_BEHIND, _MOST_INSIDE_OFF = 0.12, 0.05, 0.3
_FEWEST_INSIDE = 30
_REACH = 3.0
"""Standard deviations of the edge's places on the plane around their middle."""


@dataclass(frozen=True, eq=False)
class Plane:
    """The points p with normal (3,) . p = offset, in the world."""

    normal: Doubles
    offset: float

    def depth(self, view: View, x: Floats, y: Floats) -> Floats:
        """Of the pixels with these centers; under 0 where the plane is behind the camera."""
        normal = view.rotation @ self.normal
        offset = self.offset + normal @ view.translation
        ray = normal[0] * (x - view.center[0]) / view.focal[0] + normal[2]
        ray = ray + normal[1] * (y - view.center[1]) / view.focal[1]
        found: Floats = (offset / np.where(np.abs(ray) < 1e-9, 1e-9, ray)).astype(np.float32)
        return found


def planes_of(cloud: Cloud, views: Sequence[View]) -> list[Plane]:
    """The planes that hold most of the points, the one with most points first."""
    random = np.random.default_rng(0)
    count = len(cloud.positions)
    chosen = random.permutation(count)[: 5 * _SAMPLE]
    points = cloud.positions[chosen].astype(np.float64)
    wide = _NEAR * _widths(points, views)
    found: list[Plane] = []
    while len(found) < MOST_PLANES and len(points) >= 3:
        plane = _best_plane(points, wide, random)
        if plane is None:
            break
        found.append(plane)
        off = np.abs(points @ plane.normal - plane.offset) >= wide
        points, wide = points[off], wide[off]
    return found


def _widths(points: Doubles, views: Sequence[View]) -> Doubles:
    """How wide a pixel is at each point, in the view that is nearest to it."""
    wide = np.full(len(points), np.inf)
    for view in views:
        far = np.linalg.norm(points - view.eye, axis=1) / min(view.focal)
        np.minimum(wide, far, out=wide)
    return wide


def _best_plane(points: Doubles, wide: Doubles, random: np.random.Generator) -> Plane | None:
    sample = random.permutation(len(points))[:_SAMPLE]
    tried, near = points[sample], wide[sample]
    corners = tried[random.integers(0, len(tried), (3, _TRIES))]
    normals = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    length = np.linalg.norm(normals, axis=1)
    normals = normals[length > 0] / length[length > 0, None]
    offsets = (normals * corners[0][length > 0]).sum(axis=1)
    counts = np.concatenate(
        [_counts(tried, near, normals[start : start + _BATCH], offsets[start : start + _BATCH])
         for start in range(0, len(normals), _BATCH)] or [np.zeros(0)]
    )  # fmt: skip
    if not len(counts) or counts.max() < _LEAST_POINTS * len(tried):
        return None
    best = int(counts.argmax())
    return _refitted(points, wide, Plane(normals[best], float(offsets[best])))


def _counts(points: Doubles, near: Doubles, normals: Doubles, offsets: Doubles) -> Doubles:
    counts: Doubles = (np.abs(points @ normals.T - offsets) < near[:, None]).sum(axis=0)
    return counts


def _refitted(points: Doubles, wide: Doubles, plane: Plane) -> Plane:
    """Through all points that are on it, by total least squares."""
    for _ in range(_REFITS):
        on = points[np.abs(points @ plane.normal - plane.offset) < wide]
        if len(on) < 3:
            break
        middle = on.mean(axis=0)
        normal = np.linalg.eigh(np.cov((on - middle).T))[1][:, 0]
        plane = Plane(normal, float(normal @ middle))
    return plane


def filled_flat(found: DepthMap, view: View, planes: Sequence[Plane]) -> DepthMap:
    """The map with planes where it is not sure and the picture has no texture."""
    depth = np.zeros_like(found.depth)
    if planes:
        for region in _regions(view, found):
            _lay(region, view, planes, depth)
    holes = (depth > 0) & view.usable
    filling = depth_map(view, np.where(holes, depth, 0).astype(np.float32), np.float32(FILLED))
    return replace(
        found,
        depth=np.where(holes, filling.depth, found.depth),
        normal=np.where(holes[..., None], filling.normal, found.normal),
        confidence=np.where(holes, filling.confidence, found.confidence),
    )


def without_texture(view: View) -> Flags:
    """(h, w) where the picture rises no more than noise does (Immerkaer 1996 for the noise)."""
    colors = view.colors.astype(np.float32)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    rough = np.median(np.abs(cv2.filter2D(colors, -1, kernel)), axis=(0, 1))
    noise = max(float(rough.max()) / 0.6745 / 6, _FAINT)
    smooth = cv2.GaussianBlur(colors, (0, 0), _SMOOTHING)
    across = cv2.Sobel(smooth, -1, 1, 0, ksize=3, scale=1 / 8)
    down = cv2.Sobel(smooth, -1, 0, 1, ksize=3, scale=1 / 8)
    steep = np.sqrt(across**2 + down**2).max(axis=2)
    # A Gaussian's derivative takes so much of white noise.
    calm: Flags = steep < _CALM * noise / (np.sqrt(8 * np.pi) * _SMOOTHING**2)
    return calm & view.usable


@dataclass(frozen=True, eq=False)
class _Region:
    """A piece of the picture without texture, in a window of it from `left`, `top` on.

    `hollow` are its pixels whose depth is not sure; `edge` and `inside` those along its border and
    further in whose depth is; `depth` is the map's. All have the window's size.
    """

    left: int
    top: int
    hollow: Flags
    edge: Flags
    inside: Flags
    depth: Floats


def _regions(view: View, found: DepthMap) -> Iterator[_Region]:
    calm = without_texture(view).astype(np.uint8)
    _count, labels, stats, _middles = cv2.connectedComponentsWithStats(calm, connectivity=4)
    areas = stats[1:, cv2.CC_STAT_AREA]
    order = np.argsort(-areas)[:_MOST_REGIONS] + 1
    sure = (found.confidence >= SURE) & (found.depth > 0)
    for label in order[areas[order - 1] >= _SMALL * calm.size].tolist():
        yield _region(label, labels, stats[label], sure, found.depth)


def _region(label: int, labels: Any, stats: Any, sure: Flags, depth: Floats) -> _Region:
    left, top, width, height = (int(value) for value in stats[:4])
    x, y = max(left - _EDGE, 0), max(top - _EDGE, 0)
    window = np.s_[y : top + height + _EDGE, x : left + width + _EDGE]
    own: Any = (labels[window] == label).astype(np.uint8)
    side = 2 * _EDGE + 1
    disc: Any = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    wide = cv2.dilate(own, disc) > 0
    inner = cv2.erode(own, disc, borderType=cv2.BORDER_CONSTANT, borderValue=[1]) > 0
    known = sure[window]
    hollow = (own > 0) & ~known
    return _Region(x, y, hollow, wide & ~inner & known, inner & known, depth[window])


def _lay(region: _Region, view: View, planes: Sequence[Plane], depth: Floats) -> None:
    """Puts the plane that fits the region best into the map `depth`, as far as it reaches."""
    if region.edge.sum() < _FEWEST_EDGE:
        return
    tried = ((_fit(region, view, plane), plane) for plane in planes)
    fits = [(fit, plane) for fit, plane in tried if fit is not None]
    if not fits:
        return
    (_score, on), plane = max(fits, key=lambda one: one[0][0])
    y, x = np.nonzero(region.hollow)
    reached = _within_reach(region, on, x, y)
    y, x = y[reached] + region.top, x[reached] + region.left
    found = plane.depth(view, x + np.float32(0.5), y + np.float32(0.5))
    depth[y, x] = np.where((found >= view.near) & (found <= view.far), found, 0)


def _fit(region: _Region, view: View, plane: Plane) -> tuple[float, Flags] | None:
    """How well a plane fits a region, and which pixels of its edge are on it; None where it must
    be another."""
    share = _shares(region, region.edge, view, plane)
    on = np.abs(share - 1) < _ON
    behind = (share < 1 - _BEHIND).mean()
    if on.mean() < _LEAST_ON or behind > _MOST_BEHIND:
        return None
    inside = _shares(region, region.inside, view, plane)
    if len(inside) >= _FEWEST_INSIDE and (np.abs(inside - 1) >= _ON).mean() > _MOST_INSIDE_OFF:
        return None
    return float(on.mean() - 3 * behind), on


def _shares(region: _Region, where: Flags, view: View, plane: Plane) -> Floats:
    """The plane's depth over the map's at those pixels."""
    y, x = np.nonzero(where)
    depth = plane.depth(
        view, (x + region.left).astype(np.float32) + 0.5, (y + region.top).astype(np.float32) + 0.5
    )
    found: Floats = depth / region.depth[y, x]
    return found


def _within_reach(region: _Region, on: Flags, x: NDArray[np.int64], y: NDArray[np.int64]) -> Flags:
    """Which pixels lie among those of the edge that are on the plane (Mahalanobis 1936)."""
    edge = np.argwhere(region.edge)[on][:, ::-1].astype(np.float64)
    middle = edge.mean(axis=0)
    spread = np.cov((edge - middle).T) + 0.25 * np.eye(2)
    off = np.stack([x, y], axis=1) - middle
    squares = np.einsum("ni,ij,nj->n", off, np.linalg.inv(spread), off)
    found: Flags = squares < _REACH**2
    return found
