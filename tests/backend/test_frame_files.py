# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames are read as they were written, whatever their layout."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from backend.worker.frame_files import read_colors, read_frame


def picture(channels: int, kind: type) -> np.ndarray:
    """An odd width, so that rows are padded in the decoder."""
    shape = (37, 61) if channels == 1 else (37, 61, channels)
    top = np.iinfo(kind).max
    return np.random.default_rng(1).integers(0, top, shape, dtype=kind, endpoint=True)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_sample_is_kept_but_alpha(tmp_path, kind, channels):
    written = picture(channels, kind)
    path = tmp_path / "Plätze 東京.png"
    path.write_bytes(cv2.imencode(".png", written)[1].tobytes())
    expected = written if channels == 1 else written[:, :, 2::-1]
    found = read_frame(path)
    assert found.dtype == kind
    assert np.array_equal(found, expected)
    colors = read_colors(path)
    eight = expected if kind == np.uint8 else expected >> 8
    assert colors.dtype == np.uint8
    assert np.array_equal(colors, eight if channels > 1 else np.stack([eight] * 3, axis=2))


def test_two_levels_are_read_too(tmp_path):
    path = tmp_path / "line.png"
    written = picture(1, np.uint8) // 128 * 255
    cv2.imwrite(str(path), written, [cv2.IMWRITE_PNG_BILEVEL, 1])
    assert np.array_equal(read_colors(path), np.stack([written] * 3, axis=2))


def test_missing_and_damaged_frames_are_none(tmp_path):
    path = tmp_path / "frame.png"
    assert read_frame(path) is None
    whole = cv2.imencode(".png", picture(3, np.uint8))[1].tobytes()
    for damaged in (b"", whole[: len(whole) // 2], b"text" * 50):
        path.write_bytes(damaged)
        assert read_frame(path) is None
        assert read_colors(path) is None
