# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts a tracked shot, or any COLMAP model, into the scene: everything is read first, then built.

Importing the same shot again updates what is there. Call it from an operator that undoes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import bpy

from ...backend.shot import Plate, Shot
from ...backend.tracks import Tracks
from . import markers, parts, placed, stamp
from .background import AUTO, default_of, is_straightened
from .camera import aspect_varies, build_camera, pixel_aspect, scene_depths
from .footage import Footage, read_shot
from .frusta import build_frusta
from .markers import MOST_TRACKS
from .model import read_foreign
from .parts import Role
from .plate import build_plate
from .points import build_points
from .rate import scene_rate, set_scene_rate


@dataclass(frozen=True)
class ImportResult:
    """What an import made or updated; `warnings` are sentences for the user."""

    collection: bpy.types.Collection
    camera: bpy.types.Object
    points: bpy.types.Object
    frusta: bpy.types.Object
    clip: bpy.types.MovieClip | None
    warnings: tuple[str, ...]


def import_shot(
    context: bpy.types.Context,
    shot: Shot,
    most_tracks: int = MOST_TRACKS,
    proxy_size: str = AUTO,
) -> ImportResult:
    """Builds camera, plate, points, frusta and markers of a tracked shot.

    At most so many tracks become markers; `proxy_size` is "AUTO", "FULL" or percents. Raises
    ShotGopherError.
    """
    footage, now = read_shot(shot), stamp.read(shot)
    tracks = Tracks.load(shot.tracks) if shot.tracks.is_file() and most_tracks else None
    parts.check_editable(placed.objects_of(context.scene, footage.source))
    result = _build(context.scene, footage, proxy_size)
    stamp.put(result.collection, now)
    if tracks is not None and result.clip is not None:
        _update_markers(result.clip, tracks, shot.load_plate(), most_tracks)
    left = placed.follow(context.scene, footage.source, now.world)
    return replace(result, warnings=result.warnings + left)


def _update_markers(clip: bpy.types.MovieClip, tracks: Tracks, plate: Plate, most: int) -> None:
    """Markers of these tracks stay as the artist has them; those of another solve go."""
    if markers.belong_together(clip, tracks, plate):
        markers.color_by_error(clip, tracks)
    else:
        markers.show_tracks(clip, tracks, plate, most)


def import_model(
    context: bpy.types.Context, sparse_folder: Path, images: Path | None = None
) -> ImportResult:
    """Does the same for any COLMAP model, the largest of several at or below `sparse_folder`.

    `images` is the folder that the model's image names are relative to, None to look for it near
    the model. Raises ShotGopherError.
    """
    return _build(context.scene, read_foreign(sparse_folder, images, scene_rate(context.scene)))


def _build(scene: bpy.types.Scene, footage: Footage, proxy_size: str = AUTO) -> ImportResult:
    roles = (Role.CAMERA, Role.POINTS, Role.FRUSTA)
    old = {role: parts.find_object(scene, role, footage.source) for role in roles}
    parts.check_editable(old.values())
    collection = _collection(scene, footage)
    depths = scene_depths(footage.track, footage.positions)
    camera = build_camera(footage, collection, old[Role.CAMERA], depths)
    points = build_points(footage, collection, old[Role.POINTS], depths.middle)
    frusta = build_frusta(footage, collection, old[Role.FRUSTA], depths.middle)
    for role, built in zip(roles, (camera, points, frusta), strict=True):
        parts.tag(built, role, footage.source)
    _set_scene(scene, footage, camera)
    _set_range(scene, footage, collection)
    clip = build_plate(footage, camera, proxy_size)
    warnings = footage.warnings + _lens_warnings(footage)
    return ImportResult(collection, camera, points, frusta, clip, warnings)


def _collection(scene: bpy.types.Scene, footage: Footage) -> bpy.types.Collection:
    """The shot's collection: where its parts go when they are made."""
    inside = scene.collection.children_recursive
    collection = parts.find(inside, Role.TRACK, footage.source)
    if collection is None:
        collection = bpy.data.collections.new(f"{footage.name} Track")
        parts.tag(collection, Role.TRACK, footage.source)
        scene.collection.children.link(collection)
    return collection


def _set_scene(scene: bpy.types.Scene, footage: Footage, camera: bpy.types.Object) -> None:
    """Rate, size and camera, as the plate has them."""
    track, render = footage.track, scene.render
    render.resolution_x, render.resolution_y = track.width, track.height
    render.pixel_aspect_x, render.pixel_aspect_y = pixel_aspect(track, footage.main)
    if footage.fps is not None:
        set_scene_rate(scene, footage.fps)
    scene.camera = camera


_RANGE = "shot_gopher_range"
"""Custom property of the shot's collection: the frame range that the scene was given."""


def _set_range(scene: bpy.types.Scene, footage: Footage, collection: bpy.types.Collection) -> None:
    """The frames between the handles; camera and plate have the handles as well.

    A range that the artist has changed since the last import stays.
    """
    given = collection.get(_RANGE)
    if given is None or tuple(given) == (scene.frame_start, scene.frame_end):
        # In this order: a range is never empty, so the start pushes an end that lies before it.
        scene.frame_start, scene.frame_end = footage.cut
        collection[_RANGE] = footage.cut
    if not footage.first_frame <= scene.frame_current <= footage.last_frame:
        scene.frame_set(footage.cut[0])


def _lens_warnings(footage: Footage) -> tuple[str, ...]:
    warnings = []
    shown = default_of(footage.backgrounds) if footage.backgrounds else None
    bends = not footage.lens.is_pinhole and shown is not None
    if bends and not is_straightened(shown):
        warnings.append(
            f"Blender has no lens like {footage.lens.model}: the plate behind the camera keeps "
            "its distortion and fits the camera only near the middle."
        )
    if footage.zooms and bends and not shown.sizes:
        warnings.append(
            "The lens zooms, and Blender takes out one lens for the whole plate: frames zoomed "
            "otherwise fit the camera only near the middle."
        )
    if aspect_varies(footage.track):
        warnings.append(
            "The pixels' shape changes over the shot, and a scene has only one: some frames are "
            "off in height."
        )
    return tuple(warnings)
