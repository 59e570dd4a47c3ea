# SPDX-License-Identifier: GPL-3.0-or-later
"""Textures projected from pictures whose truth is known: the right colors, and no others."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from backend.worker.dense.exposure import offsets, to_linear, to_srgb
from backend.worker.dense.texture import Settings, Texture, project_texture
from backend.worker.dense.views import View
from tests.backend.textured_room import Plane, room, sideways, track
from tests.dense.render_mesh import psnr, render_mesh
from tests.dense.room_meshes import facing, of_planes, tiles
from tests.dense.room_views import views

WIDTH, HEIGHT, COUNT, HELD = 240, 135, 7, 3
MAGENTA = (255, 0, 255)
ROOM, EYE = room(), np.array([0, -1.0, 1.6])
SMALL = Settings(size=256)
Mesh = tuple[np.ndarray, np.ndarray, np.ndarray]


@cache
def room_views() -> list[View]:
    return views(track(sideways, COUNT, WIDTH, HEIGHT), ROOM)


@cache
def room_mesh() -> Mesh:
    vertices, faces = of_planes(ROOM, EYE, cuts=4)
    return vertices, faces, tiles(len(ROOM), 4, 4, 0.03)[faces]


def wall(cuts: int = 8, half: float = 2.0) -> Mesh:
    """The plane z = 0 from -half to half in x and y, its texture upright."""
    plane = Plane(
        np.array([-half, -half, 0]), np.array([2 * half, 0, 0]), np.array([0, 2 * half, 0]), 0
    )
    vertices, faces = of_planes([plane], np.array([0, 0, 1.0]), cuts)
    return vertices, faces, tiles(1, cuts, 1, 0.0)[faces]


def textured(mesh: Mesh, seen: Sequence[View], settings: Settings = SMALL) -> Texture:
    return project_texture(*mesh, range(len(seen)), seen.__getitem__, settings)


def plain(color: tuple[int, int, int], width: int = 96, height: int = 72) -> np.ndarray:
    return np.full((height, width, 3), color, np.uint8)


def magenta(colors: np.ndarray) -> int:
    """How many are more magenta than anything in the pictures is."""
    signed = colors.astype(int)
    return int((np.minimum(signed[..., 0], signed[..., 2]) - signed[..., 1] > 40).sum())


def others() -> list[View]:
    return [view for index, view in enumerate(room_views()) if index != HELD]


def fit(found: Texture) -> float:
    """In dB, how near the held-out picture the mesh looks where views saw it."""
    vertices, faces, uvs = room_mesh()
    held = room_views()[HELD]
    picture, covered = render_mesh(vertices, faces, uvs, found.colors, held)
    seen, _ = render_mesh(vertices, faces, uvs, np.dstack([found.alpha] * 3), held)
    where = (covered > 0.99) & (seen[..., 0] > 250)
    assert where.mean() > 0.85
    return psnr(picture, held.colors, where)


@cache
def unspoiled() -> float:
    return fit(textured(room_mesh(), others(), Settings(size=1024)))


def test_a_camera_that_was_held_out_sees_its_picture() -> None:
    """To the pixel: with centers half a pixel off it is 2 dB less."""
    assert unspoiled() > 25.7


def test_colors_between_pixels_are_those_of_the_picture() -> None:
    """Waves 12 pixels long, at nearly 3 texels a pixel: linear interpolation is 3 off."""
    view = facing(plain((0, 0, 0)), (0.0, 0.0, 2.0))
    view.colors[:] = np.rint(120 + 80 * np.sin((np.arange(96) + 0.5) * np.pi / 6))[None, :, None]
    found = textured(wall(half=1.0), [view])
    column = (np.arange(256) + 0.5) / 256 * 96
    truth = 120 + 80 * np.sin(column * np.pi / 6)
    assert np.abs(found.colors[128, 8:-8, 1] - truth[8:-8]).max() < 2


def brightened(view: View, gain: float) -> View:
    light = to_linear(view.colors.astype(np.float32) / 255) * np.float32(gain)
    shown = np.clip(to_srgb(light), 0, 1) * 255 + 0.5
    return replace(view, colors=shown.astype(np.uint8))


def test_views_that_differ_in_exposure_are_made_alike() -> None:
    gains = np.exp(np.random.default_rng(4).uniform(np.log(0.7), np.log(1.4), COUNT - 1))
    gains /= np.exp(np.log(gains).mean())
    seen = [brightened(*pair) for pair in zip(others(), gains, strict=True)]
    found = textured(room_mesh(), seen, Settings(size=1024))
    assert np.abs(found.gains * gains[:, None] - 1).max() < 0.02
    assert fit(found) > unspoiled() - 0.5
    assert fit(textured(room_mesh(), seen, Settings(size=1024, balance=False))) < unspoiled() - 1


def test_a_view_that_shares_nothing_keeps_its_exposure() -> None:
    values = np.array([[0.0, 1.0, 2.0, 0], [0.5, 1.5, 2.5, 0], [0, 0, 0, 9.0]])
    weights = np.array([[1.0, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]])
    found = offsets(values, weights)
    assert found[1] - found[0] == pytest.approx(0.5, abs=1e-3)
    assert found[2] == pytest.approx(found[:2].mean(), abs=1e-3)


def panelled(eye: tuple[float, float, float]) -> View:
    """A green wall, and 1 before it a magenta panel from -0.4 to 0.4."""
    view = facing(plain((30, 160, 70), 160, 120), eye)
    width, height = view.size
    x = (np.arange(width) + 0.5 - view.center[0]) / view.focal[0]
    y = (np.arange(height) + 0.5 - view.center[1]) / view.focal[1]
    rays = np.stack(np.broadcast_arrays(x[None], y[:, None], 1.0), -1) @ view.rotation
    at = view.eye + rays * ((1 - view.eye[2]) / rays[..., 2])[..., None]
    view.colors[(np.abs(at[..., :2]) < 0.4).all(axis=2)] = MAGENTA
    return view


def test_what_stands_before_a_wall_leaves_no_color_on_it() -> None:
    """Though the panel is reconstructed a pixel beside its place."""
    sides = np.array([0.8, 0, 0]), np.array([0, 0.8, 0])
    panel = Plane(np.array([-0.37, -0.4, 1.0]), *sides, 0)
    back = Plane(np.array([-1.5, -1.5, 0]), np.array([3.0, 0, 0]), np.array([0, 3.0, 0]), 0)
    vertices, faces = of_planes([back, panel], np.array([0, 0, 5.0]), cuts=4)
    mesh = vertices, faces, tiles(2, 4, 2, 0.05)[faces]
    seen = [panelled((x, 0.3, 5.0)) for x in (-2.0, -1.0, 0.0, 1.0, 2.0)]
    blind = textured(mesh, seen, replace(SMALL, tolerance=9.0))
    assert magenta(blind.colors[128:, :128]) > 100
    found = textured(mesh, seen)
    assert magenta(found.colors[128:, :128]) == 0
    assert (found.alpha[140:244, 12:116] == 255).mean() > 0.97
    panel_colors = found.colors[140:244, 140:244].reshape(-1, 3)
    assert np.abs(panel_colors.astype(int) - MAGENTA).max() < 10


def test_masked_pixels_are_never_used() -> None:
    def spoiled(marked: bool) -> list[View]:
        seen = []
        for index, x in enumerate((-1.0, 0.0, 1.0)):
            view = facing(plain((90, 120, 60)), (x, 0.2, 4.0))
            view.colors[20:50, 15 + 15 * index : 50 + 15 * index] = MAGENTA
            view.usable[20:50, 15 + 15 * index : 50 + 15 * index] = not marked
            seen.append(view)
        return seen

    assert magenta(textured(wall(), spoiled(marked=False)).colors) > 100
    found = textured(wall(), spoiled(marked=True))
    assert np.abs(found.colors.astype(int) - (90, 120, 60)).max() <= 2
    assert 0.5 < found.coverage < 0.99


def test_a_grazing_view_gives_way_to_one_from_the_front() -> None:
    front = facing(plain((200, 40, 40)), (0.0, 0.0, 4.0))
    grazing = facing(plain((40, 40, 200)), (6.0, 0.0, 1.2))
    found = textured(wall(half=1.0), [grazing, front], replace(SMALL, balance=False))
    assert np.abs(found.colors.astype(int) - (200, 40, 40)).max() < 12


def test_the_back_of_a_face_is_not_seen() -> None:
    found = textured(wall(), [facing(plain((200, 40, 40)), (0.0, 0.0, -4.0))])
    assert found.coverage == 0
    assert not found.alpha.any()


def test_the_texture_stands_upright() -> None:
    """The origin is the lower left corner; the file's first row is the top."""
    view = facing(plain((0, 0, 0), 240, 240), (0.0, 0.0, 3.0))
    view.colors[:120, :120], view.colors[:120, 120:] = (200, 40, 40), (40, 200, 40)
    view.colors[120:, :120], view.colors[120:, 120:] = (40, 40, 200), (200, 200, 40)
    mesh = wall(half=1.2)
    found = textured(mesh, [view])
    quarters = [found.colors[y, x].tolist() for y in (60, 195) for x in (60, 195)]
    assert quarters == [[200, 40, 40], [40, 200, 40], [40, 40, 200], [200, 200, 40]]
    shown, covered = render_mesh(*mesh, found.colors, view)
    assert psnr(shown, view.colors, covered > 0.99) > 26


