# SPDX-License-Identifier: GPL-3.0-or-later
"""The point tracker, on rendered rooms where every track's true path is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from backend.camera import CameraTrack
from backend.errors import Canceled, SolveError
from backend.events import EventWriter
from backend.tracks import Tracks
from backend.worker.engines.tracking import Found, Tracking, TrackSettings, Wanted, reacquire, track
from backend.worker.engines.tracking.births import Births
from backend.worker.report import Report
from tests.backend.textured_room import (
    Plane,
    picture,
    room,
    sideways,
    texture,
)
from tests.backend.textured_room import (
    track as camera_of,
)

WIDTH, HEIGHT, COUNT = 640, 360, 24
SETTINGS = TrackSettings(cells=28)
NEAR_AN_EDGE = 12
"""Px; a patch this near to another plane sees two motions."""

Images = dict[int, np.ndarray]
Change = Callable[[int, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Shot:
    camera: CameraTrack
    images: Images


@pytest.fixture(scope="module")
def shot() -> Shot:
    """A handheld move through a room, with parallax and depth edges."""
    whole = camera_of(sideways, 3 * COUNT, WIDTH, HEIGHT)
    camera = replace(
        whole,
        frames=whole.frames[:COUNT],
        matrices=whole.matrices[:COUNT],
        focal=whole.focal[:COUNT],
        center=whole.center[:COUNT],
        solved=whole.solved[:COUNT],
    )
    return Shot(camera, rendered(camera))


@dataclass(frozen=True, eq=False)
class Wall:
    """A picture of a flat wall from a moving camera; `to_wall` takes its pixels to the wall's."""

    images: Images
    to_wall: Mapping[int, np.ndarray]

    def missed(self, tracks: Tracks) -> np.ndarray:
        """(m,) px by which marks miss the point of the wall that their track was born on."""
        first = births(tracks)[tracks.track]
        missed = np.zeros(len(tracks.track))
        for index, (frame, born, pixel) in enumerate(
            zip(tracks.frame, tracks.frame[first], tracks.pixel[first], strict=True)
        ):
            way = np.linalg.inv(self.to_wall[int(frame)]) @ self.to_wall[int(born)]
            x, y, w = way @ [*pixel, 1.0]
            missed[index] = np.hypot(*(tracks.pixel[index] - [x / w, y / w]))
        return missed


