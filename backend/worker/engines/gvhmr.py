# SPDX-License-Identifier: GPL-3.0-or-later
"""GVHMR (Shen et al. 2024): a person's motion from what is seen of them frame by frame.

The camera is the solved one: its focal length, and how it turns from frame to frame. Every frame of
the plate goes in as it is, once. What the network answers for the body before the camera is taken
without what its authors do to it afterwards: they pull standing feet together in a world of their
own, and with that off the picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...camera import Array, Integers
from ...errors import ModelError, PlateError, Remedy
from ...kinematics import vectors_of
from ...smplx import BODY_JOINTS, FEET, JOINTS, KEYPOINTS
from ..checkpoints import read_weights
from ..frame_files import read_colors
from ..weights import device as best_device
from ..weights import fill
from . import hmr_features, vit_pose
from .body_motion import Person, PlateCamera, Progress, SeenMotion, filled
from .gvhmr_package import motion_network, statistics
from .hmr_features import HmrFeatures
from .person_crops import cut, in_room, windows_around
from .person_detector import PersonDetector
from .vit_pose import VitPose

FPS = 30
"""Frames a second of what it was trained with."""
_FILE, _PART = "gvhmr_siga24_release.ckpt", "pipeline.denoiser3d."
_BLOCK = 32
"""Frames that are read at one time."""
_REACH = 720
"""Frames that one frame's answer depends on, to either side: 12 layers look 60 frames far each."""
_PIECE = 3000
"""Frames that the network looks at together; its memory grows with their square."""
_STATIC = (0, 2, 1, 3)
"""Where its answer on joints that stand still has those of `smplx.FEET`."""
_BODY = 6 * (len(BODY_JOINTS) - 1)
_PARTS = np.cumsum([_BODY, 10, 6, 6])
"""Where in its answer the body ends, the shape, the pelvis before the camera, and that upright."""
_UPRIGHT = np.diag([-1.0, -1.0, 1.0])
"""From its upright world, whose y is down, to one whose y is up."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What is seen of a person in frames (n,), in pixels of a pinhole with square pixels.

    windows (n, 3) center and side; keypoints (n, 17, 3); features (n, 1024); turns (n, 3, 3) the
    camera's from each frame to the next; `focal`, and `center` (2,) of the pinhole.
    """

    windows: Array
    keypoints: Array
    features: Array
    turns: Array
    focal: float
    center: Array


@dataclass(frozen=True, eq=False)
class Answer:
    """The network's: values (n, 151), place (n, 3), static (n, 6)."""

    values: Array
    place: Array
    static: Array


