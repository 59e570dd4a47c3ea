# SPDX-License-Identifier: GPL-3.0-or-later
"""GVHMR inside of the worker: its networks from files as they are published, what goes in, and what
its answer means. The network that finds motion has its real size."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from backend.camera import rotations_from_vectors
from backend.errors import Canceled, ModelError, PlateError, Remedy
from backend.events import EventWriter
from backend.kinematics import rotations_of
from backend.models import ModelStore
from backend.shot import write_json
from backend.smplx import BODY_JOINTS
from backend.stages import MocapOptions
from backend.worker.checkpoints import read_weights
from backend.worker.engines import gvhmr
from backend.worker.engines.body_motion import Person, PlateCamera
from backend.worker.engines.choice import motion_engine
from backend.worker.engines.gvhmr import Answer, Gvhmr, Seen, in_meters, inputs_of, turns_of
from backend.worker.engines.gvhmr_package import motion_network
from backend.worker.image_files import write_png
from backend.worker.report import Report
from tests.backend.mask_shots import make_shot
from tests.data_folder import shared_data
from tests.models.tiny_bodies import (
    LAYERS,
    SIZE,
    plate_camera,
    randomized,
    save_checkpoint,
    save_detector,
    save_gvhmr,
    save_hmr2,
    save_vit_pose,
)

COUNT = 6


def silent(_done: int, _total: int, _unit: str) -> None:
    pass


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelStore]:
    """All models in folders of the artist's, as they are published; HMR2 with fewer layers."""
    home = tmp_path_factory.mktemp("home")
    made = ModelStore(home)
    made.choose("gvhmr", save_gvhmr(home / "gvhmr"))
    made.choose("hmr2", save_hmr2(home / "hmr2"))
    made.choose("vitpose-base", save_vit_pose(home / "vitpose"))
    made.accept("gvhmr")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backend.worker.engines.hmr_features.HMR_LAYERS", LAYERS)
        yield made
    for file in home.rglob("*.ckpt"):
        file.unlink()


def chosen(store: ModelStore, folder: Path, fps: int = 24) -> Gvhmr:
    """What the stage gets."""
    report = Report(EventWriter(folder / "events.jsonl"), folder / "cancel")
    shot = make_shot(folder / "shot", (1001, 1002))
    plate = replace(shot.load_plate(), fps=Fraction(fps))
    write_json(shot.plate_file, plate.to_json())
    found = motion_engine(MocapOptions(), store, shot, report)
    assert isinstance(found, Gvhmr)
    return found


@pytest.fixture(scope="module")
def engine(store: ModelStore, tmp_path_factory: pytest.TempPathFactory) -> Gvhmr:
    return chosen(store, tmp_path_factory.mktemp("shot"))


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> PlateCamera:
    return plate_camera(tmp_path_factory.mktemp("plate"), COUNT)


def somebody(frames: Any, shift: float = 0.0) -> Person:
    numbers = np.asarray(frames)
    box = np.array([50.0 + shift, 10, 90 + shift, 88])
    return Person("person_00", numbers, box + np.outer(numbers - 1001, [2.0, 0, 2, 0]))


def degrees(one: Any, other: Any) -> Any:
    """Angles between rotations, of axis-angle vectors (..., 3)."""
    between = np.swapaxes(rotations_of(one), -1, -2) @ rotations_of(np.asarray(other, np.float64))
    trace = np.trace(between, axis1=-2, axis2=-1)
    return np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1)))


# The whole chain


