# SPDX-License-Identifier: GPL-3.0-or-later
"""COLMAP models: read as COLMAP reads them, written so that it reads them, damage refused."""

from __future__ import annotations

import contextlib
import shutil
import struct
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest

from backend.errors import FormatError, OutputError
from backend.formats import colmap
from backend.reconstruction import (
    MODEL_NAMES,
    PARAMETERS,
    CameraModel,
    Observations,
    Points,
    Reconstruction,
)
from tests.data_folder import shared_data

NEWER = ("rigs", "frames")
STEMS = ("cameras", "images", "points3D")


def solved_by_colmap(points: int = 60, images: int = 12) -> pycolmap.Reconstruction:
    """A model as COLMAP holds it: a rig of two cameras, observations without points among them."""
    pycolmap.set_random_seed(1)
    options = pycolmap.SyntheticDatasetOptions()
    options.num_rigs, options.num_cameras_per_rig = 1, 2
    options.num_frames_per_rig = images // 2
    options.num_points3D = points
    options.track_length = 5
    options.sensor_from_rig_translation_stddev = 0.3
    options.camera_model_id = pycolmap.CameraModelId.OPENCV
    options.camera_params = [1280.0, 1290.0, 512.0, 384.0, 0.05, -0.01, 0.001, 0.002]
    model = pycolmap.synthesize_dataset(options)
    for point in model.points3D.values():
        point.color = np.random.default_rng(len(point.track.elements)).integers(0, 255, 3)
    model.deregister_frame(2)
    model.update_point_3d_errors()
    return model


@pytest.fixture(scope="module")
def theirs() -> pycolmap.Reconstruction:
    return solved_by_colmap()


def without(folder: Path, stems: tuple[str, ...]) -> None:
    for stem in stems:
        for file in folder.glob(f"{stem}.*"):
            file.unlink()


def written(model: pycolmap.Reconstruction, folder: Path, ending: str, newer: bool) -> Path:
    """The model in one of COLMAP's four layouts."""
    folder.mkdir()
    (model.write_binary if ending == "bin" else model.write_text)(folder)
    assert all((folder / f"{stem}.{ending}").is_file() for stem in (*STEMS, *NEWER))
    if not newer:
        without(folder, NEWER)
    return folder


def same_as_colmap(ours: Reconstruction, theirs: pycolmap.Reconstruction) -> None:
    images = {image.name: image for image in theirs.images.values() if image.has_pose}
    assert sorted(ours.names) == sorted(images)
    for index, name in enumerate(ours.names):
        pose = images[name].cam_from_world()
        x, y, z, w = pose.rotation.quat
        np.testing.assert_allclose(ours.quaternions[index], [w, x, y, z], atol=1e-14)
        np.testing.assert_allclose(ours.translations[index], pose.translation, atol=1e-14)
        assert ours.camera_ids[index] == images[name].camera_id
    assert set(ours.cameras) == set(theirs.cameras)
    for camera_id, camera in ours.cameras.items():
        other = theirs.cameras[camera_id]
        assert camera.model == other.model.name
        assert (camera.width, camera.height) == (other.width, other.height)
        assert camera.params == tuple(other.params)
    same_points(ours, theirs)


def same_points(ours: Reconstruction, theirs: pycolmap.Reconstruction) -> None:
    assert sorted(ours.points.ids.tolist()) == sorted(theirs.points3D)
    for index, point_id in enumerate(ours.points.ids.tolist()):
        point = theirs.points3D[point_id]
        np.testing.assert_array_equal(ours.points.positions[index], point.xyz)
        np.testing.assert_array_equal(ours.points.colors[index], point.color)
        assert ours.points.errors[index] == point.error
        assert ours.points.tracks[index] == point.track.length()


def same_observations(ours: Reconstruction, theirs: pycolmap.Reconstruction) -> None:
    seen = ours.observations
    assert seen is not None
    found = sorted(
        (ours.names[image], int(ours.points.ids[point]), *pixel)
        for image, point, pixel in zip(
            seen.image.tolist(), seen.point.tolist(), seen.pixel.tolist(), strict=True
        )
    )
    expected = sorted(
        (image.name, point.point3D_id, *point.xy)
        for image in theirs.images.values()
        for point in image.points2D
        if point.has_point3D()
    )
    assert found == expected


@pytest.mark.parametrize("ending", ["bin", "txt"])
@pytest.mark.parametrize("newer", [True, False])
def test_reads_every_layout_as_colmap_does(
    tmp_path: Path, theirs: pycolmap.Reconstruction, ending: str, newer: bool
) -> None:
    folder = written(theirs, tmp_path / "model", ending, newer)
    ours = colmap.read_model(folder, observations=True)
    same_as_colmap(ours, theirs)
    same_observations(ours, theirs)
    assert colmap.read_model(folder).observations is None
    same_as_colmap(colmap.read_model(folder), theirs)


