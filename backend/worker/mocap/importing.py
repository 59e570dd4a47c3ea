# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion that another program has found: GVHMR's, WHAM's and AMASS's files, and our own.

n frames. A motion before a camera is one of SMPL-X in the axes of a camera, x right, y down, z
forward; one of a world has an up of its own and no camera. Nothing is unpickled.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...camera import Array, Integers
from ...errors import FormatError
from ...kinematics import mixed, rotations_of
from ...motion import Motion
from ...smplx import BODY_JOINTS, GENDERS, JOINTS
from .torch_file import read_torch

_BODY = 3 * (len(BODY_JOINTS) - 1)
_MOST_FRAMES, _MOST_BETAS = 1_000_000, 400
_HANDS = JOINTS.index("left_index1")
_FEET_OF_LOGITS = [0, 2, 1, 3]
"""GVHMR tells the left ankle, left foot, right ankle, right foot, and both wrists."""
GVHMR_RATE = 30.0
"""What GVHMR's own program brings every movie to."""


@dataclass(frozen=True, eq=False)
class GvhmrResult:
    """hmr4d_results.pt, or what GVHMR's package saves as .npz.

    body_pose (n, 63), betas (b,), camera_orient (n, 3), camera_transl (n, 3); world_orient (n, 3)
    in a world whose y is up, contact (n, 4) in the order of `smplx.FEET` and matrix (n, 3, 3) of
    the pinhole that GVHMR was given, where the file has them; focal is that one's, 0 without; fps
    is 0 where the file does not say.
    """

    body_pose: Array
    betas: Array
    camera_orient: Array
    camera_transl: Array
    world_orient: Array | None
    contact: Array | None
    matrix: Array | None
    focal: float
    fps: float = 0.0


@dataclass(frozen=True, eq=False)
class Ready:
    """A motion that a file holds.

    rotations (n, 55, 3) and translation (n, 3), before the camera or, where `up` (3,) is not None,
    in a world with that up. contact (n, 4), upright (n, 3), matrix (n, 3, 3), confidence (n,) and
    keypoints (n, 17, 3) as in GvhmrResult, SeenMotion and Motion, or None. fps is 0 where the file
    does not say. numbers (n,) are those of the plate, where the file has them. `kind` says what
    file it is.
    """

    kind: str
    rotations: Array
    translation: Array
    betas: Array
    gender: str
    fps: float
    up: Array | None = None
    contact: Array | None = None
    upright: Array | None = None
    matrix: Array | None = None
    confidence: Array | None = None
    keypoints: Array | None = None
    numbers: Integers | None = None

    def __len__(self) -> int:
        return len(self.rotations)


def read_ready(path: Path) -> Ready:
    """Raises FormatError for a file that is damaged or of no known kind."""
    if path.suffix.lower() in (".pt", ".pth"):
        return _of_gvhmr(read_gvhmr(path))
    if path.suffix.lower() != ".npz":
        raise FormatError(
            f"{path.name} is no motion that is known: take hmr4d_results.pt of GVHMR, an .npz of "
            "WHAM or AMASS, or a motion.npz. Pickles are programs and are not opened."
        )
    try:
        with np.load(path, allow_pickle=False) as content:
            names = set(content.files)
            if "format" in names:
                return _of_ours(path)
            arrays = {name: content[name] for name in names & _WANTED}
            return _of_arrays(path, arrays)
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise FormatError(f"{path.name} is damaged or no motion: {error!r}.") from error


_KINDS = ("camera", "world")
_PARTS = ("body_pose", "betas", "global_orient", "transl")
_PREFIXES = {
    "camera": ("camera_", "smpl_params_incam_"),
    "world": ("world_", "smpl_params_global_", "net_outputs_pred_smpl_params_global_"),
}
_LOGITS = "net_outputs_static_conf_logits"
_WANTED = {
    "poses", "trans", "betas", "gender", "mocap_framerate", "mocap_frame_rate", "fps",
    "intrinsics", "K_fullimg", _LOGITS,
    *(prefix + part for kind in _KINDS for prefix in _PREFIXES[kind] for part in _PARTS),
}  # fmt: skip