class Gvhmr:
    """The worker's own (MotionEngine)."""

    name = "gvhmr"

    def __init__(
        self,
        network: Any,
        poses: VitPose,
        features: HmrFeatures,
        detector: PersonDetector | None,
        device: torch.device,
    ) -> None:
        self._network, self._device = network.to(device), device
        self._poses, self._features, self._detector = poses, features, detector

    @classmethod
    def load(cls, folder: Path, poses: Path, features: Path, detector: Path | None) -> Gvhmr:
        """Of the folders with weights; without a detector nobody is found without masks.

        Raises ModelError when weights are not right.
        """
        return cls(
            load_network(folder),
            VitPose.load(poses),
            HmrFeatures.load(features),
            None if detector is None else PersonDetector.load(detector),
            best_device(),
        )

    def people(self, camera: PlateCamera, progress: Progress) -> Sequence[Person]:
        """See MotionEngine."""
        if self._detector is None:
            raise ModelError(
                "There are no masks of people, and RT-DETR, which finds people without, is not on "
                "this machine: get the model rt-detr, or mask the people with roto.",
                Remedy.GET_MODEL,
            )
        return self._detector.people(camera, progress)

    def motion(self, person: Person, camera: PlateCamera, progress: Progress) -> SeenMotion:
        """See MotionEngine. Hands, jaw and eyes are not moved."""
        first, last = np.searchsorted(camera.frames, [person.frames[0], person.frames[-1] + 1])
        frames = camera.frames[first:last]
        boxes, there = filled(person, frames)
        seen, keypoints = self._look(boxes, there, camera, slice(first, last), progress)
        answer = self._answer(seen)
        return in_meters(answer, seen, frames, keypoints)

    def _look(
        self,
        boxes: Array,
        there: NDArray[np.bool_],
        camera: PlateCamera,
        part: slice,
        progress: Progress,
    ) -> tuple[Seen, Array]:
        """What is seen in some of the frames, and the joints in the plate as shot. Where nobody is
        seen the joints count for nothing, and the features are none."""
        aspect = float(camera.matrix[1, 1] / camera.matrix[0, 0])
        windows = windows_around(boxes, aspect)
        keypoints = np.zeros((len(boxes), len(KEYPOINTS), 3))
        features = np.zeros((len(boxes), hmr_features.VALUES))
        tall = windows * [1, 1, vit_pose.SIZE[0] / vit_pose.SIZE[1], 1]
        for block in _blocks(np.flatnonzero(there), progress):
            pictures = [_read(camera, int(camera.frames[part][index])) for index in block]
            inner = [
                [
                    cut(picture, each[index], size)
                    for picture, index in zip(pictures, block, strict=True)
                ]
                for each, size in ((tall, vit_pose.SIZE), (windows, hmr_features.SIZE))
            ]
            found = self._poses.joints(inner[0])
            found[..., :2] = (found[..., :2] - 0.5) * tall[block, None, 2:] + tall[block, None, :2]
            keypoints[block], features[block] = found, self._features.see(inner[1])
        square = _Square(camera)
        seen = Seen(
            windows=square.windows(windows),
            keypoints=np.concatenate([square.points(keypoints[..., :2]), keypoints[..., 2:]], 2),
            features=features,
            turns=turns_of(camera.rotations[part]),
            focal=square.focal,
            center=square.center,
        )
        return seen, keypoints

    def _answer(self, seen: Seen) -> Answer:
        """Piece by piece; where they meet, each frame's answer is what it would be of all."""
        pieces = [
            self._run(seen, begin, end)[keep] for begin, end, keep in pieces_of(len(seen.windows))
        ]
        values, place, static = np.split(np.concatenate(pieces), [151, 154], axis=1)
        return Answer(values, place, static)

    def _run(self, seen: Seen, begin: int, end: int) -> Array:
        """(n, 160) the network's answer on some frames, next to each other. Raises ModelError
        where there is no room."""
        given = inputs_of(seen, slice(begin, end))

        def work() -> Array:
            inputs = {
                name: torch.from_numpy(values[None].astype(np.float32)).to(self._device)
                for name, values in given.items()
            }
            length = torch.tensor([end - begin], device=self._device)
            found = self._network(length=length, **inputs)
            values = found["pred_x"].clone()
            # Its mean over the piece is there; the shape is the middle one of all frames here.
            values[..., _BODY : _BODY + 10] = found["pred_betas_per_frame"]
            parts = (values, found["pred_cam"], found["static_conf_logits"])
            both = torch.cat(parts, dim=-1)[0].float().cpu().numpy()
            return np.asarray(both, np.float64)

        return in_room(work, self._device)


def load_network(folder: Path) -> Any:
    """The network that finds motion, with its weights. Raises ModelError."""
    network = motion_network()
    values = read_weights(folder / _FILE)
    # Its authors read the checkpoint without asking whether all of it is used.
    own = {name: values[_PART + name] for name in network.state_dict() if _PART + name in values}
    fill(network, own, folder)
    return network


def in_meters(answer: Answer, seen: Seen, frames: Integers, keypoints: Array) -> SeenMotion:
    """The motion that the network's answer means (Shen et al. 2024)."""
    figures = statistics()
    body, betas, before, upright, _speed = np.split(
        answer.values * figures.spread + figures.middle, _PARTS, axis=1
    )
    rotations = np.zeros((len(frames), len(JOINTS), 3))
    rotations[:, 0] = vectors_of(rotation_of(before))
    rotations[:, 1 : len(BODY_JOINTS)] = vectors_of(rotation_of(body.reshape(len(frames), -1, 6)))
    sure = keypoints[..., 2].mean(axis=1)
    contact = 1 / (1 + np.exp(-np.clip(answer.static[:, _STATIC], -50, 50)))
    assert contact.shape[1] == len(FEET)
    return SeenMotion(
        frames=frames,
        rotations=rotations,
        translation=place_of(answer.place, seen),
        betas=np.median(betas[sure > 0] if (sure > 0).any() else betas, axis=0),
        confidence=np.clip(sure, 0, 1),
        contact=contact,
        upright=vectors_of(_UPRIGHT @ rotation_of(upright)),
        keypoints=keypoints,
    )


