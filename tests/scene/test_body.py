# SPDX-License-Identifier: GPL-3.0-or-later
"""A body in the scene: it is where SMPL-X's own formulas put it, and stays what an artist made."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from shot_gopher.backend.camera import Similarity
from shot_gopher.backend.dense import Place, place_of
from shot_gopher.backend.errors import BlenderError, FormatError, UsageError
from shot_gopher.backend.motion import Motion, moved
from shot_gopher.backend.outputs import stage_file
from shot_gopher.backend.shot import Shot, write_json
from shot_gopher.backend.smplx import JOINTS, PARENTS
from shot_gopher.backend.stages import STAGES
from shot_gopher.operators.scene import placed
from shot_gopher.operators.scene.body import BodyResult, How, import_body
from shot_gopher.operators.scene.shot import import_shot

from tests.walking import forward

from .body_shot import COUNT, FIRST, PEOPLE, SCALE, body_shot, model_folder, vertices

MILLIMETER = SCALE / 1000


def load(shot: Shot, person: str = "ann") -> Motion:
    return Motion.load(shot.mocap.person(person).motion)


def shown(mesh: bpy.types.Object) -> np.ndarray:
    """(v, 3) of an evaluated mesh in the world."""
    evaluated = mesh.evaluated_get(bpy.context.evaluated_depsgraph_get())
    places = np.empty(3 * len(evaluated.data.vertices), dtype=np.float32)
    evaluated.data.vertices.foreach_get("co", places)
    matrix = np.array(evaluated.matrix_world)
    return places.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def worst(mesh: bpy.types.Object, motion: Motion, at: dict[float, int] | None = None) -> float:
    """The most that a vertex is off, in mm of the person; `at` has what is shown at which frame."""
    found = []
    frames = at or {float(motion.frames[index]): index for index in (0, 4, len(motion.frames) - 1)}
    for time, index in frames.items():
        bpy.context.scene.frame_set(int(time), subframe=time % 1)
        found.append(np.linalg.norm(shown(mesh) - vertices(motion, index), axis=1).max())
    return max(found) / motion.scale * 1000


def heads(armature: bpy.types.Object) -> np.ndarray:
    """(55, 3) where the bones begin, in the world."""
    evaluated = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return np.array([evaluated.matrix_world @ evaluated.pose.bones[name].head for name in JOINTS])


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    return body_shot(tmp_path / "shot")


def ann(shot: Shot, how: How = How.CACHE) -> BodyResult:
    return import_body(bpy.context, shot, "ann", how, model_folder())


@pytest.mark.parametrize(
    ("how", "most"),
    [(How.CACHE, 0.01), (How.KEYS, 0.52), (How.LIVE, 0.01), (How.POSED, 0.01)],
)
def test_the_body_is_where_the_model_puts_it(shot: Shot, how: How, most: float) -> None:
    made = ann(shot, how)
    assert worst(made.mesh, load(shot)) < most
    assert (made.armature is None) == (how is How.POSED)


def test_without_the_files_of_its_cache_a_body_is_plainly_skinned(shot: Shot) -> None:
    plain = ann(shot, How.PLAIN)
    assert 5 < worst(plain.mesh, load(shot)) < 100
    bpy.context.scene.frame_set(FIRST + 4)
    expected = shown(plain.mesh)
    cached = ann(shot)
    shot.mocap.person("ann").corrected.unlink()
    bpy.context.scene.frame_set(FIRST + 3)
    bpy.context.scene.frame_set(FIRST + 4)
    assert np.abs(shown(cached.mesh) - expected).max() < 0.01 * MILLIMETER
    again = ann(shot)
    assert "plainly skinned" in again.notes[0]
    assert again.mesh.modifiers.get("Pose Correctives") is None


def test_the_armature_has_bones_along_the_limbs_and_stands_upright_at_rest(shot: Shot) -> None:
    armature = ann(shot).armature
    bones = armature.data.bones
    assert set(bones.keys()) == set(JOINTS)
    for joint, parent in enumerate(PARENTS):
        assert parent < 0 or bones[JOINTS[joint]].parent.name == JOINTS[parent]
    knee, ankle = bones["left_knee"], bones["left_ankle"]
    assert (knee.tail_local - ankle.head_local).length < 1e-5
    assert bones["head"].head_local.z - ankle.head_local.z > 1.2 * SCALE
    assert bones["left_hip"].head_local.x > 0 > bones["right_hip"].head_local.x
    assert bones["left_foot"].head_local.y < ankle.head_local.y, "the front view shows the face"
    bpy.context.scene.frame_set(FIRST + 7)
    motion = load(shot)
    rest = np.load(shot.mocap.person("ann").body)["joints"]
    places, _turns = forward(rest, motion.rotations[[7]], motion.translation[[7]])
    assert np.abs(heads(armature) - SCALE * places[0]).max() < 0.01 * MILLIMETER


def test_people_have_collections_of_their_own_inside_of_the_shots(tmp_path: Path) -> None:
    shot = body_shot(tmp_path / "shot", people=PEOPLE)
    import_shot(bpy.context, shot)
    for person in PEOPLE:
        made = import_body(bpy.context, shot, person)
        assert worst(made.mesh, load(shot, person)) < 0.01
        assert [each.name for each in made.mesh.users_collection] == [f"shot {person}"]
    (track,) = bpy.context.scene.collection.children
    (bodies,) = track.children
    assert (bodies.name, [each.name for each in bodies.children]) == (
        "shot Bodies",
        ["shot ann", "shot bob"],
    )


def test_importing_again_updates_in_place_and_keeps_what_an_artist_made(shot: Shot) -> None:
    made = ann(shot)
    armature, mesh = made.armature, made.mesh
    mesh.data.materials.append(bpy.data.materials.new("Coat"))
    mesh.modifiers.new("Smoother", "SUBSURF").levels = 0
    armature.pose.bones["head"].constraints.new("LIMIT_ROTATION").influence = 0
    mesh.name, armature.name = "Coat", "Rig"
    action = armature.animation_data.action
    folder = shot.mocap.person("ann")
    changed = moved(load(shot), Similarity(1.0, np.eye(3), np.array([0, 0, 1.5])))
    fields = {name: getattr(changed, name) for name in Motion.__dataclass_fields__}
    Motion(**fields | {"place": place_of(shot)}).save(folder.motion)
    again = ann(shot)
    assert (again.armature, again.mesh) == (armature, mesh)
    assert armature.animation_data.action == action
    assert [each.name for each in mesh.modifiers] == [
        "Pose Correctives",
        "Place in Shot",
        "Skeleton",
        "Smoother",
    ]
    assert [each.name for each in mesh.data.materials] == ["Coat"]
    assert len(armature.pose.bones["head"].constraints) == 1
    assert worst(mesh, load(shot)) < 0.01
    assert len(bpy.data.objects) == 2
    assert len(bpy.data.actions) == 1


@pytest.mark.parametrize("how", [How.CACHE, How.KEYS])
def test_a_retimed_action_keeps_its_correctives(shot: Shot, how: How) -> None:
    made, motion = ann(shot, how), load(shot)
    animation = made.armature.animation_data
    action = animation.action
    line = animation.nla_tracks.new()
    strip = line.strips.new("slow", 2000, action)
    if hasattr(strip, "action_slot"):
        strip.action_slot = animation.action_slot
    animation.action = None
    strip.scale = 2.0
    most = 0.01 if how is How.CACHE else 0.52
    assert worst(made.mesh, motion, {2000.0: 0, 2008.0: 4, 2022.0: 11}) < most
    again = ann(shot, how)
    assert animation.action is None, "the motion lies in a strip"
    assert worst(again.mesh, motion, {2008.0: 4, 2022.0: 11}) < most


def test_keys_that_were_moved_keep_their_correctives(shot: Shot) -> None:
    made, motion = ann(shot), load(shot)
    for curve in curves_of(made.armature):
        for key in curve.keyframe_points:
            key.co.x = 1 + 3 * (key.co.x - FIRST)
        curve.update()
    assert worst(made.mesh, motion, {1.0: 0, 13.0: 4, 34.0: 11}) < 0.01


def curves_of(block: bpy.types.ID) -> list[bpy.types.FCurve]:
    action = block.animation_data.action
    if not hasattr(action, "slots"):
        return list(action.fcurves)
    return list(action.layers[0].strips[0].channelbag(block.animation_data.action_slot).fcurves)


def test_frames_without_motion_are_passed_over(tmp_path: Path) -> None:
    kept = np.array([0, 1, 2, 3, 9, 10, 11])
    shot = body_shot(tmp_path / "shot", frames=kept)
    made, motion = ann(shot), load(shot)
    assert motion.frames.tolist() == [FIRST + place for place in kept]
    assert worst(made.mesh, motion, {FIRST + 3.0: 3, FIRST + 9.0: 4, FIRST + 11.0: 6}) < 0.01


def test_between_frames_the_body_goes_straight_on(tmp_path: Path) -> None:
    shot = body_shot(tmp_path / "shot", count=40)
    made, motion = ann(shot), load(shot)
    for index in range(0, 39, 2):
        bpy.context.scene.frame_set(FIRST + index, subframe=0.5)
        middle = 0.5 * (vertices(motion, index) + vertices(motion, index + 1))
        assert np.linalg.norm(shown(made.mesh) - middle, axis=1).max() < 20 * MILLIMETER


def test_joints_that_are_held_have_one_key_to_be_animated_by_hand(shot: Shot) -> None:
    counts = {}
    for curve in curves_of(ann(shot).armature):
        counts.setdefault(curve.data_path, set()).add(len(curve.keyframe_points))
        assert all(key.interpolation == "LINEAR" for key in curve.keyframe_points)
    assert counts['pose.bones["left_index1"].rotation_quaternion'] == {1}
    assert counts['pose.bones["pelvis"].location'] == {COUNT}
    assert counts['["body_frame"]'] == {COUNT}


STEP = Similarity(0.4, np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([3.0, -2.0, 0.5]))


@pytest.mark.parametrize("how", [How.CACHE, How.KEYS, How.POSED])
def test_a_survey_takes_the_body_along(shot: Shot, how: How) -> None:
    made, motion = ann(shot, how), load(shot)
    source, before = str(shot.path.resolve()), place_of(shot)
    place = Place(before.solve, after(STEP, before.world))
    assert placed.follow(bpy.context.scene, source, place.to_text()) == ()
    most = 0.52 if how is How.KEYS else 0.02
    assert worst(made.mesh, moved(motion, STEP)) < most
    assert placed.follow(bpy.context.scene, source, before.to_text()) == ()
    assert worst(made.mesh, motion) < most
    if made.armature is not None:
        assert tuple(made.armature.scale) == tuple(made.mesh.scale) == (1, 1, 1)


def after(second: Similarity, first: Similarity) -> Similarity:
    return Similarity(
        second.scale * first.scale,
        second.rotation @ first.rotation,
        second.apply(first.translation),
    )


def test_a_survey_before_the_import_counts_too(shot: Shot) -> None:
    motion = load(shot)
    stood = after(STEP, motion.place.world)
    fields = {name: getattr(motion, name) for name in Motion.__dataclass_fields__}
    was = Place(motion.place.solve, stood)
    Motion(**fields | {"place": was}).save(shot.mocap.person("ann").motion)
    back = was.step_to(place_of(shot))
    assert worst(ann(shot).mesh, moved(motion, back)) < 0.01
    assert worst(ann(shot, How.POSED).mesh, moved(motion, back)) < 0.01


def test_an_armature_that_no_longer_moves_the_body_is_told(shot: Shot) -> None:
    armature = ann(shot).armature
    made = ann(shot, How.POSED)
    assert made.armature is None
    assert made.notes == (
        f"{armature.name} no longer moves the body: delete it if you do not need it.",
    )
    bpy.data.objects.remove(armature)
    assert ann(shot, How.POSED).notes == ()


def test_a_motion_of_another_solve_is_told(shot: Shot) -> None:
    ann(shot)
    write_json(stage_file(shot, STAGES["colmap"]), {"finished": 9.0, "fingerprint": "z"})
    with pytest.raises(UsageError, match="another solve"):
        ann(shot)
    left = placed.follow(bpy.context.scene, str(shot.path.resolve()), place_of(shot).to_text())
    assert left == (f"{placed.OTHER_BODY}, and import it again.",)


def test_without_smplx_there_is_an_armature_of_usual_proportions(tmp_path: Path) -> None:
    shot = body_shot(tmp_path / "shot", mesh=False)
    made = import_body(bpy.context, shot, "ann")
    assert made.mesh is None
    assert "usual proportions" in made.notes[0]
    bpy.context.scene.frame_set(FIRST + 5)
    motion = load(shot)
    pelvis = SCALE * (motion.pelvis + motion.translation[5])
    assert np.abs(heads(made.armature)[0] - pelvis).max() < 1e-4
    with pytest.raises(UsageError, match="SMPL-X was not there"):
        import_body(bpy.context, shot, "ann", How.POSED)


def test_bones_are_built_without_touching_what_the_artist_is_at(shot: Shot) -> None:
    data = bpy.data.meshes.new("own")
    data.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    own = bpy.data.objects.new("own", data)
    bpy.context.scene.collection.objects.link(own)
    bpy.context.view_layer.objects.active = own
    own.select_set(True)
    made = ann(shot)
    assert bpy.context.view_layer.objects.active == own
    assert own.select_get()
    made.armature.users_collection[0].hide_viewport = True
    ann(shot)
    assert made.armature.mode == "OBJECT"
    assert len(bpy.data.scenes) == 1
    made.armature.users_collection[0].hide_viewport = False
    bpy.context.view_layer.objects.active = made.armature
    bpy.ops.object.mode_set(mode="POSE")
    assert ann(shot).armature.mode == "POSE"
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.context.view_layer.objects.active = made.armature
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(BlenderError, match="Edit Mode"):
        ann(shot)


def test_a_saved_file_names_the_cache_relative_to_itself(shot: Shot, tmp_path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    modifier = ann(shot).mesh.modifiers["Pose Correctives"]
    assert modifier.filepath == "//shot/mocap/ann/mesh_sequence/corrected.pc2"
    assert worst(ann(shot).mesh, load(shot)) < 0.01


def test_shot_keys_and_live_keys_make_way_for_one_another(shot: Shot) -> None:
    mesh = ann(shot, How.LIVE).mesh
    assert len(mesh.data.shape_keys.key_blocks) == 1 + 9 * 22, "the walk moves the jaw too"
    ann(shot, How.KEYS)
    assert len(mesh.data.shape_keys.key_blocks) < 12
    ann(shot)
    assert mesh.data.shape_keys is None
    assert worst(mesh, load(shot)) < 0.01


def test_live_correctives_are_right_in_a_new_pose(shot: Shot) -> None:
    made, motion = ann(shot, How.LIVE), load(shot)
    bpy.context.scene.frame_set(FIRST)
    bone, shin = made.armature.pose.bones["left_elbow"], motion.rotations
    axes = np.array(bone.bone.matrix_local.to_3x3())
    turn = np.array([0.3, -0.9, 0.4])
    vector = axes.T @ np.array([turn[0], -turn[2], turn[1]])
    for curve in curves_of(made.armature):
        if "left_elbow" in curve.data_path:
            curve.mute = True
    half = np.linalg.norm(vector) / 2
    bone.rotation_quaternion = (np.cos(half), *(np.sin(half) * vector / (2 * half)))
    shin[0, JOINTS.index("left_elbow")] = turn
    assert np.abs(shown(made.mesh) - vertices(motion, 0)).max() < 0.02 * MILLIMETER


def test_damaged_caches_and_unknown_people_are_told(shot: Shot) -> None:
    with pytest.raises(UsageError, match="no motion of eve"):
        import_body(bpy.context, shot, "eve")
    file = shot.mocap.person("ann").corrected
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(FormatError, match="cut off"):
        ann(shot)
    assert not bpy.data.objects, "nothing is built of what cannot be read"
    with pytest.raises(UsageError, match="choose their folder"):
        import_body(bpy.context, shot, "ann", How.LIVE)