def test_the_model_has_a_rig_and_frames_that_are_not_solved(
    theirs: pycolmap.Reconstruction,
) -> None:
    """What the layout of COLMAP 3.12 brought: poses that are not the frame's, frames without."""
    away = [
        np.linalg.norm(image.cam_from_world().translation - image.frame.rig_from_world.translation)
        for image in theirs.images.values()
        if image.has_pose and image.camera_id == 2
    ]
    assert min(away) > 0.1
    assert theirs.num_reg_images() == 10
    assert theirs.num_images() == 12


def test_writes_what_colmap_reads(tmp_path: Path, theirs: pycolmap.Reconstruction) -> None:
    folder = written(theirs, tmp_path / "model", "bin", newer=True)
    ours = colmap.read_model(folder, observations=True)
    colmap.write_model(ours, folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "cameras.bin",
        "images.bin",
        "points3D.bin",
    ]
    back = pycolmap.Reconstruction(folder)
    same_as_colmap(ours, back)
    same_observations(ours, back)
    assert back.compute_num_observations() == theirs.compute_num_observations()
    back.update_point_3d_errors()
    theirs_error = theirs.compute_mean_reprojection_error()
    assert back.compute_mean_reprojection_error() == pytest.approx(theirs_error, abs=1e-9)
    again = colmap.read_model(folder, observations=True)
    np.testing.assert_array_equal(again.quaternions, ours.quaternions)
    np.testing.assert_array_equal(again.points.positions, ours.points.positions)


def test_writes_without_observations(tmp_path: Path, theirs: pycolmap.Reconstruction) -> None:
    ours = colmap.read_model(written(theirs, tmp_path / "a", "bin", newer=True))
    colmap.write_model(ours, tmp_path / "b" / "0")
    back = pycolmap.Reconstruction(tmp_path / "b" / "0")
    assert back.num_reg_images() == len(ours.names)
    assert back.num_points3D() == len(ours.points.ids)


def test_writes_a_model_without_points(tmp_path: Path) -> None:
    colmap.write_model(some_model(images=2, points=0), tmp_path)
    assert pycolmap.Reconstruction(tmp_path).num_reg_images() == 2
    assert len(colmap.read_model(tmp_path).points.ids) == 0


@pytest.mark.parametrize("model_id", pycolmap.CameraModelId.__members__.values(), ids=str)
def test_knows_every_camera_model_of_colmap(
    tmp_path: Path, model_id: pycolmap.CameraModelId
) -> None:
    if model_id.value < 0:
        return
    camera = pycolmap.Camera.create_from_model_id(1, model_id, 700.0, 640, 480)
    assert MODEL_NAMES[model_id.value] == model_id.name
    assert PARAMETERS[model_id.name] == tuple(camera.params_info.replace(" ", "").split(","))
    params = tuple(camera.params)
    model = replace(some_model(images=2), cameras={1: CameraModel(model_id.name, 640, 480, params)})
    colmap.write_model(model, tmp_path)
    back = pycolmap.Reconstruction(tmp_path)
    assert back.cameras[1].model == model_id
    assert tuple(back.cameras[1].params) == params
    back.write_text(tmp_path)
    without(tmp_path, (*NEWER, "nothing"))
    for file in tmp_path.glob("*.bin"):
        file.unlink()
    assert colmap.read_model(tmp_path).cameras[1].params == params


def some_model(images: int = 3, points: int = 5, observed: int = 3) -> Reconstruction:
    rng = np.random.default_rng(0)
    quaternions = rng.normal(size=(images, 4))
    count = points * min(observed, images)
    return Reconstruction(
        cameras={1: CameraModel("PINHOLE", 1920, 1080, (1500.0, 1500.0, 960.0, 540.0))},
        names=tuple(f"frame_{index + 1:04d}.png" for index in range(images)),
        camera_ids=np.ones(images, np.int64),
        quaternions=quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True),
        translations=rng.normal(size=(images, 3)),
        points=Points(
            ids=np.arange(1, points + 1).astype(np.uint64),
            positions=rng.normal(size=(points, 3)),
            colors=rng.integers(0, 256, (points, 3)).astype(np.uint8),
            errors=rng.random(points),
            tracks=np.full(points, min(observed, images)),
        ),
        observations=Observations(
            image=(np.arange(count) // max(points, 1)) % images,
            point=np.arange(count) % max(points, 1),
            pixel=rng.random((count, 2)) * 1000,
        ),
    )


