# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages the worker's environment holds: groups of exact versions, for every Python.

Adding a group is one entry in `GROUPS` and `requirements/<group>.txt`, which lists everything the
group needs, one `name==version` a line, at most with a condition on python_version.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import UsageError
from .host_python import Version, dotted

REQUIREMENTS = Path(__file__).resolve().parent / "requirements"
BASE = "core"
"""The group that everything needs; others come when a stage or a model asks for them."""
MODELS_GROUP = "ml"
"""The group that runs models."""
DEPTH_GROUP = "depth"
"""The group with Depth Anything 3, on top of the one that runs models."""
PROPAINTER_GROUP = "propainter"
"""The group with ProPainter, likewise."""
MOCAP_GROUP = "mocap"
"""The group with GVHMR, likewise."""
CUDA_GROUP = "cuda"
"""The group with which dense stereo runs on an NVIDIA GPU."""
COLMAP_CUDA_GROUP = "colmap-cuda"
"""The group with COLMAP's own dense stereo."""
INSTALLER = "installer"
"""The requirements that install the others."""


@dataclass(frozen=True)
class Group:
    """Packages that belong together.

    `modules` are imported to see that they work; `versions` are the Pythons that all pins have
    wheels for, the best first; `megabytes` is the disk space for installing, with
    the downloads; `libraries` are what
    it needs from a Linux system beyond the C library. `built` are packages of which there is one
    build for each kind of GPU (see torch_builds.py), and `check` is a script of the worker that
    sees whether all of it works together. `unbound` are packages that work with newer Pythons than
    they say. `alone`: it has files that others have too, and so an environment to itself.
    """

    modules: tuple[str, ...]
    versions: tuple[Version, ...]
    megabytes: int
    libraries: tuple[str, ...] = ()
    built: tuple[str, ...] = ()
    check: str = ""
    unbound: tuple[str, ...] = ()
    alone: bool = False


GROUPS: dict[str, Group] = {
    BASE: Group(
        modules=(
            *("numpy", "cv2", "pycolmap", "av", "imageio_ffmpeg", "ffmpeg"),
            *("OpenImageIO", "PyOpenColorIO", "requests", "websocket"),
        ),
        versions=((3, 11), (3, 12), (3, 13), (3, 14)),
        megabytes=1000,
    ),
    MODELS_GROUP: Group(
        modules=("numpy", "torch", "safetensors", "tokenizers", "huggingface_hub"),
        versions=((3, 11), (3, 12), (3, 13), (3, 14)),
        megabytes=2500,
        built=("torch", "torchvision"),
        check="check_models.py",
    ),
    DEPTH_GROUP: Group(
        modules=("addict", "einops", "omegaconf", "depth_anything_3.cfg"),
        versions=((3, 11), (3, 12), (3, 13), (3, 14)),
        megabytes=10,
        # "<=3.13" leaves out 3.13.1.
        unbound=("depth-anything-3",),
    ),
    PROPAINTER_GROUP: Group(
        modules=("requests", "pytorchcv"),
        versions=((3, 11), (3, 12), (3, 13), (3, 14)),
        megabytes=10,
    ),
    MOCAP_GROUP: Group(
        modules=("einops", "yacs.config", "gvhmr"),
        versions=((3, 11), (3, 12), (3, 13), (3, 14)),
        megabytes=30,
    ),
    "dense": Group(
        modules=("numba",),
        versions=((3, 11), (3, 12), (3, 13), (3, 14)),
        megabytes=500,
    ),
    CUDA_GROUP: Group(
        modules=("cuda.bindings", "cuda.core", "numba_cuda"),
        versions=((3, 11), (3, 12), (3, 13), (3, 14)),
        megabytes=1200,
    ),
    COLMAP_CUDA_GROUP: Group(
        modules=("pycolmap",),
        versions=((3, 11), (3, 12), (3, 13), (3, 14)),
        megabytes=800,
        libraries=("libICE.so.6", "libSM.so.6", "libX11.so.6", "libXext.so.6"),
        alone=True,
    ),
    "blender": Group(
        modules=("bpy",),
        versions=((3, 11),),
        megabytes=1700,
        libraries=(
            "libGL.so.1",
            "libICE.so.6",
            "libSM.so.6",
            "libX11.so.6",
            "libXext.so.6",
            "libXfixes.so.3",
            "libXi.so.6",
            "libXrender.so.1",
            "libXt.so.6",
            "libxkbcommon.so.0",
        ),
    ),
}


def in_order(names: Sequence[str]) -> tuple[str, ...]:
    """The named groups in the table's order, each once. Raises UsageError."""
    for name in names:
        if name not in GROUPS:
            raise UsageError(f"There is no group '{name}'. Groups: {', '.join(GROUPS)}.")
        if GROUPS[name].alone and {*names} != {name}:
            raise UsageError(f"The group '{name}' takes an environment to itself: name it alone.")
    return tuple(name for name in GROUPS if name in names)


def usable_versions(groups: Sequence[str]) -> list[Version]:
    """The Python versions that have wheels for all these groups, the best first."""
    wanted = [GROUPS[name].versions for name in groups]
    return [version for version in wanted[0] if all(version in others for others in wanted[1:])]


_PIN = re.compile(
    r"(?P<pin>[\w.-]+==[\w.]+)"
    r"(?:\s*;\s*python_version\s*(?P<how><|>=|==)\s*\"(?P<version>\d+\.\d+)\")?"
)


def pins(groups: Sequence[str], version: Version) -> tuple[str, ...]:
    """`name==version` of everything in these groups for a Python version, each once.

    Raises UsageError for a group that does not exist.
    """
    found = [pin for group in in_order(groups) for pin in _read_pins(group, version)]
    return tuple(dict.fromkeys(found))


def installer_pins(version: Version) -> tuple[str, ...]:
    """`name==version` of what installs the rest."""
    return tuple(_read_pins(INSTALLER, version))


def _read_pins(name: str, version: Version) -> list[str]:
    """The pins of one requirements file; [] when there is no such file."""
    file = REQUIREMENTS / f"{name}.txt"
    if not file.is_file():
        return []
    lines = [line.split("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines()]
    found = []
    for line in filter(None, lines):
        match = _PIN.fullmatch(line)
        if match is None:
            raise ValueError(f"{file.name}: {line!r} is no exact pin")
        if match["how"] is None or _holds(version, match["how"], match["version"]):
            found.append(match["pin"])
    return found


def _holds(version: Version, how: str, bound: str) -> bool:
    major, minor = bound.split(".")
    limit = (int(major), int(minor))
    return {"<": version < limit, ">=": version >= limit, "==": version == limit}[how]


def fingerprint(version: Version, platform: str, pinned: Sequence[str]) -> str:
    """The name of an environment's folder. Short: Windows has 260 characters for a path."""
    text = "\n".join((dotted(version), platform, *sorted(pinned)))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
