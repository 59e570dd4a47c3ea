# SPDX-License-Identifier: GPL-3.0-or-later
"""Background by projection: a walk through the textured room, with something before the camera.

The room without it is known, so what is filled in can be compared with it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from backend.camera import CameraTrack
from backend.lens import bend, straighten
from backend.reconstruction import CameraModel
from backend.shot import Shot
from backend.solve import Motion, solve_of
from backend.worker.cleanplate import blending
from backend.worker.cleanplate.background_cloud import BackgroundCloud, voted
from backend.worker.cleanplate.blending import agreed
from backend.worker.cleanplate.hole_grid import HoleGrid
from backend.worker.cleanplate.pinholes import pinhole_for, seen_through
from backend.worker.cleanplate.projection import Projection
from backend.worker.cleanplate.semi_global import smoothed
from backend.worker.depth.geometry import MapView
from tests.backend.textured_room import picture, room, sideways, track, turning
from tests.dense.dense_shot import report_in
from tests.dense.room_views import rays_of, seen_by, true_depth, view
from tests.extension.solved_shot import WORLD, solved_shot

FRAMES, WIDTH, HEIGHT = 12, 480, 270
MIDDLE = 6


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    return solved_shot(tmp_path_factory.mktemp("shots") / "sh010", FRAMES)


class Room:
    """The frames of a walk through the room, with a gray board that crosses before the camera."""

    def __init__(self, camera: CameraTrack, noise: float = 0.0, board: int = 60) -> None:
        self.camera, self.board = camera, board
        self.clean = {
            number: _through_a_lens(picture(room(), camera, index, 0.0), noise, number)
            for index, number in enumerate(camera.frames.tolist())
        }
        self.light: dict[int, float] = {}

    def covered(self, number: int) -> np.ndarray:
        left = 30 + 32 * (number - 1)
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[90:210, left : left + self.board] = True
        return mask

    def frame(self, number: int) -> np.ndarray:
        shown = np.where(self.covered(number)[..., None], 128, self.clean[number])
        lit = np.clip(shown * self.light.get(number, 1.0), 0, 255)
        return np.rint(lit).astype(np.uint8)


def _through_a_lens(image: np.ndarray, noise: float, seed: int) -> np.ndarray:
    """No lens shows single texels; and the grain of the sensor behind it."""
    soft = cv2.GaussianBlur(image, (0, 0), 0.8).astype(float)
    grain = noise * np.random.default_rng(seed).normal(size=image.shape)
    return np.clip(np.rint(soft + grain), 0, 255).astype(np.uint8)


@cache
def true_points(camera: CameraTrack) -> dict[int, np.ndarray]:
    """All that the camera sees of the room, in the shot's world."""
    clouds = {}
    for index in range(0, len(camera.frames), 2):
        seen = view(camera, index, np.zeros((HEIGHT, WIDTH, 3), np.uint8))
        depth = true_depth(seen, room())[0]
        rows, columns = np.nonzero(np.isfinite(depth))
        rays = (np.stack([columns, rows], 1) + 0.5 - seen.center) / seen.focal
        local = np.concatenate([rays, np.ones((len(rays), 1))], 1) * depth[rows, columns][:, None]
        clouds[seen.number] = WORLD.apply((local - seen.translation) @ seen.rotation)
    return clouds


def true_cloud(camera: CameraTrack) -> BackgroundCloud:
    return BackgroundCloud(true_points(camera))


def projection(
    shot: Shot, scene: Room, read: Callable[[int], np.ndarray] | None = None, **options: bool
) -> Projection:
    made = Projection(shot, shot.load_plate(), read or scene.frame, scene.covered, **options)
    made._cloud = true_cloud(scene.camera)
    return made


def decibels(found: np.ndarray, truth: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((found.astype(float) - truth) ** 2)))


@pytest.fixture(scope="module")
def scene() -> Room:
    return Room(track(sideways, FRAMES, WIDTH, HEIGHT))


