# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's own motion tracker on a plate, as a child of the camera bench.

Done as an artist would do it well: features detected every DETECT_EVERY frames and tracked both
ways with an affine motion model, ROUNDS solves with the worst tracks dropped after each, then the
solve again in each way of LAST. The one with the least slip is kept, so that Blender is judged by
its best.
"""

from __future__ import annotations

import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy
import cv2
import numpy as np

from backend.camera import CameraTrack
from tests.bench.camera_child import Answer, Job, answer, measured
from tests.bench.camera_judge import judge

DETECT_EVERY = 25
APART = 80
"""Least distance in px between two features of one detection."""
SHORTEST = 10
ROUNDS = 4
WORST = 3.0
"""Tracks whose error is this many times the median are dropped after a solve."""
LAST = ((False, False), (False, True), (True, True))
"""Whether Blender chooses the keyframes, and whether it refines radial distortion."""


def solve(job: Job, _folder: Path) -> Answer:
    """The best of the last solves, with the time of everything up to the first of them."""
    told: Answer = {}
    bpy.ops.wm.read_factory_settings()
    frames = sorted(int(number) for number in job["frames"])
    with measured(told):
        clip = bpy.data.movieclips.load(job["frames"][str(frames[0])])
        _set_up(clip, job, frames)
        with _editor(clip):
            _track(frames)
            _drop_masked(clip, job["masks"])
            failure = _solve_and_clean(clip)
    ways = [way for way in LAST if not (job["tripod"] and way[0])]
    found = [_judged(clip, job, *way) for way in ways] if not failure else []
    best = min(found, key=lambda each: each["slip"], default={"named": failure})
    return told | best | {"tracks": len(clip.tracking.tracks)}


def _judged(clip: bpy.types.MovieClip, job: Job, keyframes: bool, radial: bool) -> Answer:
    """The last solve in one way; infinite slip when it fails."""
    settings = clip.tracking.settings
    settings.use_keyframe_selection = keyframes
    settings.refine_intrinsics_radial_distortion = radial
    with _editor(clip):
        failure = _solve(clip)
    if failure:
        return {"slip": float("inf"), "named": failure}
    track, bend = _camera(clip, job)
    return judge(job["truth"], track, bend) | {"registered": len(track.frames)}


def _set_up(clip: bpy.types.MovieClip, job: Job, frames: list[int]) -> None:
    scene, tracking = bpy.context.scene, clip.tracking
    scene.frame_start, scene.frame_end = frames[0], frames[-1]
    settings = tracking.settings
    settings.default_pattern_size, settings.default_search_size = 21, 71
    settings.default_motion_model = "Affine"
    settings.use_default_normalization = True
    settings.use_tripod_solver = bool(job["tripod"])
    settings.refine_intrinsics_focal_length = True
    tracking.objects[0].keyframe_a = frames[0]
    tracking.objects[0].keyframe_b = frames[len(frames) // 2]
    tracking.camera.sensor_width = 36.0
    tracking.camera.focal_length = 35.0


def _editor(clip: bpy.types.MovieClip) -> Any:
    """The context that the clip editor's operators want."""
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    area.type = "CLIP_EDITOR"
    area.spaces.active.clip = clip
    area.spaces.active.mode = "TRACKING"
    region = next(region for region in area.regions if region.type == "WINDOW")
    return bpy.context.temp_override(window=window, screen=window.screen, area=area, region=region)


def _track(frames: list[int]) -> None:
    scene = bpy.context.scene
    for frame in range(frames[0], frames[-1], DETECT_EVERY):
        bpy.ops.clip.select_all(action="DESELECT")
        scene.frame_set(frame)
        bpy.ops.clip.detect_features(
            placement="FRAME", margin=16, threshold=0.1, min_distance=APART
        )
        for backwards in (False, True):
            scene.frame_set(frame)
            bpy.ops.clip.track_markers(backwards=backwards, sequence=True)
    bpy.ops.clip.clean_tracks(frames=SHORTEST, error=0.0, action="DELETE_TRACK")


def _drop_masked(clip: bpy.types.MovieClip, masks: dict[str, str]) -> None:
    """Deletes the tracks that are on the masked actor in any frame."""
    images = {int(number): cv2.imread(path, cv2.IMREAD_GRAYSCALE) for number, path in masks.items()}
    if not images:
        return

    def masked(track: bpy.types.MovieTrackingTrack) -> bool:
        for marker in track.markers:
            image = images.get(marker.frame)
            if image is None or marker.mute:
                continue
            across, down = marker.co[0] * image.shape[1], (1 - marker.co[1]) * image.shape[0]
            inside = 0 <= across < image.shape[1] and 0 <= down < image.shape[0]
            if inside and image[int(down), int(across)]:
                return True
        return False

    _delete([track for track in clip.tracking.tracks if masked(track)])


def _delete(tracks: list[bpy.types.MovieTrackingTrack]) -> None:
    bpy.ops.clip.select_all(action="DESELECT")
    for track in tracks:
        track.select = True
    if tracks:
        bpy.ops.clip.delete_track()


def _solve_and_clean(clip: bpy.types.MovieClip) -> str:
    """Solves and drops the worst tracks, again and again; what Blender says when it cannot."""
    for _ in range(ROUNDS):
        failure = _solve(clip)
        if failure:
            return failure
        errors = {track: track.average_error for track in clip.tracking.tracks}
        used = [error for track, error in errors.items() if track.has_bundle]
        limit = WORST * float(np.median(used)) if used else np.inf
        _delete([track for track, error in errors.items() if error > limit])
    return ""


def _solve(clip: bpy.types.MovieClip) -> str:
    try:
        bpy.ops.clip.solve_camera()
    except RuntimeError as error:
        return str(error).strip()
    valid = clip.tracking.objects[0].reconstruction.is_valid
    return "" if valid else "Blender's solve failed"


def _camera(clip: bpy.types.MovieClip, job: Job) -> tuple[CameraTrack, Any]:
    """Blender's solved camera and its lens: x (1 + k1 r^2 + k2 r^4) of normalized pixels."""
    solved = list(clip.tracking.objects[0].reconstruction.cameras)
    lens, width, height = clip.tracking.camera, job["width"], job["height"]
    focal, center = lens.focal_length_pixels, np.array([width / 2, height / 2])
    count = len(solved)

    def bend(pixels: np.ndarray) -> np.ndarray:
        rays = (pixels - center) / focal
        square = (rays**2).sum(axis=1, keepdims=True)
        return center + focal * rays * (1 + lens.k1 * square + lens.k2 * square**2)

    track = CameraTrack(
        frames=np.array([camera.frame for camera in solved], dtype=np.int64),
        matrices=np.array([np.array(camera.matrix) for camera in solved]).reshape(-1, 4, 4),
        focal=np.full((count, 2), focal),
        center=np.tile(center, (count, 1)),
        solved=np.ones(count, dtype=np.bool_),
        width=width,
        height=height,
        fps=Fraction(24),
    )
    return track, bend


if __name__ == "__main__":
    answer(solve)
    sys.stdout.flush()
    # Blender as a module may wait for its own threads for ever when Python ends.
    os._exit(0)
