# SPDX-License-Identifier: GPL-3.0-or-later
"""Body motion as a stage: placed exactly, scaled by its feet, stood upright, written for others.

The model is one that knows a walk: everything after what it says is the stage itself.
"""

from __future__ import annotations

import argparse
import pickle
import pickletools
import shutil
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from backend import locations, outputs
from backend.average_body import AVERAGE_JOINTS
from backend.blender import BlenderProgram
from backend.body import RestBody
from backend.body_model import BodyModel, model_file
from backend.camera import Array, rotations_from_quaternions
from backend.dense import place_of
from backend.errors import FormatError, MaskError, SolveError, UsageError
from backend.formats.colmap import read_model
from backend.formats.pc2 import PointCache
from backend.kinematics import joint_places, rotations_of, vectors_of
from backend.models import ModelStore
from backend.motion import MocapRecord, Motion, follow
from backend.outputs import Freshness
from backend.shot import Shot
from backend.smplx import FEET
from backend.solve import Motion as CameraMove
from backend.solve import solve_of
from backend.stages import STAGES, MocapOptions
from backend.survey import (
    Axis,
    Constraints,
    Distance,
    Survey,
    apply,
    restore,
    snapshot,
    take_body,
    world_for,
)
from backend.verbs import survey as survey_verb
from backend.verbs.survey import add_parser
from backend.worker.engines.body_motion import SeenMotion
from backend.worker.mocap import alembic
from backend.worker.mocap.contacts import contact_from_speed
from backend.worker.mocap.finding import plate_camera
from backend.worker.mocap.importing import Ready, read_ready
from backend.worker.mocap.matching import matched
from backend.worker.mocap.pictures import BodyPictures
from backend.worker.mocap.placing import Views
from backend.worker.mocap.upright import mean_up, up_of
from backend.worker.survey_shot import answer
from tests.backend.walked_shot import Knows, Runs, walked_shot, write_masks, y_up_root
from tests.body_model import rest_joints, write_model
from tests.data_folder import shared_data
from tests.extension.solved_shot import WORLD
from tests.walking import Walk, walk

FRAMES = 40


class Blind(Knows):
    """Detects nobody."""

    def people(self, *_: object) -> list:  # type: ignore[type-arg]
        return []


@pytest.fixture(scope="module")
def walked() -> Walk:
    return walk(FRAMES, travel=1.0, size=(480, 270))


@pytest.fixture
def shot(walked: Walk, tmp_path: Path) -> Shot:
    return walked_shot(tmp_path / "sh010", walked)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runs:
    monkeypatch.setenv(locations.HOME_VARIABLE, str(tmp_path / "home"))
    return Runs(monkeypatch, tmp_path)


@pytest.fixture
def smplx(run: Runs, tmp_path: Path) -> Path:
    """The artist's folder of body models, made known to the home of `run`."""
    assert run.events.parent == tmp_path
    folder = tmp_path / "bodies"
    write_model(folder)
    ModelStore(locations.home()).choose("smplx", folder)
    return folder


def pixels(motion: Motion, shot: Shot, joints: Array) -> Array:
    """(n, j, 2) where the tracked camera sees the placed joints."""
    views = Views.of(solve_of(shot).track, motion.frames)
    places = motion.scale * joint_places(motion.rotations, joints, motion.translation)
    return views.project(views.seen(places))


def load(shot: Shot, person: str = "person_00") -> Motion:
    return Motion.load(shot.mocap.person(person).motion)


@pytest.mark.usefixtures("smplx")
def test_a_walk_stands_where_it_walked(shot: Shot, walked: Walk, run: Runs) -> None:
    """Placed, it is the true walk in the shot's world: scale, ground and all."""
    record = run(shot, Knows(walked))
    motion = load(shot)
    assert record.scale == pytest.approx(WORLD.scale, rel=1e-6)
    assert "feet that stand still" in record.scale_from
    places = motion.scale * joint_places(motion.rotations, rest_joints(), motion.translation)
    assert (
        np.abs(places - WORLD.apply(walked.joints.reshape(-1, 3)).reshape(places.shape)).max()
        < 1e-6
    )
    assert record.people == ("person_00",)
    assert motion.frames.tolist() == walked.frames.tolist()


