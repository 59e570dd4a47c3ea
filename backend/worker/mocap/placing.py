# SPDX-License-Identifier: GPL-3.0-or-later
"""A body before the camera, put through the tracked camera into the shot's world.

n frames. The camera takes a place x of the world to R (x - c); in meters before it the body is at
R_b (v - p) + p + t, with v the body posed but not turned, and p its pelvis. With s units a meter
it stands at s (R' R_b (v - p) + p + T), R' the inverse of R, where

    T = c / s + R' (p + t) - p.

So the camera sees it where it saw it before, whatever s is: s only decides where it stands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...camera import Array, CameraTrack, Integers, with_opencv_axes
from ...kinematics import rotations_of, vectors_of


@dataclass(frozen=True, eq=False)
class Views:
    """The tracked camera in the frames of a motion, for a plate without distortion.

    frames     (n,)
    rotations  (n, 3, 3) world to camera: x right, y down, z forward
    centers    (n, 3) in units of the shot's world
    focal      (n, 2) and center (n, 2) of the pinhole in pixels
    """

    frames: Integers
    rotations: Array
    centers: Array
    focal: Array
    center: Array

    @classmethod
    def of(cls, track: CameraTrack, frames: Integers) -> Views:
        """Those of `frames`, all of which the track has."""
        chosen = track.only(np.searchsorted(track.frames, frames))
        local = with_opencv_axes(chosen.matrices)
        return cls(
            frames=chosen.frames,
            rotations=np.swapaxes(local[:, :3, :3], 1, 2),
            centers=local[:, :3, 3],
            focal=chosen.focal,
            center=chosen.center,
        )

    def only(self, index: Integers) -> Views:
        """The same in some of its frames, as often as they are named."""
        return Views(
            self.frames[index],
            self.rotations[index],
            self.centers[index],
            self.focal[index],
            self.center[index],
        )

    def to_world(self, vectors: Array) -> Array:
        """Directions (n, ..., 3) of the camera's axes in the world's."""
        turned: Array = np.einsum("nba,n...b->n...a", self.rotations, vectors)
        return turned

    def seen(self, places: Array) -> Array:
        """Places (n, m, 3) of the world in the camera's axes and the world's units."""
        offsets = places - self.centers[:, None]
        local: Array = np.einsum("nab,nmb->nma", self.rotations, offsets)
        return local

    def project(self, local: Array) -> Array:
        """Pixels (n, m, 2) of places (n, m, 3) before the camera; NaN behind it."""
        depth = np.where(local[..., 2:] > 0, local[..., 2:], np.nan)
        pixels: Array = local[..., :2] / depth * self.focal[:, None] + self.center[:, None]
        return pixels


@dataclass(frozen=True, eq=False)
class Root:
    """How a body is turned and moved: rotation (n, 3), an axis-angle vector, translation (n, 3)."""

    rotation: Array
    translation: Array


def placed(seen: Root, views: Views, pelvis: Array, scale: float) -> Root:
    """The body before the camera in the world, of which `scale` units are a meter."""
    turn = np.swapaxes(views.rotations, 1, 2) @ rotations_of(seen.rotation)
    at = views.to_world(pelvis + seen.translation)
    return Root(vectors_of(turn), views.centers / scale + at - pelvis)


def before_camera(stands: Root, views: Views, pelvis: Array, scale: float) -> Root:
    """The other way: what the camera sees of a body that stands in the world."""
    turn = views.rotations @ rotations_of(stands.rotation)
    offset = pelvis + stands.translation - views.centers / scale
    at = np.einsum("nab,nb->na", views.rotations, offset)
    return Root(vectors_of(turn), at - pelvis)


def refocused(seen: Root, pelvis: Array, given: Array, views: Views) -> Root:
    """A body that was found with other pinholes, `given` (n, 3, 3), moved so that its pelvis is
    where it was in the picture and its size there the same: its depth goes with the focal length.

    What is nearer or farther than the pelvis is off by what that changes of its perspective.
    """
    at = pelvis + seen.translation
    ray = at[:, :2] / at[:, 2:]
    given_focal = np.stack([given[:, 0, 0], given[:, 1, 1]], axis=1)
    pixel = ray * given_focal + given[:, :2, 2]
    depth = at[:, 2] * views.focal[:, 0] / given_focal[:, 0]
    slopes = (pixel - views.center) / views.focal
    where = np.concatenate([slopes * depth[:, None], depth[:, None]], axis=1)
    return Root(seen.rotation, where - pelvis)