def test_what_no_view_saw_is_filled_and_marked() -> None:
    """The view sees the wall from x = -1 to 1 and y = -0.75 to 0.75; it is darker to the left."""
    view = facing(plain((0, 0, 0)), (0.0, 0.0, 2.0))
    view.colors[:] = np.linspace(60, 180, 96)[None, :, None]
    found = textured(wall(cuts=32), [view])
    across = (np.arange(256) + 0.5) / 64 - 2
    inside = (np.abs(across) < 0.95)[None] & (np.abs(across) < 0.7)[:, None]
    outside = (np.abs(across) > 1.02)[None] | (np.abs(across) > 0.77)[:, None]
    assert (found.alpha[inside] == 255).all()
    assert not found.alpha[outside].any()
    assert found.coverage == pytest.approx(2 * 1.5 / 16, abs=0.02)
    row = found.colors[128, :, 0].astype(int)
    assert 50 < row.min() < 75
    assert 165 < row.max() < 190
    assert np.abs(np.diff(found.colors[..., 0].astype(int), axis=0)).max() < 20, "a step"
    assert row[10] < row[128] < row[245]


def test_beside_the_charts_no_background_shines_in() -> None:
    white = [replace(view, colors=np.full_like(view.colors, 255)) for view in others()[:3]]
    found = textured(room_mesh(), white)
    assert found.colors.min() >= 254
    vertices, faces, uvs = room_mesh()
    shown, covered = render_mesh(vertices, faces, uvs, found.colors, room_views()[HELD])
    assert shown[covered > 0.5].min() >= 253