NAMES = ("sub 1/a b 10.png", "sub 1/a b 9.png", "sub 1/ü  two blanks.png", "Ŧ/1\u2028.jpg")


@pytest.mark.parametrize("ending", ["bin", "txt"])
def test_names_with_blanks_and_folders(tmp_path: Path, ending: str) -> None:
    colmap.write_model(replace(some_model(images=4), names=NAMES), tmp_path)
    if ending == "txt":
        model = pycolmap.Reconstruction(tmp_path)
        for file in tmp_path.glob("*.bin"):
            file.unlink()
        model.write_text(tmp_path)
    ours = colmap.read_model(tmp_path, observations=True)
    assert ours.names == (NAMES[1], NAMES[0], NAMES[2], NAMES[3])
    model_poses = some_model(images=4).translations
    np.testing.assert_array_equal(ours.translations, model_poses[[1, 0, 2, 3]])


def test_images_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    names = tuple(f"f{number}.png" for number in (10, 9, 100, 1, 2))
    colmap.write_model(replace(some_model(images=5), names=names), tmp_path)
    ours = colmap.read_model(tmp_path, observations=True)
    assert ours.names == ("f1.png", "f2.png", "f9.png", "f10.png", "f100.png")
    same_as_colmap(ours, pycolmap.Reconstruction(tmp_path))
    same_observations(ours, pycolmap.Reconstruction(tmp_path))


def test_names_in_another_encoding_are_read(tmp_path: Path) -> None:
    colmap.write_model(replace(some_model(images=1), names=("x.png",)), tmp_path)
    images = tmp_path / "images.bin"
    images.write_bytes(images.read_bytes().replace(b"x.png", b"\xe9.png"))
    assert colmap.read_model(tmp_path).names == ("é.png",)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("comments", [True, False])
def test_text_with_other_line_ends_and_without_comments(
    tmp_path: Path, theirs: pycolmap.Reconstruction, line_end: str, comments: bool
) -> None:
    folder = written(theirs, tmp_path / "model", "txt", newer=False)
    for file in folder.iterdir():
        lines = [
            line for line in file.read_text().split("\n") if comments or not line.startswith("#")
        ]
        file.write_bytes(line_end.join(lines).rstrip().encode())
    ours = colmap.read_model(folder, observations=True)
    same_as_colmap(ours, theirs)
    same_observations(ours, theirs)
    (summary,) = colmap.find_models(folder)
    assert (summary.images, summary.points) == (len(ours.names), len(ours.points.ids))


@pytest.mark.parametrize(
    "name",
    [
        "sceaux/model_bin",
        "sceaux/model_txt",
        "sceaux/model_txt_9_of_11_subfolders",
        "bedroom_two_models/sparse/0",
        "bedroom_two_models/sparse/1",
    ],
)
def test_models_made_by_others(tmp_path: Path, name: str) -> None:
    folder = shared_data(f"colmap/{name}")
    ours, theirs = colmap.read_model(folder, observations=True), pycolmap.Reconstruction(folder)
    same_as_colmap(ours, theirs)
    same_observations(ours, theirs)
    colmap.write_model(ours, tmp_path)
    same_as_colmap(ours, pycolmap.Reconstruction(tmp_path))
    summary = colmap.largest_model(folder)
    assert (summary.path, summary.images, summary.points) == (
        folder,
        len(ours.names),
        len(ours.points.ids),
    )


def test_takes_the_model_that_holds_the_plate() -> None:
    shot = shared_data("colmap/bedroom_two_models")
    for folder in (shot, shot / "sparse"):
        assert colmap.largest_model(folder).path == shot / "sparse" / "1"
        assert [model.images for model in colmap.find_models(folder)] == [2, 40]
    assert colmap.largest_model(shot / "sparse" / "0").images == 2


def test_finds_the_largest_of_several(tmp_path: Path) -> None:
    sparse = tmp_path / "shot" / "colmap" / "sparse"
    sizes = {"0": (2, 90), "1": (7, 5), "2": (7, 30), "10": (3, 99)}
    for name, (images, points) in sizes.items():
        colmap.write_model(some_model(images, points), sparse / name)
    (sparse / "3").mkdir()
    (sparse / "4").mkdir()
    for stem in STEMS:
        (sparse / "4" / f"{stem}.bin").write_bytes(struct.pack("<Q", 10**15))
    for folder in (sparse, sparse.parent, sparse.parent.parent):
        assert colmap.largest_model(folder).path == sparse / "2"
    found = colmap.find_models(sparse)
    assert [model.path.name for model in found] == ["0", "1", "2", "10"]
    assert {model.path.name: (model.images, model.points) for model in found} == sizes
    assert colmap.largest_model(sparse / "0").path == sparse / "0"


