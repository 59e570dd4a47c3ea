# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders the shots of clean_shots.py that are missing, with and without their actor.

    python -m tests.render.render_clean [NAME ...]

The samples of both pictures of a frame lie at the same places, so that they differ only where the
actor is; where the camera stands still those of all frames do.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import zlib
from pathlib import Path

import bpy
import cv2
import numpy as np

from .actor import add_actor, add_mask_scene
from .bench_plates import render_to, replace_file, scene_of, write_truth
from .bench_shots import FPS
from .clean_shots import CLEAN_SHOTS, CleanShot, clean_of, folder_of, frame_of, mask_of, missing
from .look import light_by_normal, with_sensor_noise


def render(name: str) -> None:
    """Writes truth.json, then what is missing of each frame: the clean one first."""
    spec, folder = CLEAN_SHOTS[name], folder_of(name)
    scene = scene_of(spec.shot)
    (folder / "masks").mkdir(parents=True, exist_ok=True)
    if not (folder / "truth.json").exists():
        write_truth(scene, spec.shot, folder / "truth.json")
    actor = add_actor(scene, spec.places(), FPS)
    light_by_normal(scene)
    masks = add_mask_scene(scene, actor, 16)
    for number in missing(name):
        scene.frame_set(number)
        scene.cycles.seed = spec.clean_frame(number)
        clean = clean_of(folder, spec, number)
        if not clean.exists():
            _hide(actor, True)
            _write(_rendered(scene, folder), clean)
            _hide(actor, False)
        _write(_with_noise(spec, name, number, _rendered(scene, folder)), frame_of(folder, number))
        masks.frame_set(number)
        alpha = _rendered(masks, folder)[..., 3]
        _write(alpha.astype(np.float32), mask_of(folder, number))


def _hide(actor: list[bpy.types.Object], hidden: bool) -> None:
    for thing in actor:
        thing.hide_render = hidden


def _rendered(scene: bpy.types.Scene, folder: Path) -> np.ndarray:
    """As Blender writes it, in floats of 0 to 255."""
    raw = folder / f"raw.{os.getpid()}.png"
    render_to(scene, raw)
    picture = cv2.imread(str(raw), cv2.IMREAD_UNCHANGED)
    raw.unlink()
    return picture.astype(np.float32) / (257 if picture.dtype == np.uint16 else 1)


def _with_noise(spec: CleanShot, name: str, number: int, picture: np.ndarray) -> np.ndarray:
    if not spec.noisy:
        return picture
    return with_sensor_noise(picture, np.random.default_rng([zlib.crc32(name.encode()), number]))


def _write(picture: np.ndarray, target: Path) -> None:
    whole = np.rint(picture).astype(np.uint8)
    replace_file(whole, target.with_name(f"part.{os.getpid()}.png"), target)


def main() -> None:
    parser = argparse.ArgumentParser(description="Render the shots of the clean plate bench.")
    parser.add_argument("names", nargs="*", choices=[*CLEAN_SHOTS, []], help="all by default")
    for name in parser.parse_args().names or CLEAN_SHOTS:
        began = time.monotonic()
        if missing(name):
            render(name)
        took = time.monotonic() - began
        print(f"{name}: {took:.0f} s, {folder_of(name)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    # Blender as a module may wait for its own threads for ever when Python ends.
    os._exit(0)
