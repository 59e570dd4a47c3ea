# SPDX-License-Identifier: GPL-3.0-or-later
"""The body model's file, point caches and plain meshes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.body_model import BodyModel, model_file, with_relaxed_hands
from backend.errors import FormatError, ModelError, OutputError
from backend.formats.obj import obj_writer
from backend.formats.pc2 import PointCache, write_point_cache
from backend.kinematics import joint_places, joint_turns, mixed, rotations_of, vectors_of
from tests.body_model import rest_joints, write_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models")
    write_model(place)
    return place


def poses(frames: int) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 0.4, (frames, 55, 3))


def test_a_body_is_found_beside_and_below_the_named_folder(folder: Path) -> None:
    assert model_file(folder, "neutral") == model_file(folder / "smplx", "neutral")
    with pytest.raises(ModelError, match="SMPLX_MALE"):
        model_file(folder, "male")


def test_rest_and_skinning_agree(folder: Path) -> None:
    """What an armature makes of body.npz and the corrected mesh is what the model makes itself."""
    model = BodyModel.load(model_file(folder, "neutral"), np.array([1.0, -2, 0.5]))
    rotations, translation = poses(20), np.random.default_rng(4).normal(size=(20, 3))
    posed = np.concatenate(list(model.posed(rotations, translation)))
    corrected = np.concatenate(list(model.corrected(rotations)))
    rest = model.rest
    assert rest.movers.shape[1] <= 5
    turns = joint_turns(rotations)
    places = joint_places(rotations, model.joints, translation)
    blended = np.zeros_like(posed)
    for place in range(rest.movers.shape[1]):
        mover, weight = rest.movers[:, place], rest.weights[:, place, None]
        local = corrected - model.joints[mover]
        moved = np.einsum("nvab,nvb->nva", turns[:, mover], local) + places[:, mover]
        blended += weight * moved
    assert np.abs(blended - posed).max() < 1e-5


def test_betas_change_the_shape_and_unknown_ones_are_left_out(folder: Path) -> None:
    path = model_file(folder, "neutral")
    usual, tall = (BodyModel.load(path, np.array(betas)) for betas in ([], [3.0] + [0.0] * 40))
    assert np.ptp(tall.vertices[:, 1]) > 1.05 * np.ptp(usual.vertices[:, 1])
    assert np.abs(usual.joints - rest_joints()).max() < 1e-9


def test_a_model_of_another_shape_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = write_model(tmp_path)
    with np.load(path) as content:
        arrays = {name: content[name] for name in content.files}
    for name, wrong in (
        ("posedirs", np.zeros((10475, 3, 207))),
        ("weights", np.full((10475, 55), np.nan)),
        ("f", np.full((4, 3), 10475)),
        ("v_template", np.array([{"a": 1}], dtype=object)),
    ):
        np.savez(path, **arrays | {name: wrong})
        with pytest.raises(FormatError, match="SMPLX_NEUTRAL"):
            BodyModel.load(path, np.zeros(10))


def test_hands_are_at_ease_only_where_nothing_is_known_of_them() -> None:
    still, hands = np.zeros((2, 55, 3)), np.full((30, 3), 0.3)
    assert (with_relaxed_hands(still, hands)[:, 25:] == 0.3).all()
    known = poses(2)
    assert with_relaxed_hands(known, hands) is known


def test_vectors_come_back_up_to_half_turns() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(60, 3))
    vectors *= (np.linspace(0, np.pi, 60) / np.linalg.norm(vectors, axis=1))[:, None]
    back = rotations_of(vectors_of(rotations_of(vectors)))
    assert np.abs(back - rotations_of(vectors)).max() < 1e-12
    middle = mixed(np.zeros((60, 3)), vectors, np.full(60, 0.5))
    assert np.abs(middle[:-1] - vectors[:-1] / 2).max() < 1e-9


def test_a_point_cache_comes_back_and_a_short_one_is_refused(tmp_path: Path) -> None:
    path, values = tmp_path / "a.pc2", np.random.default_rng(0).normal(size=(5, 7, 3))
    assert write_point_cache(path, 7, [values[:3], values[3:]], start=1001) == 5
    cache = PointCache.open(path)
    assert (cache.vertices, cache.samples, cache.start, cache.rate) == (7, 5, 1001, 1)
    assert np.array_equal(cache.read(2, 2), values[2:4].astype(np.float32))
    with pytest.raises(FormatError):
        cache.read(4, 2)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FormatError, match="cut off"):
        PointCache.open(path)
    with pytest.raises(OutputError):
        write_point_cache(path, 6, [values], start=1)


def test_a_plain_mesh_says_its_triangles_and_corners(tmp_path: Path) -> None:
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    uv = np.random.default_rng(0).random((2, 3, 2)).astype(np.float32)
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.25]])
    obj_writer(faces, uv, "body")(tmp_path / "a.obj", corners)
    lines = [line.split() for line in (tmp_path / "a.obj").read_text().splitlines()]
    assert [line[1:] for line in lines if line[0] == "f"] == [
        ["1/1", "2/2", "3/3"],
        ["1/4", "3/5", "4/6"],
    ]
    found = np.array([line[1:] for line in lines if line[0] == "v"], float)
    assert np.abs(found - corners).max() < 1e-6
    assert sum(line[0] == "vt" for line in lines) == 6


def test_correctives_are_nothing_at_rest_and_follow_the_rotation_matrix(folder: Path) -> None:
    model = BodyModel.load(model_file(folder, "neutral"), np.zeros(10))
    with np.load(model_file(folder, "neutral")) as content:
        directions = content["posedirs"].astype(float)
    rotations = np.zeros((2, 55, 3))
    rotations[1, 18] = [0.2, -1.1, 0.4]
    still, bent = np.concatenate(list(model.corrected(rotations)))
    assert np.abs(still - model.vertices).max() < 1e-6
    entries = (rotations_of(rotations[1, 18][None])[0] - np.eye(3)).ravel()
    wanted = model.vertices + directions[..., 9 * 17 : 9 * 18] @ entries
    assert np.abs(bent - wanted).max() < 1e-6
    assert np.abs(bent - still).max() > 1e-3
