# SPDX-License-Identifier: GPL-3.0-or-later
"""The maps between the plate and the undistorted plate, and their files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pycolmap
import pytest

from backend.formats import stmap
from backend.reconstruction import CameraModel
from backend.shot import DISTORT, UNDISTORT
from backend.worker.lens_maps import MOST_GROWTH, LensMaps, everywhere, plate_for
from backend.worker.stmap_files import write_stmaps

WIDTH, HEIGHT = 320, 180
LENSES = {
    "barrel": CameraModel("SIMPLE_RADIAL", WIDTH, HEIGHT, (300, 160, 90, -0.15)),
    "pincushion": CameraModel("RADIAL", WIDTH, HEIGHT, (300, 160, 90, 0.1, 0.02)),
    "off-center": CameraModel(
        "OPENCV", WIDTH, HEIGHT, (300, 300, 151, 97, -0.12, 0.03, 0.004, -0.003)
    ),
    "anamorphic": CameraModel("OPENCV", WIDTH, HEIGHT, (150, 300, 160, 90, -0.05, 0.01, 0, 0)),
    "tall pixels": CameraModel("OPENCV", WIDTH, HEIGHT, (300, 270, 160, 90, -0.1, 0.01, 0, 0)),
    "fisheye": CameraModel("OPENCV_FISHEYE", WIDTH, HEIGHT, (250, 250, 160, 90, 0.05, 0, 0, 0)),
    "division": CameraModel("SIMPLE_DIVISION", WIDTH, HEIGHT, (300, 160, 90, -0.1)),
}
TOLERANCE = 0.01


@pytest.fixture(params=LENSES.values(), ids=LENSES)
def lens(request: pytest.FixtureRequest) -> CameraModel:
    return request.param


def sampled(positions: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A map of positions (h, w, 2), read between its pixels' centers at pixels (m, 2)."""
    x, y = (at - 0.5).T
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    a, b = (x - left)[:, None], (y - top)[:, None]
    return (
        positions[top, left] * (1 - a) * (1 - b)
        + positions[top, left + 1] * a * (1 - b)
        + positions[top + 1, left] * (1 - a) * b
        + positions[top + 1, left + 1] * a * b
    )


def inner_pixels(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    return rng.uniform([1, 1], [width - 1, height - 1], (2000, 2))


def test_there_and_back_is_the_same_pixel(lens: CameraModel) -> None:
    plate = plate_for([lens])
    maps = LensMaps(lens, plate)
    pixels = inner_pixels(np.random.default_rng(1), WIDTH, HEIGHT)
    flat = sampled(maps.distort(), pixels)
    assert (flat > 0).all()
    assert (flat < [plate.width, plate.height]).all()
    away = flat.clip(0.5, np.array([plate.width, plate.height]) - 0.51)
    back = sampled(maps.undistort(), away)
    same = (away == flat).all(axis=1)
    assert same.mean() > 0.98
    assert np.abs(back - pixels)[same].max() < TOLERANCE


def test_the_undistorted_plate_is_what_its_pinhole_sees(lens: CameraModel) -> None:
    """COLMAP's lens puts a ray where the map says that its pixel of the pinhole lies."""
    plate = plate_for([lens])
    focal = max(lens.focal)
    colmap = pycolmap.Camera(model=lens.model, width=WIDTH, height=HEIGHT, params=list(lens.params))
    rng = np.random.default_rng(2)
    column, row = rng.integers(0, plate.width, 500), rng.integers(0, plate.height, 500)
    rays = np.ones((500, 3))
    rays[:, 0] = (column + 0.5 - plate.width / 2) / focal
    rays[:, 1] = (row + 0.5 - plate.height / 2) / focal
    positions = LensMaps(lens, plate).undistort()[row, column]
    assert np.abs(positions - colmap.img_from_cam(rays)).max() < 1e-9


def test_all_of_the_plate_is_held_and_little_more(lens: CameraModel) -> None:
    plate = plate_for([lens])
    positions = LensMaps(lens, plate).distort()
    low, high = positions.min(axis=(0, 1)), positions.max(axis=(0, 1))
    size = np.array([plate.width, plate.height])
    assert (low > 0).all()
    assert (high < size).all()
    assert np.minimum(low, size - high).max() < 3
    assert plate.width % 2 == plate.height % 2 == 0
    assert not plate.is_plate
    assert not plate.cut


def test_a_squeezed_plate_is_stretched_and_keeps_its_lines() -> None:
    anamorphic = plate_for([LENSES["anamorphic"]])
    assert anamorphic.width > 2 * WIDTH
    assert HEIGHT <= anamorphic.height < 1.1 * HEIGHT
    tall = plate_for([LENSES["tall pixels"]])
    assert tall.height > HEIGHT * 300 / 270


def test_a_centered_pinhole_is_an_undistorted_plate_already() -> None:
    plain = CameraModel("RADIAL", 321, 181, (300, 160.5, 90.5, 0, 0))
    plate = plate_for([plain])
    assert plate.is_plate
    assert (plate.width, plate.height) == (321, 181)
    shifted = plate_for([CameraModel("PINHOLE", 320, 180, (300, 300, 150, 90))])
    assert not shifted.is_plate
    assert (shifted.width, shifted.height) == (340, 180)


def test_a_zoom_has_one_size_for_all_its_frames() -> None:
    lens = LENSES["barrel"]
    sizes = [plate_for([lens.with_focal(focal, focal)]) for focal in (250.0, 300.0, 420.0)]
    shared = plate_for([lens.with_focal(focal, focal) for focal in (250.0, 300.0, 420.0)])
    assert shared.width == max(size.width for size in sizes)
    assert shared.height == max(size.height for size in sizes)


def test_a_lens_that_turns_back_shows_nothing_twice() -> None:
    """Beyond 0.91 times the focal length this polynomial comes back in: a mirrored ghost."""
    lens = CameraModel("SIMPLE_RADIAL", WIDTH, HEIGHT, (150, 160, 90, -0.4))
    plate = plate_for([lens])
    assert plate.cut
    assert (plate.width, plate.height) == (WIDTH * MOST_GROWTH, HEIGHT * MOST_GROWTH)
    positions = LensMaps(lens, plate).undistort()
    x, y = np.meshgrid(np.arange(plate.width) + 0.5, np.arange(plate.height) + 0.5)
    radius = np.hypot(x - plate.width / 2, y - plate.height / 2) / 150
    assert np.isnan(positions[radius > 0.93]).all()
    assert np.isfinite(positions[radius < 0.89]).all()


def test_rays_from_behind_a_fisheye_are_not_made_up() -> None:
    lens = CameraModel("OPENCV_FISHEYE", WIDTH, HEIGHT, (80, 80, 160, 90, 0, 0, 0, 0))
    plate = plate_for([lens])
    assert plate.cut
    positions = LensMaps(lens, plate).distort()
    assert np.isnan(positions[90, 0]).all()
    assert np.isfinite(positions[90, 160]).all()


@pytest.mark.parametrize("rough", [False, True])
def test_interpolation_is_exact_or_not_used(rough: bool) -> None:
    def warp(pixels: np.ndarray) -> np.ndarray:
        wave = np.stack([np.sin(pixels[:, 0] / 70), np.cos(pixels[:, 1] / 50)], axis=1)
        return pixels + (np.abs(wave) if rough else wave)

    found = everywhere(warp, 300, 200)
    x, y = np.meshgrid(np.arange(300) + 0.5, np.arange(200) + 0.5)
    exact = warp(np.stack([x, y], axis=-1).reshape(-1, 2)).reshape(200, 300, 2)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-9)


