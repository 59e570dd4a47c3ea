# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's camera for other programs, as it is animated now: an artist's edits are included."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import bpy
import numpy as np

from ...backend.camera import PLATE, Array, CameraTrack
from ...backend.errors import BlenderError, OutputError, explain_os_error
from ...backend.formats import TEXT_FORMATS
from ...backend.shot import CAMERA
from ...backend.undistorted import cameras_by_plate
from .camera import FITS, key_camera, pixel_aspect, undistorted_plate_of
from .rate import scene_rate, set_scene_rate

_EXPORTED_NAME = "Tracked Camera"
_SHEAR = 1e-4
"""How far from right angles a camera's axes may be before it counts as sheared."""


def export(
    context: bpy.types.Context,
    camera: bpy.types.Object,
    folder: Path,
    formats: Iterable[str],
    frames: Sequence[int],
    every_plate: bool = False,
) -> list[Path]:
    """Writes `camera.<format>` into `folder` for chan clip csv jsx nk abc usd; the files written.

    With `every_plate` a tracked camera is also written as camera_plate and camera_undistorted (see
    `cameras_by_plate`). Raises BlenderError or OutputError; what could be written has been written
    then.
    """
    sampled = sample_camera(context.scene, camera, frames)
    undistorted = undistorted_plate_of(camera) if every_plate else None
    tracks = cameras_by_plate(sampled, undistorted) if undistorted else {CAMERA: sampled}
    written: list[Path] = []
    failures: list[BlenderError | OutputError] = []
    for name, stem in ((name, stem) for name in formats for stem in tracks):
        path = folder / f"{stem}.{name}"
        try:
            _write(context, camera, tracks[stem], name, path)
            written.append(path)
        except (BlenderError, OutputError) as error:
            failures.append(error)
    if failures:
        raise type(failures[0])(" ".join(dict.fromkeys(error.reason for error in failures)))
    return written


def _write(
    context: bpy.types.Context,
    camera: bpy.types.Object,
    track: CameraTrack,
    name: str,
    path: Path,
) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(explain_os_error(error)) from error
    if name in TEXT_FORMATS:
        TEXT_FORMATS[name](track, path)
        return
    with _stage(context, camera, track):
        _SCENE_WRITERS[name](track, path)


def sample_camera(
    scene: bpy.types.Scene, camera: bpy.types.Object, frames: Sequence[int]
) -> CameraTrack:
    """The camera as the viewport shows it at these frames: parents and constraints are applied.

    Scale is taken out of the matrices, as Blender does when it looks through a camera. Raises
    BlenderError for a camera that is no plain perspective or cannot be evaluated.
    """
    numbers = np.unique(np.asarray(frames, dtype=np.int64))
    if len(numbers) == 0:
        raise BlenderError("There is no frame to export: the scene's frame range is empty.")
    matrices = np.empty((len(numbers), 4, 4))
    lenses = np.empty((len(numbers), 5))
    before, subframe = scene.frame_current, scene.frame_subframe
    try:
        for index, number in enumerate(numbers.tolist()):
            scene.frame_set(number)
            evaluated = _evaluated(camera)
            matrices[index] = evaluated.matrix_world
            lenses[index] = _lens(scene, evaluated.data)
    finally:
        scene.frame_set(before, subframe=subframe)
    return CameraTrack(
        frames=numbers,
        matrices=_without_scale(matrices, camera.name),
        focal=lenses[:, :2],
        center=lenses[:, 2:4],
        solved=np.ones(len(numbers), dtype=np.bool_),
        width=scene.render.resolution_x,
        height=scene.render.resolution_y,
        fps=scene_rate(scene),
        sensor_width=float(lenses[0, 4]),
        name=camera.name,
        fits=camera.get(FITS, PLATE),
    )


def _evaluated(camera: bpy.types.Object) -> bpy.types.Object:
    evaluated = camera.evaluated_get(bpy.context.evaluated_depsgraph_get())
    if not evaluated.is_evaluated:
        raise BlenderError(
            f"The camera {camera.name} is hidden from the scene: show it and its collection, or "
            "make it the scene's camera, then export again."
        )
    if evaluated.data.type != "PERSP":
        raise BlenderError(
            f"The camera {camera.name} is not a perspective camera, and other programs need one: "
            "set its type to Perspective."
        )
    return evaluated