def wall_of(
    numbers: Iterable[int],
    width: int = WIDTH,
    height: int = HEIGHT,
    knock: tuple[int, float] = (0, 0.0),
) -> Wall:
    """Drifting, turning and nearing slowly, about 4 px a frame at 640 px; from the frame of
    `knock` on that much farther aside."""
    flat = cv2.cvtColor(texture(7), cv2.COLOR_RGB2GRAY)
    images, to_wall = {}, {}
    for number in numbers:
        scale = (900 - 4 * number) / width
        turn = 0.004 * number
        cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
        start = 40 + (knock[1] if number >= knock[0] else 0)
        tilt = 1e-5 * number * 640 / width
        way = np.array(
            [[cosine, -sine, start + 5.0 * number], [sine, cosine, 60 + 2.0 * number], [tilt, 0, 1]]
        )
        to_wall[number] = way
        centers = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
        finer = np.diag([0.5, 0.5, 1.0])
        large = cv2.warpPerspective(
            flat,
            np.linalg.inv(centers) @ way @ finer @ centers,
            (2 * width, 2 * height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
        small = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)
        grain = np.random.default_rng(number).normal(scale=1.5, size=small.shape)
        images[number] = np.clip(small + grain, 0, 255).astype(np.uint8)
    return Wall(images, to_wall)


@pytest.fixture(scope="module")
def wall() -> Wall:
    return wall_of(range(1, 25))


def rendered(camera: CameraTrack) -> Images:
    planes = room()
    return {
        number: cv2.cvtColor(picture(planes, camera, index), cv2.COLOR_RGB2GRAY)
        for index, number in enumerate(camera.frames.tolist())
    }


def written(folder: Path, images: Images, change: Change | None = None) -> dict[int, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for number, image in images.items():
        paths[number] = folder / f"frame_{number:04d}.png"
        seen = change(number, image) if change else image
        cv2.imwrite(str(paths[number]), seen, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return paths


def silent(folder: Path) -> Report:
    return Report(EventWriter(folder / "events.jsonl"), folder / "cancel")


def tracked(
    folder: Path,
    paths: Mapping[int, Path],
    masks: Mapping[int, Path] | None = None,
    settings: TrackSettings = SETTINGS,
) -> Tracking:
    return track(paths, masks or {}, WIDTH, HEIGHT, settings, silent(folder))


def seen_points(
    planes: list[Plane], camera: CameraTrack, index: int, pixels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What planes (n,) those pixels show, and the points (n, 3) on them."""
    local = np.column_stack(
        [
            (pixels[:, 0] - camera.center[index, 0]) / camera.focal[index, 0],
            -(pixels[:, 1] - camera.center[index, 1]) / camera.focal[index, 1],
            -np.ones(len(pixels)),
        ]
    )
    rays = local @ camera.matrices[index, :3, :3].T
    center = camera.matrices[index, :3, 3]
    nearest, which = np.full(len(pixels), np.inf), np.full(len(pixels), -1)
    for number, plane in enumerate(planes):
        matrix = np.column_stack([plane.u, plane.v, np.cross(plane.u, plane.v)])
        start, turned = (
            np.linalg.solve(matrix, center - plane.corner),
            np.linalg.solve(matrix, rays.T),
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            t = -start[2] / turned[2]
            a, b = start[0] + t * turned[0], start[1] + t * turned[1]
        hit = (t > 0) & (t < nearest) & (a >= 0) & (a <= 1) & (b >= 0) & (b <= 1)
        nearest[hit], which[hit] = t[hit], number
    return which, center + nearest[:, None] * rays


def births(tracks: Tracks) -> np.ndarray:
    """Index of the first mark of each track."""
    return np.searchsorted(tracks.track, np.arange(len(tracks.ids)))


def on_one_plane(camera: CameraTrack, tracks: Tracks) -> tuple[np.ndarray, np.ndarray]:
    """The scene points (t, 3) of the tracks, and which of them are clear of depth edges."""
    planes = room()
    points, clear = np.zeros((len(tracks.ids), 3)), np.zeros(len(tracks.ids), bool)
    first = births(tracks)
    for index, number in enumerate(camera.frames.tolist()):
        born = np.flatnonzero(tracks.frame[first] == number)
        pixels = tracks.pixel[first[born]]
        which, points[born] = seen_points(planes, camera, index, pixels)
        around = [
            seen_points(planes, camera, index, pixels + NEAR_AN_EDGE * np.array(side))[0]
            for side in (
                (1, 1),
                (1, -1),
                (-1, 1),
                (-1, -1),
                (1.4, 0),
                (-1.4, 0),
                (0, 1.4),
                (0, -1.4),
            )
        ]
        clear[born] = (np.array(around) == which).all(axis=0) & (which >= 0)
    return points, clear


def true_pixels(camera: CameraTrack, tracks: Tracks, points: np.ndarray) -> np.ndarray:
    pixels = np.zeros_like(tracks.pixel)
    for index, number in enumerate(camera.frames.tolist()):
        here = tracks.frame == number
        pixels[here] = camera.project(points[tracks.track[here]], index)
    return pixels


def drift(camera: CameraTrack, tracks: Tracks) -> np.ndarray:
    """(m,) px by which marks of tracks clear of edges miss the point they were born on."""
    points, clear = on_one_plane(camera, tracks)
    missed = np.hypot(*(tracks.pixel - true_pixels(camera, tracks, points)).T)
    return missed[clear[tracks.track]]


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))


def crossing(tracks: Tracks, before: int, after: int) -> int:
    """How many tracks have a mark in both frames."""
    return len(
        np.intersect1d(*(tracks.track[tracks.frame == number] for number in (before, after)))
    )


def test_tracks_stay_on_their_points_all_over_the_frame(shot: Shot, tmp_path: Path) -> None:
    tracking = tracked(tmp_path, written(tmp_path / "frames", shot.images))
    tracks = tracking.tracks
    missed = drift(shot.camera, tracks)
    assert len(missed) > 3000
    assert rms(missed[missed < 1]) < 0.15
    assert (missed < 1).mean() > 0.98
    assert np.median(missed) < 0.07
    assert np.median(tracks.lengths) >= 10
    assert (tracking.faults.features > 150).all()
    assert not tracking.faults.duplicates.any()
    assert not tracking.faults.cuts.any()
    assert not tracking.faults.interlaced
    assert (tracking.faults.sharpness > 0.8).all()
    for number in shot.images:
        here = tracks.pixel[tracks.frame == number]
        cells = np.unique(np.floor(here / [WIDTH / 4, HEIGHT / 3]), axis=0)
        assert len(cells) >= 11, number


def test_the_expected_error_of_a_mark_is_about_its_error(shot: Shot, tmp_path: Path) -> None:
    tracks = tracked(tmp_path, written(tmp_path / "frames", shot.images)).tracks
    points, clear = on_one_plane(shot.camera, tracks)
    missed = tracks.pixel - true_pixels(shot.camera, tracks, points)
    later = clear[tracks.track] & ~np.isin(np.arange(len(tracks.track)), births(tracks))
    pull = np.median(np.abs(missed[later]) / tracks.sigma[later, None]) / 0.6745
    assert 0.4 < pull < 2.5
    sure = tracks.sigma[later] < np.median(tracks.sigma[later])
    error = np.hypot(*missed[later].T)
    assert np.median(error[sure]) < 0.8 * np.median(error[~sure])


def test_nothing_is_tracked_under_a_mask(wall: Wall, tmp_path: Path) -> None:
    """A box moves through the picture; most frames have a mask for it."""

    def box(number: int) -> tuple[slice, slice]:
        left = 40 + 14 * number
        return slice(100, 260), slice(left, left + 120)

    def with_box(number: int, image: np.ndarray) -> np.ndarray:
        image = image.copy()
        image[box(number)] = np.random.default_rng(4).integers(0, 255, (160, 120))
        return image

    masks = {number: np.zeros((HEIGHT, WIDTH), np.uint8) for number in wall.images}
    for number, mask in masks.items():
        mask[box(number)] = 255
    paths = written(tmp_path / "frames", wall.images, with_box)
    mask_paths = written(tmp_path / "masks", {n: masks[n] for n in masks if n % 6})
    tracks = tracked(tmp_path, paths, mask_paths).tracks
    for number in mask_paths:
        here = np.floor(tracks.pixel[tracks.frame == number]).astype(int)
        assert len(here) > 100
        grown = cv2.dilate(masks[number], np.ones((7, 7), np.uint8))
        assert not grown[here[:, 1], here[:, 0]].any(), number
    with_marks_in_the_box = tracked(tmp_path, paths).tracks
    inside = with_marks_in_the_box.pixel[with_marks_in_the_box.frame == 10]
    assert (masks[10][tuple(np.floor(inside).astype(int).T[::-1])] > 0).sum() > 10


def test_changes_of_exposure_are_survived_and_told(wall: Wall, tmp_path: Path) -> None:
    def gain(number: int) -> float:
        return 0.55 if 10 <= number < 18 else 1.0 - 0.01 * number

    def exposed(number: int, image: np.ndarray) -> np.ndarray:
        return (image * gain(number)).astype(np.uint8)

    tracking = tracked(tmp_path, written(tmp_path / "frames", wall.images, exposed))
    missed = wall.missed(tracking.tracks)
    assert rms(missed[missed < 1]) < 0.12
    assert (missed < 1).mean() > 0.99
    faults = tracking.faults
    assert crossing(tracking.tracks, 9, 10) > 0.9 * faults.features[8]
    assert crossing(tracking.tracks, 17, 18) > 0.9 * faults.features[16]
    assert faults.gain[10] / faults.gain[8] == pytest.approx(gain(11) / gain(9), rel=0.03)


def test_no_track_crosses_a_cut(wall: Wall, tmp_path: Path) -> None:
    images = {n: wall.images[n] if n <= 8 else wall.images[n][::-1, ::-1] for n in range(1, 16)}
    tracking = tracked(tmp_path, written(tmp_path / "frames", images))
    faults = tracking.faults
    assert faults.frames[faults.cuts].tolist() == [9]
    assert faults.survival[8] < 0.1
    assert crossing(tracking.tracks, 8, 9) == 0
    assert crossing(tracking.tracks, 9, 10) > 100


def test_a_repeated_frame_is_noticed_and_its_marks_are_the_same(wall: Wall, tmp_path: Path) -> None:
    images = {n: wall.images[n - 1 if n in (6, 11) else n] for n in range(1, 16)}
    tracking = tracked(tmp_path, written(tmp_path / "frames", images))
    assert tracking.faults.frames[tracking.faults.duplicates].tolist() == [6, 11]
    tracks = tracking.tracks
    before, after = (tracks.frame == 5), (tracks.frame == 6)
    both = np.isin(tracks.track[before], tracks.track[after])
    assert both.sum() == after.sum() > 100
    assert (tracks.pixel[before][both] == tracks.pixel[after]).all()
    assert crossing(tracks, 6, 7) > 100


@pytest.mark.parametrize(("length", "share"), [(9, 0.75), (31, 0.72)])
def test_tracks_come_through_motion_blur(
    wall: Wall, tmp_path: Path, length: int, share: float
) -> None:
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length

    def blurred(number: int, image: np.ndarray) -> np.ndarray:
        return cv2.filter2D(image, -1, kernel) if number in (11, 12, 13) else image

    tracking = tracked(tmp_path, written(tmp_path / "frames", wall.images, blurred))
    sharpness = tracking.faults.sharpness
    assert (sharpness[10:13] < 0.75).all()
    assert (np.delete(sharpness, [10, 11, 12]) > 0.75).all()
    tracks = tracking.tracks
    assert crossing(tracks, 10, 14) > share * tracking.faults.features[9]
    missed, smeared = wall.missed(tracks), np.isin(tracks.frame, (11, 12, 13))
    sharp = missed[~smeared]
    assert rms(sharp[sharp < 1]) < 0.15
    assert (sharp < 1).mean() > 0.98
    assert np.median(missed[smeared]) < 2.5 * np.median(tracks.sigma[smeared])
    assert np.median(tracks.sigma[smeared]) > 1.5 * np.median(tracks.sigma[~smeared])


def test_lines_of_two_fields_are_noticed(wall: Wall, tmp_path: Path) -> None:
    def woven(number: int, image: np.ndarray) -> np.ndarray:
        return np.where(np.arange(HEIGHT)[:, None] % 2, wall.images[number + 1], image)

    images = {n: wall.images[n] for n in range(1, 9)}
    assert tracked(tmp_path, written(tmp_path / "frames", images, woven)).faults.interlaced
    assert not tracked(tmp_path, written(tmp_path / "whole", images)).faults.interlaced


def test_a_sudden_move_is_followed(tmp_path: Path) -> None:
    """The camera is knocked aside by a fifth of the frame within one frame."""
    knocked = wall_of(range(1, 16), knock=(9, 180.0))
    tracks = tracked(tmp_path, written(tmp_path / "frames", knocked.images)).tracks
    assert crossing(tracks, 8, 9) > 0.5 * (tracks.frame == 8).sum()
    missed = knocked.missed(tracks)
    assert (missed < 0.5).mean() > 0.97


def test_a_plate_of_sixteen_bits_is_tracked_alike(wall: Wall, tmp_path: Path) -> None:
    images = {n: wall.images[n] for n in range(1, 9)}
    deep = written(tmp_path / "16", images, lambda _, image: image.astype(np.uint16) * 257)
    eight = tracked(tmp_path, written(tmp_path / "8", images)).tracks
    sixteen = tracked(tmp_path, deep).tracks
    assert len(sixteen.track) == pytest.approx(len(eight.track), rel=0.02)
    assert np.median(wall.missed(sixteen)) < 0.05


def test_a_plate_larger_than_the_working_image_keeps_its_pixels(tmp_path: Path) -> None:
    large = wall_of(range(1, 13), 1283, 721)
    paths = written(tmp_path / "frames", large.images)
    settings = replace(SETTINGS, max_size=700, coarse_size=400)
    tracks = track(paths, {}, 1283, 721, settings, silent(tmp_path)).tracks
    missed = large.missed(tracks)
    assert rms(missed[missed < 1]) < 0.25
    assert np.median(missed) < 0.15
    assert (missed < 1).mean() > 0.93
    assert tracks.pixel[:, 0].max() > 1200


def test_tracks_are_found_again_behind_what_hid_them(shot: Shot, tmp_path: Path) -> None:
    def covered(number: int, image: np.ndarray) -> np.ndarray:
        if number not in range(8, 17):
            return image
        gray = 90 + np.random.default_rng(number).normal(0, 2, (HEIGHT, WIDTH // 2))
        return np.hstack([image[:, : WIDTH // 2], gray.astype(np.uint8)])

    paths = written(tmp_path / "frames", shot.images, covered)
    tracking = tracked(tmp_path, paths)
    tracks = tracking.tracks
    points, clear = on_one_plane(shot.camera, tracks)
    first = births(tracks)
    lost = clear & (tracks.frame[first] < 8) & (tracks.frame[first + tracks.lengths - 1] < 9)
    wanted, truth = {}, {}
    for number in (12, 18, 22):
        pixels = shot.camera.project(points, number - 1)
        inside = ((pixels > 12) & (pixels < np.array([WIDTH, HEIGHT]) - 12)).all(axis=1)
        chosen = np.flatnonzero(lost & inside & (pixels[:, 0] > WIDTH / 2 + 20))
        off = np.random.default_rng(1).normal(0, 1.5, (len(chosen), 2))
        wanted[number] = Wanted(tracks.ids[chosen], pixels[chosen] + off)
        truth |= {(number, int(tracks.ids[i])): pixels[i] for i in chosen}
    found = reacquire(tracking, wanted, {n: paths[n] for n in wanted}, {}, silent(tmp_path))
    asked = sum(len(wanted[number].ids) for number in (18, 22))
    assert asked > 30
    assert not (found.frame == 12).any()
    assert len(found.ids) > 0.5 * asked
    pairs = zip(found.frame.tolist(), found.ids.tolist(), strict=True)
    missed = np.hypot(*(found.pixel - np.array([truth[pair] for pair in pairs])).T)
    assert np.median(missed) < 0.1
    assert (missed < 0.5).mean() > 0.95


def test_tracks_are_found_again_at_another_size(tmp_path: Path) -> None:
    """The affine guess is what makes a patch known that is seen from nearer."""
    near = wall_of([*range(1, 7), 45])
    paths = written(tmp_path / "frames", near.images)
    tracking = tracked(tmp_path, {n: paths[n] for n in range(1, 7)})
    patches = tracking.patches
    pixel = np.zeros((len(patches.ids), 2))
    shape = np.zeros((len(patches.ids), 2, 2))
    for index, (frame, (x, y)) in enumerate(zip(patches.frame, patches.pixel, strict=True)):
        way = np.linalg.inv(near.to_wall[45]) @ near.to_wall[int(frame)]
        corners = cv2.perspectiveTransform(
            np.array([[[x, y], [x + 1, y], [x, y + 1]]], np.float64), way
        )[0]
        pixel[index] = corners[0]
        shape[index] = (corners[1:] - corners[0]).T
    assert np.linalg.det(shape).min() > 1.3
    inside = ((pixel > 20) & (pixel < np.array([WIDTH, HEIGHT]) - 20)).all(axis=1)
    ids, there = patches.ids[inside], pixel[inside]
    arguments = ({45: paths[45]}, {}, silent(tmp_path))
    guessed = reacquire(tracking, {45: Wanted(ids, there + 1.5, shape[inside])}, *arguments)
    plain = reacquire(tracking, {45: Wanted(ids, there + 1.5)}, *arguments)
    assert len(guessed.ids) > 0.6 * len(ids) > 30
    assert len(guessed.ids) > len(plain.ids)
    missed = np.hypot(*(guessed.pixel - there[np.searchsorted(ids, guessed.ids)]).T)
    assert np.median(missed) < 0.1
    assert (missed < 0.5).mean() > 0.9


def test_a_prediction_may_be_some_pixels_off(wall: Wall, tmp_path: Path) -> None:
    paths = written(tmp_path / "frames", {n: wall.images[n] for n in range(1, 7)})
    tracking = tracked(tmp_path, paths)
    tracks = tracking.tracks
    here = tracks.frame == 6
    ids, pixel = tracks.ids[tracks.track[here]], tracks.pixel[here]

    def found(off: float) -> Found:
        ask = {6: Wanted(ids, pixel + np.array([off, -0.7 * off]))}
        return reacquire(tracking, ask, paths, {}, silent(tmp_path))

    near = found(4.5)
    assert len(near.ids) > 0.7 * len(ids)
    missed = np.hypot(*(near.pixel - pixel[np.searchsorted(ids, near.ids)]).T)
    assert (missed < 0.3).mean() > 0.95
    assert len(found(30.0).ids) < 0.05 * len(ids)


def test_nothing_is_found_again_under_a_mask(wall: Wall, tmp_path: Path) -> None:
    paths = written(tmp_path / "frames", {n: wall.images[n] for n in range(1, 7)})
    tracking = tracked(tmp_path, paths)
    tracks = tracking.tracks
    here = tracks.frame == 6
    ask = {6: Wanted(tracks.ids[tracks.track[here]], tracks.pixel[here])}
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, : WIDTH // 2] = 255
    masks = written(tmp_path / "masks", {6: mask})
    free = reacquire(tracking, ask, paths, {}, silent(tmp_path))
    masked = reacquire(tracking, ask, paths, masks, silent(tmp_path))
    assert (free.pixel[:, 0] < WIDTH / 2).sum() > 30
    assert masked.pixel[:, 0].min() > WIDTH / 2
    assert len(masked.ids) > 30


def test_a_standing_camera_gives_tracks_that_stand(wall: Wall, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)

    def grained(_: int, image: np.ndarray) -> np.ndarray:
        return np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)

    images = dict.fromkeys(range(1, 11), wall.images[1])
    tracking = tracked(tmp_path, written(tmp_path / "frames", images, grained))
    assert not tracking.faults.duplicates.any()
    assert (tracking.faults.motion < 0.1).all()
    assert (tracking.faults.survival > 0.95).all()


def test_a_plate_without_texture_gives_no_tracks_and_says_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    images = {n: rng.normal(120, 3, (HEIGHT, WIDTH)).astype(np.uint8) for n in range(1, 8)}
    tracking = tracked(tmp_path, written(tmp_path / "frames", images))
    assert len(tracking.tracks.ids) < 10
    assert (tracking.faults.features < 40).all()


def test_no_frame_and_one_frame_give_no_tracks(wall: Wall, tmp_path: Path) -> None:
    assert len(tracked(tmp_path, {}).tracks.ids) == 0
    one = tracked(tmp_path, written(tmp_path / "frames", {5: wall.images[5]}))
    assert len(one.tracks.ids) == 0
    assert one.faults.frames.tolist() == [5]


def test_the_patches_kept_are_bounded(wall: Wall, tmp_path: Path) -> None:
    paths = written(tmp_path / "frames", {n: wall.images[n] for n in range(1, 13)})
    tracking = tracked(tmp_path, paths, settings=replace(SETTINGS, patches=50))
    assert 40 <= len(tracking.patches.ids) <= 50
    lengths = tracking.tracks.lengths
    kept = np.isin(tracking.tracks.ids, tracking.patches.ids)
    assert kept.sum() == len(tracking.patches.ids)
    assert np.median(lengths[kept]) > np.median(lengths[~kept])


def test_a_frame_that_cannot_be_used_is_named(wall: Wall, tmp_path: Path) -> None:
    paths = written(tmp_path / "frames", {n: wall.images[n] for n in (1, 2, 3)})
    paths[2].write_bytes(b"no picture")
    with pytest.raises(SolveError, match=r"frame_0002\.png cannot be read"):
        tracked(tmp_path, paths)
    cv2.imwrite(str(paths[2]), wall.images[2][:100])
    with pytest.raises(SolveError, match=r"frame_0002\.png is 640 x 100 but"):
        tracked(tmp_path, paths)


def test_a_cancel_stops_the_tracker(wall: Wall, tmp_path: Path) -> None:
    paths = written(tmp_path / "frames", {n: wall.images[n] for n in (1, 2, 3)})
    (tmp_path / "cancel").touch()
    with pytest.raises(Canceled):
        tracked(tmp_path, paths)


def test_memory_for_patches_is_bounded_while_tracking(wall: Wall, tmp_path: Path) -> None:
    births = Births(10)
    patch = np.zeros((6, 25, 25), np.float32)
    for frame in range(8):
        ids = np.arange(6 * frame, 6 * frame + 6)
        births.add(frame, ids, np.zeros((6, 2), np.float32), patch + frame)
        if births.full:
            births.prune(np.arange(6 * frame + 6), ids)
        assert not births.full
    live = tracked(tmp_path, written(tmp_path / "frames", dict(list(wall.images.items())[:5])))
    kept = births.patches(live.tracks, live.patches.sizes, 0.0)
    assert len(kept.ids) <= 10
    assert (kept.values[:, 0, 0] == kept.frame).all()