def test_no_model_is_a_format_error(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(FormatError, match=folder.name):
            colmap.largest_model(folder)
        with pytest.raises(FormatError, match=folder.name):
            colmap.read_model(folder)
        assert colmap.find_models(folder) == []


def test_a_damaged_model_is_named(tmp_path: Path) -> None:
    colmap.write_model(some_model(), tmp_path)
    (tmp_path / "images.bin").write_bytes(struct.pack("<Q", 10**15))
    with pytest.raises(FormatError, match=r"images\.bin"):
        colmap.largest_model(tmp_path)


def test_a_model_without_points_file_still_has_its_cameras(tmp_path: Path) -> None:
    colmap.write_model(some_model(), tmp_path)
    (tmp_path / "points3D.bin").unlink()
    ours = colmap.read_model(tmp_path, observations=True)
    assert len(ours.names) == 3
    assert len(ours.points.ids) == 0
    assert ours.observations is not None
    assert len(ours.observations.image) == 0


def test_points_at_infinity_are_left_out(tmp_path: Path) -> None:
    model = some_model()
    model.points.positions[2] = np.inf
    model.points.positions[3, 1] = np.nan
    colmap.write_model(model, tmp_path)
    ours = colmap.read_model(tmp_path, observations=True)
    assert ours.points.ids.tolist() == [1, 2, 5]
    assert ours.observations is not None
    assert np.bincount(ours.observations.point).tolist() == [3, 3, 3]


Damage = Callable[[bytes], bytes]


def put(at: int, kind: str, value: float) -> Damage:
    """Bytes in the place of others."""
    return lambda data: data[:at] + struct.pack(kind, value) + data[at + struct.calcsize(kind) :]


DAMAGES: list[tuple[str, Damage, str]] = [
    ("cameras.bin", put(0, "<Q", 2**63), "cannot hold"),
    ("cameras.bin", put(12, "<i", 99), "kind that is not known"),
    ("cameras.bin", put(12, "<i", -1), "kind that is not known"),
    ("cameras.bin", put(16, "<Q", 2**62), "pixels"),
    ("cameras.bin", put(16, "<Q", 0), "pixels"),
    ("cameras.bin", put(32, "<d", float("nan")), "not numbers"),
    ("cameras.bin", put(32, "<d", -5.0), "focal"),
    ("cameras.bin", lambda data: data + b"\0", "more than"),
    ("images.bin", put(0, "<Q", 2**64 - 1), "cannot hold"),
    ("images.bin", put(0, "<Q", 0), "registered none|more than"),
    ("images.bin", put(0, "<Q", 2), "more than"),
    ("images.bin", put(12, "<d", float("nan")), "frame_0001.png.*pose"),
    ("images.bin", put(44, "<d", float("inf")), "pose"),
    ("images.bin", lambda data: data[:12] + bytes(32) + data[44:], "pose"),
    ("images.bin", put(68, "<I", 7), "camera 7"),
    ("images.bin", put(87, "<Q", 2**60), "more observations"),
    ("images.bin", lambda data: data[:72] + b"n" * 5000, "does not end"),
    ("points3D.bin", put(0, "<Q", 2**61), "cannot hold"),
    ("points3D.bin", put(51, "<Q", 2**63), "cut short|more observations"),
    ("points3D.bin", put(51, "<Q", 2**64 - 1), "cut short|more observations"),
    ("points3D.bin", put(51, "<Q", 1), "more than|cut short"),
    ("points3D.bin", lambda data: data[:-1], "cut short"),
    ("points3D.bin", lambda _: b"", "cut short"),
]


@pytest.mark.parametrize(("name", "damage", "sentence"), DAMAGES)
def test_each_damage_is_said(tmp_path: Path, name: str, damage: Damage, sentence: str) -> None:
    colmap.write_model(some_model(), tmp_path)
    file = tmp_path / name
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(FormatError, match=sentence) as caught:
        colmap.read_model(tmp_path, observations=True)
    assert str(file) in caught.value.reason
    assert "\n" not in caught.value.reason


TEXT_DAMAGES = [
    ("cameras.txt", "PINHOLE", "LOOKING_GLASS", "kind that is not known"),
    ("cameras.txt", " 1080", " -1080", "pixels"),
    ("cameras.txt", " 960", "", "parameters"),
    ("cameras.txt", "1 PINHOLE", "99999999999999999999 PINHOLE", "cannot be read"),
    ("images.txt", "frame_0002.png", "", "cannot be read"),
    ("images.txt", "1 frame_0002.png", "5 frame_0002.png", "camera 5"),
    ("images.txt", "2 ", "two ", "cannot be read"),
    ("images.txt", "frame_0002.png", "9" * 6000, "cannot be read"),
    ("points3D.txt", "1 ", "1 nothing ", "cannot be read"),
    ("points3D.txt", "# Number of points: 5", "# Number of points: 6", "states 6"),
]


@pytest.mark.parametrize(("name", "old", "new", "sentence"), TEXT_DAMAGES)
def test_each_damage_of_text_is_said(
    tmp_path: Path, name: str, old: str, new: str, sentence: str
) -> None:
    folder = text_model(tmp_path)
    text = (folder / name).read_text()
    if old.startswith("#"):
        text = text.replace(old, new, 1)
    else:
        lines = text.split("\n")
        at = next(
            index
            for index, line in enumerate(lines)
            if not line.startswith("#") and (f" {old}" in f" {line}" or old in line)
        )
        lines[at] = lines[at].replace(old, new, 1)
        text = "\n".join(lines)
    (folder / name).write_text(text)
    with pytest.raises(FormatError, match=sentence) as caught:
        colmap.read_model(folder, observations=True)
    assert str(folder / name) in caught.value.reason


def text_model(tmp_path: Path) -> Path:
    colmap.write_model(some_model(), tmp_path / "bin")
    (tmp_path / "txt").mkdir()
    pycolmap.Reconstruction(tmp_path / "bin").write_text(tmp_path / "txt")
    return tmp_path / "txt"


@pytest.mark.parametrize("ending", ["bin", "txt"])
def test_random_damage_never_hangs_nor_breaks(
    tmp_path: Path, theirs: pycolmap.Reconstruction, ending: str
) -> None:
    """Cut anywhere or changed anywhere: a model or a FormatError, soon, and no memory for it."""
    folder = written(theirs, tmp_path / "model", ending, newer=True)
    whole = {stem: (folder / f"{stem}.{ending}").read_bytes() for stem in STEMS}
    rng = np.random.default_rng(5)
    tracemalloc.start()
    refused = 0
    for turn in range(200):
        stem = STEMS[turn % 3]
        data = bytearray(whole[stem])
        if turn % 2:
            data = data[: rng.integers(0, len(data))]
        else:
            for _ in range(rng.integers(1, 4)):
                data[rng.integers(0, len(data))] = rng.integers(0, 256)
        (folder / f"{stem}.{ending}").write_bytes(data)
        start = time.process_time()
        with contextlib.suppress(FormatError):
            colmap.read_model(folder, observations=True)
            refused -= 1
        refused += 1
        assert time.process_time() - start < 1
        (folder / f"{stem}.{ending}").write_bytes(whole[stem])
    assert refused > 80
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6


@pytest.mark.parametrize("stem", STEMS)
def test_cut_at_every_byte(tmp_path: Path, stem: str) -> None:
    colmap.write_model(some_model(images=2, points=3), tmp_path)
    file = tmp_path / f"{stem}.bin"
    whole = file.read_bytes()
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        with pytest.raises(FormatError, match=file.name):
            colmap.read_model(tmp_path)


def test_two_hundred_thousand_points_are_no_long_wait(tmp_path: Path) -> None:
    """Point by point it takes seconds; the bench holds the figure of the import."""
    model = some_model(images=500, points=200_000, observed=4)
    colmap.write_model(model, tmp_path)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        ours = colmap.read_model(tmp_path)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.5
    np.testing.assert_array_equal(ours.points.positions, model.points.positions)
    np.testing.assert_array_equal(ours.points.tracks, model.points.tracks)


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError):
        colmap.write_model(some_model(), tmp_path / "file" / "0")


def test_a_failed_write_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    colmap.write_model(some_model(images=2), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(_: Path, __: bytes) -> int:
        raise OSError(28, "No space left on device", "points3D.bin")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="full"):
        colmap.write_model(some_model(images=3), tmp_path)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("count", range(1, 10))
def test_points_that_nothing_sees(tmp_path: Path, count: int) -> None:
    """Empty tracks to the very end of the file, at each place its records can stand."""
    model = solved_by_colmap(points=10)
    for point in list(model.points3D):
        model.delete_point3D(point)
    for index in range(count):
        model.add_point3D([index, 0, 0], pycolmap.Track(), np.zeros(3, np.uint8))
    model.write_binary(tmp_path)
    read = colmap.read_model(tmp_path).points
    assert sorted(read.positions[:, 0]) == list(range(count))
    assert read.tracks.tolist() == [0] * count
