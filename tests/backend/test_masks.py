# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks reach COLMAP with the right polarity, names and size: judged by where features land."""

from __future__ import annotations

import cv2
import numpy as np
import pycolmap
import pytest

from backend.errors import SolveError
from backend.events import EventWriter
from backend.worker.engines.matching import FeatureDatabase, FeatureSettings
from backend.worker.masks import colmap_mask, find_masks, missing_masks, write_colmap_masks
from backend.worker.report import Report
from tests.backend.textured_room import texture, write_frame

WIDTH, HEIGHT = 400, 300


@pytest.fixture
def report(tmp_path):
    return Report(EventWriter(tmp_path / "events.jsonl"), tmp_path / "cancel")


@pytest.fixture
def frames(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in (7, 8):
        write_frame(folder, number, texture(number)[:HEIGHT, :WIDTH])
    return {number: folder / f"frame_{number:04d}.png" for number in (7, 8)}


def left_half():
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, : WIDTH // 2] = 255
    return mask


def save(folder, number, mask):
    folder.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(folder / f"frame_{number:04d}.png"), mask)


def keypoints(tmp_path, frames, masks, report):
    """Where COLMAP's own extraction finds features: x, y for each frame."""
    database = FeatureDatabase(tmp_path / "database.db", frames, masks, report)
    database.extract(sorted(frames), FeatureSettings(WIDTH, 2000, 0, 0.0067))
    with pycolmap.Database.open(tmp_path / "database.db") as opened:
        images = {image.name: image.image_id for image in opened.read_all_images()}
        return {
            number: opened.read_keypoints(images[path.name])[:, :2]
            for number, path in frames.items()
        }


def test_features_land_beside_what_is_selected_and_never_on_it(tmp_path, frames, report):
    save(tmp_path / "roto", 7, left_half())
    masks = write_colmap_masks(
        find_masks(tmp_path / "roto"), frames, tmp_path / "masks", (WIDTH, HEIGHT)
    )
    found = keypoints(tmp_path, frames, masks, report)
    left, right = (found[7][:, 0] < WIDTH / 2).sum(), (found[7][:, 0] >= WIDTH / 2).sum()
    assert left == 0
    assert right > 60
    # The frame without a mask is used whole.
    assert (found[8][:, 0] < WIDTH / 2).sum() > 60


def test_without_masks_both_sides_have_features(tmp_path, frames, report):
    found = keypoints(tmp_path, frames, None, report)
    assert (found[7][:, 0] < WIDTH / 2).sum() > 60


def test_names_are_colmap_s(tmp_path, frames):
    save(tmp_path / "roto", 8, left_half())
    folder = write_colmap_masks(
        find_masks(tmp_path / "roto"), frames, tmp_path / "masks", (WIDTH, HEIGHT)
    )
    assert folder == tmp_path / "masks"
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["frame_0007.png.png", "frame_0008.png.png"]


def test_white_is_ignored_with_a_margin_and_all_is_black_or_white():
    mask = np.zeros((500, 1000), np.uint8)
    mask[200:300, 400:600] = 200
    mask[0, 0] = 90
    kept = colmap_mask(mask)
    assert set(np.unique(kept)) == {0, 255}
    assert (kept[200:300, 400:600] == 0).all()
    assert (kept[250, 396:604] == 0).all()
    assert kept[250, 390] == kept[250, 610] == kept[0, 0] == 255


def test_masks_of_another_size_are_refused(tmp_path, frames):
    save(tmp_path / "roto", 7, np.zeros((HEIGHT // 2, WIDTH // 2), np.uint8))
    with pytest.raises(SolveError, match=r"200 x 150 but the plate is 400 x 300.*-M"):
        write_colmap_masks(
            find_masks(tmp_path / "roto"), frames, tmp_path / "masks", (WIDTH, HEIGHT)
        )


def test_a_mask_that_is_no_picture_is_refused(tmp_path, frames):
    save(tmp_path / "roto", 7, left_half())
    (tmp_path / "roto" / "frame_0007.png").write_bytes(b"not a picture")
    with pytest.raises(SolveError, match=r"frame_0007\.png cannot be read"):
        write_colmap_masks(
            find_masks(tmp_path / "roto"), frames, tmp_path / "masks", (WIDTH, HEIGHT)
        )


def test_no_masks(tmp_path, frames):
    assert find_masks(tmp_path / "roto") == {}
    size = (WIDTH, HEIGHT)
    assert write_colmap_masks({}, frames, tmp_path / "masks", size) is None
    # Masks of other frames only are as good as none.
    save(tmp_path / "roto", 99, left_half())
    others = find_masks(tmp_path / "roto")
    assert write_colmap_masks(others, frames, tmp_path / "masks", size) is None


def test_missing_masks_are_named(frames):
    assert missing_masks({}, frames) == []
    assert missing_masks({8: frames[8]}, frames) == [7]
    assert missing_masks(frames, frames) == []