@pytest.mark.parametrize("scale", ["auto", "floor", "meters"])
def test_every_vertex_covers_the_pixel_it_was_found_at(
    shot: Shot, walked: Walk, run: Runs, smplx: Path, scale: str
) -> None:
    random = np.random.default_rng(0)
    wrong = walked.seen_translation * (1 + 0.05 * random.normal(size=(FRAMES, 1)))
    run(shot, Knows(walked, translation=wrong), scale=scale)
    motion, folder = load(shot), shot.mocap.person("person_00")
    views = Views.of(solve_of(shot).track, motion.frames)
    seen = views.project(views.seen(PointCache.open(folder.posed).read().astype(float)))
    rotations = motion.rotations.copy()
    rotations[:, 0] = walked.seen_rotation
    model = BodyModel.load(model_file(smplx, "neutral"), np.zeros(10))
    before = np.concatenate(list(model.posed(rotations, wrong)))
    assert np.abs(views.project(before) - seen).max() < 0.01


def test_the_offered_world_has_people_stand_on_the_ground_in_meters(
    shot: Shot, walked: Walk, run: Runs, smplx: Path
) -> None:
    run(shot, Knows(walked))
    before = load(shot)
    moved = take_body(shot)
    assert moved.solve.world.scale == pytest.approx(1.0, rel=1e-6)
    motion = follow(before, place_of(shot))
    assert motion is not None
    assert motion.scale == pytest.approx(1.0, rel=1e-6)
    body = BodyModel.load(model_file(smplx, "neutral"), np.zeros(10))
    posed = np.concatenate(list(body.posed(motion.rotations, motion.translation)))
    lowest = posed[..., 2].min(axis=1)
    assert np.abs(lowest).max() < 0.03
    # Later frames see the same pixels: the camera has moved along.
    assert np.abs(pixels(motion, shot, rest_joints()) - walked.project(walked.joints)).max() < 0.01
    with pytest.raises(UsageError, match="distance needs"):
        apply(shot, Constraints(distance=Distance(1.0, np.zeros(3), np.zeros(3))))


@pytest.mark.usefixtures("smplx")
def test_a_tilted_world_is_told_and_made_upright(shot: Shot, walked: Walk, run: Runs) -> None:
    """People's up decides: here it is 10 degrees off the shot's."""

    c, s = np.cos(np.radians(10)), np.sin(np.radians(10))
    tilt = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    # In the world whose y is up the body is turned back by what the shot is turned too far.
    upright = rotations_of(y_up_root(walked))
    y_up = np.array([[0, 1.0, 0], [0, 0, 1], [1, 0, 0]])
    leaning = vectors_of(y_up @ tilt @ y_up.T @ upright)
    record = run(shot, Knows(walked, upright=leaning))
    assert any("10 degrees off" in note for note in record.notes)
    take_body(shot)
    motion = follow(load(shot), place_of(shot))
    assert motion is not None
    up = rotations_of(motion.rotations[:, 0])[:, :, 1].mean(axis=0)
    straight = rotations_of(walked.rotations[:, 0])[:, :, 1].mean(axis=0)
    assert np.allclose(up, tilt @ straight, atol=1e-6)


def test_a_camera_that_only_turns_tells_no_scale(shot: Shot, walked: Walk, run: Runs) -> None:
    still = replace(walked, camera_centers=np.tile(walked.camera_centers[:1], (FRAMES, 1)))
    solve = solve_of(shot)
    matrices = solve.track.matrices.copy()
    matrices[:, :3, 3] = matrices[0, :3, 3]
    quality = replace(solve.quality, motion=CameraMove.TRIPOD)
    track = replace(solve.track, matrices=matrices)
    replace(solve, track=track, quality=quality).save(shot.camera)
    record = run(shot, Knows(still))
    assert any("only turns" in note for note in record.notes)
    assert record.offered is not None
    motion = load(shot)
    # The walk's own floor is at 0.7 of this world: people stand on its floor at 0.
    soles = motion.scale * joint_places(motion.rotations, rest_joints(), motion.translation)
    standing = soles[:, FEET, 2][walked.contact > 0.5]
    assert record.scale_from == "From feet on the shot's floor" or abs(record.scale - 1) < 1e-9
    assert np.isfinite(standing).all()


@pytest.mark.usefixtures("smplx")
def test_a_measured_distance_is_believed_over_feet(shot: Shot, walked: Walk, run: Runs) -> None:
    ends = WORLD.apply(np.array([[0.0, 0, 0], [2, 0, 0]]))
    apply(shot, Constraints(distance=Distance(2.0, *ends)))
    record = run(shot, Knows(walked))
    assert record.scale == 1.0
    assert "measured" in record.scale_from


