# SPDX-License-Identifier: GPL-3.0-or-later
"""A cloud of a room that is known exactly becomes a mesh of what was seen, and of nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from backend.dense_files import Cloud, Triangles
from backend.errors import Canceled, SolveError
from backend.worker.dense.clouds import chosen
from backend.worker.dense.fusion import Seen, fuse
from backend.worker.dense.mesh_parts import half_edges, pairs, repaired, without_small_pieces
from backend.worker.dense.meshes import areas, centers
from backend.worker.dense.meshing import MeshOptions, cleaned, simplified, surface, trusted
from tests.dense.evaluation import looked_through, sampled
from tests.dense.known_room import NUMBERS, SOURCES, distances, truth

BACK = 7.0
"""The back wall's Y."""
NARROW, WIDE = (-2.9, 2.0, 0.35), (2.0, 2.0, 1.6)
"""Holes in the back wall: X and Z of the middle, and the width."""


def holed() -> dict[int, Seen]:
    """The room's exact depth without what lies in the two holes."""
    found = {}
    for number, (one, known) in truth().items():
        y, x = np.mgrid[: one.size[1], : one.size[0]] + 0.5
        rays = np.stack(
            [(x - one.center[0]) / one.focal[0], (y - one.center[1]) / one.focal[1], x * 0 + 1], 2
        )
        places = (rays * known.depth[..., None] - one.translation) @ one.rotation
        lost = in_hole(places, NARROW) | in_hole(places, WIDE)
        found[number] = one, replace(known, depth=np.where(lost, 0, known.depth))
    return found


def in_hole(places: np.ndarray, hole: tuple[float, float, float]) -> np.ndarray:
    """Of places (..., 3) which are on the back wall within a square."""
    x, z, width = hole
    on_wall = np.abs(places[..., 1] - BACK) < 0.15
    return on_wall & (np.abs(places[..., [0, 2]] - (x, z)) < width / 2).all(axis=-1)


MAPS = holed()


@pytest.fixture(scope="module")
def cloud() -> Cloud:
    return fuse(SOURCES, MAPS.__getitem__)


@pytest.fixture(scope="module")
def raw(cloud: Cloud) -> Triangles:
    return surface(cloud)


@pytest.fixture(scope="module")
def clean(raw: Triangles, cloud: Cloud) -> Triangles:
    return cleaned(raw, cloud, NUMBERS, MAPS.__getitem__)


def free_share(mesh: Triangles) -> float:
    """Of a mesh's area the share that a camera looks through."""
    points, _normals = sampled(mesh, 20000)
    return float(looked_through(points, NUMBERS, truth().__getitem__).mean())


def covered(mesh: Triangles, hole: tuple[float, float, float]) -> float:
    """Of a hole's area the share that a mesh has faces in."""
    found = in_hole(centers(mesh), hole)
    return float(areas(mesh)[found].sum() / hole[2] ** 2)


def on_walls(mesh: Triangles, reach: float) -> float:
    points, _normals = sampled(mesh, 20000)
    return float((distances(points) < reach).mean())


def test_what_poisson_swells_to_is_taken_away(raw: Triangles, clean: Triangles) -> None:
    assert on_walls(raw, 0.1) < 0.8
    assert on_walls(clean, 0.1) > 0.98
    assert free_share(raw) > 0.01
    assert free_share(clean) < 0.003


def test_what_was_seen_is_there(cloud: Cloud, clean: Triangles) -> None:
    back = np.abs(cloud.positions[:, 1] - BACK) < 0.05
    assert areas(clean)[np.abs(centers(clean)[:, 1] - BACK) < 0.05].sum() > 10
    assert back.sum() > 3000


def test_a_narrow_hole_is_closed_and_a_wide_one_left(
    raw: Triangles, cloud: Cloud, clean: Triangles
) -> None:
    assert covered(raw, NARROW) > 0.9
    assert covered(raw, WIDE) > 0.5
    assert covered(clean, NARROW) > 0.9
    assert covered(clean, WIDE) < 0.1
    none = cleaned(raw, cloud, NUMBERS, MAPS.__getitem__, MeshOptions(hole=0))
    assert covered(none, NARROW) < 0.4


def test_a_face_needs_as_many_depth_maps_as_asked(raw: Triangles, cloud: Cloud) -> None:
    few = cleaned(raw, cloud, NUMBERS[:2], MAPS.__getitem__)
    assert len(few.faces) > 1000
    with pytest.raises(SolveError):
        cleaned(raw, cloud, NUMBERS[:2], MAPS.__getitem__, MeshOptions(seen=3))


def test_a_mesh_is_fit_to_be_unwrapped(clean: Triangles) -> None:
    assert_manifold(clean)
    assert areas(clean).min() > 0


