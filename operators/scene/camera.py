# SPDX-License-Identifier: GPL-3.0-or-later
"""The tracked camera as one animated Blender camera."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import bpy
import numpy as np

from ...backend.camera import Array, CameraTrack, euler_degrees, quaternions_from_rotations
from ...backend.errors import FormatError
from ...backend.undistorted import UndistortedPlate
from .animation import Channel, drop_channels, key_channels
from .footage import Footage

FITS = "shot_gopher_fits"
"""Custom property of the camera object: which plate its pinhole fits (see CameraTrack.fits)."""
UNDISTORTED = "shot_gopher_undistorted"
"""Custom property of the camera object: the fields of its UndistortedPlate."""

_LOCK_MARGIN = 80.0
"""Degrees of the middle Euler angle from which the other two begin to swing wildly."""
_MOST_TURNS = 4
"""Angles past so many turns lose the digits that a 4K plate needs (32-bit keys)."""
_ASPECT_TOLERANCE = 1e-9
_NEAR_SHARE = 0.02
_FAR_FACTOR = 50.0
_DEPTH_FRAMES = 16
_DEPTH_POINTS = 2000


@dataclass(frozen=True)
class Depths:
    """Distances from the camera along its view: what lies nearest, in the middle and farthest."""

    near: float
    middle: float
    far: float


def scene_depths(track: CameraTrack, points: Array) -> Depths:
    """How far the points (p, 3) lie from the camera, over a sample of frames and points.

    Without points the camera's travel stands in.
    """
    indices = np.unique(np.linspace(0, len(track.frames) - 1, _DEPTH_FRAMES).astype(int))
    sample = points[:: max(1, len(points) // _DEPTH_POINTS)]
    poses = track.matrices[indices]
    offsets = sample[None] - poses[:, None, :3, 3]
    depths = -np.einsum("npi,ni->np", offsets, poses[:, :3, 2]).ravel()
    depths = depths[depths > 0]
    if len(depths) == 0:
        travel = float(np.ptp(track.matrices[:, :3, 3], axis=0).max()) or 1.0
        return Depths(travel, travel, travel)
    near, middle, far = np.percentile(depths, (1, 50, 99.5))
    return Depths(float(near), float(middle), float(far))


def build_camera(
    footage: Footage,
    collection: bpy.types.Collection,
    existing: bpy.types.Object | None,
    depths: Depths,
) -> bpy.types.Object:
    """Makes the footage's camera, or updates `existing`, and keys it.

    An existing camera keeps its parent, constraints, other animation and settings that do not come
    from the track.
    """
    track = footage.track
    camera = existing or _new_camera(f"{footage.name} Camera", collection, depths)
    _set_clip_range(camera.data, depths, widen_only=existing is not None)
    key_camera(camera, track)
    camera[FITS] = track.fits
    if footage.undistorted is not None:
        camera[UNDISTORTED] = asdict(footage.undistorted)
    elif UNDISTORTED in camera:
        del camera[UNDISTORTED]
    return camera


def undistorted_plate_of(camera: bpy.types.Object) -> UndistortedPlate | None:
    """The undistorted plate of an imported camera; None for any other camera."""
    stored = camera.get(UNDISTORTED)
    try:
        return UndistortedPlate.from_json(stored.to_dict())
    except (AttributeError, FormatError):
        return None


def _new_camera(name: str, collection: bpy.types.Collection, depths: Depths) -> bpy.types.Object:
    data = bpy.data.cameras.new(name)
    data.display_size = 0.1 * depths.middle
    camera = bpy.data.objects.new(name, data)
    collection.objects.link(camera)
    return camera


def _set_clip_range(data: bpy.types.Camera, depths: Depths, widen_only: bool) -> None:
    start, end = depths.near * _NEAR_SHARE, depths.far * _FAR_FACTOR
    data.clip_start = min(data.clip_start, start) if widen_only else start
    data.clip_end = max(data.clip_end, end) if widen_only else end


def key_camera(camera: bpy.types.Object, track: CameraTrack) -> None:
    """Gives a camera object the poses and lenses of a track."""
    _key_pose(camera, track)
    _key_lens(camera.data, track)


def _key_pose(camera: bpy.types.Object, track: CameraTrack) -> None:
    """A camera on a tripod gets a place instead of as many equal keys as frames."""
    mode, path, rotation = _rotation_keys(track.matrices[:, :3, :3])
    camera.rotation_mode = mode
    drop_channels(camera, *({"rotation_euler", "rotation_quaternion"} - {path}))
    keys = _columns(path, rotation)
    if track.travels:
        keys |= _columns("location", track.matrices[:, :3, 3])
    else:
        drop_channels(camera, "location")
        camera.location = track.matrices[0, :3, 3]
    key_channels(camera, keys, track.frames)


def _rotation_keys(rotations: Array) -> tuple[str, str, Array]:
    """Rotation mode, path and values (n, 3 or 4).

    Euler angles, which artists read and edit, wherever they behave; quaternions where the camera
    comes near gimbal lock (a phone held upright) or turns round and round.
    """
    degrees = euler_degrees(rotations, "XYZ")
    locked = np.abs(degrees[:, 1]).max() > _LOCK_MARGIN
    if locked or np.abs(degrees).max() > _MOST_TURNS * 360:
        return "QUATERNION", "rotation_quaternion", quaternions_from_rotations(rotations)
    return "XYZ", "rotation_euler", np.radians(degrees)


def _columns(path: str, values: Array) -> dict[Channel, Array]:
    return {(path, index): column for index, column in enumerate(values.T)}


def _key_lens(data: bpy.types.Camera, track: CameraTrack) -> None:
    """Sets what stays the same and keys what changes."""
    lenses = [track.lens_at(index) for index in _lens_changes(track)]
    data.type = "PERSP"
    data.lens_unit = "MILLIMETERS"
    data.sensor_fit = "HORIZONTAL"
    data.sensor_width = track.sensor_width
    fx, fy = track.focal[0]
    data.sensor_height = track.sensor_width * track.height / track.width * fx / fy
    for name in ("lens", "shift_x", "shift_y"):
        values = np.array([getattr(lens, name) for lens in lenses])
        drop_channels(data, name)
        setattr(data, name, values[0])
        if np.ptp(values) > 0:
            key_channels(data, {(name, 0): values}, track.frames)


def _lens_changes(track: CameraTrack) -> range:
    """All frames when the lens changes, the first when it does not."""
    same = (np.ptp(track.focal, axis=0) == 0).all() and (np.ptp(track.center, axis=0) == 0).all()
    return range(1 if same else len(track.frames))


def pixel_aspect(track: CameraTrack, index: int = 0) -> tuple[float, float]:
    """The scene's pixel aspect x, y for one frame of the track: 1, 1 unless fx and fy differ."""
    lens = track.lens_at(index)
    if abs(lens.aspect_x / lens.aspect_y - 1) < _ASPECT_TOLERANCE:
        return 1.0, 1.0
    return lens.aspect_x, lens.aspect_y


def aspect_varies(track: CameraTrack) -> bool:
    """True when fx / fy changes over the track, which one scene cannot show."""
    ratios = track.focal[:, 0] / track.focal[:, 1]
    return bool(np.ptp(ratios) > 1e-4 * ratios[0])