def test_a_camera_that_hardly_travels_leaves_it_to_the_floor(
    shot: Shot, walked: Walk, run: Runs
) -> None:
    solve = solve_of(shot)
    matrices = solve.track.matrices.copy()
    matrices[:, :3, 3] = matrices[0, :3, 3]
    replace(solve, track=replace(solve.track, matrices=matrices)).save(shot.camera)
    record = run(shot, Knows(walked))
    assert any("travels too little" in note for note in record.notes)
    assert "floor" in record.scale_from


@pytest.mark.usefixtures("smplx")
def test_contacts_are_found_where_the_model_tells_none(shot: Shot, walked: Walk, run: Runs) -> None:
    record = run(shot, Knows(walked, contact=False))
    assert record.scale == pytest.approx(WORLD.scale, rel=0.03)
    agree = (load(shot).contact > 0.5) == (walked.contact > 0.5)
    assert agree.mean() > 0.85


@pytest.mark.usefixtures("smplx")
def test_feet_are_locked_and_jitter_is_taken_out_within_the_limit(
    shot: Shot, walked: Walk, run: Runs
) -> None:
    random = np.random.default_rng(1)
    drift = 1 + 0.01 * np.sin(np.arange(FRAMES) / 6)[:, None]
    told = {"translation": walked.seen_translation * drift + random.normal(0, 0.004, (FRAMES, 3))}
    run(shot, Knows(walked, **told), scale="meters")
    plain = load(shot)
    run(shot, Knows(walked, **told), scale="meters", lock_feet=True, smooth=4.0, most_off=3.0)
    changed = load(shot)
    before, after = (pixels(each, shot, rest_joints()) for each in (plain, changed))
    moved = np.linalg.norm(after - before, axis=2).max()
    assert 0.5 < moved <= 6.0
    assert slide(changed, walked) < 0.6 * slide(plain, walked)
    root = changed.rotations.copy()
    root[:, 0] = changed.camera_rotation
    views = Views.of(solve_of(shot).track, changed.frames)
    seen = views.project(joint_places(root, rest_joints(), changed.camera_translation))
    assert np.abs(seen - after).max() < 1e-6


def slide(motion: Motion, walked: Walk) -> float:
    """Meters that standing ankles move from frame to frame, in the middle of them."""
    places = joint_places(motion.rotations, rest_joints(), motion.translation)[:, FEET[:2]]
    both = (walked.contact[1:, :2] > 0.5) & (walked.contact[:-1, :2] > 0.5)
    return float(np.median(np.linalg.norm(np.diff(places, axis=0), axis=2)[both]))


@pytest.mark.usefixtures("smplx")
def test_files_are_whole_and_readable_by_others(shot: Shot, walked: Walk, run: Runs) -> None:
    run(shot, Knows(walked), meshes="obj")
    folder = shot.mocap.person("person_00")
    motion, rest = load(shot), RestBody.load(folder.body)
    cache = PointCache.open(folder.corrected)
    assert (cache.samples, cache.vertices, cache.start) == (FRAMES, len(rest.vertices), 0)
    posed = PointCache.open(folder.posed).read(3, 1)[0].astype(float)
    lines = folder.mesh(int(motion.frames[3])).read_text().splitlines()
    listed = np.array([line.split()[1:] for line in lines if line.startswith("v ")], float)
    assert np.abs(listed - posed[:, [0, 2, 1]] * [1, 1, -1]).max() < 1e-5
    assert (shot.mocap.cameras).is_file()


def test_the_pickle_holds_nothing_but_plain_arrays(shot: Shot, walked: Walk, run: Runs) -> None:
    """Names that numpy 1 and 2 both have, and none that runs anything."""
    run(shot, Knows(walked))
    data = shot.mocap.person("person_00").pickle.read_bytes()
    words: list[str] = []
    globals_: set[str] = set()
    for opcode, argument, _at in pickletools.genops(data):
        if opcode.name == "STACK_GLOBAL":
            globals_.add(".".join(words[-2:]))
        if isinstance(argument, str):
            words.append(argument)
    assert globals_ == {"numpy.ndarray", "builtins.bytearray"}
    content = pickle.loads(data)
    motion = load(shot)
    assert content["poses"].shape == (FRAMES, 72)
    assert np.array_equal(content["poses_smplx"].reshape(-1, 55, 3), motion.rotations)
    assert np.array_equal(content["trans"], motion.translation)
    assert content["frames"].tolist() == motion.frames.tolist()
    content["trans"] += 1


