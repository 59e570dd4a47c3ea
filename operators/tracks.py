# SPDX-License-Identifier: GPL-3.0-or-later
"""Buttons for the 2-D tracks: show them in the clip, refine the solve with what was changed."""

from dataclasses import replace
from pathlib import Path

import bpy

from ..backend.errors import Remedy, ShotGopherError, SolveError, UsageError
from ..backend.shot import Plate, Shot
from ..backend.tracks import TrackEdits, Tracks, tracks_digest
from . import addon
from .job import can_start, make_request, run_or_follow
from .scene import markers, parts


def _shot(context: bpy.types.Context) -> Shot:
    return Shot(Path(addon.absolute(context.scene.shot_gopher.shot)))


def _clip(shot: Shot) -> bpy.types.MovieClip | None:
    return parts.find(bpy.data.movieclips, parts.Role.PLATE, str(shot.path.resolve()))


def _tracks(shot: Shot) -> Tracks:
    if not shot.tracks.is_file():
        raise SolveError(
            "The solve has no tracks: track the camera with the engine Tracks.",
            Remedy.TRACK_CAMERA,
        )
    return Tracks.load(shot.tracks)


class _TracksOperator:
    """What both of them have in common."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return can_start(cls, context.scene)


class SHOTGOPHER_OT_tracks_show(_TracksOperator, bpy.types.Operator):
    """Show the tracks of the solve in the movie clip again, as the solve has them: the worst in
    pink, and long ones from all over the picture. Your own tracks stay, your other edits go"""

    bl_idname = "shot_gopher.tracks_show"
    bl_label = "Show Tracks"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            count = self._show(context)
        except ShotGopherError as error:
            self.report({"ERROR"}, error.reason)
            return {"CANCELLED"}
        self.report({"INFO"}, f"{count} tracks are shown in the movie clip")
        return {"FINISHED"}

    def _show(self, context: bpy.types.Context) -> int:
        shot = _shot(context)
        clip = _clip(shot)
        if clip is None:
            raise UsageError("Import the camera first: its plate is not in this scene.")
        most = context.scene.shot_gopher.most_tracks
        return markers.show_tracks(clip, _tracks(shot), shot.load_plate(), most)


class SHOTGOPHER_OT_refine(_TracksOperator, bpy.types.Operator):
    """Adjust the solve to the tracks as they are now in the movie clip, without tracking anew:
    deleted tracks are left out, moved markers and your own tracks count. Takes seconds"""

    bl_idname = "shot_gopher.refine"
    bl_label = "Refine"
    bl_options = {"REGISTER"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        shot = _shot(context)
        try:
            self._save_edits(shot)
            request = make_request(context.scene, "colmap", force=False)
        except ShotGopherError as error:
            self.report({"ERROR"}, error.reason)
            return {"CANCELLED"}
        stages = tuple(
            replace(entry, options=entry.options | {"refine": True})
            if entry.name == "colmap"
            else entry
            for entry in request.stages
        )
        return run_or_follow(self, replace(request, stages=stages))

    def _save_edits(self, shot: Shot) -> None:
        """Writes what differs in the clip from the tracks on disk."""
        tracks, clip = _tracks(shot), _clip(shot)
        if clip is None:
            return
        edits, new = _edits(clip, tracks, shot.load_plate())
        replace(edits, base=tracks_digest(shot.tracks)).save(shot.track_edits)
        markers.remember(clip, new)
        corrected = len(edits.marks) - len(new)
        self.report(
            {"INFO"},
            f"Refining: {len(edits.deleted)} tracks deleted, {corrected} corrected, {len(new)} new",
        )


def _edits(
    clip: bpy.types.MovieClip, tracks: Tracks, plate: Plate
) -> tuple[TrackEdits, dict[str, int]]:
    """What the clip tells. Raises UsageError when its markers are of another solve."""
    if markers.Known.of(clip) is not None and not markers.belong_together(clip, tracks, plate):
        raise UsageError(
            "The markers in the movie clip are of an earlier solve: press Show Tracks, then edit "
            "them again."
        )
    return markers.edits_of(clip, tracks, plate)


register, unregister = bpy.utils.register_classes_factory(
    (SHOTGOPHER_OT_tracks_show, SHOTGOPHER_OT_refine)
)