def inputs_of(seen: Seen, part: slice) -> dict[str, Array]:
    """What the network takes of some frames, by its names."""
    figures = statistics()
    turns = seen.turns[part, :2].reshape(-1, 6)
    return {
        "obs": in_window(seen.keypoints[part], seen.windows[part]),
        "f_cliffcam": (seen.windows[part] - [*seen.center, 0]) / seen.focal,
        "f_cam_angvel": (turns - figures.turn_middle) / figures.turn_spread,
        "f_imgseq": seen.features[part],
    }


def rotation_of(values: Array) -> Array:
    """Rotation matrices (..., 3, 3) of their first two rows (..., 6), made square to each other
    (Zhou et al. 2019)."""
    first = values[..., :3] / np.linalg.norm(values[..., :3], axis=-1, keepdims=True)
    along = np.sum(first * values[..., 3:], axis=-1, keepdims=True)
    second = values[..., 3:] - along * first
    second /= np.linalg.norm(second, axis=-1, keepdims=True)
    return np.stack([first, second, np.cross(first, second)], axis=-2)


def place_of(place: Array, seen: Seen) -> Array:
    """(n, 3) SMPL-X's translation before the camera in meters, of how large it is in its window
    and where (n, 3) (Li et al. 2022)."""
    side = np.maximum(place[:, :1], 0.25) * seen.windows[:, 2:]
    across = place[:, 1:] + 2 * (seen.windows[:, :2] - seen.center) / side
    return np.column_stack([across, 2 * seen.focal / side])


def in_window(keypoints: Array, windows: Array) -> Array:
    """Joints (n, 17, 3) as the network takes them: from -1 to 1 in their window; those outside of
    it are not seen."""
    inner = 2 * (keypoints[..., :2] - windows[:, None, :2]) / windows[:, None, 2:]
    inside = (np.abs(inner) <= 1).all(axis=2)
    return np.concatenate([inner, (keypoints[..., 2] * inside)[..., None]], axis=2)


def turns_of(rotations: Array) -> Array:
    """(n, 3, 3) how a camera of these rotations (n, 3, 3) turns to the next frame, the last as the
    one before it."""
    turns = rotations[1:] @ np.swapaxes(rotations[:-1], 1, 2)
    return np.concatenate([turns, turns[-1:] if len(turns) else np.eye(3)[None]])


def pieces_of(count: int) -> list[tuple[int, int, slice]]:
    """Pieces of so many frames: where each begins and ends, and which of its frames are kept."""
    if count <= _PIECE:
        return [(0, count, slice(0, count))]
    step, found = _PIECE - 2 * _REACH, []
    for start in range(0, count, step):
        begin, end = max(0, start - _REACH), min(count, start + step + _REACH)
        found.append((begin, end, slice(start - begin, min(start + step, count) - begin)))
    return found


class _Square:
    """Points of the plate as shot in pixels of the pinhole, as high as they are wide."""

    def __init__(self, camera: PlateCamera) -> None:
        self._straighten = camera.straighten
        self.focal = float(camera.matrix[0, 0])
        self._flat = np.array([1, self.focal / camera.matrix[1, 1]])
        self.center: Array = camera.matrix[:2, 2] * self._flat

    def points(self, points: Array) -> Array:
        """(..., 2)"""
        flat = self._straighten(points.reshape(-1, 2)) * self._flat
        return np.asarray(flat).reshape(points.shape)

    def windows(self, windows: Array) -> Array:
        """(n, 3) centers and sides of windows (n, 4)."""
        half = windows[:, 2:] / 2 * [1, 0]
        left, right = self.points(windows[:, :2] - half), self.points(windows[:, :2] + half)
        return np.column_stack([self.points(windows[:, :2]), right[:, 0] - left[:, 0]])


def _blocks(indices: Integers, progress: Progress) -> Iterator[Integers]:
    for start in range(0, len(indices), _BLOCK):
        yield indices[start : start + _BLOCK]
        progress(min(start + _BLOCK, len(indices)), len(indices), "frames")


def _read(camera: PlateCamera, number: int) -> Any:
    file = camera.files.get(number)
    colors = None if file is None else read_colors(file)
    if colors is None:
        raise PlateError(f"Frame {number} of the plate is missing or damaged.")
    return colors