def test_without_smplx_there_is_a_motion_and_no_mesh(shot: Shot, walked: Walk, run: Runs) -> None:
    record = run(shot, Knows(walked))
    folder = shot.mocap.person("person_00")
    assert folder.motion.is_file()
    assert not folder.body.exists()
    assert any("SMPL-X" in note for note in record.notes)
    assert "SMPL-X" in run.told()


def test_what_was_found_is_not_asked_for_again(shot: Shot, walked: Walk, run: Runs) -> None:
    model = Knows(walked)
    run(shot, model)
    run(shot, model, scale="meters")
    assert model.asked == ["person_00"]
    run(shot, model, first=str(walked.frames[5]))
    assert model.asked == ["person_00"] * 2
    assert load(shot).frames[0] == walked.frames[5]


def test_a_run_that_was_broken_off_goes_on_with_the_next_person(
    shot: Shot, walked: Walk, run: Runs
) -> None:
    write_masks(shot.roto / "person_01", walked)

    class Breaks(Knows):
        def motion(self, person, camera, progress):  # type: ignore[no-untyped-def]
            if self.asked:
                raise FormatError("broken off")
            return super().motion(person, camera, progress)

    with pytest.raises(FormatError):
        run(shot, Breaks(walked))
    model = Knows(walked)
    record = run(shot, model)
    assert model.asked == ["person_01"]
    assert sorted(record.people) == ["person_00", "person_01"]


def test_boxes_are_those_of_the_masks(shot: Shot, walked: Walk, run: Runs) -> None:
    write_masks(shot.roto / "ball_00", walked)
    model = Knows(walked)
    run(shot, model)
    pixels = walked.project(walked.joints)
    true = np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)
    assert model.asked == ["person_00"]
    assert np.abs(model.boxes["person_00"] - true).max() < 4
    run(shot, model, people="ball_00")
    assert load(shot, "ball_00").person == "ball_00"
    with pytest.raises(UsageError, match="no masks"):
        run(shot, model, people="nobody")


def test_masks_whose_labels_name_no_person_are_told(shot: Shot, walked: Walk, run: Runs) -> None:
    (shot.roto / "person_00").rename(shot.roto / "ada")
    with pytest.raises(MaskError, match="Nobody"):
        run(shot, Blind(walked))
    assert "says that it is a person's: ada." in run.events.read_text()


def test_pixels_of_a_fisheye_are_brought_to_the_pinhole(shot: Shot) -> None:
    solve = solve_of(shot)
    (fx, fy), center = solve.camera.focal, solve.camera.center
    params = (fx, fy, *center, 0.05, -0.01, 0.002, 0.0)
    fisheye = replace(solve.camera, model="OPENCV_FISHEYE", params=params)
    camera = plate_camera(shot, shot.load_plate(), replace(solve, camera=fisheye), MocapOptions())
    rays = np.random.default_rng(4).uniform(-1, 1, (50, 3)) * [0.8, 0.5, 0] + [0, 0, 1]
    # Kannala and Brandt, IEEE PAMI 28 (2006) 1335, as COLMAP has it.
    radius = np.linalg.norm(rays[:, :2], axis=1)
    angle = np.arctan(radius)
    bent = angle * (1 + 0.05 * angle**2 - 0.01 * angle**4 + 0.002 * angle**6) / radius
    seen = rays[:, :2] * bent[:, None] * [fx, fy] + center
    wanted = rays[:, :2] * np.diag(camera.matrix)[:2] + camera.matrix[:2, 2]
    assert np.abs(camera.straighten(seen) - wanted).max() < 1e-6


def test_shots_without_what_it_needs_are_told_what_to_do(
    shot: Shot, walked: Walk, run: Runs
) -> None:
    shutil.rmtree(shot.roto)
    with pytest.raises(MaskError, match="Nobody"):
        run(shot, Blind(walked))
    shot.solve_file.unlink()
    with pytest.raises(SolveError) as raised:
        run(shot, Knows(walked))
    assert raised.value.remedy is not None
    assert not shot.mocap.path.exists()