def test_points_that_are_doubtful_or_looked_through_bear_no_surface(cloud: Cloud) -> None:
    """A sheet of points 2 m in front of the back wall; and a tenth of the points doubtful."""
    x, y, z = cloud.positions.T
    back = chosen(cloud, (np.abs(y - BACK) < 0.05) & (np.abs(x) < 3.5) & (z > 1))
    sheet = replace(back, positions=back.positions - np.float32([0, 2, 0]))
    assert len(trusted(sheet, NUMBERS, MAPS.__getitem__).positions) < 0.05 * len(back.positions)
    assert len(trusted(back, NUMBERS, MAPS.__getitem__).positions) > 0.97 * len(back.positions)
    doubtful = back.confidence.copy()
    doubtful[::10] = 0.2
    kept = trusted(replace(back, confidence=doubtful), NUMBERS, MAPS.__getitem__)
    assert 0.87 < len(kept.positions) / len(back.positions) < 0.91


def test_simplifying_comes_down_to_the_budget(clean: Triangles) -> None:
    few = simplified(clean, 2000)
    assert 1500 < len(few.faces) <= 2000
    assert on_walls(few, 0.15) > 0.95
    assert_manifold(few)
    assert simplified(clean, len(clean.faces)) is clean


def test_small_pieces_go() -> None:
    large, small = ribbon(400), ribbon(10)
    both = Triangles(
        np.concatenate([large.positions, small.positions + np.float32([0, 5, 0])]),
        np.concatenate([large.faces, small.faces + len(large.positions)]).astype(np.int32),
    )
    kept = without_small_pieces(both, 0.05)
    assert len(kept.faces) == 400
    assert kept.positions[:, 1].max() < 2
    assert len(without_small_pieces(both, 0.01).faces) == 410


def test_a_mesh_that_hangs_together_wrongly_is_cut() -> None:
    """An edge of three faces, two fans that meet in a vertex, a face twice, one without area, and
    a neighbor that is turned over."""
    place = [
        [0, 0, 0], [1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [5, 0, 0], [6, 0, 0], [6, 1, 0],
        [4, 0, 0], [4, -1, 0], [9, 0, 0], [10, 0, 0], [9, 1, 0], [9, -1, 0],
    ]  # fmt: skip
    face = [
        [0, 1, 2], [1, 0, 3], [0, 1, 4], [5, 6, 7], [5, 8, 9], [6, 7, 5], [5, 5, 6],
        [10, 11, 12], [10, 11, 13],
    ]  # fmt: skip
    broken = Triangles(np.array(place, np.float32), np.array(face, np.int32))
    with pytest.raises(AssertionError):
        assert_manifold(broken)
    mended = repaired(broken)
    assert len(mended.faces) == 7
    assert_manifold(mended)
    np.testing.assert_allclose(np.sort(areas(mended)), np.full(7, 0.5))


def test_a_whole_mesh_stays_whole() -> None:
    whole = ribbon(30)
    again = repaired(whole)
    assert len(again.positions) == len(whole.positions)
    assert len(pairs(again.faces, len(again.positions))[0]) == 29


@pytest.mark.parametrize("count", [0, 1, 99])
def test_too_few_points_are_no_surface(cloud: Cloud, count: int) -> None:
    with pytest.raises(SolveError, match="Too few points"):
        surface(chosen(cloud, np.arange(count)))


def test_a_surface_that_no_view_sees_is_an_error(raw: Triangles, cloud: Cloud) -> None:
    def blind(number: int) -> Seen:
        one, known = truth()[number]
        return one, replace(known, confidence=known.confidence * 0)

    with pytest.raises(SolveError, match="No surface"):
        cleaned(raw, cloud, NUMBERS, blind)


@pytest.mark.parametrize("work", [trusted, lambda cloud, *rest, **named: cleaned(
    ribbon(9), cloud, *rest, **named)])  # fmt: skip
def test_progress_is_told_and_can_end_it(cloud: Cloud, work: Callable[..., object]) -> None:
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        if done == 3:
            raise Canceled

    with pytest.raises(Canceled):
        work(cloud, NUMBERS, MAPS.__getitem__, progress=progress)
    assert told == [(1, 7), (2, 7), (3, 7)]


def ribbon(faces: int) -> Triangles:
    """A flat strip of triangles along X."""
    across = np.arange(faces + 2)
    place = np.stack([across // 2, across % 2, across * 0], 1).astype(np.float32)
    face = np.stack([across[:-2], across[1:-1], across[2:]], 1).astype(np.int32)
    face[::2] = face[::2, ::-1]
    return Triangles(place, face)


def assert_manifold(mesh: Triangles) -> None:
    """Every edge has one face, or two that run along it in opposite directions, and the faces
    around every vertex hang together by edges."""
    count = len(mesh.positions)
    edge, up = half_edges(mesh.faces, count)
    _edges, place, size = np.unique(edge, return_inverse=True, return_counts=True)
    assert size.max() <= 2
    assert np.bincount(place, up)[size == 2].tolist() == [1] * int((size == 2).sum())
    first, _second = pairs(mesh.faces, count)
    shared = mesh.faces.reshape(-1)[first]
    ends = np.roll(mesh.faces, -1, axis=1).reshape(-1)[first]
    corner = np.bincount(mesh.faces.reshape(-1), minlength=count)
    joints = np.bincount(np.concatenate([shared, ends]), minlength=count)
    # k faces around a vertex that form one fan share k - 1 edges there, k when they close.
    assert (joints[corner > 0] >= corner[corner > 0] - 1).all()