def test_what_is_behind_is_found_in_other_frames(shot: Shot, scene: Room) -> None:
    made = projection(shot, scene, grain=False)
    for number in (4, MIDDLE, 9):
        holes = scene.covered(number)
        found = made.fill(number, scene.frame(number), holes)
        assert found.seen.all()
        assert decibels(found.colors, scene.clean[number][holes]) > 29


def test_depth_that_is_a_little_wrong_is_made_right(shot: Shot, scene: Room) -> None:
    """6 % too far."""
    made = projection(shot, scene, grain=False)
    center = scene.camera.matrices[FRAMES // 2, :3, 3]
    clouds = {n: center + 1.06 * (cloud - center) for n, cloud in true_points(scene.camera).items()}
    made._cloud = BackgroundCloud(clouds)
    holes = scene.covered(MIDDLE)
    found = made.fill(MIDDLE, scene.frame(MIDDLE), holes)
    assert decibels(found.colors, scene.clean[MIDDLE][holes]) > 31


def test_depth_that_is_found_here_does_as_well(shot: Shot, scene: Room, tmp_path: Path) -> None:
    masks = {}
    for number in scene.clean:
        cv2.imwrite(str(shot.frame_file(number)), scene.frame(number)[..., ::-1])
        masks[number] = tmp_path / f"frame_{number:04d}.png"
        cv2.imwrite(str(masks[number]), np.where(scene.covered(number), 255, 0).astype(np.uint8))
    made = Projection(shot, shot.load_plate(), scene.frame, scene.covered, grain=False)
    made.prepare(masks, tmp_path / "maps", report_in(tmp_path))
    holes = scene.covered(MIDDLE)
    found = made.fill(MIDDLE, scene.frame(MIDDLE), holes)
    assert found.seen.mean() > 0.99
    assert decibels(found.colors, scene.clean[MIDDLE][holes]) > 30


def test_colors_are_at_the_frames_exposure(shot: Shot, scene: Room) -> None:
    darker = Room(scene.camera)
    darker.light = {number: 0.8 for number in scene.clean if number != MIDDLE}
    holes = scene.covered(MIDDLE)
    truth = scene.clean[MIDDLE][holes]
    matched = projection(shot, darker, grain=False).fill(MIDDLE, darker.frame(MIDDLE), holes)
    plain = projection(shot, darker, grain=False, match_exposure=False)
    assert decibels(matched.colors, truth) > 29
    assert plain.fill(MIDDLE, darker.frame(MIDDLE), holes).colors.mean() < 0.85 * truth.mean()


def test_grain_is_as_strong_as_around(shot: Shot, scene: Room) -> None:
    grainy = Room(scene.camera, noise=6.0)
    holes = scene.covered(MIDDLE)
    truth = scene.clean[MIDDLE][holes].astype(float)

    def noise(grain: bool) -> float:
        made = projection(shot, grainy, grain=grain)
        off = made.fill(MIDDLE, grainy.frame(MIDDLE), holes).colors - truth
        return float(1.4826 * np.median(np.abs(off - np.median(off))))

    assert noise(grain=True) == pytest.approx(6.0, rel=0.35)
    assert noise(grain=False) < 0.7 * noise(grain=True)


def test_what_most_frames_show_counts_and_always_something() -> None:
    colors = np.zeros((3, 4, 3), np.float32)
    colors[:, 0] = [[100, 50, 20], [104, 54, 24], [250, 250, 250]]
    colors[:, 1] = [[200, 10, 10], [10, 200, 10], [10, 12, 200]]
    colors[:, 2] = [[90, 80, 70], [0, 0, 0], [0, 0, 0]]
    known = np.ones((3, 4), bool)
    known[1:, 2] = known[:, 3] = False
    found = agreed(colors, known, 8.0)
    assert np.allclose(found[0], [102, 52, 22]), "what one frame shows is left out"
    assert found[1].tolist() in colors[:, 1].tolist(), "no black where all frames disagree"
    assert found[2].tolist() == [90, 80, 70]
    assert found[3].tolist() == [0, 0, 0]


def test_what_no_frame_shows_is_marked(shot: Shot, scene: Room) -> None:
    """A board that stays where it is: nothing is ever seen through its middle."""
    standing = Room(scene.camera, board=WIDTH)
    standing.covered = lambda _number: scene.covered(MIDDLE) | _middle()  # type: ignore[method-assign]
    holes = standing.covered(MIDDLE)
    found = projection(shot, standing).fill(MIDDLE, standing.frame(MIDDLE), holes)
    assert not found.seen.all()
    truth = scene.clean[MIDDLE][holes]
    assert decibels(found.colors[found.seen], truth[found.seen]) > 28


def _middle() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[60:240] = True
    return mask


def test_things_before_a_place_hide_it(scene: Room) -> None:
    """Of what one frame sees, the cloud tells which another does not: the boxes are before it."""
    camera, cloud = scene.camera, true_cloud(scene.camera)
    nothing = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    one, other = view(camera, 0, nothing), view(camera, FRAMES - 1, nothing)
    depth = true_depth(one, room())[0]
    shown = seen_by(one, depth, other, room())
    world = (rays_of(one) * depth[..., None] - one.translation) @ one.rotation
    local = world @ other.rotation.T + other.translation
    pixels = (local / local[..., 2:])[..., :2] * other.focal + other.center
    inside = ((pixels > 4) & (pixels < np.array([WIDTH, HEIGHT]) - 4)).all(-1)
    lens = CameraModel("PINHOLE", WIDTH, HEIGHT, (*other.focal, *other.center))
    moved = WORLD.scale * other.translation - other.rotation @ WORLD.translation
    seen_from = MapView(FRAMES, (WIDTH, HEIGHT), lens, other.rotation, moved)
    hidden = cloud.hidden(seen_from, pixels[inside], WORLD.scale * local[inside][:, 2], False)
    assert hidden[~shown[inside]].mean() > 0.85
    assert hidden[shown[inside]].mean() < 0.03


def test_a_frame_with_something_before_a_place_is_not_asked(
    shot: Shot, scene: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearest frames show a red thing where the cloud says that one stands."""
    monkeypatch.setattr(blending, "BLENDED", 1)

    def read(number: int) -> np.ndarray:
        shown = scene.frame(number)
        shown[100:200, 240:300] = (255, 0, 0)
        return shown if abs(number - MIDDLE) == 1 else scene.frame(number)

    def red() -> int:
        made = projection(shot, scene, read, grain=False, match_exposure=False)
        colors = made.fill(MIDDLE, scene.frame(MIDDLE), scene.covered(MIDDLE)).colors
        return int(np.count_nonzero((colors[:, 0] > 200) & (colors[:, 1:] < 60).all(axis=1)))

    plain = red()
    hidden = BackgroundCloud.hidden

    def before(self: BackgroundCloud, other: MapView, places: np.ndarray, *rest: Any) -> np.ndarray:
        inside = ((places > (235, 95)) & (places < (305, 205))).all(axis=1)
        return hidden(self, other, places, *rest) | (inside & (abs(other.number - MIDDLE) == 1))

    monkeypatch.setattr(BackgroundCloud, "hidden", before)
    assert red() < 0.1 * plain, "only where no other frame shows the place"
    assert plain > 300


def test_a_camera_that_only_turns_needs_no_depth(shot: Shot, tmp_path: Path) -> None:
    camera = track(turning, FRAMES, WIDTH, HEIGHT)
    scene = Room(camera)
    shutil.copytree(shot.path, tmp_path / "pan")
    turned = Shot(tmp_path / "pan")
    solve = solve_of(turned)
    replace(solve, track=camera, quality=replace(solve.quality, motion=Motion.TRIPOD)).save(
        turned.camera
    )
    made = Projection(turned, turned.load_plate(), scene.frame, scene.covered, grain=False)
    made.prepare({}, tmp_path, report_in(tmp_path))
    holes = scene.covered(MIDDLE)
    found = made.fill(MIDDLE, scene.frame(MIDDLE), holes)
    assert decibels(found.colors, scene.clean[MIDDLE][holes]) > 32


def test_sixteen_bits_stay_sixteen(shot: Shot, scene: Room) -> None:
    def deep(number: int) -> np.ndarray:
        return scene.frame(number).astype(np.uint16) * 257

    made = projection(shot, scene, deep, grain=False)
    holes = scene.covered(MIDDLE)
    found = made.fill(MIDDLE, deep(MIDDLE), holes)
    assert decibels(found.colors / 257, scene.clean[MIDDLE][holes]) > 32
    assert found.colors.max() > 30000


def test_a_frame_without_a_camera_is_left(shot: Shot, scene: Room, tmp_path: Path) -> None:
    shutil.copytree(shot.path, tmp_path / "cut")
    cut = Shot(tmp_path / "cut")
    solve = solve_of(cut)
    replace(solve, track=solve.track.only(np.arange(4))).save(cut.camera)
    found = projection(cut, scene).fill(9, scene.frame(9), scene.covered(9))
    assert not found.seen.any()


def test_a_bent_lens_is_seen_straight() -> None:
    lens = CameraModel("OPENCV", 400, 300, (380.0, 382.0, 203.0, 148.0, -0.2, 0.05, 0.001, -0.002))
    x, y = np.meshgrid(np.arange(400) + 0.5, np.arange(300) + 0.5)
    slopes = straighten(lens, np.stack([x, y], -1).reshape(-1, 2))
    frame = ((slopes + 1) * 100).reshape(300, 400, 2).astype(np.float32)
    pinhole = pinhole_for(lens, 400)
    wide, high = pinhole.size
    columns, rows = np.meshgrid(np.arange(wide) + 0.5, np.arange(high) + 0.5)
    expected = (np.stack([columns, rows], -1) - pinhole.center) / pinhole.focal
    shown = seen_through(np.dstack([frame, frame[..., :1]]), lens, pinhole, 0)[..., :2] / 100 - 1
    bent = bend(lens, expected.reshape(-1, 2)).reshape(high, wide, 2)
    inside = ((bent > 2) & (bent < np.array([398, 298]))).all(-1)
    assert inside.mean() > 0.85
    assert np.abs(shown - expected)[inside].max() * pinhole.focal < 0.1
    np.testing.assert_allclose(pinhole.pixels(expected.reshape(-1, 2))[0], [0.5, 0.5], atol=1e-9)


def test_cells_believe_most_points_or_the_nearest_that_are_enough() -> None:
    cells = np.array([0] * 10 + [1] * 10 + [2])
    depth = np.array([4.0] * 6 + [2.0] * 4 + [4.0] * 9 + [1.0] + [3.0])
    found = voted(cells, 1 / depth, (2, 2))
    np.testing.assert_allclose(found, [[1 / 2, 1 / 4], [1 / 3, 0]], rtol=1e-6)


def test_grids_hold_all_holes_and_a_ring_around() -> None:
    holes = np.zeros((200, 300), bool)
    holes[50:90, 100:140] = True
    grid = HoleGrid.of(holes)
    assert grid is not None
    assert HoleGrid.of(np.zeros((9, 9), bool)) is None
    places = grid.places()
    x, y = np.floor(places).astype(int).T
    np.testing.assert_array_equal(holes[y, x], grid.holes[grid.nodes])
    assert grid.ring.sum() > grid.holes.sum() / 2
    values = grid.spread(places[:, 0])
    inside = np.argwhere(holes)[:, ::-1] + 0.5
    np.testing.assert_allclose(grid.at_pixels(values, inside)[:5], inside[:5, 0], atol=0.5)


def test_neighbors_are_alike_but_for_jumps() -> None:
    costs = np.full((9, 12, 12), 4.0, np.float32)
    costs[2, :, :6] = costs[7, :, 6:] = 0
    costs[:, 5, 3] = 4.0
    costs[8, 5, 3] = 3.5
    labels = smoothed(costs, 1.0, 3.0).argmin(axis=0)
    assert (labels[:, :6] == 2).all()
    assert (labels[:, 6:] == 7).all()