# Motion that is ready


def saved_gvhmr(path: Path, walked: Walk, focal: float = 1.0) -> Path:
    """As GVHMR's package saves it, found with a focal length so many times the true one."""
    matrix = np.tile(walked.matrix, (len(walked.frames), 1, 1))
    matrix[:, [0, 1], [0, 1]] *= focal
    seen = walked.seen_translation.copy()
    pelvis = walked.rest[0] + seen
    seen[:, 2] += pelvis[:, 2] * (focal - 1)
    np.savez(
        path,
        fps=float(walked.fps),
        intrinsics=matrix,
        camera_body_pose=walked.rotations[:, 1:22].reshape(len(seen), -1),
        camera_betas=np.zeros((len(seen), 10)),
        camera_global_orient=walked.seen_rotation,
        camera_transl=seen,
    )
    return path


@pytest.mark.usefixtures("smplx")
def test_a_result_of_gvhmr_needs_no_model(
    shot: Shot, walked: Walk, run: Runs, tmp_path: Path
) -> None:
    record = run(shot, None, source=str(saved_gvhmr(tmp_path / "a.npz", walked)))
    assert "a.npz" in record.engine
    assert record.scale == pytest.approx(WORLD.scale, rel=0.03)
    off = pixels(load(shot), shot, rest_joints())[:, :22] - walked.project(walked.joints)[:, :22]
    assert np.abs(off).max() < 0.01


@pytest.mark.usefixtures("smplx")
def test_a_wrong_focal_length_keeps_its_pelvis_and_size_in_the_picture(
    shot: Shot, walked: Walk, run: Runs, tmp_path: Path
) -> None:
    source = saved_gvhmr(tmp_path / "a.npz", walked, focal=1.3)
    record = run(shot, None, source=str(source), scale="meters")
    assert any("focal length" in note for note in record.notes)
    off = pixels(load(shot), shot, rest_joints())[:, :22] - walked.project(walked.joints)[:, :22]
    assert np.abs(off[:, 0]).max() < 0.01
    assert np.abs(off).max() < 0.01


def test_a_result_of_a_smaller_movie_is_placed_alike(
    shot: Shot, walked: Walk, run: Runs, tmp_path: Path
) -> None:
    source = saved_gvhmr(tmp_path / "a.npz", walked)
    run(shot, None, source=str(source), scale="meters")
    whole = load(shot)
    with np.load(source) as content:
        arrays = dict(content)
    arrays["intrinsics"][:, :2] /= 2
    np.savez(source, **arrays)
    record = run(shot, None, source=str(source), scale="meters")
    assert not any("focal length" in note for note in record.notes)
    assert np.allclose(load(shot).camera_translation, whole.camera_translation, atol=1e-9)


@pytest.mark.usefixtures("smplx")
def test_our_own_motion_is_placed_anew_by_frame_number(
    shot: Shot, walked: Walk, run: Runs, tmp_path: Path
) -> None:
    run(shot, Knows(walked))
    first = load(shot)
    first.between(int(first.frames[4]), int(first.frames[9])).save(tmp_path / "motion.npz")
    record = run(shot, None, source=str(tmp_path / "motion.npz"), people="hero")
    again = load(shot, "hero")
    assert again.frames.tolist() == first.frames[4:10].tolist()
    assert record.people == ("hero",)
    assert np.abs(again.camera_translation - first.camera_translation[4:10]).max() < 1e-12


@pytest.mark.usefixtures("smplx")
def test_a_motion_without_a_camera_is_put_on_the_floor_before_it(
    shot: Shot, walked: Walk, run: Runs, tmp_path: Path
) -> None:
    poses = walked.rotations[:, :22].reshape(FRAMES, -1)
    np.savez(tmp_path / "a.npz", poses=poses, trans=walked.translation + 5, mocap_framerate=24)
    record = run(shot, None, source=str(tmp_path / "a.npz"))
    assert any("not found in this plate" in note for note in record.notes)
    assert record.offered is None
    motion = load(shot)
    posed = PointCache.open(shot.mocap.person("person_00").posed).read()
    assert abs(float(np.median(posed[..., 2].min(axis=1)))) < 0.02
    views = Views.of(solve_of(shot).track, motion.frames)
    ahead = views.seen(motion.translation[:, None] + motion.pelvis)[0, 0]
    assert ahead[2] > 2
    facing = rotations_of(motion.rotations[:1, 0])[0][:, 2]
    assert (views.rotations[0] @ facing)[2] < -0.7