def test_an_empty_mesh_and_no_views_give_an_empty_texture() -> None:
    nothing = np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros((0, 3, 2), "f4")
    for found in (textured(nothing, others()[:1]), textured(wall(), [])):
        assert found.colors.shape == (256, 256, 3)
        assert not found.alpha.any()
        assert found.coverage == 0


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("last", [1, 3])
def test_progress_counts_both_looks_at_each_view_and_can_stop(last: int) -> None:
    seen = [facing(plain((90, 120, 60)), (x, 0.0, 4.0)) for x in (-1.0, 1.0)]
    told: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        told.append((done, total))
        if done == last + 1:
            raise StoppedError

    with pytest.raises(StoppedError):
        project_texture(*wall(), [0, 1], seen.__getitem__, SMALL, tell)
    assert told == [(done, 4) for done in range(1, last + 2)]


def test_views_are_held_one_at_a_time() -> None:
    alive: weakref.WeakSet[View] = weakref.WeakSet()
    most = 0

    def load(number: int) -> View:
        nonlocal most
        view = facing(plain((90, 120, 60)), (number - 2.0, 0.0, 4.0))
        alive.add(view)
        most = max(most, len(alive))
        return view

    give: Callable[[int], View] = load
    project_texture(*wall(), range(5), give, SMALL)
    assert most <= 2
