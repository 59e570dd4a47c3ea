# SPDX-License-Identifier: GPL-3.0-or-later
"""A person of the scene for other programs, as it is animated now: an artist's edits are included.

Meshes that move (.abc) are written as they are seen. Skeletons (.fbx, .usd, .bvh) come with the
plainly skinned body, because no other program has the correctives; .obj is the body at rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ...backend.camera import Array
from ...backend.errors import BlenderError, OutputError, explain_os_error
from ...backend.formats.bvh import Skeleton, write_bvh
from ...backend.smplx import JOINTS, PARENTS
from . import placed
from .body_armature import UP, rest_matrices
from .body_mesh import SKIN, size_of
from .exports import USD, written
from .parts import Role
from .rate import scene_rate, set_scene_rate

FORMATS = (
    ("fbx", ".fbx", "Skeleton and skinned body for Maya, Unreal and others"),
    ("abc", ".abc", "Alembic: the body's mesh exactly as it is seen"),
    ("usd", ".usd", "Universal Scene Description: skeleton and skinned body"),
    ("bvh", ".bvh", "The skeleton's motion alone, y up"),
    ("obj", ".obj", "The body at rest, arms out"),
)
_WITH_MESH = ("abc", "obj")
_WITH_ARMATURE = ("fbx", "usd", "bvh")


def export(
    context: bpy.types.Context, source: str, person: str, folder: Path, formats: Iterable[str]
) -> list[Path]:
    """Writes `<person>.<format>` into `folder` for fbx abc usd bvh obj; the files written.

    Over the scene's frame range. Raises BlenderError or OutputError; what could be written has
    been written then.
    """
    body = placed.find_of_person(context.scene, Role.BODY, source, person)
    armature = placed.find_of_person(context.scene, Role.ARMATURE, source, person)
    files: list[Path] = []
    failures: list[BlenderError | OutputError] = []
    for name in formats:
        path = folder / f"{person}.{name}"
        try:
            _check(name, person, armature, body)
            path.parent.mkdir(parents=True, exist_ok=True)
            _WRITERS[name](_Person(context, armature, body), path)
            files.append(path)
        except (BlenderError, OutputError) as error:
            failures.append(error)
        except OSError as error:
            failures.append(OutputError(explain_os_error(error)))
    if failures:
        raise type(failures[0])(" ".join(dict.fromkeys(error.reason for error in failures)))
    return files


def _check(
    name: str, person: str, armature: bpy.types.Object | None, body: bpy.types.Object | None
) -> None:
    """Raises BlenderError for what the person or this Blender does not have."""
    if name in _WITH_MESH and body is None:
        raise BlenderError(f"{person} has no mesh in this scene, so .{name} was not written.")
    if name in _WITH_ARMATURE and armature is None:
        raise BlenderError(f"{person} has no armature in this scene, so .{name} was not written.")
    built = {"abc": "alembic", "usd": "usd"}.get(name)
    if built is not None and not getattr(bpy.app.build_options, built):
        title = {"abc": "Alembic", "usd": "USD"}[name]
        raise BlenderError(f"This Blender is built without {title}, so .{name} was not written.")
    if name == "fbx" and not hasattr(bpy.types, "EXPORT_SCENE_OT_fbx"):
        raise BlenderError("Enable the add-on FBX format first: .fbx was not written.")


# Each format


@dataclass(frozen=True)
class _Person:
    """Somebody in the artist's scene of `context`; without a mesh or an armature where a format
    needs none."""

    context: bpy.types.Context
    armature: bpy.types.Object | None
    body: bpy.types.Object | None


def _write_alembic(person: _Person, path: Path) -> None:
    with _stage(person.context, [person.body]) as scene:
        first, last = scene.frame_start, scene.frame_end
        written(
            path,
            lambda part: bpy.ops.wm.alembic_export(
                filepath=part, start=first, end=last, flatten=True, check_existing=False
            ),
        )


def _write_usd(person: _Person, path: Path) -> None:
    with _skinned(person):
        written(
            path, lambda part: bpy.ops.wm.usd_export(filepath=part, **USD, export_armatures=True)
        )


def _write_fbx(person: _Person, path: Path) -> None:
    with _skinned(person):
        written(
            path,
            lambda part: bpy.ops.export_scene.fbx(
                filepath=part,
                check_existing=False,
                object_types={"ARMATURE", "MESH"},
                add_leaf_bones=False,
                bake_anim_use_nla_strips=False,
                bake_anim_use_all_actions=False,
                bake_anim_simplify_factor=0.0,
            ),
        )


def _write_obj(person: _Person, path: Path) -> None:
    with _plain_copy(person.body) as copy, _stage(person.context, [copy]):
        written(
            path,
            lambda part: bpy.ops.wm.obj_export(
                filepath=part,
                check_existing=False,
                apply_modifiers=False,
                export_materials=False,
                export_triangulated_mesh=False,
            ),
        )


def _write_bvh(person: _Person, path: Path) -> None:
    write_bvh(sample_skeleton(person.context.scene, person.armature), path)


_WRITERS: dict[str, Callable[[_Person, Path], None]] = {
    "fbx": _write_fbx,
    "abc": _write_alembic,
    "usd": _write_usd,
    "bvh": _write_bvh,
    "obj": _write_obj,
}


def sample_skeleton(scene: bpy.types.Scene, armature: bpy.types.Object) -> Skeleton:
    """The armature as it is posed in the scene's frames: parents and constraints are applied, as
    is its own scale. Y is up."""
    frames = range(scene.frame_start, scene.frame_end + 1)
    rest = np.array(list(rest_matrices(armature).values()))
    size = float(np.cbrt(abs(armature.matrix_world.determinant())))
    poses = _sampled(scene, armature, frames)
    turns = poses[..., :3, :3] / np.linalg.norm(poses[..., :3, :3], axis=-2, keepdims=True)
    # From Blender's rest pose to its pose, both seen with y up.
    worlds = UP.T @ turns @ np.swapaxes(rest[:, :3, :3], 1, 2) @ UP
    parents = np.array(PARENTS)
    local = worlds.copy()
    local[:, 1:] = np.swapaxes(worlds[:, parents[1:]], 2, 3) @ worlds[:, 1:]
    return Skeleton(
        names=JOINTS,
        parents=PARENTS,
        joints=size * rest[:, :3, 3] @ UP,
        rotations=local,
        places=poses[:, 0, :3, 3] @ UP,
        fps=scene_rate(scene),
    )


def _sampled(scene: bpy.types.Scene, armature: bpy.types.Object, frames: Iterable[int]) -> Array:
    """(n, 55, 4, 4) of the bones in the world."""
    before, subframe, poses = scene.frame_current, scene.frame_subframe, []
    try:
        for frame in frames:
            scene.frame_set(frame)
            evaluated = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
            world, bones = evaluated.matrix_world, evaluated.pose.bones
            poses.append([world @ bones[name].matrix for name in JOINTS])
    finally:
        scene.frame_set(before, subframe=subframe)
    return np.array(poses, dtype=np.float64)


# What is handed to an exporter


@contextmanager
def _stage(
    context: bpy.types.Context, objects: Iterable[bpy.types.Object]
) -> Iterator[bpy.types.Scene]:
    """A scene of its own with these objects alone, of the artist's frames and rate, so that nothing
    else is written, whatever is selected or hidden."""
    scene = bpy.data.scenes.new("Shot Gopher Export")
    try:
        for each in objects:
            scene.collection.objects.link(each)
        scene.frame_start, scene.frame_end = context.scene.frame_start, context.scene.frame_end
        scene.frame_set(scene.frame_start)
        set_scene_rate(scene, scene_rate(context.scene))
        with context.temp_override(scene=scene, view_layer=scene.view_layers[0]):
            yield scene
    finally:
        bpy.data.scenes.remove(scene)


@contextmanager
def _skinned(person: _Person) -> Iterator[None]:
    """The armature with a copy of the body that has no modifier but the armature's."""
    context, armature, body = person.context, person.armature, person.body
    if body is None:
        with _stage(context, [armature]):
            yield
        return
    with _plain_copy(body, SKIN) as copy, _stage(context, [armature, copy]):
        yield


@contextmanager
def _plain_copy(body: bpy.types.Object, *kept: str) -> Iterator[bpy.types.Object]:
    """The body at rest in the shot's size, with those of its modifiers that are `kept`."""
    copy = body.copy()
    copy.data = data = body.data.copy()
    actions = set(bpy.data.actions)
    try:
        copy.animation_data_clear()
        copy.shape_key_clear()
        for modifier in copy.modifiers[:]:
            if modifier.name not in kept:
                copy.modifiers.remove(modifier)
        places = np.empty(3 * len(data.vertices), dtype=np.float32)
        body.data.vertices.foreach_get("co", places)
        data.vertices.foreach_set("co", size_of(body) * places)
        data.update()
        yield copy
    finally:
        bpy.data.objects.remove(copy)
        bpy.data.meshes.remove(data)
        bpy.data.batch_remove(set(bpy.data.actions) - actions)