def test_gvhmrs_own_result_of_tennis_is_placed_on_its_pixels(run: Runs, tmp_path: Path) -> None:
    """A real result, a camera made up of its pinhole: what it saw is where it stands."""

    source = shared_data("people/tennis_gvhmr/hmr4d_results.pt")
    ready = read_ready(source)
    assert ready.matrix is not None
    small = walk(60, fps=Fraction(30), travel=0.4)
    size = tuple(int(2 * side) for side in ready.matrix[0, :2, 2])
    shot = walked_shot(
        tmp_path / "tennis", replace(small, matrix=ready.matrix[0], size=size), False
    )
    record = run(shot, None, source=str(source))
    motion = load(shot)
    views = Views.of(solve_of(shot).track, motion.frames)
    rotations = ready.rotations[:60].copy()
    found = joint_places(rotations, AVERAGE_JOINTS, ready.translation[:60])
    assert np.abs(pixels(motion, shot, AVERAGE_JOINTS) - views.project(found)).max() < 0.01
    assert any("312 frames" in note for note in record.notes)


@pytest.mark.usefixtures("smplx")
def test_the_preview_draws_bones_where_the_person_is(shot: Shot, walked: Walk, run: Runs) -> None:
    run(shot, Knows(walked))
    part = shot.mocap
    pictures = BodyPictures(shot, part)
    assert pictures.frames == walked.frames.tolist()
    number = int(walked.frames[7])
    gray = np.full((270, 480, 3), 90, np.uint8)
    changed = (pictures.draw(number, gray) != gray).any(axis=2)
    places = walked.project(walked.joints)[7, list(FEET)]
    for x, y in np.round(places).astype(int):
        assert changed[y - 3 : y + 4, x - 3 : x + 4].any()
    box = walked.project(walked.joints)[7]
    (left, top), (right, bottom) = box.min(axis=0) - 8, box.max(axis=0) + 8
    changed[int(top) : int(bottom), int(left) : int(right)] = False
    assert not changed.any()


