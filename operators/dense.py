# SPDX-License-Identifier: GPL-3.0-or-later
"""Buttons that bring dense points and the mesh into the scene, and say what the mesh is for."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..backend import survey
from ..backend.errors import ShotGopherError, UsageError
from ..backend.shot import Shot, folder_key
from . import addon
from .monitor import monitor
from .scene import dense, parts
from .scene.dense_look import Look, held_frame, set_look, use_as
from .scene.dense_mesh import Use
from .scene.parts import Role


def _shot(scene: bpy.types.Scene) -> Shot:
    return Shot(Path(addon.absolute(scene.shot_gopher.shot)))


def mesh_of(scene: bpy.types.Scene) -> bpy.types.Object | None:
    """The mesh of the scene's shot, else its blockout; None where neither was imported.

    Panels ask this while they are drawn, so it touches no disk: a shot is known by its path, and
    one that was moved, or is reached by a link, by its name.
    """
    folder = addon.absolute(scene.shot_gopher.shot)
    by_role = {role: _tagged(scene, role, folder) for role in (Role.MESH, Role.BLOCKOUT)}
    return next((found for found in by_role.values() if found is not None), None)


def _tagged(scene: bpy.types.Scene, role: Role, folder: str) -> bpy.types.Object | None:
    """The object of that role whose shot is most likely the one in the folder."""
    tagged = [each for each in scene.objects if each.get(parts.ROLE) == role.value]
    sources = {each: str(each.get(parts.SOURCE, "")) for each in tagged if each.library is None}
    exact = [each for each in sources if folder_key(sources[each]) == folder_key(folder)]
    named = [each for each in sources if Path(sources[each]).name == Path(folder).name]
    return min(exact or named, key=lambda each: each.name, default=None) if folder else None


class SHOTGOPHER_OT_dense_import(addon.ShotOperator, bpy.types.Operator):
    """Bring the dense points and the mesh into this scene, or a blockout mesh where there is no
    better one. What is there from an earlier import is updated in place"""

    bl_idname = "shot_gopher.dense_import"
    bl_label = "Import Dense Mesh"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        shot = _shot(context.scene)
        try:
            survey.recover(shot)
            result = dense.import_dense(context, shot)
        except ShotGopherError as error:
            self.report({"ERROR"}, error.reason)
            return {"CANCELLED"}
        self.report({"INFO"}, f"Imported the {result.summary}")
        monitor.refresh_soon()
        return {"FINISHED"}


class _MeshOperator:
    """What both of them have in common: they work on the shot's mesh."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if mesh_of(context.scene) is None:
            cls.poll_message_set("Import the dense mesh first")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            mesh = mesh_of(context.scene)
            if mesh is None:
                raise UsageError("Import the dense mesh first.")
            told = self.act(context.scene, mesh)
        except ShotGopherError as error:
            self.report({"ERROR"}, error.reason)
            return {"CANCELLED"}
        self.report({"INFO"}, f"{mesh.name}: {told}")
        return {"FINISHED"}


class SHOTGOPHER_OT_dense_look(_MeshOperator, bpy.types.Operator):
    """Give the mesh this material. The one it had stays in the file"""

    bl_idname = "shot_gopher.dense_look"
    bl_label = "Mesh Material"

    look: bpy.props.EnumProperty(
        name="Material", items=[(each.name, *each.value) for each in Look], options={"SKIP_SAVE"}
    )
    hold: bpy.props.BoolProperty(
        name="Hold Frame",
        description="Project the current frame in all frames, from where it was shot, to patch "
        "others with it",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.PropertyGroup) -> str:
        if properties.hold:
            return cls.bl_rna.properties["hold"].description
        return Look[properties.look].value[1]

    def act(self, scene: bpy.types.Scene, mesh: bpy.types.Object) -> str:
        look = Look[self.look]
        set_look(scene, mesh, _shot(scene), look, self.hold)
        held = held_frame(mesh)
        return f"{look.value[0]}, frame {held} in all frames" if held else look.value[0]


class SHOTGOPHER_OT_dense_use(_MeshOperator, bpy.types.Operator):
    """Set how the mesh counts when the scene renders"""

    bl_idname = "shot_gopher.dense_use"
    bl_label = "Mesh Renders As"

    use: bpy.props.EnumProperty(
        name="Use", items=[(each.name, *each.value) for each in Use], options={"SKIP_SAVE"}
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.PropertyGroup) -> str:
        return Use[properties.use].value[1]

    def act(self, scene: bpy.types.Scene, mesh: bpy.types.Object) -> str:
        return use_as(scene, mesh, _shot(scene), Use[self.use])


register, unregister = bpy.utils.register_classes_factory(
    (SHOTGOPHER_OT_dense_import, SHOTGOPHER_OT_dense_look, SHOTGOPHER_OT_dense_use)
)