def _lens(scene: bpy.types.Scene, data: bpy.types.Camera) -> tuple[float, ...]:
    """fx, fy, cx, cy in pixels; width of the sensor in mm that goes with the lens.

    As Blender computes its view plane: the sensor spans the fitted side, shifts count in it.
    """
    render = scene.render
    width, height = render.resolution_x, render.resolution_y
    ratio = render.pixel_aspect_y / render.pixel_aspect_x
    fit = data.sensor_fit
    if fit == "AUTO":
        side, sensor = max(width, ratio * height), data.sensor_width
    elif fit == "HORIZONTAL":
        side, sensor = width, data.sensor_width
    else:
        side, sensor = ratio * height, data.sensor_height
    fx = data.lens * side / sensor
    center_x = width / 2 - data.shift_x * side
    center_y = height / 2 + data.shift_y * side / ratio
    return fx, fx / ratio, center_x, center_y, sensor * width / side


def _without_scale(matrices: Array, name: str) -> Array:
    """The matrices with each axis of the camera at length 1 and at right angles."""
    lengths = np.linalg.norm(matrices[:, :3, :3], axis=1, keepdims=True)
    if not np.isfinite(matrices).all() or lengths.min() <= 0:
        raise BlenderError(
            f"The camera {name} is scaled to nothing: undo its scale or its parent's."
        )
    axes = matrices[:, :3, :3] / lengths
    u, sizes, v = np.linalg.svd(axes)
    rotations = u @ v
    if np.linalg.det(rotations).min() < 0 or np.abs(sizes - 1).max() > _SHEAR:
        raise BlenderError(
            f"The camera {name} is mirrored or sheared by its own scale or its parent's: apply "
            "that scale, then export again."
        )
    plain = matrices.copy()
    plain[:, :3, :3] = rotations
    return plain


@contextmanager
def _stage(
    context: bpy.types.Context, original: bpy.types.Object, track: CameraTrack
) -> Iterator[None]:
    """A scene of its own with nothing but the camera in it, keyed as sampled.

    So only the camera is written, no matter what it is parented to, hidden or selected, and the
    artist's scene is not touched.
    """
    scene = bpy.data.scenes.new("Shot Gopher Export")
    data = bpy.data.cameras.new(_EXPORTED_NAME)
    camera = bpy.data.objects.new(_EXPORTED_NAME, data)
    data.clip_start, data.clip_end = original.data.clip_start, original.data.clip_end
    actions = set(bpy.data.actions)
    try:
        scene.collection.objects.link(camera)
        key_camera(camera, track)
        scene.frame_start, scene.frame_end = int(track.frames[0]), int(track.frames[-1])
        render = scene.render
        render.resolution_x, render.resolution_y = track.width, track.height
        render.pixel_aspect_x, render.pixel_aspect_y = pixel_aspect(track)
        set_scene_rate(scene, track.fps)
        with context.temp_override(scene=scene, view_layer=scene.view_layers[0]):
            yield
    finally:
        bpy.data.objects.remove(camera)
        bpy.data.cameras.remove(data)
        bpy.data.batch_remove(set(bpy.data.actions) - actions)
        bpy.data.scenes.remove(scene)


def _write_alembic(track: CameraTrack, path: Path) -> None:
    if not bpy.app.build_options.alembic:
        raise BlenderError("This Blender is built without Alembic, so .abc was not written.")
    first, last = int(track.frames[0]), int(track.frames[-1])
    written(
        path,
        lambda part: bpy.ops.wm.alembic_export(
            filepath=part, start=first, end=last, flatten=True, check_existing=False
        ),
    )


USD = {
    "check_existing": False,
    "export_animation": True,
    "export_materials": False,
    "convert_orientation": True,
    "export_global_forward_selection": "NEGATIVE_Z",
    "export_global_up_selection": "Y",
}
"""How Blender's exporter writes .usd: y up, as other programs expect it."""


def _write_usd(_track: CameraTrack, path: Path) -> None:
    """Y up, as every program that reads USD cameras expects; matrices, which never flip."""
    if not bpy.app.build_options.usd:
        raise BlenderError("This Blender is built without USD, so .usd was not written.")
    written(
        path,
        lambda part: bpy.ops.wm.usd_export(filepath=part, **USD, xform_op_mode="MAT"),
    )


_SCENE_WRITERS = {"abc": _write_alembic, "usd": _write_usd}
"""Formats that Blender's own exporters write."""


def written(path: Path, write: Callable[[str], set[str]]) -> None:
    """Lets an exporter write beside `path`, then puts the file in its place."""
    part = path.with_name(f"{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        write(str(part))
        if not part.is_file() or part.stat().st_size == 0:
            raise OutputError(f"Blender could not write {path}: is the disk full or read-only?")
        os.replace(part, path)
    except RuntimeError as error:
        raise BlenderError(f"Blender could not write {path}: {error}") from error
    except OSError as error:
        raise OutputError(explain_os_error(error)) from error
    finally:
        with suppress(OSError):
            part.unlink()
