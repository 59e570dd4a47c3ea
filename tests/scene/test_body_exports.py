# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies for other programs, read back by other readers than ours: axes, size and motion hold."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import bpy
import numpy as np
import pytest
from shot_gopher.backend.errors import BlenderError
from shot_gopher.backend.motion import Motion
from shot_gopher.backend.shot import Shot
from shot_gopher.backend.smplx import JOINTS
from shot_gopher.operators.scene import body_export
from shot_gopher.operators.scene.body import How, import_body

from tests.walking import forward

from .body_shot import COUNT, FIRST, PEOPLE, SCALE, body_shot, vertices

needs_readers = pytest.mark.skipif(
    find_spec("alembic3d") is None or find_spec("pxr") is None,
    reason="alembic3d and usd-core read these files back",
)
Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""From Blender's axes to those of files whose y is up."""
FRAMES = range(FIRST, FIRST + COUNT)


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    made = body_shot(tmp_path / "shot")
    import_body(bpy.context, made, "ann")
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = FRAMES[0], FRAMES[-1]
    bpy.context.scene.render.fps = 24
    return made


def write(shot: Shot, folder: Path, name: str) -> Path:
    source = str(shot.path.resolve())
    (file,) = body_export.export(bpy.context, source, "ann", folder, [name])
    assert file == folder / f"ann.{name}"
    return file


def load(shot: Shot) -> Motion:
    return Motion.load(shot.mocap.person("ann").motion)


def joints(shot: Shot) -> np.ndarray:
    """(n, 55, 3) in the shot's world."""
    rest, motion = np.load(shot.mocap.person("ann").body)["joints"], load(shot)
    return SCALE * forward(rest, motion.rotations, motion.translation)[0]


def read(file: Path) -> dict[str, np.ndarray]:
    result = file.with_suffix(".npz")
    reader = Path(__file__).with_name("film_body.py")
    subprocess.run([sys.executable, str(reader), str(file), str(result)], check=True)
    with np.load(result) as content:
        return dict(content)


@needs_readers
def test_alembic_has_the_body_as_it_is_seen(shot: Shot, tmp_path: Path) -> None:
    found = read(write(shot, tmp_path / "out", "abc"))
    np.testing.assert_allclose(found["times"], np.array(FRAMES) / 24, atol=1e-6)
    for index in (0, 5, COUNT - 1):
        expected = vertices(load(shot), index) @ Y_UP.T
        assert np.abs(found["places"][index] - expected).max() < 1e-4


@needs_readers
def test_usd_has_a_skeleton_that_moves_a_skinned_body(shot: Shot, tmp_path: Path) -> None:
    found = read(write(shot, tmp_path / "out", "usd"))
    assert found["frames"].tolist() == list(FRAMES)
    order = [JOINTS.index(name) for name in found["names"].tolist()]
    assert sorted(order) == list(range(len(JOINTS)))
    assert np.abs(found["joints"] - (joints(shot) @ Y_UP.T)[:, order]).max() < 1e-4
    assert bool(found["skinned"])
    assert found["samples"] == 0, "the skeleton moves the mesh"


def test_fbx_comes_back_as_it_was(shot: Shot, tmp_path: Path) -> None:
    file = write(shot, tmp_path / "out", "fbx")
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.context.scene.render.fps = 24
    bpy.ops.import_scene.fbx(filepath=str(file))
    (armature,) = (each for each in bpy.data.objects if each.type == "ARMATURE")
    (mesh,) = (each for each in bpy.data.objects if each.type == "MESH")
    expected = joints(shot)
    first, _last = armature.animation_data.action.frame_range
    for index in (0, 7):
        bpy.context.scene.frame_set(int(first) + index)
        evaluated = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
        for joint, name in enumerate(JOINTS):
            head = evaluated.matrix_world @ evaluated.pose.bones[name].head
            assert np.abs(np.array(head) - expected[index, joint]).max() < 1e-3
    assert len(mesh.data.vertices) == 10475
    assert {modifier.type for modifier in mesh.modifiers} == {"ARMATURE"}
    places = np.array([mesh.matrix_world @ vertex.co for vertex in mesh.data.vertices])
    rest = SCALE * np.load(shot.mocap.person("ann").body)["vertices"]
    assert np.abs(places - rest @ Y_UP).max() < 1e-3, "no correctives of any pose"


# Blender's reader leaves the file open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_bvh_comes_back_through_blenders_own_reader(shot: Shot, tmp_path: Path) -> None:
    file = write(shot, tmp_path / "out", "bvh")
    assert f"Frames: {COUNT}\nFrame Time: 0.041666667" in file.read_text()
    bpy.ops.import_anim.bvh(filepath=str(file), rotate_mode="QUATERNION", frame_start=1)
    (armature,) = (each for each in bpy.data.objects if each.name == "ann")
    expected = joints(shot)
    for index in (0, 7, COUNT - 1):
        bpy.context.scene.frame_set(1 + index)
        evaluated = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
        for joint, name in enumerate(JOINTS):
            head = evaluated.matrix_world @ evaluated.pose.bones[name].head
            assert np.abs(np.array(head) - expected[index, joint]).max() < 1e-3, name


def test_obj_is_the_body_at_rest_in_the_shots_size(shot: Shot, tmp_path: Path) -> None:
    lines = write(shot, tmp_path / "out", "obj").read_text().splitlines()
    places = np.array([line.split()[1:4] for line in lines if line.startswith("v ")], float)
    rest = np.load(shot.mocap.person("ann").body)["vertices"]
    assert np.abs(places - SCALE * rest).max() < 1e-4
    assert sum(line.startswith("f ") for line in lines) == 20908


def test_an_artists_edits_are_written(shot: Shot, tmp_path: Path) -> None:
    (armature,) = (each for each in bpy.data.objects if each.type == "ARMATURE")
    armature.location = (1.0, 2.0, 3.0)
    skeleton = body_export.sample_skeleton(bpy.context.scene, armature)
    expected = joints(shot)[:, 0] + [1, 2, 3]
    assert np.abs(skeleton.places - expected @ Y_UP.T).max() < 1e-4
    assert tmp_path.is_dir()


def test_only_the_person_is_written_and_nothing_is_left_behind(tmp_path: Path) -> None:
    shot = body_shot(tmp_path / "shot", people=PEOPLE)
    for person in PEOPLE:
        import_body(bpy.context, shot, person)
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = FRAMES[0], FRAMES[-1]
    kinds = ("objects", "meshes", "scenes", "actions", "armatures")
    before = {kind: len(getattr(bpy.data, kind)) for kind in kinds}
    source = str(shot.path.resolve())
    formats = [name for name, _label, _help in body_export.FORMATS]
    if not bpy.app.build_options.usd:
        formats.remove("usd")
    files = body_export.export(bpy.context, source, "bob", tmp_path / "out", formats)
    assert [file.name for file in files] == [f"bob.{name}" for name in formats]
    assert {kind: len(getattr(bpy.data, kind)) for kind in kinds} == before
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == sorted(
        file.name for file in files
    )
    assert "ann" not in (tmp_path / "out" / "bob.obj").read_text()


def test_what_a_person_does_not_have_is_told(tmp_path: Path) -> None:
    shot = body_shot(tmp_path / "shot")
    import_body(bpy.context, shot, "ann", How.POSED)
    source = str(shot.path.resolve())
    with pytest.raises(BlenderError, match=r"no armature in this scene, so \.bvh"):
        body_export.export(bpy.context, source, "ann", tmp_path / "out", ["bvh", "obj"])
    assert (tmp_path / "out" / "ann.obj").is_file()
