# SPDX-License-Identifier: GPL-3.0-or-later
"""What was made in the shot's world, and moves with it when the camera is imported after a survey.

The data of meshes moves, so that an artist's transforms stay; a card moves with its camera and
changes its size alone.
"""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Matrix

from ...backend.camera import Similarity
from ...backend.dense import Place
from ...backend.errors import FormatError
from . import body_keys, body_mesh, parts
from .cloud import NORMAL
from .parts import Role

OTHER_MESH = "The dense mesh is of another solve than the shot has: make it anew"
OTHER_BODY = "The body motion is of another solve than the shot has: find it anew"
OTHER_DEPTH = "The depth is of another solve than the shot has: estimate it anew"

_PLACE = "shot_gopher_place"
"""Custom property of an object, or of compositing nodes: the Place that it stands in."""
DEPTH_SCALE = "Depth Scale"
"""The node that brings depth maps to the size of the scene."""
_REASONS = {
    **dict.fromkeys((Role.CLOUD, Role.MESH, Role.BLOCKOUT), f"{OTHER_MESH}, and import it again."),
    **dict.fromkeys(
        (Role.CARD, Role.DEPTH_POINTS, Role.COMPOSITING),
        f"{OTHER_DEPTH}, and bring it into the scene again.",
    ),
    **dict.fromkeys((Role.ARMATURE, Role.BODY), f"{OTHER_BODY}, and import it again."),
    Role.PROJECTOR: "A held frame is projected from the camera of another solve: hold it anew.",
}
"""What is told of an object that stands in the world of another solve."""
_WITHOUT_WORLD = (Role.CARD, Role.DEPTH_POINTS, Role.COMPOSITING)
"""Depth may be in no units, or in meters, which no survey changes."""
_SEVERAL = (Role.PROJECTOR, Role.ARMATURE, Role.BODY)
"""A shot has one of each other part: an artist's copy may share its data, which moves once."""
PERSON = "shot_gopher_person"
"""Custom property of what belongs to a person: the name of the folder in mocap/."""


def note(part: bpy.types.ID, place: Place) -> None:
    """Notes where the part stands now."""
    part[_PLACE] = place.to_text()


def forget(part: bpy.types.ID) -> None:
    """The part stands in no world any more."""
    part.pop(_PLACE, None)


def objects_of(scene: bpy.types.Scene, source: str) -> list[bpy.types.Object]:
    """What stands in the world of a shot."""
    found = [parts.find_object(scene, role, source) for role in _REASONS if role not in _SEVERAL]
    held = parts.find_objects(scene, Role.PROJECTOR, source)
    bodies = [
        find_of_person(scene, role, source, person)
        for role in (Role.ARMATURE, Role.BODY)
        for person in people_in(scene, source)
    ]
    return [*(part for part in (*found, *bodies) if part is not None), *held]


def find_of_person(
    scene: bpy.types.Scene, role: Role, source: str, person: str
) -> bpy.types.Object | None:
    """The part of that person which is still in the scene."""
    own = (each for each in scene.objects if each.get(PERSON) == person)
    return parts.find(own, role, source)


def people_in(scene: bpy.types.Scene, source: str) -> list[str]:
    """The people of a shot who are in the scene, by name."""
    found = (
        each
        for role in (Role.ARMATURE, Role.BODY)
        for each in parts.find_objects(scene, role, source)
    )
    return sorted({str(each.get(PERSON, "")) for each in found})


def follow(scene: bpy.types.Scene, source: str, world: str) -> tuple[str, ...]:
    """Moves everything of a shot into the world of a survey's snapshot.

    Returns sentences about what could not be moved.
    """
    now, left = Place.from_text(world), []
    nodes = parts.find(bpy.data.node_groups, Role.COMPOSITING, source)
    for part in (*objects_of(scene, source), *(() if nodes is None else (nodes,))):
        place = _place_of(part)
        step = place and place.step_to(now)
        if step is not None:
            _move(part, step)
            note(part, now)
        elif place is not None or Role(part[parts.ROLE]) not in _WITHOUT_WORLD:
            left.append(_REASONS[Role(part[parts.ROLE])])
    return tuple(dict.fromkeys(left))


def _place_of(part: bpy.types.ID) -> Place | None:
    """None for a part that does not know its world, as a card of depth in meters."""
    try:
        return Place.from_text(str(part.get(_PLACE, "")))
    except FormatError:
        return None


def _move(part: bpy.types.ID, step: Similarity) -> None:
    if np.allclose(step.matrix(), np.eye(4), rtol=0, atol=1e-9):
        return
    role = Role(part[parts.ROLE])
    if role in (Role.CARD, Role.COMPOSITING):
        set_size(part, step.scale * size_of(part))
    elif role is Role.ARMATURE:
        body_keys.follow_step(part, step)
    elif role is Role.BODY:
        body_mesh.follow_step(part, step)
    elif role is Role.PROJECTOR:
        turn = Matrix(step.rotation.tolist()).to_4x4()
        turn.translation = step.apply(np.array([part.matrix_basis.translation]))[0].tolist()
        part.matrix_basis = turn @ part.matrix_basis.to_3x3().to_4x4()
    else:
        _move_mesh(part.data, step)


def size_of(part: bpy.types.ID) -> float:
    """How large a card or compositing nodes show depth."""
    if isinstance(part, bpy.types.Object):
        return float(part.scale[2])
    node = part.nodes.get(DEPTH_SCALE)
    return float(node.inputs[1].default_value) if node is not None else 1.0


def set_size(part: bpy.types.ID, size: float) -> None:
    """Gives a card, or compositing nodes as far as the artist kept them, that size of depth."""
    if isinstance(part, bpy.types.Object):
        part.scale = (size,) * 3
    elif (node := part.nodes.get(DEPTH_SCALE)) is not None:
        node.inputs[1].default_value = size


def _move_mesh(mesh: bpy.types.Mesh, step: Similarity) -> None:
    places = np.empty(3 * len(mesh.vertices), dtype=np.float32)
    mesh.vertices.foreach_get("co", places)
    moved = step.apply(places.reshape(-1, 3)).astype(np.float32)
    mesh.vertices.foreach_set("co", moved.ravel())
    normals = mesh.attributes.get(NORMAL)
    if normals is not None:
        normals.data.foreach_get("vector", places)
        turned = (places.reshape(-1, 3) @ step.rotation.T).astype(np.float32)
        normals.data.foreach_set("vector", turned.ravel())
    mesh.update()
