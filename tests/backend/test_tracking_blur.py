# SPDX-License-Identifier: GPL-3.0-or-later
"""The point tracker under motion blur that changes from frame to frame, against known marks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from backend.camera import Integers
from backend.tracks import Tracks
from backend.worker.engines.tracking import tracker
from backend.worker.engines.tracking.anchoring import cut_out
from backend.worker.engines.tracking.blur import averaged, light, streaked
from backend.worker.engines.tracking.exposures import Exposures
from backend.worker.engines.tracking.sources import SOURCE_REACH, Sources
from tests.backend.test_tracking import HEIGHT, WIDTH, births, tracked, written
from tests.backend.textured_room import texture

FRAMES = range(1, 25)
PARTS = 16
"""Moments that an exposure is made of."""


def pan(time: float) -> np.ndarray:
    """Px (2,) that the picture of a wall has moved by then: to and fro, up to 28 px a frame."""
    angle = 2 * np.pi * time / 20
    return np.array([28 * 20 / (2 * np.pi) * np.sin(angle), 6 * np.sin(angle / 2)])


def wall() -> np.ndarray:
    gray = cv2.cvtColor(texture(7), cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.square(cv2.GaussianBlur(gray, (0, 0), 0.7))


def swung(shutter: float) -> dict[int, np.ndarray]:
    """Frames of the wall in steady motion while the shutter is open, which is centered on them."""
    lights, images = wall(), {}
    for number in FRAMES:
        speed = (pan(number + 1) - pan(number - 1)) / 2
        total = np.zeros((HEIGHT, WIDTH), np.float32)
        for part in (np.arange(PARTS) + 0.5) / PARTS - 0.5:
            x, y = np.array([200, 200]) - pan(number) - speed * part * shutter
            way = np.array([[1, 0, x], [0, 1, y]])
            total += cv2.warpAffine(
                lights, way, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            )
        grain = np.random.default_rng(number).normal(scale=1.5, size=total.shape)
        images[number] = np.clip(np.sqrt(total / PARTS) + grain, 0, 255).astype(np.uint8)
    return images


def missed(tracks: Tracks) -> np.ndarray:
    """(m,) px by which marks miss the point of the wall that their track was born on."""
    first = births(tracks)[tracks.track]
    way = np.array([pan(number) for number in tracks.frame.tolist()])
    went = way - way[first]
    return np.hypot(*(tracks.pixel - tracks.pixel[first] - went).T)


@pytest.fixture
def exposures(monkeypatch: pytest.MonkeyPatch) -> list[Exposures]:
    """Those of the plates tracked."""
    made: list[Exposures] = []

    def kept(*settings: object) -> Exposures:
        made.append(Exposures(*settings))
        return made[-1]

    monkeypatch.setattr(tracker, "Exposures", kept)
    return made


def without_equalizing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Exposures, "_look_at_shutter", lambda *_: None)


@pytest.mark.parametrize("shutter", [0.25, 0.5, 1.0])
def test_marks_are_right_though_the_blur_changes(
    shutter: float, tmp_path: Path, exposures: list[Exposures], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = written(tmp_path / "frames", swung(shutter))
    tracks = tracked(tmp_path, paths).tracks
    assert exposures[0].shutter == shutter
    without_equalizing(monkeypatch)
    plain = tracked(tmp_path, paths).tracks
    wrong, right = (np.median(missed(found)) for found in (plain, tracks))
    assert right < 0.6 * wrong
    assert len(tracks.track) > 0.95 * len(plain.track)


def test_blur_that_is_not_of_the_motion_tells_no_shutter(
    tmp_path: Path, exposures: list[Exposures]
) -> None:
    """Frames out of focus in a plate of a short exposure."""

    def unfocused(number: int, image: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(image, (0, 0), 5.0) if number in (8, 9, 16, 17) else image

    tracked(tmp_path, written(tmp_path / "frames", swung(0.0), unfocused))
    assert exposures[0].shutter == 0


def test_a_sharp_plate_is_tracked_as_if_blur_did_not_exist(
    tmp_path: Path, exposures: list[Exposures], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = written(tmp_path / "frames", swung(0.0))
    tracks = tracked(tmp_path, paths).tracks
    assert exposures[0].shutter == 0
    assert np.median(missed(tracks)) < 0.05
    without_equalizing(monkeypatch)
    plain = tracked(tmp_path, paths).tracks
    assert (tracks.ids == plain.ids).all()
    assert (tracks.pixel == plain.pixel).all()
    assert (tracks.sigma == plain.sigma).all()


def patch_centers() -> Integers:
    return np.array([[300, 200], [500, 420], [610, 330]], np.int64)


@pytest.mark.parametrize("streak", [(6.0, 0.0), (15.0, 8.0), (0.0, -26.0)])
def test_a_patch_is_drawn_out_as_the_whole_picture_is(streak: tuple[float, float]) -> None:
    """The mean of many shifted copies, in light."""
    lights, centers, reach = wall(), patch_centers(), 12
    shifts = [np.array(streak) * part for part in np.linspace(-0.5, 0.5, 41)]
    copies = [cv2.warpAffine(lights, np.array([[1, 0, x], [0, 1, y]]), lights.shape[::-1])
              for x, y in shifts]  # fmt: skip
    expected = cut_out(np.sqrt(np.mean(copies, axis=0)), centers, reach)
    patches = cut_out(lights, centers, SOURCE_REACH)
    streaks = np.tile(np.array(streak, np.float32), (len(centers), 1))
    drawn = streaked(patches, streaks, reach)
    assert drawn.shape == expected.shape
    undrawn = np.abs(cut_out(np.sqrt(lights), centers, reach) - expected).mean()
    assert np.abs(drawn - expected).mean() < 0.3 * undrawn
    x, y = centers.T[:, :, None].astype(np.float32)
    assert averaged(lights, x, y, streaks)[:, 0] == pytest.approx(drawn[:, reach, reach], abs=0.1)


def test_light_without_a_streak_is_the_picture() -> None:
    gray = np.arange(256, dtype=np.float32)[None]
    x, y = np.arange(256, dtype=np.float32)[None], np.zeros((1, 256), np.float32)
    seen = averaged(light(gray), x, y, np.zeros((1, 2), np.float32))
    assert seen == pytest.approx(gray, abs=1e-3)


def test_rows_of_patches_no_longer_held_are_used_again() -> None:
    sources, none = Sources(), np.zeros(0, np.int64)
    first = sources.free(300, none)
    assert len(np.unique(first)) == 300
    second = sources.free(300, first)
    assert not np.isin(second, first).any()
    held = np.concatenate([first[100:], second])
    assert sorted(sources.free(100, held)) == sorted(first[:100])


def test_motion_at_a_patch_is_known_once_the_track_has_gone_on() -> None:
    sources, image = Sources(), np.zeros((90, 90), np.float32)
    rows = sources.free(2, np.zeros(0, np.int64))
    sources.put(rows[:1], image, np.array([[40, 40]]), known=True)
    sources.put(rows[1:], image, np.array([[40, 40]]), known=False)
    assert sources.unknown(rows).tolist() == [False, True]
    sources.moved(rows, np.array([[3.0, 1.0], [5.0, 2.0]], np.float32))
    sources.moved(rows, np.array([[9.0, 9.0], [9.0, 9.0]], np.float32))
    assert sources.motion(rows).tolist() == [[3, 1], [5, 2]]
    assert not sources.unknown(rows).any()
