# SPDX-License-Identifier: GPL-3.0-or-later
"""Buttons that say what the artist knows of the scene: ground, origin, axes, a distance.

The shot on disk gets the new world, and the scene is brought up to date from it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy

from ..backend import survey
from ..backend.camera import Array
from ..backend.errors import ShotGopherError, UsageError
from ..backend.outputs import camera_digest
from ..backend.shot import Shot
from ..backend.survey import Axis, Constraints, Distance, Moved
from . import addon
from .job import can_start
from .monitor import monitor
from .scene import markers, parts, stamp
from .scene import survey as selection
from .scene.parts import Role
from .scene.shot import import_shot

Act = Callable[[Shot, bpy.types.Object], Moved]
"""Changes the shot's world."""


def _run(operator: bpy.types.Operator, context: bpy.types.Context, act: Act) -> set[str]:
    """Changes the world and shows it. Returns what `execute` returns."""
    scene = context.scene
    shot = Shot(Path(addon.absolute(scene.shot_gopher.shot)))
    cloud = parts.find_object(scene, Role.POINTS, str(shot.path.resolve()))
    try:
        if cloud is None:
            raise UsageError("Import the camera first: its points are not in this scene.")
        moved = act(shot, cloud)
        with selection.in_object_mode(context, cloud):
            settings = scene.shot_gopher
            import_shot(context, shot, settings.most_tracks, settings.proxy_size)
            _keep_for_undo(operator)
    except ShotGopherError as error:
        operator.report({"ERROR"}, error.reason)
        return {"CANCELLED"}
    monitor.refresh_soon()
    operator.report({"INFO"}, f"World: {moved.solve.world_note}")
    return {"FINISHED"}


def _keep_for_undo(operator: bpy.types.Operator) -> None:
    """Makes the undo step here, in Object Mode: one of Edit Mode holds nothing but the mesh."""
    if operator.options.is_invoke:
        bpy.ops.ed.undo_push(message=operator.bl_label)


def _tell(
    operator: bpy.types.Operator,
    context: bpy.types.Context,
    constraints: Callable[[Array], Constraints],
) -> set[str]:
    """Tells the shot what the selected points are."""

    def act(shot: Shot, cloud: bpy.types.Object) -> Moved:
        _check_shown(context.scene, shot)
        moved = survey.apply(shot, constraints(_selected(context, shot, cloud)))
        if context.mode == "OBJECT" and not _edits_tracks(context):
            selection.take_along(context, cloud, moved.step)
        return moved

    return _run(operator, context, act)


def _check_shown(scene: bpy.types.Scene, shot: Shot) -> None:
    """Places in the scene mean nothing to the shot when the scene shows another world."""
    now = stamp.shown(scene, str(shot.path))
    if now is None or now.camera != camera_digest(shot):
        raise UsageError("The scene shows another solve than the shot has: import the camera first")


def _selected(context: bpy.types.Context, shot: Shot, cloud: bpy.types.Object) -> Array:
    if _edits_tracks(context):
        return survey.track_positions(shot, markers.selected_ids(context.space_data.clip))
    return selection.selected_points(context, cloud)


def _edits_tracks(context: bpy.types.Context) -> bool:
    space = context.space_data
    return space is not None and space.type == "CLIP_EDITOR" and space.clip is not None


def _exactly(points: Array, count: int) -> Array:
    if len(points) != count:
        raise UsageError(
            f"Select {count} point{'s' if count > 1 else ''} (now {len(points)}): of the cloud in "
            "Edit Mode, or empties, or tracks in the clip editor."
        )
    return points


class _SurveyOperator:
    """What all of them have in common."""

    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return can_start(cls, context.scene)