def test_numbers_are_those_of_nuke() -> None:
    """The lower left pixel's center is half a pixel from the lower left corner."""
    positions = np.array([[[0.5, 9.5], [20.0, 0.0]], [[np.nan, 3.0], [-1.0, 5.0]]])
    map_ = stmap.from_positions(positions, 20, 10)
    assert map_.dtype == np.float32
    np.testing.assert_allclose(map_[0, 0], [0.025, 0.05, 1], rtol=1e-6)
    np.testing.assert_allclose(map_[0, 1], [1, 1, 1])
    np.testing.assert_allclose(map_[1, 0], [-1, -1, 0])
    np.testing.assert_allclose(map_[1, 1], [-0.05, 0.5, 0], rtol=1e-6)
    back, inside = stmap.to_positions(map_, 20, 10)
    np.testing.assert_allclose(back[0], positions[0], atol=1e-5)
    assert inside.tolist() == [[True, True], [False, False]]


@pytest.fixture
def files(tmp_path: Path, lens: CameraModel) -> dict[str, np.ndarray]:
    """The files of both maps by another reader than the writer's: Blender's, as RGB from the top.

    Blender has rows from the bottom.
    """
    bpy = pytest.importorskip("bpy")
    write_stmaps(LensMaps(lens, plate_for([lens])), lambda way: tmp_path / f"{way}.exr")
    read = {}
    for way in (UNDISTORT, DISTORT):
        image = bpy.data.images.load(str(tmp_path / f"{way}.exr"))
        image.colorspace_settings.name = "Non-Color"
        width, height = image.size
        assert image.is_float
        pixels = np.empty(width * height * 4, dtype=np.float32)
        image.pixels.foreach_get(pixels)
        read[way] = pixels.reshape(height, width, 4)[::-1, :, :3]
        bpy.data.images.remove(image)
    return read


def test_files_hold_every_digit(lens: CameraModel, files: dict[str, np.ndarray]) -> None:
    plate = plate_for([lens])
    maps = LensMaps(lens, plate)
    shape = {way: file.shape[1::-1] for way, file in files.items()}
    assert shape == {UNDISTORT: (plate.width, plate.height), DISTORT: (WIDTH, HEIGHT)}
    flat, inside = stmap.to_positions(files[UNDISTORT], WIDTH, HEIGHT)
    assert np.abs(flat - maps.undistort())[inside].max() < 1e-4
    bent, inside = stmap.to_positions(files[DISTORT], plate.width, plate.height)
    assert inside.all()
    assert np.abs(bent - maps.distort()).max() < 1e-4


def test_a_picture_through_both_files_is_itself(files: dict[str, np.ndarray]) -> None:
    """As a compositor does it: pixels are looked up by u and v from the lower left corner."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    plate = (128 + 60 * np.sin(x / 17) + 60 * np.cos(y / 13)).astype(np.float32)
    flat = composited(plate, files[UNDISTORT])
    again = composited(flat, files[DISTORT])
    assert np.abs(flat[:HEIGHT, :WIDTH] - plate[: flat.shape[0], : flat.shape[1]]).max() > 5
    assert np.abs(again - plate)[2:-2, 2:-2].max() < 0.6


def composited(image: np.ndarray, map_: np.ndarray) -> np.ndarray:
    height, width = image.shape
    column = (map_[..., 0] * width - 0.5).astype(np.float32)
    row = (height - map_[..., 1] * height - 0.5).astype(np.float32)
    return cv2.remap(image, column, row, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
