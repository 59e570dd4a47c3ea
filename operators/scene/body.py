# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts a person of a shot into the scene: an armature that moves as in the plate, and its body.

Everything is read first, then built. Importing again updates what is there: materials, modifiers,
constraints and transforms are the artist's. The body stands in the shot's world, and moves with it
when the camera is imported after a survey. Call it from an operator that undoes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import bpy
import numpy as np

from ...backend import motion as motions
from ...backend.average_body import AVERAGE_JOINTS
from ...backend.body import RestBody
from ...backend.body_model import BodyModel, model_file
from ...backend.camera import Array, Similarity
from ...backend.dense import Place, place_of
from ...backend.errors import FormatError, Remedy, UsageError
from ...backend.formats.pc2 import PointCache
from ...backend.motion import MocapRecord, Motion
from ...backend.shot import PersonFolder, Shot
from . import body_mesh, parts, placed
from .animation import actions_of
from .body_armature import UP, build_bones, rest_matrices, rest_places
from .body_correctives import (
    LiveKeys,
    ShotKeys,
    drop_keys,
    find_shot_keys,
    read_live_keys,
    show_live_keys,
    show_shot_keys,
)
from .body_keys import has_motion, key_motion
from .parts import Role

_ROLES = (Role.ARMATURE, Role.BODY)


class How(Enum):
    """How the body follows its pose: name, and what Blender's tooltip says."""

    CACHE = (
        "Point Cache",
        "An armature, and the body corrected for each pose from a file beside the shot: exact, "
        "quick, and to be edited",
    )
    KEYS = (
        "Shape Keys",
        "An armature, and the corrections as shape keys inside the .blend file, at most 0.5 mm off",
    )
    LIVE = (
        "Driven Shape Keys",
        "An armature, and shape keys that are driven by its bones: right in new poses too, and "
        "slow. Needs the SMPL-X file",
    )
    PLAIN = ("Plain Skin", "An armature, and the body without corrections")
    POSED = ("Only Cache", "The posed body from a file beside the shot, without an armature")


@dataclass(frozen=True)
class BodyResult:
    """What an import made or updated; `armature` or `mesh` is None where there is none. `notes` are
    sentences for the user."""

    person: str
    armature: bpy.types.Object | None
    mesh: bpy.types.Object | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Content:
    """What has been read. `motion` stands in the shot's world of `now`; `step` is what took it
    there."""

    how: How
    folder: PersonFolder
    motion: Motion
    now: Place
    step: Similarity
    body: RestBody | None
    cache: PointCache | None


def people_of(shot: Shot) -> tuple[str, ...]:
    """The people whose motion a shot has. Raises ShotGopherError."""
    if not shot.mocap.record.is_file():
        raise UsageError("The shot has no body motion yet: run Body Motion first.")
    return MocapRecord.load(shot.mocap.record).people


def import_body(
    context: bpy.types.Context,
    shot: Shot,
    person: str,
    how: How = How.CACHE,
    models: Path | None = None,
) -> BodyResult:
    """Builds one person; `models` is the folder of the SMPL-X files, which How.LIVE needs.

    Raises ShotGopherError.
    """
    content = _read(shot, person, how)
    scene, source = context.scene, str(shot.path.resolve())
    old = {role: placed.find_of_person(scene, role, source, person) for role in _ROLES}
    parts.check_editable(old.values())
    keys = _read_keys(content, models)
    collection = _collection(scene, shot, person)
    armature = mesh = None
    if how is not How.POSED:
        armature = _build_armature(context, content, collection, old[Role.ARMATURE])
    if content.body is not None:
        mesh = _build_mesh(content, collection, old[Role.BODY], armature, keys)
    for role, made in zip(_ROLES, (armature, mesh), strict=True):
        if made is not None:
            _mark(made, role, source, person)
            placed.note(made, content.now)
    return BodyResult(person, armature, mesh, _notes(content, keys, old[Role.ARMATURE]))


def _mark(made: bpy.types.ID, role: Role, source: str, person: str) -> None:
    parts.tag(made, role, source)
    made[placed.PERSON] = person


# Reading

Keys = ShotKeys | LiveKeys | None


def _read(shot: Shot, person: str, how: How) -> _Content:
    if person not in people_of(shot):
        raise UsageError(f"The shot has no motion of {person}: run Body Motion first.")
    folder, now = shot.mocap.person(person), place_of(shot)
    motion = Motion.load(folder.motion)
    step = motion.place.step_to(now)
    if step is None:
        raise UsageError(f"{placed.OTHER_BODY}.", Remedy.RUN_AGAIN)
    body = RestBody.load(folder.body) if folder.body.is_file() else None
    if body is None and how is How.POSED:
        raise UsageError(f"{person} has no mesh, because SMPL-X was not there: {_WITHOUT_MESH}")
    cache = None if body is None else _cache_of(folder, how, body, motion)
    return _Content(how, folder, motions.moved(motion, step), now, step, body, cache)


_WITHOUT_MESH = "import it as an armature, or run Body Motion again with the SMPL-X files."


