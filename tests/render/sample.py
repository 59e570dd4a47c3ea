# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders the sample plate and writes down its true camera.

To make backend/sample anew, in a Python 3.11 environment with bpy and imageio-ffmpeg, from the
root of the repository:

    python -m tests.render.sample --out backend/sample

Rendered frames are kept under .tests/sample, in a folder named after the code and the settings
that made them, so a render that was stopped goes on where it stopped. `--frames 1,40,80` renders
those alone for a look and encodes nothing.

Other test renders use the parts: `new_scene`, `room.build_room`, `camera_path.handheld`,
`add_camera`, `set_cycles`, `render_frames`, `evaluated_poses`, `surface_points` and `encode`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import bpy
import imageio_ffmpeg
import numpy as np
from mathutils import Matrix, Vector

from . import camera_path
from .camera_path import Array
from .room import build_room

ROOT = Path(__file__).resolve().parents[2]
POINT_VIEWS = 8


@dataclass(frozen=True)
class Plate:
    """What the camera delivers: size in px, frames 1..count, fps, lens and sensor width in mm."""

    width: int = 1280
    height: int = 720
    count: int = 80
    fps: int = 24
    lens: float = 28.0
    sensor: float = 36.0

    @property
    def frames(self) -> range:
        return range(1, self.count + 1)

    @property
    def focal(self) -> float:
        """Focal length in px, the same in x and y."""
        return self.lens / self.sensor * self.width


def new_scene(plate: Plate) -> bpy.types.Scene:
    """An empty file whose scene has the plate's size, range, rate and plain colors."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = plate.width, plate.height
    scene.render.resolution_percentage = 100
    scene.render.fps, scene.render.fps_base = plate.fps, 1.0
    scene.frame_start, scene.frame_end = 1, plate.count
    scene.view_settings.view_transform = "Standard"
    scene.view_settings.look = "None"
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"
    return scene


def set_cycles(scene: bpy.types.Scene, samples: int) -> None:
    """Cycles on the processor, denoised, for diffuse scenes; the same numbers every time."""
    scene.render.engine = "CYCLES"
    scene.render.use_persistent_data = True
    cycles = scene.cycles
    cycles.device = "CPU"
    cycles.samples, cycles.seed = samples, 1
    cycles.use_adaptive_sampling = False
    cycles.max_bounces = cycles.diffuse_bounces = 2
    cycles.use_light_tree = False
    cycles.glossy_bounces = cycles.transmission_bounces = 0
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4.0
    cycles.use_denoising = True
    cycles.denoiser = "OPENIMAGEDENOISE"
    cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
    cycles.denoising_prefilter = "FAST"


def add_camera(scene: bpy.types.Scene, plate: Plate, poses: Array) -> bpy.types.Object:
    """The scene's camera, keyed with one camera-to-world matrix (4, 4) a frame from frame 1."""
    data = bpy.data.cameras.new("camera")
    data.lens, data.sensor_width, data.sensor_fit = plate.lens, plate.sensor, "HORIZONTAL"
    data.clip_start = 0.05
    camera = bpy.data.objects.new("camera", data)
    camera.rotation_mode = "QUATERNION"
    scene.collection.objects.link(camera)
    scene.camera = camera
    for frame, pose in enumerate(poses, 1):
        camera.matrix_world = Matrix(pose.tolist())
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_quaternion", frame=frame)
    return camera