@pytest.mark.usefixtures("smplx")
@pytest.mark.skipif(find_spec("alembic3d") is None, reason="alembic3d reads the file back")
def test_alembic_has_the_mesh_in_every_frame_of_the_plate(
    shot: Shot, walked: Walk, run: Runs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(alembic, "find", lambda *_: BlenderProgram(Path(sys.executable), True))
    last = int(walked.frames[5])
    record = run(shot, Knows(walked), meshes="abc", last=str(last))
    assert not record.notes
    folder = shot.mocap.person("person_00")
    program = Path(__file__).with_name("film_mesh.py")
    read = [sys.executable, "-B", str(program), str(folder.alembic), str(tmp_path / "read.npz")]
    subprocess.run(read, check=True)
    with np.load(tmp_path / "read.npz") as found:
        frames = np.round(found["times"] * float(walked.fps)).astype(int)
        positions, corners = found["positions"], found["corners"]
    assert frames.tolist() == walked.frames[:6].tolist()
    posed = PointCache.open(folder.posed).read()
    assert np.abs(positions - posed[..., [0, 2, 1]] * [1, 1, -1]).max() < 1e-5
    assert len(corners) == 3 * len(RestBody.load(folder.body).faces)


@pytest.mark.usefixtures("smplx")
def test_a_blender_that_fails_costs_the_alembic_and_nothing_else(
    shot: Shot, walked: Walk, run: Runs
) -> None:
    record = run(shot, Knows(walked), meshes="abc", last=str(walked.frames[3]), blender="/none")
    assert any("no Blender program /none" in note for note in record.notes)
    assert shot.mocap.person("person_00").posed.is_file()


def test_a_body_model_or_another_file_makes_the_result_stale(
    shot: Shot, walked: Walk, run: Runs, tmp_path: Path
) -> None:
    source, kind = saved_gvhmr(tmp_path / "a.npz", walked), STAGES["mocap"]
    run(shot, None, source=str(source))
    asked = MocapOptions(source=str(source))
    assert outputs.freshness(shot, kind, asked, "") is Freshness.CURRENT
    saved_gvhmr(source, walked.only(range(FRAMES - 1)))
    assert outputs.freshness(shot, kind, asked, "") is Freshness.STALE
    run(shot, None, source=str(source))
    write_model(tmp_path / "bodies")
    ModelStore(locations.home()).choose("smplx", tmp_path / "bodies")
    assert outputs.freshness(shot, kind, asked, "") is Freshness.STALE


def test_a_world_taken_from_the_body_is_kept_by_later_solves_and_surveys(
    shot: Shot, walked: Walk, run: Runs
) -> None:
    ends = WORLD.apply(np.array([[0.0, 0, 0], [2, 0, 0]]))
    told = Constraints(distance=Distance(3.0, *ends), origin=ends[1], axis=Axis("y", *ends))
    apply(shot, told)
    run(shot, Knows(walked), scale="floor")
    before, tale = solve_of(shot), snapshot(shot)
    moved = take_body(shot)
    survey = Survey.load(shot.survey)
    assert survey is not None
    assert survey.constraints.told == ("origin", "axis")
    assert survey.constraints.origin is not None
    assert abs(survey.constraints.origin[2]) < 1e-9
    model = read_model(shot.sparse)
    rotations = rotations_from_quaternions(model.quaternions)
    centers = -np.einsum("nji,nj->ni", rotations, model.translations)
    again, note = world_for(shot, walked.frames, centers, rotations, model.points.positions)
    assert "laid over" in note
    assert again.scale == pytest.approx(moved.solve.world.scale, rel=1e-3)
    assert np.allclose(again.rotation, moved.solve.world.rotation, atol=1e-3)
    restore(shot, tale)
    assert np.allclose(solve_of(shot).track.matrices, before.track.matrices)
    record = MocapRecord.load(shot.mocap.record)
    replace(record, offered=None).save(shot.mocap.record)
    with pytest.raises(UsageError, match="does not tell"):
        take_body(shot)


def test_the_command_line_asks_for_the_bodys_world(shot: Shot, walked: Walk, run: Runs) -> None:
    run(shot, Knows(walked))
    assert answer(shot, {"body": True})["scale"] == pytest.approx(1.0, rel=1e-2)
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    words = ["survey", str(shot.path), "--from-body"]
    assert survey_verb._told(parser.parse_args(words)) == {"body": True}
    with pytest.raises(UsageError):
        survey_verb._told(parser.parse_args([*words, "--reset"]))


def test_two_people_share_a_scale_and_keep_their_own_frames(
    shot: Shot, walked: Walk, run: Runs
) -> None:
    """The one that is seen longest comes first; frames without a camera have no motion."""
    short = walked.only(range(10, 30))
    write_masks(shot.roto / "person_01", short)
    solve = solve_of(shot)
    kept = np.delete(np.arange(FRAMES), [20, 21])
    replace(solve, track=solve.track.only(kept)).save(shot.camera)

    class Two(Knows):
        def motion(self, person, camera, progress):  # type: ignore[no-untyped-def]
            seen = super().motion(person, camera, progress)
            inside = np.isin(seen.frames, person.frames)
            names = ("frames", "rotations", "translation", "confidence", "contact", "upright")
            return SeenMotion(
                betas=seen.betas, **{name: getattr(seen, name)[inside] for name in names}
            )

    record = run(shot, Two(walked))
    assert record.people == ("person_00", "person_01")
    first, second = load(shot), load(shot, "person_01")
    assert first.scale == second.scale
    assert first.frames.tolist() == walked.frames[kept].tolist()
    assert second.frames.tolist() == np.delete(short.frames, [10, 11]).tolist()
    both = np.isin(first.frames, second.frames)
    assert np.allclose(first.translation[both], second.translation)


def test_a_zoom_is_followed_frame_by_frame(shot: Shot, walked: Walk, run: Runs) -> None:
    """A model is told one focal length; each body keeps its pelvis's pixel, whatever the zoom."""
    solve = solve_of(shot)
    focal = solve.track.focal * np.linspace(1, 1.4, FRAMES)[:, None]
    replace(solve, track=replace(solve.track, focal=focal)).save(shot.camera)
    record = run(shot, Knows(walked))
    assert not any("focal length" in note for note in record.notes)
    motion = load(shot)
    views = Views.of(solve_of(shot).track, motion.frames)
    told = views.focal[FRAMES // 2]
    pelvis = motion.pelvis + walked.seen_translation
    pixel = pelvis[:, :2] / pelvis[:, 2:] * told + views.center
    assert np.abs(pixels(motion, shot, AVERAGE_JOINTS)[:, 0] - pixel).max() < 0.01


def test_what_is_up_and_where_the_ground_is_holds_for_a_real_result() -> None:
    """GVHMR's tennis player before a camera that stands: up is the same in every frame, and his
    standing feet are at one height."""
    ready = read_ready(shared_data("people/tennis_gvhmr/hmr4d_results.pt"))
    assert ready.upright is not None
    assert ready.contact is not None
    ups = up_of(ready.rotations[:, 0], ready.upright)
    up = mean_up(ups)
    assert np.degrees(np.arccos(up @ [0, -1, 0])) < 8
    assert np.degrees(np.arccos((ups @ up).clip(-1, 1))).mean() < 3
    feet = joint_places(ready.rotations, AVERAGE_JOINTS, ready.translation)[:, FEET]
    for foot in range(4):
        assert (feet[:, foot] @ up)[ready.contact[:, foot] > 0.5].std() < 0.04
    found = contact_from_speed(feet, up, np.arange(len(ready)), 30.0)
    assert ((found > 0.5) == (ready.contact > 0.5)).mean() > 0.8


@pytest.mark.usefixtures("smplx")
def test_a_motion_starts_with_the_plate_and_not_with_its_camera(
    shot: Shot, walked: Walk, run: Runs, tmp_path: Path
) -> None:
    solve = solve_of(shot)
    kept = np.delete(np.arange(FRAMES), [0, 1, 2, 15])
    replace(solve, track=solve.track.only(kept)).save(shot.camera)
    run(shot, None, source=str(saved_gvhmr(tmp_path / "a.npz", walked)), scale="meters")
    motion = load(shot)
    assert motion.frames.tolist() == walked.frames[kept].tolist()
    assert np.allclose(motion.camera_translation, walked.seen_translation[kept], atol=1e-9)


def test_frames_are_matched_by_rate_count_and_order() -> None:
    def ready(count: int, fps: float) -> Ready:
        at = np.arange(count, dtype=float)[:, None] * [1.0, 0, 0]
        return Ready("a file", np.zeros((count, 55, 3)), at, np.zeros(10), "", fps)

    plate = np.arange(1001, 1041)
    slow = matched(ready(50, 30.0), plate, plate, 24.0)
    assert len(slow.ready) == 40
    assert slow.ready.translation[4, 0] == pytest.approx(5.0)
    assert "30 to 24" in slow.notes[0]
    unsaid = matched(ready(50, 0.0), plate, plate, 24.0)
    assert np.array_equal(unsaid.ready.translation, slow.ready.translation)
    assert matched(ready(40, 0.0), plate, plate, 24.0).notes == ()
    one_by_one = matched(ready(40, 30.0), plate, plate[5:], 24.0)
    assert one_by_one.ready.translation[0, 0] == 5
    assert "one by one" in one_by_one.notes[0]
    gaps = np.delete(plate, [3, 4])
    assert matched(ready(38, 24.0), gaps, gaps, 24.0).ready.translation[3, 0] == 3
    whole = matched(ready(40, 24.0), gaps, gaps, 24.0)
    assert whole.ready.translation[3, 0] == 5
    assert whole.notes == ()
    early = matched(ready(10, 24.0), plate, plate, 24.0)
    assert early.frames.tolist() == plate[:10].tolist()
    assert "goes on without it" in early.notes[0]
    with pytest.raises(FormatError, match="ends before"):
        matched(ready(10, 24.0), plate, plate[20:], 24.0)


@pytest.mark.usefixtures("smplx")
def test_frames_in_which_nobody_is_seen_tell_nothing(shot: Shot, walked: Walk, run: Runs) -> None:
    """There feet are said to stand, and slide along with whatever hides them."""
    hidden = slice(12, 24)
    confidence, contact = np.ones(FRAMES), walked.contact.copy()
    wrong = walked.seen_translation.copy()
    confidence[hidden], contact[hidden] = 0, 1
    wrong[hidden] += np.linspace(0, 2, 12)[:, None] * [1.0, 0, 0]
    hides = replace(walked, contact=contact)
    record = run(shot, Knows(hides, confidence=confidence, translation=wrong))
    assert record.scale == pytest.approx(WORLD.scale, rel=1e-6)
    assert not load(shot).contact[hidden].any()
