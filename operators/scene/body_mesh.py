# SPDX-License-Identifier: GPL-3.0-or-later
"""A body's mesh: at rest in meters, corrected for each pose, brought to the shot's size, skinned.

Three modifiers do so, in this order, above an artist's own: a point cache of the rest mesh as it is
in each pose, whose frame follows the armature's; a size, because the shot's units are not meters;
and the armature. Without the cache's file the body is plainly skinned.
"""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from mathutils import Euler, Matrix

from ...backend.body import RestBody
from ...backend.camera import Integers, Similarity
from ...backend.smplx import JOINTS
from . import nodes
from .animation import drop_channels, fill_curve, key_channels
from .body_armature import UP
from .body_keys import FRAME

UV_MAP = "UVMap"
CACHE, PLACE, SKIN = "Pose Correctives", "Place in Shot", "Skeleton"
"""Names of the modifiers, by which they are found again."""
_ORDER = (CACHE, PLACE, SKIN)


def fill_body(mesh_object: bpy.types.Object, body: RestBody) -> None:
    """Gives the mesh the body's shape. With the same faces as before everything else stays."""
    mesh = mesh_object.data
    if not _same_faces(mesh, body):
        _make_faces(mesh, body)
        _make_weights(mesh_object, body)
    places = (body.vertices @ UP.T).astype(np.float32).ravel()
    mesh.vertices.foreach_set("co", places)
    if mesh.shape_keys is not None:
        mesh.shape_keys.reference_key.data.foreach_set("co", places)
    mesh.update()