def _read_keys(content: _Content, models: Path | None) -> Keys:
    motion, body = content.motion, content.body
    if body is None:
        return None
    if content.how is How.KEYS and content.cache is not None:
        return find_shot_keys(content.cache.read(), motion.frames)
    if content.how is How.LIVE:
        if models is None:
            raise UsageError("Driven shape keys need the SMPL-X files: choose their folder.")
        model = BodyModel.load(model_file(models, motion.gender), motion.betas)
        if len(model.vertices) != len(body.vertices):
            raise UsageError("The SMPL-X file is another one than the body was made with.")
        return read_live_keys(model, motion)
    return None


def _cache_of(folder: PersonFolder, how: How, body: RestBody, motion: Motion) -> PointCache | None:
    """The file of vertices that is shown, with a sample for each frame. Only the default does
    without it. Raises FormatError."""
    path = {How.CACHE: folder.corrected, How.KEYS: folder.corrected, How.POSED: folder.posed}.get(
        how
    )
    if path is None or (how is How.CACHE and not path.is_file()):
        return None
    cache = PointCache.open(path)
    if (cache.vertices, cache.samples) != (len(body.vertices), len(motion.frames)):
        raise FormatError(f"{path.name} is of another body or motion: run Body Motion again.")
    return cache


# Building


def _collection(scene: bpy.types.Scene, shot: Shot, person: str) -> bpy.types.Collection:
    """A person's own, among the shot's bodies, inside the collection of its camera where there is
    one."""
    inside, source = scene.collection.children_recursive, str(shot.path.resolve())
    bodies = parts.find(inside, Role.BODIES, source)
    if bodies is None:
        bodies = bpy.data.collections.new(f"{shot.name} Bodies")
        parts.tag(bodies, Role.BODIES, source)
        above = parts.find(inside, Role.TRACK, source) or scene.collection
        above.children.link(bodies)
    own = (each for each in inside if each.get(placed.PERSON) == person)
    found = parts.find(own, Role.PERSON, source)
    if found is None:
        found = bpy.data.collections.new(f"{shot.name} {person}")
        _mark(found, Role.PERSON, source, person)
        bodies.children.link(found)
    return found


def _build_armature(
    context: bpy.types.Context,
    content: _Content,
    collection: bpy.types.Collection,
    existing: bpy.types.Object | None,
) -> bpy.types.Object:
    motion, armature = content.motion, existing
    if armature is None:
        name = f"{collection.name} Armature"
        armature = bpy.data.objects.new(name, bpy.data.armatures.new(name))
        armature.show_in_front = True
        collection.objects.link(armature)
    build_bones(context, armature, rest_places(_joints(content), motion.scale))
    key_motion(armature, motion, rest_matrices(armature), _action_of(armature))
    return armature


def _joints(content: _Content) -> Array:
    """At rest: the body's own, or those of usual proportions around the motion's pelvis."""
    if content.body is not None:
        return content.body.joints
    return AVERAGE_JOINTS - AVERAGE_JOINTS[0] + content.motion.pelvis


def _action_of(armature: bpy.types.Object) -> bpy.types.Action | None:
    """The one that has the motion: it may lie in a strip; None for a new one."""
    found = [action for action in actions_of(armature) if has_motion(armature, action)]
    return found[0] if found else None


def _build_mesh(
    content: _Content,
    collection: bpy.types.Collection,
    existing: bpy.types.Object | None,
    armature: bpy.types.Object | None,
    keys: Keys,
) -> bpy.types.Object:
    mesh, body = existing, content.body
    if body is None:
        raise ValueError("a mesh of nothing")
    if mesh is None:
        name = f"{collection.name} Body"
        mesh = bpy.data.objects.new(name, bpy.data.meshes.new(name))
        collection.objects.link(mesh)
    drop_keys(mesh)
    body_mesh.drop_cache(mesh)
    body_mesh.fill_body(mesh, body)
    if armature is None:
        if content.cache is not None:
            body_mesh.drop_skin(mesh)
            body_mesh.show_posed(mesh, content.cache.path, content.motion.frames)
        body_mesh.place(mesh, content.step)
        return mesh
    mesh.parent = armature if existing is None else mesh.parent
    if isinstance(keys, ShotKeys):
        show_shot_keys(mesh, keys, armature)
    elif isinstance(keys, LiveKeys):
        rest = rest_matrices(armature)
        axes = [UP.T @ rest[name][:3, :3] for name in keys.joints]
        show_live_keys(mesh, keys, armature, axes)
    elif content.cache is not None:
        body_mesh.show_cache(mesh, content.cache.path, content.motion.frames, armature)
    body_mesh.place(mesh, Similarity(content.motion.scale, np.eye(3), np.zeros(3)))
    body_mesh.skin(mesh, armature)
    return mesh


def _notes(content: _Content, keys: Keys, armature: bpy.types.Object | None) -> tuple[str, ...]:
    """`armature` is the one of an earlier import."""
    person = content.motion.person
    if content.body is None:
        return (
            f"{person} is an armature of usual proportions, because SMPL-X was not there when the "
            "motion was made.",
        )
    if isinstance(keys, ShotKeys):
        count, off = len(keys.offsets), 1000 * keys.off
        return (f"{person} has {count} shape keys and is at most {off:.2f} mm off.",)
    if content.how is How.POSED and armature is not None:
        return (f"{armature.name} no longer moves the body: delete it if you do not need it.",)
    if content.how is How.CACHE and content.cache is None:
        return (f"{person} is plainly skinned, because the file of its corrections is not there.",)
    return ()
