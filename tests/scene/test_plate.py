# SPDX-License-Identifier: GPL-3.0-or-later
"""The plate behind the camera: shown at its frames, and Blender's lens equal to COLMAP's."""

from __future__ import annotations

import time
from pathlib import Path

import bpy
import numpy as np
import pycolmap
import pytest
from shot_gopher.backend.reconstruction import CameraModel
from shot_gopher.backend.shot import Shot
from shot_gopher.operators.scene.footage import as_sequence
from shot_gopher.operators.scene.shot import ImportResult, import_shot

from .shots import make_shot, write_png

SIZE = (480, 300)
DISTORTED = {
    "SIMPLE_RADIAL": CameraModel("SIMPLE_RADIAL", *SIZE, (400, 240, 150, -0.22)),
    "RADIAL": CameraModel("RADIAL", *SIZE, (400, 233, 156, -0.22, 0.1)),
    "OPENCV": CameraModel("OPENCV", *SIZE, (400, 380, 228, 161, -0.2, 0.08, 0.02, -0.015)),
    "FULL_OPENCV": CameraModel(
        "FULL_OPENCV", *SIZE, (400, 390, 232, 147, -0.2, 0.05, -0.01, 0.02, 0.1, 0, 0, 0)
    ),
}
DOTS = np.stack(np.meshgrid(np.arange(60, 450, 60), np.arange(50, 270, 50)), -1).reshape(-1, 2)


def colmap_camera(lens: CameraModel) -> pycolmap.Camera:
    return pycolmap.Camera(
        model=lens.model, width=lens.width, height=lens.height, params=list(lens.params)
    )


def dotted(pixels: np.ndarray) -> np.ndarray:
    """A picture with a soft white dot at each of the pixels (m, 2), (0, 0) at the corner."""
    x, y = np.meshgrid(np.arange(SIZE[0]) + 0.5, np.arange(SIZE[1]) + 0.5)
    image = np.zeros(SIZE[::-1])
    for px, py in pixels:
        image += np.exp(-((x - px) ** 2 + (y - py) ** 2) / 18)
    return np.repeat((image.clip(max=1) * 255).astype(np.uint8)[..., None], 3, axis=2)