def test_a_person_is_looked_at_frame_by_frame(engine: Gvhmr, camera: PlateCamera) -> None:
    told: list[tuple[int, int, str]] = []
    person = somebody(camera.frames[1:])
    motion = engine.motion(person, camera, lambda *each: told.append(each))
    assert motion.frames.tolist() == list(range(1002, 1001 + COUNT))
    assert motion.rotations.shape == (COUNT - 1, 55, 3)
    assert not motion.rotations[:, len(BODY_JOINTS) :].any()
    assert motion.betas.shape == (10,)
    assert motion.contact is not None
    assert motion.contact.shape == (COUNT - 1, 4)
    assert motion.upright is not None
    assert motion.keypoints is not None
    assert told[-1] == (COUNT - 1, COUNT - 1, "frames")
    for values in vars(motion).values():
        assert np.isfinite(values).all()
    assert (motion.translation[:, 2] > 0).all()
    # The joints that were found are in the window around the person.
    width = np.abs(motion.keypoints[..., 0] - person.boxes[:, None, [0, 2]].mean(axis=2))
    assert width.max() <= 1.2 * 78 * 0.75 / 2 + 2


def test_the_person_stands_where_the_window_is(engine: Gvhmr, camera: PlateCamera) -> None:
    """What the network knows of where is the window: the body moves with it."""
    motion = engine.motion(somebody(camera.frames), camera, silent)
    aside = replace(camera, straighten=lambda points: points - [30.0, 0])
    other = engine.motion(somebody(camera.frames), aside, silent)
    assert motion.keypoints is not None
    assert other.keypoints is not None
    np.testing.assert_allclose(other.keypoints, motion.keypoints, atol=1e-9)
    where = motion.translation[:, 0] / motion.translation[:, 2]
    beside = other.translation[:, 0] / other.translation[:, 2]
    assert np.abs((where - beside) * 150 - 30).max() < 3