class SHOTGOPHER_OT_survey_floor(_SurveyOperator, bpy.types.Operator):
    """The selected points lie on the ground: the plane through three or more of them becomes the
    floor, at height 0. One point sets the height alone"""

    bl_idname = "shot_gopher.survey_floor"
    bl_label = "Set Floor"

    def execute(self, context: bpy.types.Context) -> set[str]:
        def constraints(points: Array) -> Constraints:
            return Constraints(floor=points if len(points) else _exactly(points, 1))

        return _tell(self, context, constraints)


class SHOTGOPHER_OT_survey_origin(_SurveyOperator, bpy.types.Operator):
    """The selected point becomes the origin. A floor keeps its height"""

    bl_idname = "shot_gopher.survey_origin"
    bl_label = "Set Origin"

    def execute(self, context: bpy.types.Context) -> set[str]:
        return _tell(self, context, lambda points: Constraints(origin=_exactly(points, 1)[0]))


class SHOTGOPHER_OT_survey_axis(_SurveyOperator, bpy.types.Operator):
    """The axis runs from the first selected point to the second, seen from above"""

    bl_idname = "shot_gopher.survey_axis"
    bl_label = "Set Axis"

    axis: bpy.props.EnumProperty(
        name="Axis",
        items=[("x", "X Axis", "Along X"), ("y", "Y Axis", "Along Y")],
        options={"SKIP_SAVE"},
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        def constraints(points: Array) -> Constraints:
            return Constraints(axis=Axis(self.axis, *_exactly(points, 2)))

        return _tell(self, context, constraints)


class SHOTGOPHER_OT_survey_distance(_SurveyOperator, bpy.types.Operator):
    """The two selected points are this far apart: the scale of the whole scene follows"""

    bl_idname = "shot_gopher.survey_distance"
    bl_label = "Set Distance"

    meters: bpy.props.FloatProperty(
        name="Distance", subtype="DISTANCE", min=0.0, default=1.0, options={"SKIP_SAVE"}
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        def constraints(points: Array) -> Constraints:
            return Constraints(distance=Distance(self.meters, *_exactly(points, 2)))

        return _tell(self, context, constraints)


class SHOTGOPHER_OT_survey_body(_SurveyOperator, bpy.types.Operator):
    """Give the whole shot the scale, the ground and the upright that the body motion tells: meters,
    with people's feet at height 0"""

    bl_idname = "shot_gopher.survey_body"
    bl_label = "Use Body's Scale"

    def execute(self, context: bpy.types.Context) -> set[str]:
        return _run(self, context, lambda shot, _cloud: survey.take_body(shot))


class SHOTGOPHER_OT_survey_reset(_SurveyOperator, bpy.types.Operator):
    """Forget floor, origin, axis and distance: back to the world that was found without them"""

    bl_idname = "shot_gopher.survey_reset"
    bl_label = "Reset to Found World"

    def execute(self, context: bpy.types.Context) -> set[str]:
        return _run(self, context, lambda shot, _cloud: survey.reset(shot))


class SHOTGOPHER_OT_survey_keep(_SurveyOperator, bpy.types.Operator):
    """Give the shot folder the world that this scene shows, as after an undo"""

    bl_idname = "shot_gopher.survey_keep"
    bl_label = "Keep This World"

    def execute(self, context: bpy.types.Context) -> set[str]:
        def act(shot: Shot, _cloud: bpy.types.Object) -> Moved:
            now = stamp.shown(context.scene, str(shot.path))
            if now is None or not now.world:
                raise UsageError("This scene does not know its world: import the camera.")
            return survey.restore(shot, now.world)

        return _run(self, context, act)


register, unregister = bpy.utils.register_classes_factory(
    (
        SHOTGOPHER_OT_survey_floor,
        SHOTGOPHER_OT_survey_origin,
        SHOTGOPHER_OT_survey_axis,
        SHOTGOPHER_OT_survey_distance,
        SHOTGOPHER_OT_survey_body,
        SHOTGOPHER_OT_survey_reset,
        SHOTGOPHER_OT_survey_keep,
    )
)