def centroids(image: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Where the dots are, in pixels, each looked for around where it should be."""
    found = []
    for px, py in near:
        left, top = int(px) - 10, int(py) - 10
        window = image[top : top + 21, left : left + 21].astype(np.float64)
        window = (window - 0.1).clip(min=0)
        y, x = np.mgrid[top : top + 21, left : left + 21] + 0.5
        found.append([(x * window).sum() / window.sum(), (y * window).sum() / window.sum()])
    return np.array(found)


def undistorted_by_blender(clip: bpy.types.MovieClip, first: Path) -> np.ndarray:
    """The first frame as Blender's own undistorted proxy of full size."""
    clip.use_proxy = True
    clip.proxy.build_50 = clip.proxy.build_undistorted_50 = False
    clip.proxy.build_undistorted_100 = True
    clip.proxy.quality = 100
    area = bpy.context.window.screen.areas[0]
    area.type = "CLIP_EDITOR"
    area.spaces[0].clip = clip
    with bpy.context.temp_override(area=area):
        bpy.ops.clip.rebuild_proxy()
    file = first.parent / "BL_proxy" / first.name / "proxy_100_undistorted" / "00000001.jpg"
    end = time.monotonic() + 20
    while not (file.is_file() and file.read_bytes().endswith(b"\xff\xd9")):
        assert time.monotonic() < end, "Blender wrote no proxy"
        time.sleep(0.05)
    image = bpy.data.images.load(str(file))
    pixels = np.empty(SIZE[0] * SIZE[1] * 4, dtype=np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(SIZE[1], SIZE[0], 4)[::-1, :, 0]


@pytest.mark.parametrize("lens", DISTORTED.values(), ids=DISTORTED)
def test_blender_undistorts_as_colmap(tmp_path: Path, lens: CameraModel) -> None:
    """Dots drawn where COLMAP's lens bends them come back to where a pinhole would have them."""
    shot = make_shot(tmp_path / "shot", lens, count=2)
    rays = np.ones((len(DOTS), 3))
    rays[:, :2] = (DOTS - lens.center) / lens.focal
    bent = colmap_camera(lens).img_from_cam(rays)
    assert np.abs(bent - DOTS).max() > 4
    for number in (1001, 1002):
        write_png(shot.frame_file(number), dotted(bent))
    result = import_shot(bpy.context, shot)
    assert result.clip.use_proxy is False
    assert background(result).clip_user.use_render_undistorted
    straight = undistorted_by_blender(result.clip, shot.frame_file(1001))
    slips = np.linalg.norm(centroids(straight, DOTS) - DOTS, axis=1)
    assert np.median(slips) < 0.06
    assert slips.max() < 0.5


def background(result: ImportResult) -> bpy.types.CameraBackgroundImage:
    (only,) = result.camera.data.background_images
    return only


def test_plate_is_behind_the_camera(tmp_path: Path) -> None:
    shot = make_shot(
        tmp_path / "shot", CameraModel("PINHOLE", 64, 36, (50, 50, 32, 18)), images=True
    )
    result = import_shot(bpy.context, shot)
    shown = background(result)
    assert result.camera.data.show_background_images
    assert shown.source == "MOVIE_CLIP"
    assert shown.clip == result.clip
    assert shown.display_depth == "BACK"
    assert shown.frame_method == "FIT"
    assert not shown.clip_user.use_render_undistorted
    assert shown.clip_user.proxy_render_size == "FULL"
    assert result.clip.frame_start == 1001
    assert result.clip.frame_duration == 12
    assert tuple(result.clip.size) == (64, 36)
    assert result.warnings == ()


def proxy_files(folder: Path, size: str) -> None:
    (folder / "frame_1001.png" / size).mkdir(parents=True)


def test_plain_proxies_are_used_for_a_pinhole(tmp_path: Path) -> None:
    shot = make_shot(
        tmp_path / "shot", CameraModel("PINHOLE", 64, 36, (50, 50, 32, 18)), images=True
    )
    proxy_files(shot.frames / "BL_proxy", "proxy_50")
    result = import_shot(bpy.context, shot)
    assert result.clip.use_proxy
    assert not result.clip.use_proxy_custom_directory
    assert background(result).clip_user.proxy_render_size == "PROXY_50"


def test_a_distorted_plate_needs_undistorted_proxies(tmp_path: Path) -> None:
    """Blender shows nothing where the proxies it is told to use are not there."""
    lens = CameraModel("SIMPLE_RADIAL", 64, 36, (50, 32, 18, -0.1))
    shot = make_shot(tmp_path / "shot", lens, images=True)
    proxy_files(shot.frames / "BL_proxy", "proxy_50")
    result = import_shot(bpy.context, shot)
    assert background(result).clip_user.proxy_render_size == "FULL"
    proxy_files(shot.undistorted_proxies, "proxy_50_undistorted")
    result = import_shot(bpy.context, shot)
    assert background(result).clip_user.proxy_render_size == "PROXY_50"
    behind = background(result).clip
    assert Path(behind.proxy.directory) == shot.undistorted_proxies.resolve()


def test_a_lens_blender_has_not_says_so(tmp_path: Path) -> None:
    lens = CameraModel("OPENCV_FISHEYE", 64, 36, (50, 50, 32, 18, 0.1, 0, 0, 0))
    shot = make_shot(tmp_path / "shot", lens, images=True)
    result = import_shot(bpy.context, shot)
    (warning,) = result.warnings
    assert "OPENCV_FISHEYE" in warning
    assert not background(result).clip_user.use_render_undistorted


def test_frames_that_are_gone_are_told(tmp_path: Path) -> None:
    result = import_shot(bpy.context, make_shot(tmp_path / "shot"))
    assert result.clip is None
    assert "frames are missing" in result.warnings[0]


def test_pixel_aspect_goes_to_the_clip(tmp_path: Path) -> None:
    """Else the background would be letterboxed in the camera's frame."""
    lens = CameraModel("PINHOLE", 64, 36, (50, 40, 32, 18))
    result = import_shot(bpy.context, make_shot(tmp_path / "shot", lens, images=True))
    render = bpy.context.scene.render
    ratio = result.clip.display_aspect[0] / result.clip.display_aspect[1]
    assert ratio == pytest.approx(render.pixel_aspect_x / render.pixel_aspect_y)


def test_what_is_one_sequence() -> None:
    folder = Path("plates")
    one = as_sequence({7: folder / "a_007.jpg", 9: folder / "a_009.jpg"})
    assert one is not None
    assert (one.first, one.first_frame) == (folder / "a_007.jpg", 7)
    assert as_sequence({7: folder / "a_007.jpg", 9: folder / "b_009.jpg"}) is None
    assert as_sequence({7: folder / "a_007.jpg", 9: folder / "sub" / "a_009.jpg"}) is None
    assert as_sequence({1: folder / "left.jpg"}) is None
    assert as_sequence({1: folder / "a_007.jpg"}) is None


def test_the_same_clip_is_kept_on_the_next_import(tmp_path: Path) -> None:
    small = CameraModel("PINHOLE", 64, 36, (50, 50, 32, 18))
    shot = make_shot(tmp_path / "shot", small, images=True)
    first = import_shot(bpy.context, shot)
    background(first).alpha = 0.3
    second = import_shot(bpy.context, Shot(shot.path))
    assert second.clip == first.clip
    assert len(bpy.data.movieclips) == 1
    assert background(second).alpha == pytest.approx(0.3)
