# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth Anything 3: depth from frames that see each other, or from each frame by itself.

The network is that of the package `depth_anything_3` (ByteDance-Seed/Depth-Anything-3). What goes
in and comes out is done here: the package's own way is made for pictures of 8 bits and square
pixels, and imports what it exports to.
"""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from ...accuracy import best_similarity
from ...errors import PlateError
from ..frame_files import read_colors
from ..weights import device as best_device
from ..weights import fill, precision, refused
from .depth_models import Estimate, Floats, Frame, Pose
from .memory import free_memory, infer, release

# Read when the package is imported: it writes how long each step took to standard output.
os.environ["DA3_LOG_LEVEL"] = "ERROR"

Poses = NDArray[np.float64]

PATCH = 14
"""Sides of what the network sees are multiples of this."""
_MEAN, _SPREAD = np.array(((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), np.float32)
"""Of colors from 0 to 1 in what it was trained on (ImageNet)."""
_SKY = 0.3
"""What the sky head says from where on the package itself takes no depth."""
_CANONICAL = 300.0
"""Focal length in pixels for which the metric network's depth is in meters."""
_USUAL_LENS = 1.0
"""Focal length over the width of the picture where it is not known: 36 mm on full frame."""
_TRAVEL = 1e-3
"""Length of the camera's way over the depth of the scene below which it tells no scale."""
_STRAY = 3.0
"""Places that are off by so many times the middle error have no say in the scale."""
_MOST, _MOST_ALONE = 120, 16
"""Frames in a call: more gain nothing, and take time that grows with their square."""
_WITHOUT_GPU = 24
_SHARE = 0.85
"""Of the memory that is free, what is planned with."""
_AT_ONE_TIME = 8
"""Frames that the heads take at one time."""
_OUTPUTS = 12 * 4
"""Bytes for each pixel of a frame that stay until all are done: depth, rays, their confidence."""


@dataclass(frozen=True)
class Variant:
    """A network of the package: `config` is its name there. `backbone` bytes are held of each
    patch of a frame in a call, `heads` bytes of each pixel of those that the heads take."""

    config: str
    together: bool
    meters: bool
    backbone: int
    heads: int


VARIANTS = {
    "da3-small": Variant("da3-small", True, False, 30_000, 1_000),
    "da3-base": Variant("da3-base", True, False, 60_000, 2_000),
    "da3-large": Variant("da3-large", True, False, 80_000, 4_000),
    "da3-giant": Variant("da3-giant", True, False, 120_000, 4_000),
    "da3-metric": Variant("da3metric-large", False, True, 80_000, 4_000),
    "da3-mono": Variant("da3mono-large", False, False, 80_000, 4_000),
}
"""By the names of the table of models. The bytes are estimates: widths of the layers times the
copies of them that are held at one time."""


