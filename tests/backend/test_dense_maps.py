# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth maps on disk: what is read is what was written, whatever the camera's pose."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import OpenImageIO as oiio
import pytest

from backend.errors import FormatError
from backend.shot import DenseFolder
from backend.worker.dense.map_files import read_maps, write_maps
from backend.worker.dense.views import DepthMap, View

TURN = cv2.Rodrigues(np.array([0.2, -0.4, 1.1]))[0]


@pytest.fixture
def view() -> View:
    picture = np.zeros((5, 7, 3), np.uint8)
    there = np.ones((5, 7), bool)
    return View(12, picture, there, (9.0, 9.0), (3.5, 2.5), TURN, np.ones(3), 1.0, 9.0)


@pytest.fixture
def found() -> DepthMap:
    random = np.random.default_rng(3)
    normal = random.normal(size=(5, 7, 3)).astype(np.float32)
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    depth, confidence = (random.random((5, 7)).astype(np.float32) for _ in range(2))
    return DepthMap(12, depth, normal, confidence)


def test_what_is_read_is_what_was_written(tmp_path: Path, view: View, found: DepthMap) -> None:
    folder = DenseFolder(tmp_path)
    write_maps(folder, view, found)
    again = read_maps(folder, view)
    np.testing.assert_array_equal(again.depth, found.depth)
    np.testing.assert_array_equal(again.confidence, found.confidence)
    np.testing.assert_allclose(again.normal, found.normal, atol=1e-6)
    names = sorted(file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.exr"))
    assert names == [f"{kind}/frame_0012.exr" for kind in ("confidence", "depth", "normal")]


def test_normals_in_files_are_the_worlds(tmp_path: Path, view: View, found: DepthMap) -> None:
    folder = DenseFolder(tmp_path)
    write_maps(folder, view, found)
    stored = oiio.ImageBuf(str(folder.normal(12))).get_pixels(oiio.FLOAT)
    np.testing.assert_allclose(stored[2, 3], TURN.T @ found.normal[2, 3], atol=1e-6)


def test_a_map_of_another_size_is_refused(tmp_path: Path, view: View, found: DepthMap) -> None:
    folder = DenseFolder(tmp_path)
    with pytest.raises(FormatError, match="missing or damaged"):
        read_maps(folder, view)
    small = DepthMap(12, *(each[:4] for each in (found.depth, found.normal, found.confidence)))
    write_maps(folder, view, small)
    with pytest.raises(FormatError, match="missing or damaged"):
        read_maps(folder, view)
