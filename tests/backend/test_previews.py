# SPDX-License-Identifier: GPL-3.0-or-later
"""Sheets and movies of what stages have made."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from backend import outputs
from backend.events import EventWriter
from backend.previews import PREVIEW
from backend.shot import FRAME_PATTERN, Shot
from backend.stages import STAGES
from backend.worker.dense.map_files import write_map
from backend.worker.previews import write_previews
from backend.worker.report import Report
from tests.backend.textured_room import make_shot, sideways, track

FRAMES, WIDTH, HEIGHT = 14, 160, 90


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    camera = track(sideways, FRAMES, WIDTH, HEIGHT, first=1001)
    gray = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    return make_shot(tmp_path / "sh010", camera, lambda _index: gray)


def preview(shot: Shot, name: str, folder: str, kind: str, movie: bool = False) -> np.ndarray:
    """The sheet of a stage that has written files of a kind into a folder of its output."""
    stage = STAGES[name]
    part = outputs.Writing(shot, stage, "new")
    part.begin({"options": {}, "inputs": {}})
    inside = part.folder(stage.makes[0]) / folder
    inside.mkdir(parents=True, exist_ok=True)
    for index in range(FRAMES):
        file = inside / f"{FRAME_PATTERN.format(1001 + index)}.{kind}"
        values = np.full((HEIGHT, WIDTH), 10 * index + 20)
        values[:, : WIDTH // 2] = 255
        if kind == "exr":
            write_map(file, values.astype(np.float32))
        else:
            cv2.imwrite(str(file), values.astype(np.uint8))
    report = Report(EventWriter(shot.path / "events.jsonl"), shot.path / "cancel")
    write_previews(shot, stage, part, report, movie)
    return np.asarray(cv2.imread(str(part.folder(stage.makes[0]) / PREVIEW)))


def middle(sheet: np.ndarray, column: int, row: int, place: float) -> np.ndarray:
    """The color in a tile of 3 x 3, so far from its left."""
    height, width = sheet.shape[0] / 3, sheet.shape[1] / 3
    return sheet[round((row + 0.5) * height), round((column + place) * width)].astype(int)


def test_nine_frames_from_the_first_to_the_last(shot: Shot) -> None:
    sheet = preview(shot, "cleanplate", "", "png")
    assert sheet.shape[1] == 960
    assert 1.5 < sheet.shape[1] / sheet.shape[0] < 2
    assert np.abs(middle(sheet, 0, 0, 0.75) - 20).max() < 6
    assert np.abs(middle(sheet, 2, 2, 0.75) - (10 * (FRAMES - 1) + 20)).max() < 6
    assert np.abs(middle(sheet, 1, 1, 0.25) - 255).max() < 6


def test_masks_tint_the_plate(shot: Shot) -> None:
    sheet = preview(shot, "roto", "mask", "png")
    blue, green, red = middle(sheet, 0, 0, 0.25)
    assert red > blue + 60
    assert red > green + 60
    blue, green, red = middle(sheet, 0, 0, 0.75)
    assert red - blue < 20
    assert abs(green - 90) < 12


def test_depth_is_gray_and_what_is_near_bright(shot: Shot) -> None:
    sheet = preview(shot, "dense", "depth", "exr")
    assert middle(sheet, 0, 0, 0.75).min() > 200
    assert middle(sheet, 0, 0, 0.25).max() < 60


def test_a_movie_shows_every_frame_at_the_plates_rate(shot: Shot) -> None:
    preview(shot, "depth", "", "png", movie=True)
    with av.open(str(shot.path / "preview" / "depth.mp4")) as movie:
        stream = movie.streams.video[0]
        frames = [frame.to_ndarray(format="bgr24") for frame in movie.decode(stream)]
        assert stream.average_rate == 24
    assert len(frames) == FRAMES
    assert frames[0].shape == (HEIGHT, WIDTH, 3)
    assert abs(int(frames[5][45, 120, 1]) - 70) < 8


def test_stages_without_pictures_have_no_preview(shot: Shot) -> None:
    stage = STAGES["scene"]
    part = outputs.Writing(shot, stage, "new")
    part.begin({"options": {}, "inputs": {}})
    report = Report(EventWriter(shot.path / "events.jsonl"), shot.path / "cancel")
    write_previews(shot, stage, part, report, movie=True)
    assert not (part.folder("scene") / PREVIEW).exists()
    assert not (shot.path / "preview").exists()