def read_gvhmr(path: Path) -> GvhmrResult:
    """hmr4d_results.pt. Raises FormatError."""
    content = read_torch(path)
    try:
        arrays: dict[str, Any] = {}
        for kind, name in (("incam", "camera_"), ("global", "world_")):
            for part, values in dict(content.get(f"smpl_params_{kind}") or {}).items():
                arrays[f"{name}{part}"] = values
        if "K_fullimg" in content:
            arrays["K_fullimg"] = content["K_fullimg"]
        outputs = content.get("net_outputs")
        if isinstance(outputs, Mapping) and "static_conf_logits" in outputs:
            arrays[_LOGITS] = outputs["static_conf_logits"]
        return _gvhmr(arrays)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise FormatError(f"{path.name} is no result of GVHMR: {error!r}.") from error


def _gvhmr(arrays: Mapping[str, Any]) -> GvhmrResult:
    """Of arrays by the names of the package's .npz. Raises KeyError, ValueError."""
    camera = _part(arrays, "camera")
    count = _count(camera["global_orient"])
    orient = _floats(camera["global_orient"], (count, 3))
    world = _part(arrays, "world").get("global_orient")
    matrix = arrays.get("K_fullimg", arrays.get("intrinsics"))
    if matrix is not None:
        matrix = np.broadcast_to(_floats(matrix, None), (count, 3, 3)).astype(np.float64)
        if not (matrix[:, [0, 1], [0, 1]] > 0).all():
            raise ValueError("a pinhole without a focal length")
    return GvhmrResult(
        body_pose=_floats(camera["body_pose"], (count, _BODY)),
        betas=_betas(camera["betas"]),
        camera_orient=orient,
        camera_transl=_floats(camera["transl"], (count, 3)),
        world_orient=None if world is None else _floats(world, (count, 3)),
        contact=_contact(arrays.get(_LOGITS), count),
        matrix=matrix,
        focal=0.0 if matrix is None else float(np.median(matrix[:, 0, 0])),
        fps=_rate(arrays),
    )