class DepthAnything:
    """Depth by one of the networks, in evaluation mode (DepthEngine).

    `resolution` is the longest side of the picture that it sees, of pixels made square by `aspect`,
    the width over the height of the plate's.
    """

    name = "embedded"

    def __init__(
        self,
        model: str,
        network: Any,
        device: torch.device,
        resolution: int = 504,
        aspect: float = 1.0,
    ) -> None:
        self.model, self._variant = model, VARIANTS[model]
        self.together = self.takes_poses = self._variant.together
        self.meters = self._variant.meters
        self._network, self._device = network.to(device), device
        self._resolution, self._aspect = resolution, aspect

    @classmethod
    def load(cls, model: str, folder: Path, resolution: int, aspect: float) -> DepthAnything:
        """Raises ModelError when the weights are not right."""
        return cls(model, load_network(VARIANTS[model], folder), best_device(), resolution, aspect)

    def room(self, size: tuple[int, int]) -> int:
        """See DepthEngine."""
        free = free_memory(self._device)
        most = _MOST if self.together else _MOST_ALONE
        if free is None:
            return min(most, _WITHOUT_GPU if self.together else 1)
        width, height = self._inner(size)
        pixels = width * height
        held = pixels * _OUTPUTS + pixels / PATCH**2 * self._variant.backbone
        left = free * _SHARE - _AT_ONE_TIME * pixels * self._variant.heads
        return int(np.clip(left // held, 1, most))

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        """See DepthEngine."""
        pictures = [_read(frame) for frame in frames]
        height, width = pictures[0].shape[:2]
        inner = self._inner((width, height))
        seen = torch.stack([_prepared(picture, inner) for picture in pictures])
        share = np.array(inner) / (width, height)
        poses = [frame.pose for frame in frames if frame.pose]
        if self.together and len(poses) == len(frames) and _travel(_places(_matrices(poses))) > 0:
            return self._posed(seen, _matrices(poses), _lenses(poses, share))
        found = self._seen(seen)
        if not self.meters:
            return found
        return [
            Estimate(each.depth * np.float32(_focal(frame.pose, share, inner) / _CANONICAL))
            for frame, each in zip(frames, found, strict=True)
        ]

    def _inner(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height of what the network sees of a plate."""
        width, height = size[0] * self._aspect, size[1]
        scale = self._resolution / max(width, height) / PATCH
        return max(1, round(width * scale)) * PATCH, max(1, round(height * scale)) * PATCH

    def _posed(self, seen: torch.Tensor, poses: Poses, lenses: Poses) -> list[Estimate]:
        """Depth in the scale of the poses, (n, 4, 4) world to camera.

        The network takes poses at a scale of its own and answers with poses, too: those it saw the
        depth from. What makes them as large as the given ones is the scale of the depth.
        """
        places = _places(poses)
        unit = float(np.median(np.linalg.norm(places - places[0], axis=1))) or _travel(places)
        normal = poses @ np.linalg.inv(poses[0])
        normal[:, :3, 3] /= unit
        output = self._run(seen, normal, lenses)
        answered = _places(_homogeneous(output["extrinsics"][0].cpu().numpy()))
        found = _estimates(output)
        scale = _scale(places, answered)
        nearness = _travel(answered) / max(_middle(found), 1e-30)
        if scale is None or nearness < _TRAVEL:
            return found
        return [
            Estimate(each.depth * np.float32(scale), each.confidence, posed=True) for each in found
        ]

    def _seen(self, seen: torch.Tensor) -> list[Estimate]:
        return _estimates(self._run(seen))

    def _run(
        self, seen: torch.Tensor, poses: Poses | None = None, lenses: Poses | None = None
    ) -> Any:
        """The network's answer to (n, 3, h, w). Raises OutOfRoomError."""
        cameras = [
            None if each is None else torch.from_numpy(each)[None].float().to(self._device)
            for each in (poses, lenses)
        ]

        def work() -> Any:
            with self._half():
                return self._network(seen[None].to(self._device), *cameras)

        return infer(work, lambda: release(self._device))

    def _half(self) -> AbstractContextManager[Any]:
        """Half precision for the backbone, on GPUs that are faster with it."""
        if self._device.type != "cuda":
            return contextlib.nullcontext()
        halved: AbstractContextManager[Any] = torch.autocast("cuda", precision(self._device))
        return halved


def load_network(variant: Variant, folder: Path) -> Any:
    """The network with the weights of a folder. Raises ModelError when they are not its own."""
    named = _named_in(folder)
    if named in {each.config for each in VARIANTS.values()} - {variant.config}:
        raise refused(folder, f"they are those of {named}")
    network = make_network(variant.config)
    try:
        values = load_file(folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise refused(folder, str(error)) from error
    own = {name.removeprefix("model."): value for name, value in values.items()}
    # The largest one's other head, which makes splats.
    fill(network, {name: own[name] for name in own if not name.startswith("gs_")}, folder)
    return network


def _named_in(folder: Path) -> str:
    try:
        said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return str(said.get("model_name", ""))
    except (OSError, ValueError, AttributeError) as error:
        raise refused(folder, f"config.json: {error}") from error


def make_network(config: str, **changes: Any) -> Any:
    """The package's network of that name, in evaluation mode, with other values in its parts."""
    # It is made for older packages, and says so as its parts are imported.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from depth_anything_3.cfg import create_object, load_config
        from depth_anything_3.registry import MODEL_REGISTRY

        parts = load_config(MODEL_REGISTRY[config])
        for other in ("gs_head", "gs_adapter"):
            parts.pop(other, None)
        for part, values in changes.items():
            parts[part].update(values)
        return create_object(parts).eval()


def _read(frame: Frame) -> NDArray[np.uint8]:
    colors = read_colors(frame.file)
    if colors is None:
        raise PlateError(f"{frame.file} is missing or damaged.")
    return colors


def _prepared(picture: NDArray[np.uint8], inner: tuple[int, int]) -> torch.Tensor:
    """(3, h, w) of the network's size and colors."""
    smaller = inner[0] < picture.shape[1]
    way = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    resized = np.asarray(cv2.resize(picture, inner, interpolation=way), np.float32) / 255
    colors = (resized - _MEAN) / _SPREAD
    return torch.from_numpy(np.ascontiguousarray(colors.transpose(2, 0, 1)))


def _matrices(poses: Sequence[Pose]) -> Poses:
    return np.stack([pose.world_to_camera for pose in poses])


def _lenses(poses: Sequence[Pose], share: NDArray[np.float64]) -> Poses:
    """Matrices (n, 3, 3) in pixels of what the network sees."""
    found = np.zeros((len(poses), 3, 3))
    for matrix, pose in zip(found, poses, strict=True):
        matrix[[0, 1], [0, 1]] = pose.focal * share
        matrix[:2, 2] = pose.center * share
        matrix[2, 2] = 1
    return found


def _focal(pose: Pose | None, share: NDArray[np.float64], inner: tuple[int, int]) -> float:
    """Focal length in pixels of what the network sees."""
    return float(np.mean(pose.focal * share)) if pose else _USUAL_LENS * inner[0]


def _homogeneous(poses: Poses) -> Poses:
    """(n, 4, 4) of (n, 3, 4) or (n, 4, 4)."""
    whole = np.tile(np.eye(4), (len(poses), 1, 1))
    whole[:, :3] = poses[:, :3]
    return whole


def _places(poses: Poses) -> Poses:
    """Where cameras stand in the world, (n, 3)."""
    return np.asarray(-np.einsum("nji,nj->ni", poses[:, :3, :3], poses[:, :3, 3]))


def _travel(places: Poses) -> float:
    """How far cameras are apart."""
    return float(np.linalg.norm(np.ptp(places, axis=0)))


def _scale(given: Poses, answered: Poses) -> float | None:
    """How much larger the given places (n, 3) are than those that the network answered with, None
    when these tell nothing of that."""
    for _again in range(2):
        fit = best_similarity(given, answered)
        if not fit.scale > 1e-6 * _travel(answered) / _travel(given):
            return None
        errors = np.linalg.norm(fit.apply(given) - answered, axis=1)
        near = errors <= _STRAY * np.median(errors)
        if near.all() or _travel(given[near]) == 0:
            break
        given, answered = given[near], answered[near]
    return 1 / fit.scale


def _estimates(output: Any) -> list[Estimate]:
    depth: Floats = output["depth"][0].float().cpu().numpy()
    good = np.isfinite(depth) & (depth > 0)
    if "sky" in output:
        good &= output["sky"][0].float().cpu().numpy() < _SKY
    depth = np.where(good, depth, np.float32(0))
    if "depth_conf" not in output:
        return [Estimate(each) for each in depth]
    # The head says 1 + exp(x) for what it is unsure of by x.
    conf: Floats = output["depth_conf"][0].float().cpu().numpy()
    sure = np.where(good, 1 - 1 / np.maximum(conf, 1), 0).astype(np.float32)
    return [Estimate(each, trust) for each, trust in zip(depth, sure, strict=True)]


def _middle(found: Sequence[Estimate]) -> float:
    """The middle depth of all that was found."""
    every = np.concatenate([each.depth[each.depth > 0] for each in found])
    return float(np.median(every)) if every.size else 0.0