def test_pixels_that_are_not_square_make_no_difference(engine: Gvhmr, tmp_path: Path) -> None:
    """The same plate, half as wide, through the same lens."""
    square = plate_camera(tmp_path, 3)
    smooth = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8), (0, 0), 4
    )
    narrow = cv2.resize(smooth, (SIZE[0] // 2, SIZE[1]), interpolation=cv2.INTER_AREA)
    (tmp_path / "narrow").mkdir()
    files = {}
    for number, file in square.files.items():
        write_png(file, smooth)
        files[number] = tmp_path / "narrow" / file.name
        write_png(files[number], narrow)
    half = square.matrix * np.array([[0.5], [1], [1]])
    other = replace(square, files=files, matrix=half, size=(SIZE[0] // 2, SIZE[1]))
    person = somebody(square.frames)
    thin = replace(person, boxes=person.boxes * [0.5, 1, 0.5, 1])
    motion, found = (engine.motion(*each, silent) for each in ((person, square), (thin, other)))
    assert degrees(motion.rotations[:, :22], found.rotations[:, :22]).max() < 3
    np.testing.assert_allclose(motion.translation, found.translation, rtol=0.02, atol=0.05)


class Brightest:
    """Finds all joints where a picture is brightest, as `VitPose.joints` tells them."""

    def joints(self, pictures: Any) -> Any:
        found = np.ones((len(pictures), 17, 3))
        for index, picture in enumerate(pictures):
            y, x = np.argwhere(picture.sum(axis=2) > 300).mean(axis=0)
            found[index, :, :2] = x / (picture.shape[1] - 1), y / (picture.shape[0] - 1)
        return found


class Blind:
    def see(self, pictures: Any) -> Any:
        return np.zeros((len(pictures), 1024))


@pytest.mark.parametrize("aspect", [1.0, 0.5])
def test_joints_are_where_the_plate_shows_them(tmp_path: Path, aspect: float) -> None:
    camera = plate_camera(tmp_path, 4, aspect, shift=7.0)
    spots = np.array([[60.0, 30], [71, 41], [83, 52], [94, 63]])
    for file, (x, y) in zip(camera.files.values(), spots.astype(int), strict=True):
        plate = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        plate[y - 2 : y + 2, x - 2 : x + 2] = 255
        write_png(file, plate)
    network: Any = randomized(motion_network(num_layers=1))
    one = Gvhmr(network, Brightest(), Blind(), None, torch.device("cpu"))  # type: ignore[arg-type]
    boxes = np.concatenate([spots - [19, 28], spots + np.array([21, 32])], axis=1)
    seen, keypoints = one._look(boxes, np.ones(4, bool), camera, slice(0, 4), silent)
    assert np.abs(keypoints[..., :2] - spots[:, None]).max() < 0.3
    # The network is told of a pinhole with square pixels.
    straight = (spots - [7, 0]) * [1, 1 / aspect]
    assert np.abs(seen.keypoints[..., :2] - straight[:, None]).max() < 0.6
    np.testing.assert_allclose(seen.windows[:, :2], straight + np.array([1, 2 / aspect]), atol=1e-9)
    np.testing.assert_allclose(seen.windows[:, 2], 1.2 * max(40 * 4 / 3, 60 / aspect))
    np.testing.assert_allclose(seen.center, [82, 47 / aspect])
    assert seen.focal == 150


def test_where_nobody_is_seen_nothing_is_looked_at(engine: Gvhmr, camera: PlateCamera) -> None:
    some = camera.frames[[0, 1, 4, 5]]
    motion = engine.motion(somebody(some), camera, silent)
    assert len(motion) == COUNT
    assert (motion.confidence[[2, 3]] == 0).all()
    assert (motion.confidence[[0, 1, 4, 5]] > 0).all()
    gone = {number: file for number, file in camera.files.items() if number in some}
    again = engine.motion(somebody(some), replace(camera, files=gone), silent)
    np.testing.assert_allclose(again.rotations, motion.rotations, atol=1e-5)
    with pytest.raises(PlateError, match="Frame 1003"):
        engine.motion(somebody(camera.frames), replace(camera, files=gone), silent)


def test_one_frame_is_enough(engine: Gvhmr, camera: PlateCamera) -> None:
    assert len(engine.motion(somebody(camera.frames[3:4]), camera, silent)) == 1


def test_a_cancel_ends_it(engine: Gvhmr, camera: PlateCamera) -> None:
    def cancel(_done: int, _total: int, _unit: str) -> None:
        raise Canceled

    with pytest.raises(Canceled):
        engine.motion(somebody(camera.frames), camera, cancel)


@pytest.mark.parametrize(("fps", "warns"), [(24, False), (30, False), (60, True)])
def test_a_fast_plate_is_told(store: ModelStore, tmp_path: Path, fps: int, warns: bool) -> None:
    chosen(store, tmp_path, fps)
    events = tmp_path / "events.jsonl"
    told = events.read_text(encoding="utf-8") if events.exists() else ""
    assert ("at 60 they move in slow motion" in told) is warns


def test_with_a_detector_people_need_no_masks(
    store: ModelStore, camera: PlateCamera, tmp_path: Path
) -> None:
    store.choose("rt-detr", save_detector(tmp_path / "detector"))
    told: list[int] = []
    assert chosen(store, tmp_path).people(camera, lambda done, *_: told.append(done)) == []
    store.choose("rt-detr", None)
    assert told == list(range(1, COUNT + 1))


def test_without_a_detector_masks_are_asked_for(engine: Gvhmr, camera: PlateCamera) -> None:
    with pytest.raises(ModelError, match="get the model rt-detr, or mask the people") as caught:
        engine.people(camera, silent)
    assert caught.value.remedy is Remedy.GET_MODEL


# What goes in


def seen_things(count: int = 9) -> Seen:
    random = np.random.default_rng(5)
    windows = random.uniform([200, 100, 80], [900, 500, 400], (count, 3))
    inside = windows[:, None, :2] + random.uniform(-0.6, 0.6, (count, 17, 2)) * windows[:, None, 2:]
    sure = random.uniform(0, 1, (count, 17, 1))
    return Seen(
        windows=windows,
        keypoints=np.concatenate([inside, sure], axis=2),
        features=random.normal(size=(count, 1024)),
        turns=turns_of(rotations_from_vectors(random.normal(0, 0.02, (count, 3)).cumsum(axis=0))),
        focal=1100.0,
        center=np.array([640.5, 350.0]),
    )


def test_what_goes_in_is_what_the_packages_own_functions_make() -> None:
    from gvhmr.model.gvhmr.utils.stats_compose import cam_angvel
    from gvhmr.utils.geo.hmr_cam import compute_bbox_info_bedlam, normalize_kp2d
    from gvhmr.utils.geo_transform import compute_cam_angvel

    random = np.random.default_rng(2)
    rotations = rotations_from_vectors(random.normal(0, 0.02, (9, 3)).cumsum(axis=0))
    seen = replace(seen_things(), turns=turns_of(rotations))
    lens = torch.tensor(
        [[seen.focal, 0, seen.center[0]], [0, seen.focal, seen.center[1]], [0, 0, 1]]
    )
    windows, keypoints = torch.tensor(seen.windows), torch.tensor(seen.keypoints)
    found = inputs_of(seen, slice(None))
    turns = compute_cam_angvel(torch.tensor(rotations))
    figures = {name: torch.tensor(values) for name, values in cam_angvel["manual"].items()}
    expected = {
        "obs": normalize_kp2d(keypoints, windows),
        "f_cliffcam": compute_bbox_info_bedlam(windows, lens.expand(9, 3, 3)),
        "f_cam_angvel": (turns - figures["mean"]) / figures["std"],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values.numpy(), rtol=1e-4, atol=2e-4, err_msg=name)
    assert (found["obs"][..., 2] == 0).any()


def test_long_shots_in_pieces_are_what_they_are_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each layer looks half of `max_len` far."""
    network = randomized(motion_network(num_layers=2, latent_dim=64, num_heads=4, max_len=8))
    for block in network.blocks:
        block.gate_msa.data.fill_(5)
    one = Gvhmr(network, None, None, None, torch.device("cpu"))  # type: ignore[arg-type]
    seen = seen_things(100)
    whole = one._answer(seen)
    monkeypatch.setattr(gvhmr, "_PIECE", 40)
    monkeypatch.setattr(gvhmr, "_REACH", 8)
    assert len(gvhmr.pieces_of(100)) > 3
    cut = one._answer(seen)
    for name, values in vars(whole).items():
        np.testing.assert_allclose(getattr(cut, name), values, atol=2e-5, err_msg=name)
    monkeypatch.setattr(gvhmr, "_REACH", 2)
    assert np.abs(one._answer(seen).values - whole.values).max() > 1e-4


def test_memory_bounds_are_kept_in_long_shots() -> None:
    for count in (1, 3000, 3001, 10_000):
        pieces = gvhmr.pieces_of(count)
        assert max(end - begin for begin, end, _keep in pieces) <= 3000
        kept = [np.arange(begin, end)[keep] for begin, end, keep in pieces]
        assert np.concatenate(kept).tolist() == list(range(count))


# What the answer means


def test_the_answer_means_what_its_authors_take_it_for() -> None:
    """A result of theirs, which holds what the network answered and what they made of that."""
    folder = shared_data("people/tennis_gvhmr")
    with np.load(folder / "hmr4d_results.npz", allow_pickle=False) as data:
        theirs = {name: np.asarray(data[name]) for name in data.files}
    windows = torch.load(folder / "bbx.pt", weights_only=True)["bbx_xys"].double().numpy()
    lens = theirs["K_fullimg"][0].astype(np.float64)
    count = len(windows)
    seen = replace(seen_things(count), windows=windows, focal=lens[0, 0], center=lens[:2, 2])
    names = ("model_output_pred_x", "model_output_pred_cam", "static_conf_logits")
    answer = Answer(*(theirs[f"net_outputs_{name}"][0].astype(np.float64) for name in names))
    motion = in_meters(answer, seen, np.arange(count), np.ones((count, 17, 3)))
    before = {key: theirs[f"smpl_params_incam_{key}"] for key in ("transl", "global_orient")}
    assert np.abs(motion.translation - before["transl"]).max() < 1e-5
    assert degrees(motion.rotations[:, 0], before["global_orient"]).max() < 0.01
    assert np.abs(motion.betas - theirs["betas"]).max() < 1e-5
    body = theirs["smpl_params_incam_body_pose"].reshape(count, 21, 3)
    off = degrees(motion.rotations[:, 1:22], body)
    # Legs and arms they have moved afterwards: what is asked for is what was not.
    still = [2, 5, 8, 9, 10, 11]
    assert off[:, still].max() < 0.01
    assert np.median(off) < 0.2
    assert motion.contact is not None
    logits = theirs["net_outputs_static_conf_logits"][0].astype(np.float64)
    # Theirs: left ankle, left foot, right ankle, right foot, wrists. Ours: ankles, then feet.
    for ours, them in enumerate((0, 2, 1, 3)):
        np.testing.assert_allclose(motion.contact[:, ours], 1 / (1 + np.exp(-logits[:, them])))
    upright = rotations_of(motion.upright) if motion.upright is not None else None
    world = theirs["net_outputs_pred_smpl_params_global_global_orient"][0].astype(np.float64)
    heading = rotations_of(world) @ np.swapaxes(upright, 1, 2)
    assert np.abs(heading[:, 1, 1] - 1).max() < 1e-5, "they differ by a turn around the vertical"


# Checkpoints


class Harm:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return subprocess.call, ([sys.executable, "-c", f"open({str(self.file)!r}, 'w')"],)


def test_nothing_in_a_checkpoint_is_run(tmp_path: Path) -> None:
    harmed = tmp_path / "harmed"
    file = save_checkpoint(tmp_path / "a.ckpt", {"a": torch.ones(3)}, hook=Harm(harmed))
    assert read_weights(file)["a"].tolist() == [1, 1, 1]
    assert not harmed.exists()
    torch.load(file, weights_only=False)
    assert harmed.exists(), "it would have been"


@pytest.mark.parametrize("spoil", ["cut", "text", "pickle", "empty", "absent"])
def test_other_files_are_refused(tmp_path: Path, spoil: str) -> None:
    file = save_checkpoint(tmp_path / "a.ckpt", {"a": torch.ones(3000)})
    if spoil == "cut":
        file.write_bytes(file.read_bytes()[:-4000])
    elif spoil == "text":
        file.write_text("<html>Sign in</html>", encoding="utf-8")
    elif spoil == "pickle":
        file.write_bytes(pickle.dumps({"state_dict": Harm(tmp_path / "harmed")}))
    elif spoil == "empty":
        torch.save({"weights": 1}, file)
    else:
        file.unlink()
    with pytest.raises(ModelError, match="are not those of this model") as caught:
        read_weights(file)
    assert caught.value.remedy is Remedy.GET_MODEL
    assert not (tmp_path / "harmed").exists()


def test_a_weight_that_is_missing_is_told(tmp_path: Path) -> None:
    values = motion_network().state_dict()
    del values["learned_pos_params"]
    named = {f"pipeline.denoiser3d.{name}": value for name, value in values.items()}
    save_checkpoint(tmp_path / "gvhmr_siga24_release.ckpt", named)
    with pytest.raises(ModelError, match="1 missing weights, such as learned_pos_params"):
        gvhmr.load_network(tmp_path)


def test_the_networks_have_the_sizes_of_what_is_published() -> None:
    from backend.worker.engines.gvhmr_package import HMR_LAYERS, feature_network

    assert sum(each.numel() for each in motion_network().parameters()) == 40_852_256
    one, two = (
        sum(each.numel() for each in feature_network(layers).parameters()) for layers in (1, 2)
    )
    weights = 4 * (one + (HMR_LAYERS - 1) * (two - one))
    assert 0.98 < weights / 2_709_494_041 < 1


def test_what_stands_in_for_training_is_gone_again() -> None:
    motion_network(num_layers=1)
    assert not {"pytorch_lightning", "scipy", "scipy.ndimage._filters"} & set(sys.modules)


def test_300_frames_take_seconds() -> None:
    network = randomized(motion_network())
    one = Gvhmr(network, None, None, None, torch.device("cpu"))  # type: ignore[arg-type]
    begin = time.monotonic()
    one._answer(seen_things(300))
    assert time.monotonic() - begin < 30
