# SPDX-License-Identifier: GPL-3.0-or-later
"""Buttons that bring people into the scene, check them on the plate and write them for others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from ..backend import locations, survey
from ..backend.errors import ShotGopherError, UsageError
from ..backend.models import ModelStore
from ..backend.motion import MocapRecord, Motion
from ..backend.shot import Shot
from ..backend.solve import Solve, solve_of
from . import addon
from .monitor import let_threads_end, monitor
from .plate_overlay import PlateOverlay, Wanted, shows_undistorted
from .scene import body_export, body_view, parts, placed
from .scene.body import How, import_body, people_of
from .scene.parts import Role


def _shot(scene: bpy.types.Scene) -> Shot:
    return Shot(Path(addon.absolute(scene.shot_gopher.shot)))


class SHOTGOPHER_OT_body_import(addon.ShotOperator, bpy.types.Operator):
    """Bring people into this scene, as armatures that move as in the plate. What is there from an
    earlier import is updated in place"""

    bl_idname = "shot_gopher.body_import"
    bl_label = "Import Bodies"
    bl_options = {"REGISTER", "UNDO"}

    person: bpy.props.StringProperty(
        name="Person", description="Whom to import; empty for all", options={"SKIP_SAVE"}
    )
    how: bpy.props.EnumProperty(
        name="Body",
        description="How the body follows its pose",
        items=[
            ("AUTO", "As in the Panel", "As the panel says"),
            *((each.name, *each.value) for each in How),
        ],
        options={"SKIP_SAVE"},
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        shot = _shot(context.scene)
        how = How[context.scene.shot_gopher.body_how if self.how == "AUTO" else self.how]
        let_threads_end()
        try:
            survey.recover(shot)
            people = [self.person] if self.person else people_of(shot)
            live = how is How.LIVE
            models = ModelStore(locations.home()).folder("smplx") if live else None
            for person in people:
                made = import_body(context, shot, person, how, models)
                for note in made.notes:
                    self.report({"INFO"}, note)
        except ShotGopherError as error:
            self.report({"ERROR"}, error.reason)
            return {"CANCELLED"}
        self.report({"INFO"}, f"Imported {', '.join(people)}")
        body_checker.forget()
        monitor.refresh_soon()
        return {"FINISHED"}


# Body on Plate


@dataclass(frozen=True, eq=False)
class Seen:
    """What was read of a shot."""

    solve: Solve
    motions: Mapping[str, Motion]


class BodyChecker(PlateOverlay[Seen]):
    """People over the plate."""

    what = "body motion"

    def __init__(self) -> None:
        super().__init__()
        self._armatures: dict[str, str] = {}

    def read(self, wanted: Wanted) -> Seen:
        shot = wanted.shot()
        people = MocapRecord.load(shot.mocap.record).people
        motions = {name: Motion.load(shot.mocap.person(name).motion) for name in people}
        return Seen(solve_of(shot), motions)

    def prepare(self, wanted: Wanted) -> None:
        """Looks for the shot's armatures once: a scene may have very many objects."""
        scene = bpy.context.scene
        found = parts.find_objects(scene, Role.ARMATURE, wanted.source)
        self._armatures = {str(each.get(placed.PERSON)): each.name for each in reversed(found)}

    def draw(
        self, context: bpy.types.Context, camera: bpy.types.Object, _wanted: Wanted, content: Seen
    ) -> None:
        objects = context.scene.objects
        armatures = {
            person: objects[name] for person, name in self._armatures.items() if name in objects
        }
        undistorted = shows_undistorted(camera)
        look = body_view.Look(content.solve, content.motions, armatures, undistorted)
        body_view.draw(context, camera, look)


body_checker = BodyChecker()


class SHOTGOPHER_OT_check_body(bpy.types.Operator):
    """Draw people's bones over the plate in the camera view, as the scene has them, and the
    keypoints that were found in the plate, colored by how far they are from their joints"""

    bl_idname = "shot_gopher.check_body"
    bl_label = "Body on Plate"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not body_checker.on and not monitor.view(context.scene).bodies.people:
            cls.poll_message_set("Run Body Motion first")
            return False
        return True

    def execute(self, _context: bpy.types.Context) -> set[str]:
        body_checker.toggle()
        return {"FINISHED"}


# Export


class SHOTGOPHER_OT_body_export(addon.ShotOperator, bpy.types.Operator):
    """Write a person of this scene for other programs. Your own edits are included"""

    bl_idname = "shot_gopher.body_export"
    bl_label = "Export Body"
    bl_options = {"REGISTER"}

    directory: bpy.props.StringProperty(
        name="Folder", description="Folder that the files are written to", subtype="DIR_PATH",
        options={"SKIP_SAVE"},
    )  # fmt: skip
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    person: bpy.props.StringProperty(
        name="Person", description="Whom to write; empty for all", options={"SKIP_SAVE"}
    )
    formats: bpy.props.EnumProperty(
        name="Formats",
        description="Files to write; hold Shift for several",
        items=body_export.FORMATS,
        options={"ENUM_FLAG"},
        default={"fbx", "abc"},
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        shot = _shot(context.scene)
        source, folder = str(shot.path.resolve()), Path(addon.absolute(self.directory))
        chosen = [name for name, _label, _help in body_export.FORMATS if name in self.formats]
        let_threads_end()
        try:
            people = placed.people_in(context.scene, source)
            if self.person:
                people = [person for person in people if person == self.person]
            if not people:
                raise UsageError("Import the bodies first: there is none in this scene.")
            files = [
                file
                for person in people
                for file in body_export.export(context, source, person, folder, chosen)
            ]
        except ShotGopherError as error:
            self.report({"ERROR"}, error.reason)
            return {"CANCELLED"}
        self.report({"INFO"}, f"Wrote {', '.join(file.name for file in files)}")
        return {"FINISHED"}


@persistent
def _file_loaded(*_arguments: Any) -> None:
    body_checker.forget()


_register_classes, _unregister_classes = bpy.utils.register_classes_factory(
    (SHOTGOPHER_OT_body_import, SHOTGOPHER_OT_check_body, SHOTGOPHER_OT_body_export)
)


def register() -> None:
    _register_classes()
    bpy.app.handlers.load_post.append(_file_loaded)


def unregister() -> None:
    body_checker.stop()
    bpy.app.handlers.load_post.remove(_file_loaded)
    _unregister_classes()
