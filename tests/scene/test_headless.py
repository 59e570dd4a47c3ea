# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene stage: a Blender in the background builds the scene and writes what only it can."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import bpy
import pytest

from backend import outputs, stages
from backend.blender import BlenderProgram
from backend.errors import BlenderError
from backend.events import Event, EventReader, EventWriter
from backend.motion import Motion
from backend.shot import Shot, write_json
from backend.stages import SceneOptions
from backend.worker.report import Context, Report
from backend.worker.stages import scene

from .body_shot import body_shot
from .conftest import ROOT
from .shots import make_shot
from .test_body import worst

SCRIPT = ROOT / "operators" / "headless.py"


def small_shot(folder: Path) -> Shot:
    from shot_gopher.backend.reconstruction import CameraModel

    lens = CameraModel("PINHOLE", 64, 36, (50, 50, 32, 18))
    return Shot(make_shot(folder, lens, images=True).path)


def run_script(tmp_path: Path, **request: object) -> tuple[int, dict[str, object], str]:
    question, answer = tmp_path / "request.json", tmp_path / "answer.json"
    wanted = {"blend": "", "formats": ["abc", "usd"], "frames": None, "status_mark": "> "}
    question.write_text(json.dumps(wanted | request))
    command = [sys.executable, "-I", "-B", str(SCRIPT), "--", str(question), str(answer)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, json.loads(answer.read_text()), done.stdout


def test_script_writes_scene_copy_and_cameras(tmp_path: Path) -> None:
    shot = small_shot(tmp_path / "my shot")
    copy = tmp_path / "else where" / "copy.blend"
    status, answer, output = run_script(
        tmp_path,
        shot=str(shot.path),
        scene=str(shot.blend),
        blend=str(copy),
        exports=str(tmp_path / "out"),
    )
    assert status == 0
    assert answer["error"] == ""
    wanted = [shot.blend, copy, tmp_path / "out" / "camera.abc", tmp_path / "out" / "camera.usd"]
    assert answer["files"] == [str(file) for file in wanted]
    assert all(file.stat().st_size > 1000 for file in wanted)
    assert "> Building the scene" in output
    for file in (shot.blend, copy):
        bpy.ops.wm.open_mainfile(filepath=str(file))
        (clip,) = bpy.data.movieclips
        assert clip.filepath.startswith("//")
        assert (clip.source, *clip.size) == ("SEQUENCE", 64, 36)
        assert Path(bpy.path.abspath(clip.filepath)).resolve() == shot.frame_file(1001).resolve()
        assert bpy.context.scene.camera.name == "my shot Camera"
        assert bpy.context.scene.render.fps_base == pytest.approx(1.001)


def test_a_moved_shot_folder_still_shows_its_plate(tmp_path: Path) -> None:
    shot = small_shot(tmp_path / "here")
    run_script(
        tmp_path, shot=str(shot.path), scene=str(shot.blend), exports=str(tmp_path), formats=[]
    )
    moved = Shot(shot.path.rename(tmp_path / "there"))
    bpy.ops.wm.open_mainfile(filepath=str(moved.blend))
    (clip,) = bpy.data.movieclips
    assert Path(bpy.path.abspath(clip.filepath)).resolve() == moved.frame_file(1001).resolve()
    assert clip.frame_duration == 12


def test_script_says_what_is_wrong(tmp_path: Path) -> None:
    status, answer, _output = run_script(
        tmp_path, shot=str(tmp_path), scene=str(tmp_path / "a.blend"), exports=str(tmp_path)
    )
    assert status == 1
    assert "track it first" in answer["error"]
    assert not (tmp_path / "a.blend").exists()


def run_stage(tmp_path: Path, shot: Shot, blend: str = "", blender: str = "") -> list[dict]:
    """Runs the stage as the worker does; the events it wrote."""
    events = tmp_path / "events.jsonl"
    report = Report(EventWriter(events), tmp_path / "cancel")
    options, stage = SceneOptions(blend=blend), stages.get("scene")
    with outputs.writing(shot, stage, options, {}) as (part, record):
        scene.run(Context(shot, options, "", blender, part, report, record))
    return EventReader(events).poll()


def test_stage_puts_everything_in_place(tmp_path: Path) -> None:
    shot = small_shot(tmp_path / "shot")
    copy = tmp_path / "copy"
    events = run_stage(tmp_path, shot, blend=str(copy))
    results = {e["path"]: e["kind"] for e in events if e["event"] == Event.RESULT.value}
    blend = copy.with_suffix(".blend")
    assert results == {
        "camera/camera.abc": "camera",
        "camera/camera.usd": "camera",
        "scene/shot.blend": "blend",
        str(blend): "blend",
    }
    assert shot.blend.is_file()
    assert blend.is_file()
    assert sorted(file.name for file in shot.blend.parent.iterdir()) == ["shot.blend", "stage.json"]
    assert outputs.recorded(shot, stages.get("scene"))["blender"]
    statuses = [e["text"] for e in events if e["event"] == Event.STATUS.value]
    assert statuses[:2] == ["Starting Blender", "Building the scene"]


def test_stage_fails_with_the_scripts_sentence(tmp_path: Path) -> None:
    shot = small_shot(tmp_path / "shot")
    shot.solve_file.unlink()
    with pytest.raises(BlenderError, match="track it first"):
        run_stage(tmp_path, shot)
    assert not shot.blend.parent.exists()


def test_stage_keeps_the_old_scene_when_it_fails(tmp_path: Path) -> None:
    shot = small_shot(tmp_path / "shot")
    run_stage(tmp_path, shot)
    old = shot.blend.read_bytes()
    shot.solve_file.unlink()
    with pytest.raises(BlenderError):
        run_stage(tmp_path, shot)
    assert shot.blend.read_bytes() == old


def test_stage_says_when_blender_breaks_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(BlenderProgram):
        def command(self, _script: Path, _arguments: object) -> list[str]:
            return [sys.executable, "-c", "raise SystemExit(7)"]

    monkeypatch.setattr(scene, "find", lambda _named, _python: Broken(Path("blender")))
    with pytest.raises(BlenderError, match="exit status 7"):
        run_stage(tmp_path, small_shot(tmp_path / "shot"))


def test_people_are_in_the_scene_and_their_caches_move_with_it(tmp_path: Path) -> None:
    made = body_shot(tmp_path / "here" / "shot", images=True)
    status, answer, output = run_script(
        tmp_path, shot=str(made.path), scene=str(made.blend), exports=str(tmp_path), formats=[]
    )
    assert (status, answer["error"], answer["warnings"]) == (0, "", [])
    assert "> Importing ann" in output
    (tmp_path / "here").rename(tmp_path / "there")
    shot = Shot(tmp_path / "there" / "shot")
    bpy.ops.wm.open_mainfile(filepath=str(shot.blend))
    body = bpy.data.objects["shot ann Body"]
    cache = Path(bpy.path.abspath(body.modifiers["Pose Correctives"].filepath)).resolve()
    assert cache == shot.mocap.person("ann").corrected
    bpy.context.scene.frame_set(1005)
    assert worst(body, Motion.load(shot.mocap.person("ann").motion)) < 0.01


def test_another_motion_makes_the_scene_out_of_date(tmp_path: Path) -> None:
    shot = body_shot(tmp_path / "shot", images=True)
    before = outputs.inputs_of(shot, stages.STAGES["scene"], "")
    assert outputs.inputs_of(shot, stages.STAGES["scene"], "") == before
    shot.mocap.person("ann").motion.write_bytes(b"another")
    assert outputs.inputs_of(shot, stages.STAGES["scene"], "") != before


def test_motion_of_another_solve_is_left_out_and_told(tmp_path: Path) -> None:
    made = body_shot(tmp_path / "shot", images=True)
    write_json(outputs.stage_file(made, stages.STAGES["colmap"]), {"finished": 9.0})
    status, answer, _output = run_script(
        tmp_path, shot=str(made.path), scene=str(made.blend), exports=str(tmp_path), formats=[]
    )
    assert status == 0
    assert "another solve" in answer["warnings"][0]