def render_frames(scene: bpy.types.Scene, folder: Path, frames: Sequence[int]) -> None:
    """Writes frame_0001.png and so on; frames that are there already are not rendered again."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame in frames:
        target = folder / f"frame_{frame:04d}.png"
        if target.exists():
            continue
        part = folder / "part.png"
        scene.frame_set(frame)
        scene.render.filepath = str(part)
        bpy.ops.render.render(write_still=True)
        part.replace(target)


def evaluated_poses(scene: bpy.types.Scene, frames: Sequence[int]) -> Array:
    """Camera-to-world matrices (n, 4, 4) as Blender evaluates them for those frames."""
    poses = np.empty((len(frames), 4, 4))
    for index, frame in enumerate(frames):
        scene.frame_set(frame)
        camera = scene.camera.evaluated_get(bpy.context.evaluated_depsgraph_get())
        poses[index] = camera.matrix_world
    return poses


def surface_points(
    scene: bpy.types.Scene,
    plate: Plate,
    frames: Sequence[int],
    per_frame: int,
    focals: Sequence[float] | None = None,
) -> Array:
    """Points (n, 3) where rays through random pixels of those frames meet the scene.

    `focals` in px, one a frame; the plate's own when None.
    """
    rng = np.random.default_rng(3)
    points = []
    poses = evaluated_poses(scene, frames)
    for frame, pose, focal in zip(
        frames, poses, focals or [plate.focal] * len(frames), strict=True
    ):
        scene.frame_set(frame)
        graph = bpy.context.evaluated_depsgraph_get()
        for across, down in rng.uniform(0.03, 0.97, (per_frame, 2)):
            ray = (
                (across - 0.5) * plate.width / focal,
                (0.5 - down) * plate.height / focal,
                -1.0,
            )
            toward = Vector(pose[:3, :3] @ np.array(ray)).normalized()
            hit, place, *_ = scene.ray_cast(graph, Vector(pose[:3, 3]), toward)
            if hit:
                points.append(tuple(place))
    return np.array(points)


def encode(folder: Path, plate: Plate, movie: Path, megabytes: float) -> None:
    """Frames of the folder to H.264, tagged BT.709, as good as fits into that many megabytes."""
    limit = megabytes * 1e6
    rate = 0.98 * limit * 8 * plate.fps / plate.count
    _encode_at(rate, folder, plate, movie)
    # Two passes miss the rate of a clip this short by some percent.
    while movie.stat().st_size > limit:
        rate *= 0.985 * limit / movie.stat().st_size
        _encode_at(rate, folder, plate, movie)


def _encode_at(rate: float, folder: Path, plate: Plate, movie: Path) -> None:
    """Two passes at `rate` bits a second; one thread, so that every run writes the same bytes."""
    source = ["-framerate", str(plate.fps), "-i", str(folder / "frame_%04d.png")]
    tags = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
    # The encoder believes the pictures' own tags before its options: set both.
    convert = (
        "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd,format=yuv420p,"
        "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
    )
    codec = ["-c:v", "libx264", "-preset", "veryslow", "-b:v", f"{rate:.0f}", "-threads", "1"]
    log = ["-passlogfile", str(folder / "passes")]
    common = [*source, "-vf", convert, *codec, *log, *tags, "-color_range", "tv"]
    _ffmpeg([*common, "-pass", "1", "-f", "null", "-"])
    _ffmpeg([*common, "-pass", "2", "-movflags", "+faststart", str(movie)])


def _ffmpeg(arguments: Sequence[str]) -> None:
    program = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([program, "-v", "error", "-nostdin", "-y", *arguments], check=True)


def truth(plate: Plate, poses: Array, points: Array) -> dict[str, Any]:
    """What camera.json holds."""
    return {
        "fps": str(plate.fps),
        "width": plate.width,
        "height": plate.height,
        "fx": plate.focal,
        "fy": plate.focal,
        "cx": plate.width / 2,
        "cy": plate.height / 2,
        "units": "meters",
        "axes": "camera_to_world, row-major; world z up; camera looks along -Z with +Y up; "
        "pixel (0, 0) is the corner of the first pixel, y down",
        "frames": list(plate.frames),
        "camera_to_world": poses.tolist(),
        "points": np.round(points, 6).tolist(),
    }


def write_truth(path: Path, data: dict[str, Any]) -> None:
    """JSON with one matrix or point a line."""
    lines = []
    for key, value in data.items():
        text = json.dumps(value)
        if key in ("camera_to_world", "points"):
            rows = ",\n  ".join(json.dumps(row) for row in value)
            text = f"[\n  {rows}\n ]"
        lines.append(f" {json.dumps(key)}: {text}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def sample_scene(plate: Plate, samples: int) -> bpy.types.Scene:
    """The room with the walking camera, ready to render."""
    scene = new_scene(plate)
    build_room(scene)
    add_camera(scene, plate, camera_path.handheld(camera_path.Walk(), plate.count, plate.fps))
    set_cycles(scene, samples)
    return scene


def fingerprint(plate: Plate, samples: int) -> str:
    """Names the pictures that this code makes with these settings."""
    digest = hashlib.sha256(repr((astuple(plate), samples, bpy.app.version)).encode())
    for module in ("camera_path.py", "room.py", "textures.py"):
        digest.update((Path(__file__).parent / module).read_bytes())
    return digest.hexdigest()[:12]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Render the sample plate with its true camera.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the movie and the JSON")
    parser.add_argument("--frames", help="render only these frames, as 1,40,80, and stop there")
    parser.add_argument("--samples", type=int, default=6, help="samples a pixel (default 6)")
    parser.add_argument("--megabytes", type=float, default=4.0, help="size limit (default 4)")
    parser.add_argument("--blend", type=Path, help="save the scene to this file as well")
    parser.add_argument("--frames-folder", type=Path, help="where to keep rendered frames")
    return parser.parse_args()


def main() -> None:
    options = _arguments()
    plate = Plate()
    scene = sample_scene(plate, options.samples)
    kept = ROOT / ".tests" / "sample" / fingerprint(plate, options.samples)
    folder = options.frames_folder or kept
    if options.blend:
        bpy.ops.wm.save_as_mainfile(filepath=str(options.blend.resolve()))
    if options.frames:
        render_frames(scene, folder, [int(frame) for frame in options.frames.split(",")])
        return
    render_frames(scene, folder, plate.frames)
    options.out.mkdir(parents=True, exist_ok=True)
    poses = evaluated_poses(scene, plate.frames)
    views = [int(frame) for frame in np.linspace(1, plate.count, POINT_VIEWS)]
    points = surface_points(scene, plate, views, 400 // POINT_VIEWS)
    encode(folder, plate, options.out / "plate.mp4", options.megabytes)
    write_truth(options.out / "camera.json", truth(plate, poses, points))


if __name__ == "__main__":
    main()
