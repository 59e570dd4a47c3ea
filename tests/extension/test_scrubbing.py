# SPDX-License-Identifier: GPL-3.0-or-later
"""Scrubbing decodes proxies: a guard, far coarser than `python3 -m tests.bench plates`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.bench.scrub import costs, stepped
from tests.bench.scrub_shot import scrub_shot

from .real_blender import TOOL, VERSIONS

FRAMES = 12


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not TOOL.is_file():
        pytest.skip("real-blender is not beside the project")
    path = tmp_path_factory.mktemp("scrub") / "sh060"
    return scrub_shot(path, frames=FRAMES + 1, points=1000).path


@pytest.mark.parametrize("version", VERSIONS)
def test_a_frame_costs_what_a_proxy_does(version: str, shot: Path, tmp_path: Path) -> None:
    """A PNG of that size takes 60 ms and more to decode and undistort, a proxy under 10."""
    told = stepped(version, shot, tmp_path, "AUTO", FRAMES)
    assert told["shown"]["size"] == "PROXY_50"
    assert told["shown"]["undistorted"]
    decoded = 1000 * (np.array(told["cold"]) - told["warm"])
    assert 0.5 < np.median(decoded) < 30, decoded
    assert np.median(costs(told)) < 30, costs(told)
