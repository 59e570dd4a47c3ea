# SPDX-License-Identifier: GPL-3.0-or-later
"""Our solve against two others on the same plate: COLMAP as upstream uses it, Blender's tracker.

Both take minutes, so what they answered is kept in the plate's folder, under a name that says which
program, settings and machine it was; `fresh` asks them anew.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

from tests.bench.camera_child import Answer, ask
from tests.bench.camera_sources import Source
from tests.bench.figure import at_least, less_than

PACKAGES = {"upstream": "pycolmap", "blender": "bpy"}
TIMES_LESS, JITTER_SHARE = 60, 5

Figure = dict[str, Any]


def peer(which: str, source: Source, fresh: bool) -> Answer:
    """What that peer makes of the plate; `kept` when it was asked in an earlier run."""
    file = source.folder / f"peer_{which}{'_masks' if source.masks else ''}_{_key(which)}.json"
    if file.exists() and not fresh:
        return json.loads(file.read_text(encoding="utf-8")) | {"kept": True}
    told = ask(f"camera_{which}", source.job())
    if "crashed" not in told:
        file.write_text(json.dumps(told), encoding="utf-8")
    return told


def _key(which: str) -> str:
    """Tells program, settings and machine apart."""
    package = PACKAGES[which]
    code = Path(__file__).with_name(f"camera_{which}.py").read_bytes()
    place = (platform.node(), platform.machine(), os.cpu_count())
    digest = hashlib.sha256(repr(place).encode() + code).hexdigest()[:8]
    return f"{package}-{importlib.metadata.version(package)}-{digest}"


def upstream_figures(label: str, source: Source, ours: Answer, fresh: bool) -> list[Figure]:
    """Processor time, slip and jitter against COLMAP with upstream's settings."""
    told = peer("upstream", source, fresh)
    how = f"ours {_summary(ours)}; upstream (pycolmap, OPENCV, 8192 SIFT, overlap 10) "
    how += f"{_summary(told)}{_kept(told)}"
    mine, other = ours.get("cpu", float("inf")), told.get("cpu", 0.0)
    jitter = told.get("jitter", float("inf")) / JITTER_SHARE
    return [
        at_least(f"{label}: CPU time of upstream over ours", other / mine, "x", TIMES_LESS, how),
        less_than(f"{label}: slip against upstream", _slip(ours), "px", _slip(told), how),
        less_than(f"{label}: jitter against a fifth of upstream's", _of(ours, "jitter"), "px",
                  jitter, how),
    ]  # fmt: skip


def blender_figures(label: str, source: Source, ours: Answer, fresh: bool) -> list[Figure]:
    """Slip against Blender's own tracker. A solve that fails has infinite slip."""
    told = peer("blender", source, fresh)
    how = f"ours {_summary(ours)}; Blender {_summary(told)}{_kept(told)}"
    return [less_than(f"{label}: slip against Blender", _slip(ours), "px", _slip(told), how)]


def _slip(told: Answer) -> float:
    return _of(told, "slip")


def _of(told: Answer, name: str) -> float:
    return float(told.get(name, float("inf")))


def _summary(told: Answer) -> str:
    if "crashed" in told or "named" in told:
        return f"failed: {told.get('crashed') or told.get('named')}"
    return (
        f"{told['slip']:.3f} px slip, {told['jitter']:.4f} px jitter, {told['registered']} frames, "
        f"{told['cpu']:.1f} CPU s, {told['wall']:.1f} s"
    )


def _kept(told: Answer) -> str:
    return (
        " (kept from an earlier run on this machine; --fresh asks anew)" if "kept" in told else ""
    )