def _same_faces(mesh: bpy.types.Mesh, body: RestBody) -> bool:
    if len(mesh.vertices) != len(body.vertices) or len(mesh.loops) != body.faces.size:
        return False
    corners = np.empty(len(mesh.loops), dtype=np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    return bool(np.array_equal(corners, body.faces.ravel()))


def _make_faces(mesh: bpy.types.Mesh, body: RestBody) -> None:
    mesh.clear_geometry()
    count = len(body.faces)
    mesh.vertices.add(len(body.vertices))
    mesh.loops.add(3 * count)
    mesh.loops.foreach_set("vertex_index", body.faces.astype(np.int32).ravel())
    mesh.polygons.add(count)
    mesh.polygons.foreach_set("loop_start", np.arange(0, 3 * count, 3, dtype=np.int32))
    if len(body.uv):
        layer = mesh.uv_layers.new(name=UV_MAP, do_init=False)
        layer.uv.foreach_set("vector", np.ascontiguousarray(body.uv, np.float32).ravel())
    mesh.update(calc_edges=True)
    mesh.shade_smooth()


def _make_weights(mesh_object: bpy.types.Object, body: RestBody) -> None:
    groups = mesh_object.vertex_groups
    by_joint = [groups.get(name) or groups.new(name=name) for name in JOINTS]
    vertices, places = np.nonzero(body.weights)
    movers, weights = body.movers[vertices, places], body.weights[vertices, places]
    for vertex, mover, weight in zip(
        vertices.tolist(), movers.tolist(), weights.tolist(), strict=True
    ):
        by_joint[mover].add((vertex,), weight, "REPLACE")


# What deforms it


def show_cache(
    mesh: bpy.types.Object, cache: Path, frames: Integers, armature: bpy.types.Object
) -> None:
    """Plays the rest mesh as it is in each pose, at the frame that the armature shows. The file's
    samples are those of `frames` (n,), of the plate."""
    modifier = _cache_modifier(mesh, cache)
    # These two turn SMPL-X's axes at rest into Blender's.
    modifier.forward_axis, modifier.up_axis = "POS_Z", "NEG_Y"
    modifier.driver_remove("eval_frame")
    curve = drive_by_frame(modifier.driver_add("eval_frame"), armature)
    fill_curve(curve, frames, np.arange(len(frames), dtype=np.float64))


def show_posed(mesh: bpy.types.Object, cache: Path, frames: Integers) -> None:
    """Plays the body in the shot's world; keys say which sample is shown, so that it can be retimed
    as other animation is."""
    modifier = _cache_modifier(mesh, cache)
    modifier.forward_axis, modifier.up_axis = "POS_Y", "POS_Z"
    modifier.driver_remove("eval_frame")
    channel = (f'modifiers["{CACHE}"].eval_frame', 0)
    key_channels(mesh, {channel: np.arange(len(frames), dtype=np.float64)}, frames)


def _cache_modifier(mesh: bpy.types.Object, cache: Path) -> bpy.types.Modifier:
    modifier = _ensure(mesh, CACHE, "MESH_CACHE")
    modifier.cache_format = "PC2"
    modifier.filepath = _kept_path(cache)
    modifier.interpolation, modifier.deform_mode = "LINEAR", "OVERWRITE"
    modifier.time_mode, modifier.play_mode = "FRAME", "CUSTOM"
    return modifier


def _kept_path(file: Path) -> str:
    """Relative to the .blend file where there is one on the same drive."""
    path = str(file.resolve())
    if not bpy.data.filepath:
        return path
    try:
        return str(bpy.path.relpath(path))
    except ValueError:
        return path


def drop_cache(mesh: bpy.types.Object) -> None:
    modifier = mesh.modifiers.get(CACHE)
    if modifier is not None:
        modifier.driver_remove("eval_frame")
        drop_channels(mesh, f'modifiers["{CACHE}"].eval_frame')
        mesh.modifiers.remove(modifier)


def drive_by_frame(curve: bpy.types.FCurve, armature: bpy.types.Object) -> bpy.types.FCurve:
    """Makes a driver of the frame that the armature shows; its curve's keys say what it makes of
    it."""
    for passed_on in curve.modifiers[:]:
        curve.modifiers.remove(passed_on)
    driver = curve.driver
    driver.type = "SUM"
    variable = driver.variables.new()
    variable.name, variable.type = "frame", "SINGLE_PROP"
    target = variable.targets[0]
    target.id, target.data_path = armature, f'["{FRAME}"]'
    return curve


def skin(mesh: bpy.types.Object, armature: bpy.types.Object) -> None:
    modifier = _ensure(mesh, SKIN, "ARMATURE")
    modifier.object = armature
    modifier.use_deform_preserve_volume = False


def drop_skin(mesh: bpy.types.Object) -> None:
    modifier = mesh.modifiers.get(SKIN)
    if modifier is not None:
        mesh.modifiers.remove(modifier)


def place(mesh: bpy.types.Object, step: Similarity) -> None:
    """Puts what the modifiers before it make at its place and size in the shot.

    The numbers are in the nodes, because a modifier's own inputs are not told alike by all versions
    of Blender.
    """
    modifier = _ensure(mesh, PLACE, "NODES")
    if modifier.node_group is None:
        modifier.node_group = _place_group(mesh)
    node = modifier.node_group.nodes[PLACE]
    node.inputs["Translation"].default_value = step.translation.tolist()
    node.inputs["Rotation"].default_value = Matrix(step.rotation.tolist()).to_euler()
    node.inputs["Scale"].default_value = (step.scale,) * 3


def size_of(mesh: bpy.types.Object) -> float:
    """Units of the shot's world a meter of the mesh."""
    node = _place_node(mesh)
    return 1.0 if node is None else float(node.inputs["Scale"].default_value[0])


def follow_step(mesh: bpy.types.Object, step: Similarity) -> None:
    """Takes a body along into another world. One with an armature has its place from that."""
    node, size = _place_node(mesh), size_of(mesh)
    if node is None:
        return
    if mesh.modifiers.get(SKIN) is not None:
        place(mesh, Similarity(step.scale * size, np.eye(3), np.zeros(3)))
        return
    shift = np.array(node.inputs["Translation"].default_value, dtype=np.float64)
    angles = Euler(node.inputs["Rotation"].default_value)
    turn = step.rotation @ np.array(angles.to_matrix(), dtype=np.float64)
    place(mesh, Similarity(step.scale * size, turn, step.apply(shift)))


def _place_node(mesh: bpy.types.Object) -> bpy.types.Node | None:
    modifier = mesh.modifiers.get(PLACE)
    group = None if modifier is None else modifier.node_group
    return None if group is None else group.nodes.get(PLACE)


def _ensure(mesh: bpy.types.Object, name: str, kind: str) -> bpy.types.Modifier:
    """Our modifier of that name; a new one goes above an artist's, below ours."""
    found = mesh.modifiers.get(name)
    if found is not None and found.type == kind:
        return found
    made = mesh.modifiers.new(name, kind)
    wanted = [each for each in _ORDER if each == name or each in mesh.modifiers].index(made.name)
    mesh.modifiers.move(len(mesh.modifiers) - 1, wanted)
    return made


def _place_group(mesh: bpy.types.Object) -> bpy.types.NodeTree:
    group = bpy.data.node_groups.new(f"{mesh.name} Place", "GeometryNodeTree")
    group.is_modifier = True
    for way in ("INPUT", "OUTPUT"):
        group.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    start, move, end = (
        nodes.add(group, kind)
        for kind in ("NodeGroupInput", "GeometryNodeTransform", "NodeGroupOutput")
    )
    move.name = move.label = PLACE
    group.links.new(start.outputs["Geometry"], move.inputs["Geometry"])
    group.links.new(move.outputs["Geometry"], end.inputs["Geometry"])
    return group
