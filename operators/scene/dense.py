# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts a shot's dense points and mesh into the scene: everything is read first, then built.

Importing again updates what is there; materials, modifiers and transforms are the artist's. The
data stands in the shot's world, and moves with it when the camera is imported after a survey.
Call it from an operator that undoes.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy

from ...backend.camera import Similarity
from ...backend.dense import DenseRecord, Place, find_parts, model_place, place_of
from ...backend.dense_files import Cloud, Triangles, read_cloud, read_mesh
from ...backend.errors import Remedy, UsageError
from ...backend.shot import Shot
from ...backend.solve import solve_of
from . import parts, placed
from .camera import scene_depths
from .cloud import build_cloud
from .dense_look import show_texture
from .dense_mesh import Use, build_mesh, set_use
from .parts import Role

_ROLES = (Role.CLOUD, Role.MESH, Role.BLOCKOUT)
_SAMPLE = 2000
"""Points that tell how far the scene is."""


@dataclass(frozen=True)
class DenseResult:
    """What an import made or updated; None for what the shot does not have."""

    collection: bpy.types.Collection
    cloud: bpy.types.Object | None
    mesh: bpy.types.Object | None
    blockout: bpy.types.Object | None

    @property
    def summary(self) -> str:
        named = {"dense points": self.cloud, "dense mesh": self.mesh}
        named["blockout mesh, which is a rough one over the sparse points"] = self.blockout
        return " and ".join(name for name, made in named.items() if made is not None)


@dataclass(frozen=True, eq=False)
class _Content:
    """What has been read, with the steps from its files' worlds to the shot's; None for what is
    not there."""

    now: Place
    step: Similarity
    blockout_step: Similarity
    cloud: Cloud | None = None
    mesh: Triangles | None = None
    blockout: Triangles | None = None


def import_dense(context: bpy.types.Context, shot: Shot) -> DenseResult:
    """Builds the points and the mesh of a shot; the blockout mesh where there is no better one.

    Raises ShotGopherError.
    """
    scene, source = context.scene, str(shot.path.resolve())
    content = _read(shot)
    old = {role: parts.find_object(scene, role, source) for role in _ROLES}
    parts.check_editable(old.values())
    collection = _collection(scene, shot.name, source)
    cloud = _build_cloud(shot, content, collection, old[Role.CLOUD])
    mesh = _build_mesh(shot, content, collection, old[Role.MESH])
    blockout = _build_blockout(shot, content, collection, old[Role.BLOCKOUT])
    built = {Role.CLOUD: cloud, Role.MESH: mesh, Role.BLOCKOUT: blockout}
    for role, made in built.items():
        if made is not None:
            parts.tag(made, role, source)
            placed.note(made, content.now)
    _hide_what_is_in_the_way(context.view_layer, built, old)
    return DenseResult(collection, cloud, mesh, blockout)


def _read(shot: Shot) -> _Content:
    there, now = find_parts(shot), place_of(shot)
    if not there:
        raise UsageError("The shot has no dense points or mesh yet: run Dense Mesh first.")
    step = _step(DenseRecord.load(shot.dense.record).place if there.facts else now, now)
    return _Content(
        now=now,
        step=step,
        blockout_step=_step(model_place(shot), now),
        cloud=read_cloud(shot.dense.cloud) if there.cloud else None,
        mesh=read_mesh(shot.dense.mesh) if there.mesh else None,
        blockout=read_mesh(shot.blockout) if there.blockout else None,
    )


def _step(then: Place, now: Place) -> Similarity:
    step = then.step_to(now)
    if step is None:
        raise UsageError(f"{placed.OTHER_MESH}.", Remedy.RUN_AGAIN)
    return step


def _collection(scene: bpy.types.Scene, name: str, source: str) -> bpy.types.Collection:
    """The shot's collection for dense parts, inside that of its camera where there is one."""
    inside = scene.collection.children_recursive
    found = parts.find(inside, Role.DENSE, source)
    if found is None:
        found = bpy.data.collections.new(f"{name} Dense")
        parts.tag(found, Role.DENSE, source)
        above = parts.find(inside, Role.TRACK, source) or scene.collection
        above.children.link(found)
    return found


def _build_cloud(
    shot: Shot,
    content: _Content,
    collection: bpy.types.Collection,
    old: bpy.types.Object | None,
) -> bpy.types.Object | None:
    if content.cloud is None:
        return None
    sample = content.cloud.positions[:: max(1, len(content.cloud.positions) // _SAMPLE)]
    distance = scene_depths(solve_of(shot).track, content.step.apply(sample)).middle
    name = f"{shot.name} Dense Points"
    return build_cloud(name, content.cloud, content.step, collection, old, distance)


def _build_mesh(
    shot: Shot,
    content: _Content,
    collection: bpy.types.Collection,
    old: bpy.types.Object | None,
) -> bpy.types.Object | None:
    if content.mesh is None:
        return None
    made = build_mesh(f"{shot.name} Mesh", content.mesh, content.step, collection, old)
    if shot.dense.texture.is_file() and content.mesh.uvs is not None:
        show_texture(made, shot, dress=old is None)
    return made


def _build_blockout(
    shot: Shot,
    content: _Content,
    collection: bpy.types.Collection,
    old: bpy.types.Object | None,
) -> bpy.types.Object | None:
    """It is not to be rendered by mistake."""
    if content.blockout is None:
        return None
    name, step = f"{shot.name} Blockout", content.blockout_step
    made = build_mesh(name, content.blockout, step, collection, old)
    if old is None:
        set_use(made, Use.HIDDEN)
    return made


def _hide_what_is_in_the_way(
    layer: bpy.types.ViewLayer,
    built: dict[Role, bpy.types.Object | None],
    old: dict[Role, bpy.types.Object | None],
) -> None:
    """With the first mesh, the points that it is made of and an older blockout are put away."""
    if built[Role.MESH] is None or old[Role.MESH] is not None:
        return
    # Blender 5.0 has new objects in the layer only then.
    layer.update()
    for each in (built[Role.CLOUD], old[Role.BLOCKOUT]):
        if each is not None and each.name in layer.objects:
            each.hide_set(True, view_layer=layer)
