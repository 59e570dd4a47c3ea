# SPDX-License-Identifier: GPL-3.0-or-later
"""A person of 300 frames in Blender: how near its vertices are to SMPL-X's own, and how long it
takes to import, to key and to play it.

The truth is the package smplx's own forward pass, in double precision, on a body model of the real
sizes; Blender runs in a process of its own.

    python -m tests.bench.mocap_blender --measure WHAT FOLDER      inside of a Python that has bpy
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.figure import at_least, at_most
from tests.environments import DEFAULT_BPY, test_python

ROOT = Path(__file__).resolve().parents[2]
FRAMES, LOOKED_AT, ROUNDS = 300, range(0, 300, 10), 5
_PARTS = {
    "global_orient": (0, 1),
    "body_pose": (1, 22),
    "jaw_pose": (22, 23),
    "leye_pose": (23, 24),
    "reye_pose": (24, 25),
    "left_hand_pose": (25, 40),
    "right_hand_pose": (40, 55),
}
"""What smplx calls the joints."""


def body_figures(folder: Path) -> list[dict[str, Any]]:
    """How far vertices are off."""
    _ask(folder, "body")
    with np.load(folder / "body.npz") as seen:
        found, model = seen["vertices"], Path(str(seen["model"]))
    true, scale = _true_vertices(folder, model)
    off = 1000 / scale * np.linalg.norm(found - true, axis=2).max(axis=1)
    how = (
        f"the most that any of 10475 vertices is off in {len(off)} of {FRAMES} frames, in "
        "millimeters of the person; by the package smplx"
    )
    return [at_most("body's vertices in Blender", float(off.max()), "mm", 0.01, how)]


def _true_vertices(folder: Path, model: Path) -> tuple[np.ndarray, float]:
    """(f, v, 3) in the shot's world, and its units a meter."""
    import smplx
    import torch

    from backend.motion import Motion

    motion = Motion.load(folder / "shot" / "mocap" / "ann" / "motion.npz")
    places = list(LOOKED_AT)
    body = smplx.create(
        str(model.parent), model_type="smplx", use_pca=False, flat_hand_mean=True,
        batch_size=len(places), dtype=torch.float64,
    )  # fmt: skip

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.tensor(values.reshape(len(places), -1), dtype=torch.float64)

    parts = {
        name: tensor(motion.rotations[places, start:end]) for name, (start, end) in _PARTS.items()
    }
    betas = np.tile(motion.betas, (len(places), 1))
    with torch.no_grad():
        out = body(
            betas=tensor(betas),
            expression=torch.zeros((len(places), 10), dtype=torch.float64),
            transl=tensor(motion.translation[places]),
            **parts,
        )
    return motion.scale * out.vertices.numpy(), motion.scale


def key_figures(folder: Path) -> list[dict[str, Any]]:
    """Import, and keys against one call for each bone and frame."""
    told = _ask(folder, "keys")
    how = f"{FRAMES} frames, median of {ROUNDS}"
    return [
        at_most(
            "import of a body", told["import"], "s", 0.5, f"{how} in empty scenes, files and all"
        ),
        at_least(
            "keys against keyframe_insert for each bone", told["inserts"] / told["keys"], "times",
            15, f"{how}: {told['keys']:.3f} s against {told['inserts']:.3f} s in the same run",
        ),
    ]  # fmt: skip


def play_figures(folder: Path) -> list[dict[str, Any]]:
    """How long a frame takes."""
    told = _ask(folder, "play")
    how = f"processor time of frame_set, median of {FRAMES} frames"
    return [at_most("evaluation of a body", told["milliseconds"], "ms", 2.0, how)]


def _ask(folder: Path, what: str) -> dict[str, float]:
    python = str(test_python(DEFAULT_BPY))
    command = [python, "-B", "-m", "tests.bench.mocap_blender", "--measure", what, str(folder)]
    answer = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


# In Blender


