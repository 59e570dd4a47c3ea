# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts and stops jobs: set up the shot, run a stage, cancel.

A job that a button starts is handed to the monitor. Timers do not run in `blender -b`, and a script
wants its result before its next line: there the same job is followed to its end.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

import bpy

from ..backend import stages
from ..backend.console import Console
from ..backend.errors import PlateError, Remedy, ShotGopherError, UsageError
from ..backend.jobs import Job, JobState, Request, StageRequest, plan
from ..backend.options import from_environment, from_mapping
from ..backend.plates import resolve_plate
from ..backend.shot import Shot
from ..backend.verbs.run import follow, start
from . import addon
from .monitor import monitor
from .picks_view import save_picks


def make_request(scene: bpy.types.Scene, stage: str, force: bool) -> Request:
    """The job for one stage of the scene's shot, with the stages before it that the shot lacks.

    Raises UsageError and PlateError.
    """
    settings = scene.shot_gopher
    if not settings.shot:
        raise UsageError("Choose a plate first.", Remedy.SET_UP_SHOT)
    shot = Shot(Path(addon.absolute(settings.shot)))
    from_environment(stages.get(stage).options, os.environ)
    options = addon.stage_options(scene, stage)
    from_mapping(stages.get(stage).options, options)
    asked = [StageRequest(stage, options)]
    planned = tuple(
        replace(entry, options=addon.stage_options(scene, entry.name)) if entry.prerequisite
        else entry
        for entry in plan(shot, asked)
    )  # fmt: skip
    return Request(
        shot=str(shot.path),
        plate=_plate(scene, shot, planned),
        stages=planned,
        force=force,
        online=bpy.app.online_access,
        blender=bpy.app.binary_path,
    )


def _plate(scene: bpy.types.Scene, shot: Shot, planned: tuple[StageRequest, ...]) -> str:
    """The plate to take in; "" for a shot that has its frames and is not set up again."""
    named = addon.absolute(scene.shot_gopher.plate)
    if all(stages.get(entry.name).needs for entry in planned):
        return ""
    if named:
        return str(resolve_plate(named).path.absolute())
    if shot.has_plate():
        return ""
    raise PlateError("Choose a plate first.", Remedy.SET_UP_SHOT)


def waits(operator: bpy.types.Operator) -> bool:
    """Whether the operator was called by a script that waits for the end, not by a button."""
    return bpy.app.background or not operator.options.is_invoke


def run_or_follow(operator: bpy.types.Operator, request: Request) -> set[str]:
    """Starts the job. Returns what `execute` returns; a failure is reported in its sentence."""
    try:
        job = start(request, addon.host())
    except ShotGopherError as error:
        operator.report({"ERROR"}, error.reason)
        return {"CANCELLED"}
    if waits(operator):
        return _to_the_end(operator, job)
    monitor.follow(job)
    return {"FINISHED"}


def _to_the_end(operator: bpy.types.Operator, job: Job) -> set[str]:
    if bpy.app.background:
        addon.take_ctrl_c()
    follow(job, Console(out=sys.stderr))
    monitor.refresh_soon()
    now = job.snapshot
    for warning in now.warnings:
        operator.report({"WARNING"}, warning)
    if now.state in (JobState.FAILED, JobState.LOST):
        operator.report({"ERROR"}, now.reason)
    return {"FINISHED"} if now.state is JobState.FINISHED else {"CANCELLED"}


def run_stage(
    operator: bpy.types.Operator, scene: bpy.types.Scene, stage: str, force: bool = False
) -> set[str]:
    """Runs one stage of the scene's shot. Returns what `execute` returns."""
    save_picks(scene)
    try:
        request = replace(make_request(scene, stage, force), attended=not waits(operator))
    except ShotGopherError as error:
        operator.report({"ERROR"}, error.reason)
        return {"CANCELLED"}
    return run_or_follow(operator, request)


def can_start(cls: type, scene: bpy.types.Scene) -> bool:
    """For `poll`: the scene has a shot, and no job is at work on it."""
    if not scene.shot_gopher.shot:
        cls.poll_message_set("Choose a plate first")
        return False
    if monitor.view(scene).busy:
        cls.poll_message_set("A job of this shot is running")
        return False
    return True


class SHOTGOPHER_OT_set_up(bpy.types.Operator):
    """Extract the plate's frames into the shot folder, with small proxies for smooth playback"""

    bl_idname = "shot_gopher.set_up"
    bl_label = "Set Up"
    bl_options = {"REGISTER"}

    force: bpy.props.BoolProperty(
        name="Again", description="Run even if everything is up to date", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return can_start(cls, context.scene)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return run_stage(self, context.scene, "ingest", self.force)


class SHOTGOPHER_OT_stage_run(bpy.types.Operator):
    """Run this stage in the background. Blender can be used, or closed, meanwhile"""

    bl_idname = "shot_gopher.stage_run"
    bl_label = "Run"
    bl_options = {"REGISTER"}

    stage: bpy.props.EnumProperty(
        name="Stage",
        items=[(stage.name, stage.title, stage.summary) for stage in stages.STAGES.values()],
        default="colmap",
        options={"SKIP_SAVE"},
    )
    force: bpy.props.BoolProperty(
        name="Again", description="Run even if everything is up to date", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return can_start(cls, context.scene)

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.PropertyGroup) -> str:
        summary = stages.get(properties.stage).summary
        return f"{summary}. Runs in the background: Blender can be used, or closed, meanwhile"

    def execute(self, context: bpy.types.Context) -> set[str]:
        return run_stage(self, context.scene, self.stage, self.force)


class SHOTGOPHER_OT_job_cancel(bpy.types.Operator):
    """Stop the running job. What was finished before stays"""

    bl_idname = "shot_gopher.job_cancel"
    bl_label = "Cancel"
    bl_options = {"REGISTER"}

    job: bpy.props.StringProperty(name="Job", options={"SKIP_SAVE"})

    def execute(self, _context: bpy.types.Context) -> set[str]:
        if self.job not in {job.folder.name for job in monitor.active_jobs}:
            self.report({"WARNING"}, "The job has ended already")
            return {"CANCELLED"}
        monitor.cancel(self.job)
        return {"FINISHED"}


class SHOTGOPHER_OT_job_go_on(bpy.types.Operator):
    """Say that you have done what the job waits for"""

    bl_idname = "shot_gopher.job_go_on"
    bl_label = "Done"
    bl_options = {"REGISTER"}

    job: bpy.props.StringProperty(name="Job", options={"SKIP_SAVE"})

    def execute(self, _context: bpy.types.Context) -> set[str]:
        waiting = {job.folder.name: job for job in monitor.active_jobs if job.snapshot.waiting}
        if self.job not in waiting:
            self.report({"WARNING"}, "The job does not wait any more")
            return {"CANCELLED"}
        waiting[self.job].go_on()
        return {"FINISHED"}


class SHOTGOPHER_OT_refresh(bpy.types.Operator):
    """Look at the shot folder and its jobs again, after something else has changed them"""

    bl_idname = "shot_gopher.refresh"
    bl_label = "Refresh"
    bl_options = {"REGISTER"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        monitor.refresh_soon()
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory(
    (
        SHOTGOPHER_OT_set_up,
        SHOTGOPHER_OT_stage_run,
        SHOTGOPHER_OT_job_cancel,
        SHOTGOPHER_OT_job_go_on,
        SHOTGOPHER_OT_refresh,
    )
)
