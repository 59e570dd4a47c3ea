# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes with known depth for dense reconstruction: what each shows, and how to load it.

Nothing here needs Blender. Rendered scenes live in ROOT/.tests/dense/NAME-FINGERPRINT, named after
the numbers and the code that make their pictures. To render what is missing, in a Python 3.11
environment with bpy and OpenCV:

    python -m tests.render.render_dense [NAME ...]

The world is Blender's (Z up, meters). Depth is that of the ray through each pixel's center, so it
is exact at silhouettes too.
"""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from backend.worker.dense.views import DepthMap, View

from .camera_path import Array, looking_at

ROOT = Path(__file__).resolve().parents[2]
SCENES = ROOT / ".tests" / "dense"
SENSOR = 36.0
MARGIN = 1.1
"""How much nearer and farther than the seen surfaces `View.near` and `View.far` are."""


@dataclass(frozen=True)
class Scene:
    """A still scene under a camera on an arc around `middle`, `angles` in degrees from -Y.

    The held-out cameras stand at `held` (angle in degrees, height and radius in meters).
    """

    middle: tuple[float, float, float] = (0.0, 0.2, 0.55)
    radius: float = 4.2
    heights: tuple[float, float] = (1.2, 1.9)
    angles: tuple[float, float] = (-34.0, 34.0)
    held: tuple[tuple[float, float, float], ...] = (
        (-21.5, 1.5, 4.0),
        (3.7, 1.9, 4.4),
        (27.0, 1.45, 4.1),
    )
    count: int = 24
    width: int = 480
    height: int = 270
    lens: float = 32.0
    samples: int = 24

    @property
    def focal(self) -> float:
        """Focal length in px, the same in x and y."""
        return self.lens / SENSOR * self.width

    def poses(self) -> Array:
        """Camera-to-world (count + held-out, 4, 4), Blender axes; the held-out ones come last."""
        share = np.linspace(0, 1, self.count)
        angle = self.angles[0] + (self.angles[1] - self.angles[0]) * share
        low, high = self.heights
        height = low + (high - low) * (0.5 - 0.5 * np.cos(3 * np.pi * share))
        arc = np.stack([angle, height, np.full(self.count, self.radius)], axis=1)
        places = np.concatenate([arc, np.array(self.held)])
        turn = np.radians(places[:, 0])
        x = self.middle[0] + places[:, 2] * np.sin(turn)
        y = self.middle[1] - places[:, 2] * np.cos(turn)
        eyes = np.stack([x, y, places[:, 1]], axis=1)
        return looking_at(eyes, np.tile(self.middle, (len(eyes), 1)))


DENSE_SCENES: dict[str, Scene] = {"objects": Scene(), "plain": Scene()}
"""By name: bodies of every shape with rich paint, and smooth ones with next to no texture."""

_PAINTERS = ("render_dense.py", "shapes.py", "textures.py")


@dataclass(frozen=True, eq=False)
class Rendered:
    """A scene as rendered. `views` and `truth` go together, as do `held` and `held_truth`;
    `vertices` (n, 3) float32 and `faces` (m, 3) int32 are the surfaces themselves.
    """

    views: list[View]
    truth: list[DepthMap]
    held: list[View]
    held_truth: list[DepthMap]
    vertices: np.ndarray
    faces: np.ndarray


def fingerprint(scene: Scene) -> str:
    """Names the pictures that these numbers and this code make."""
    digest = hashlib.sha256(repr((scene, SENSOR)).encode())
    digest.update(np.round(scene.poses(), 6).astype("<f8").tobytes())
    for name in _PAINTERS:
        source = (Path(__file__).parent / name).read_text(encoding="utf-8")
        digest.update(ast.dump(ast.parse(source)).encode())
    return digest.hexdigest()[:12]


def folder_of(name: str) -> Path:
    """Where the scene's frame_0001.png, truth_0001.npz and so on, and mesh.npz are."""
    return SCENES / f"{name}-{fingerprint(DENSE_SCENES[name])}"


def missing(name: str) -> list[int]:
    """The frames that are not rendered yet, counted from 1; held-out ones follow the others."""
    scene, folder = DENSE_SCENES[name], folder_of(name)
    every = range(1, scene.count + len(scene.held) + 1)
    return [number for number in every if not (folder / f"truth_{number:04d}.npz").exists()]


def load(name: str) -> Rendered:
    """Reads a rendered scene. Raises FileNotFoundError when it was not rendered."""
    scene, folder = DENSE_SCENES[name], folder_of(name)
    if missing(name) or not (folder / "mesh.npz").exists():
        raise FileNotFoundError(f"Run: python -m tests.render.render_dense {name}")
    pairs = [_frame(scene, folder, number, pose) for number, pose in enumerate(scene.poses(), 1)]
    views, truth = (list(part) for part in zip(*pairs, strict=True))
    count = scene.count
    with np.load(folder / "mesh.npz") as mesh:
        vertices, faces = mesh["vertices"], mesh["faces"]
    return Rendered(views[:count], truth[:count], views[count:], truth[count:], vertices, faces)


def _frame(scene: Scene, folder: Path, number: int, pose: Array) -> tuple[View, DepthMap]:
    picture = cv2.imread(str(folder / f"frame_{number:04d}.png"))
    colors = np.ascontiguousarray(picture[:, :, ::-1])
    rotation, translation = _world_to_camera(pose)
    with np.load(folder / f"truth_{number:04d}.npz") as stored:
        depth, normal = stored["depth"], stored["normal"].astype(np.float32)
    seen = depth > 0
    normal = np.ascontiguousarray(normal @ rotation.T.astype(np.float32)) * seen[..., None]
    view = View(
        number=number,
        colors=colors,
        usable=np.ones(depth.shape, bool),
        focal=(scene.focal, scene.focal),
        center=(scene.width / 2, scene.height / 2),
        rotation=rotation,
        translation=translation,
        near=float(depth[seen].min() / MARGIN),
        far=float(depth[seen].max() * MARGIN),
    )
    return view, DepthMap(number, depth, normal, seen.astype(np.float32))


def _world_to_camera(pose: Array) -> tuple[Array, Array]:
    """Rotation and translation for x right, y down, z forward."""
    rotation: Array = np.diag([1.0, -1.0, -1.0]) @ pose[:3, :3].T
    return rotation, -rotation @ pose[:3, 3]