def _part(arrays: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The SMPL-X parameters before the camera or in the world, under whatever name."""
    for prefix in _PREFIXES[kind]:
        if f"{prefix}global_orient" in arrays:
            found = {part: arrays.get(f"{prefix}{part}") for part in _PARTS}
            return {part: _flat(values) for part, values in found.items() if values is not None}
    return {}


def _flat(values: Any) -> Any:
    """Without a batch of one before the frames."""
    array = np.asarray(values)
    return array[0] if array.ndim == 3 and len(array) == 1 else array


def _contact(logits: Any, count: int) -> Array | None:
    if logits is None:
        return None
    values = _floats(_flat(logits), None)
    if values.ndim != 2 or len(values) != count or values.shape[1] < 4:
        raise ValueError(f"static_conf_logits of {values.shape}")
    contact: Array = 1 / (1 + np.exp(-values[:, _FEET_OF_LOGITS].clip(-50, 50)))
    return contact


def _betas(values: Any) -> Array:
    """One shape of those of all frames: what half of them do not pass."""
    betas = _floats(_flat(values), None)
    if betas.ndim == 2:
        betas = np.median(betas, axis=0)
    if betas.ndim != 1 or len(betas) > _MOST_BETAS:
        raise ValueError(f"betas of {betas.shape}")
    return betas


def _count(values: Any) -> int:
    count = len(np.atleast_1d(values))
    if not 0 < count <= _MOST_FRAMES:
        raise ValueError(f"{count} frames")
    return count


def _floats(values: Any, shape: tuple[int, ...] | None) -> Array:
    array = np.asarray(values)
    if array.dtype.kind not in "fiu" or (shape is not None and array.shape != shape):
        raise ValueError(f"{array.dtype} {array.shape}, not {shape}")
    found = array.astype(np.float64)
    if not np.isfinite(found).all():
        raise ValueError("numbers that are not finite")
    return found


def _rate(arrays: Mapping[str, Any]) -> float:
    for name in ("fps", "mocap_framerate", "mocap_frame_rate"):
        if name in arrays:
            rate = float(np.asarray(arrays[name]).reshape(-1)[0])
            return rate if np.isfinite(rate) and 0 < rate < 10_000 else 0.0
    return 0.0


def with_body(root: Array, body: Array) -> Array:
    """(n, 55, 3) of the pelvis's rotation (n, 3) and the body's (n, 63)."""
    rotations = np.zeros((len(root), len(JOINTS), 3))
    rotations[:, 0] = root
    rotations[:, 1 : len(BODY_JOINTS)] = body.reshape(len(root), -1, 3)
    return rotations


def _of_gvhmr(found: GvhmrResult) -> Ready:
    return Ready(
        kind="GVHMR's result",
        rotations=with_body(found.camera_orient, found.body_pose),
        translation=found.camera_transl,
        betas=found.betas,
        gender="",
        fps=found.fps,
        contact=found.contact,
        upright=found.world_orient,
        matrix=found.matrix,
    )


def _of_ours(path: Path) -> Ready:
    """Raises FormatError."""
    motion = Motion.load(path)
    rotations = motion.rotations.copy()
    rotations[:, 0] = motion.camera_rotation
    return Ready(
        kind="a motion of Shot Gopher",
        rotations=rotations,
        translation=motion.camera_translation,
        betas=motion.betas,
        gender=motion.gender,
        fps=float(motion.fps),
        contact=motion.contact,
        confidence=motion.confidence,
        keypoints=motion.keypoints,
        numbers=motion.frames,
    )


def _of_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> Ready:
    """Of GVHMR's .npz, or of WHAM's or AMASS's. Raises KeyError, ValueError."""
    if _part(arrays, "camera"):
        return _of_gvhmr(_gvhmr(arrays))
    if "poses" not in arrays:
        raise ValueError(f"without poses: {path.name} is of no known kind")
    count = _count(arrays["poses"])
    rotations = _rotations(_floats(arrays["poses"], None).reshape(count, -1))
    return Ready(
        kind="a motion of a world of its own",
        rotations=rotations,
        translation=_floats(arrays["trans"], (count, 3)),
        betas=_betas(arrays["betas"]) if "betas" in arrays else np.zeros(10),
        gender=_gender(arrays.get("gender")),
        fps=_rate(arrays),
        up=_up(rotations),
    )


def _rotations(poses: Array) -> Array:
    """(n, 55, 3) of the poses of SMPL (72 numbers a frame), SMPL-H (156) or SMPL-X (165)."""
    count, size = poses.shape
    rotations = np.zeros((count, len(JOINTS), 3))
    body = len(BODY_JOINTS)
    rotations[:, :body] = poses[:, : 3 * body].reshape(count, body, 3)
    if size == 3 * len(JOINTS):
        rotations[:] = poses.reshape(count, -1, 3)
    elif size == 156:
        rotations[:, _HANDS:] = poses[:, 3 * body :].reshape(count, -1, 3)
    elif size not in (3 * body, 72):
        raise ValueError(f"{size} numbers a pose: it is neither SMPL, SMPL-H nor SMPL-X")
    return rotations


def _gender(values: Any) -> str:
    if values is None:
        return ""
    word = np.asarray(values).reshape(-1)[0]
    text = word.decode(errors="replace") if isinstance(word, bytes) else str(word)
    return text if text in GENDERS else ""


def _up(rotations: Array) -> Array:
    """The axis of that world that bodies' backs point along."""
    backs = rotations_of(rotations[:, 0])[:, :, 1].mean(axis=0)
    # A world's x is never up.
    axis = 1 + int(np.argmax(np.abs(backs[1:])))
    up = np.zeros(3)
    up[axis] = 1.0 if backs[axis] >= 0 else -1.0
    return up


def at_rate(ready: Ready, rate: float) -> Ready:
    """The motion with so many frames a second, by time: turns along the shortest arc, all else in a
    straight line. Source: Shoemake, Animating rotation with quaternion curves, SIGGRAPH 1985."""
    count = len(ready)
    wanted = np.arange(int(np.floor((count - 1) * rate / ready.fps + 1e-6)) + 1) * ready.fps / rate
    before = np.minimum(wanted.astype(np.int64), count - 1)
    after = np.minimum(before + 1, count - 1)
    share = wanted - before

    def line(values: Array) -> Array:
        part = share.reshape(-1, *[1] * (values.ndim - 1))
        between: Array = values[before] * (1 - part) + values[after] * part
        return between

    def arc(values: Array) -> Array:
        part = share.reshape(-1, *[1] * (values.ndim - 2))
        return mixed(values[before], values[after], part)

    ways = {name: arc if name in _TURNS else line for name in _BY_FRAME}
    given = {name: getattr(ready, name) for name in _BY_FRAME}
    between: dict[str, Any] = {
        name: ways[name](values) for name, values in given.items() if values is not None
    }
    return replace(ready, fps=rate, numbers=None, **between)


_TURNS = ("rotations", "upright")
_BY_FRAME = (*_TURNS, "translation", "contact", "matrix", "confidence", "keypoints")
