# SPDX-License-Identifier: GPL-3.0-or-later
"""pycolmap's reconstruction as the project's own records."""

from __future__ import annotations

import numpy as np
import pycolmap

from ...camera import Array
from ...reconstruction import CameraModel, Observations, Points, Reconstruction
from ...shot import frame_number


def from_pycolmap(model: pycolmap.Reconstruction) -> Reconstruction:
    """The frames that have a pose, by frame number, with points and observations."""
    images = sorted(
        (image for image in model.images.values() if image.has_pose),
        key=lambda image: (frame_number(image.name) or 0, image.name),
    )
    camera_ids = sorted({image.camera_id for image in images})
    point_ids = sorted(model.points3D)
    poses = [image.cam_from_world() for image in images]
    # pycolmap has quaternions as x, y, z, w.
    quaternions = np.array([pose.rotation.quat for pose in poses]).reshape(-1, 4)[:, [3, 0, 1, 2]]
    return Reconstruction(
        cameras={id_: _camera(model.cameras[id_]) for id_ in camera_ids},
        names=tuple(image.name for image in images),
        camera_ids=np.array([image.camera_id for image in images], dtype=np.int64),
        quaternions=quaternions,
        translations=np.array([pose.translation for pose in poses]).reshape(-1, 3),
        points=_points(model, point_ids),
        observations=_observations(images, point_ids),
    )


def _camera(camera: pycolmap.Camera) -> CameraModel:
    params = tuple(float(value) for value in camera.params)
    return CameraModel(camera.model.name, camera.width, camera.height, params)


def _points(model: pycolmap.Reconstruction, ids: list[int]) -> Points:
    points = [model.points3D[id_] for id_ in ids]
    return Points(
        ids=np.array(ids, dtype=np.uint64),
        positions=np.array([point.xyz for point in points]).reshape(-1, 3),
        colors=np.array([point.color for point in points], dtype=np.uint8).reshape(-1, 3),
        errors=np.array([point.error for point in points], dtype=np.float64),
        tracks=np.array([point.track.length() for point in points], dtype=np.int64),
    )


def _observations(images: list[pycolmap.Image], point_ids: list[int]) -> Observations:
    index = {id_: position for position, id_ in enumerate(point_ids)}
    image: list[int] = []
    point: list[int] = []
    pixel: list[Array] = []
    for position, record in enumerate(images):
        for seen in record.get_observation_points2D():
            image.append(position)
            point.append(index[seen.point3D_id])
            pixel.append(seen.xy)
    return Observations(
        image=np.array(image, dtype=np.int64),
        point=np.array(point, dtype=np.int64),
        pixel=np.array(pixel, dtype=np.float64).reshape(-1, 2),
    )