def _measured(what: str, folder: Path) -> dict[str, float]:
    from tests.scene.body_shot import body_shot

    shot = body_shot(folder / "shot", count=FRAMES)
    return {"body": _measure_body, "keys": _measure_keys, "play": _measure_play}[what](shot, folder)


def _import(shot: Any) -> Any:
    import bpy
    from shot_gopher.operators.scene.body import import_body

    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    began = time.perf_counter()
    result = import_body(bpy.context, shot, "ann")
    bpy.context.view_layer.update()
    return time.perf_counter() - began, result


def _measure_body(shot: Any, folder: Path) -> dict[str, float]:
    import bpy

    from tests.scene.body_shot import FIRST, model_folder

    _seconds, made = _import(shot)
    found = []
    for place in LOOKED_AT:
        bpy.context.scene.frame_set(FIRST + place)
        seen = made.mesh.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
        vertices = np.empty(3 * len(seen.vertices), dtype=np.float32)
        seen.vertices.foreach_get("co", vertices)
        found.append(vertices.reshape(-1, 3))
    np.savez(folder / "body.npz", vertices=np.array(found), model=np.array(str(model_folder())))
    return {}


def _measure_keys(shot: Any, _folder: Path) -> dict[str, float]:
    from shot_gopher.operators.scene.body_armature import rest_matrices
    from shot_gopher.operators.scene.body_keys import key_motion

    from backend.motion import Motion

    seconds = [_import(shot)[0] for _ in range(ROUNDS)]
    motion, keys, inserts = Motion.load(shot.mocap.person("ann").motion), [], []
    for _ in range(ROUNDS):
        armature = _import(shot)[1].armature
        armature.animation_data_clear()
        began = time.perf_counter()
        key_motion(armature, motion, rest_matrices(armature))
        keys.append(time.perf_counter() - began)
        poses = _poses(armature, motion.frames)
        armature.animation_data_clear()
        inserts.append(_insert(armature, motion.frames, *poses))
    return {
        "import": statistics.median(seconds),
        "keys": statistics.median(keys),
        "inserts": statistics.median(inserts),
    }


def _poses(armature: Any, frames: Any) -> tuple[list[Any], list[Any]]:
    """What the bones are given: quaternions of each frame, places of the pelvis."""
    import bpy

    turns, places = [], []
    for frame in frames.tolist():
        bpy.context.scene.frame_set(frame)
        turns.append([bone.rotation_quaternion.copy() for bone in armature.pose.bones])
        places.append(armature.pose.bones["pelvis"].location.copy())
    return turns, places


def _insert(armature: Any, frames: Any, turns: list[Any], places: list[Any]) -> float:
    """Seconds that it takes as most importers do it."""
    bones = list(armature.pose.bones)
    began = time.perf_counter()
    for frame, pose, place in zip(frames.tolist(), turns, places, strict=True):
        for bone, turn in zip(bones, pose, strict=True):
            bone.rotation_quaternion = turn
            bone.keyframe_insert("rotation_quaternion", frame=frame)
        bones[0].location = place
        bones[0].keyframe_insert("location", frame=frame)
    return time.perf_counter() - began


def _measure_play(shot: Any, _folder: Path) -> dict[str, float]:
    import bpy

    from tests.scene.body_shot import FIRST

    _import(shot)
    seconds = []
    for frame in range(FIRST, FIRST + FRAMES):
        began = time.process_time()
        bpy.context.scene.frame_set(frame)
        seconds.append(time.process_time() - began)
    return {"milliseconds": 1000 * statistics.median(seconds)}


def _load_package() -> None:
    import importlib.util

    headless = ROOT / "operators" / "headless.py"
    spec = importlib.util.spec_from_file_location("headless", headless)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.load_package()


if __name__ == "__main__":
    _load_package()
    print(json.dumps(_measured(sys.argv[2], Path(sys.argv[3]))))
    sys.stdout.flush()
    # bpy has been seen to hang when its interpreter ends.
    os._exit(0)
