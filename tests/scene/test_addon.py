# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on registered in a bpy wheel: its properties, and what panels are told to draw."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import bpy
import pytest
from shot_gopher.backend.comfyui import ComfySettings
from shot_gopher.backend.errors import Remedy
from shot_gopher.backend.jobs import JobStore
from shot_gopher.backend.locations import HOME_VARIABLE
from shot_gopher.backend.options import setting_specs
from shot_gopher.backend.processes import FileLock
from shot_gopher.backend.stages import STAGES, ColmapOptions
from shot_gopher.operators import addon
from shot_gopher.operators.monitor import Reading, let_threads_end
from shot_gopher.operators.view import Query, ShotView, StageState, compose, read_shot


def test_every_option_is_a_property(settings: Any) -> None:
    for stage in STAGES.values():
        group = getattr(settings.options, stage.name)
        for spec in setting_specs(stage.options):
            made = group.bl_rna.properties[spec.name]
            assert getattr(group, spec.name) == spec.default
            assert (made.name, made.description) == (spec.label, spec.help)
            if spec.minimum is not None:
                assert made.hard_min == pytest.approx(spec.minimum, rel=1e-6)
            if spec.maximum is not None:
                assert made.hard_max == pytest.approx(spec.maximum, rel=1e-6)
            if spec.choices:
                offered = [(item.identifier, item.description) for item in made.enum_items]
                assert offered == [(choice.value, choice.help) for choice in spec.choices]


@pytest.mark.parametrize(
    ("plate", "name"),
    [
        ("sh010.mp4", "sh010"),
        ("take_02.mov", "take_02"),
        ("sh 010.1001.png", "sh_010"),
        ("sh050/1001.png", "sh050"),
    ],
)
def test_a_plate_suggests_its_shot_folder(
    settings: Any, tmp_path: Path, plate: str, name: str
) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    settings.plate = str(tmp_path / plate)
    assert settings.shot == str(tmp_path / name)


def test_a_shot_folder_that_was_chosen_stays(settings: Any, tmp_path: Path) -> None:
    settings.plate = str(tmp_path / "one.mp4")
    settings.plate = str(tmp_path / "two.mp4")
    assert Path(settings.shot).name == "two"
    settings.shot = str(tmp_path / "mine")
    settings.plate = str(tmp_path / "three.mp4")
    assert settings.shot == str(tmp_path / "mine")


def test_without_a_plate_nothing_can_be_run(settings: Any) -> None:
    assert settings.shot == ""
    with pytest.raises(RuntimeError, match="Choose a plate first"):
        bpy.ops.shot_gopher.set_up()


def test_a_missing_plate_is_refused_in_a_sentence(settings: Any, tmp_path: Path) -> None:
    settings.plate = str(tmp_path / "nowhere.mp4")
    with pytest.raises(RuntimeError, match=r"nowhere\.mp4"):
        bpy.ops.shot_gopher.set_up()
    assert not (tmp_path / "home" / "jobs").exists()


def test_a_bad_option_is_refused_in_a_sentence(settings: Any, tmp_path: Path) -> None:
    settings.plate = str(tmp_path / "plate.mp4")
    settings.options.ingest.fps = "quick"
    with pytest.raises(RuntimeError, match="quick"):
        bpy.ops.shot_gopher.set_up()


def write_job(home: Path, shot: Path, name: str, events: list[dict[str, Any]]) -> None:
    """A job of ingest and colmap whose worker is not alive."""
    folder = home / name
    folder.mkdir(parents=True)
    stages = [{"name": stage, "options": {}} for stage in ("ingest", "colmap")]
    request = {"shot": str(shot), "plate": "", "stages": stages, "versions": {}}
    (folder / "request.json").write_text(json.dumps(request))
    records = [{"seq": number, "time": 1.0, "stage": "", **event} for number, event in
               enumerate(events, 1)]  # fmt: skip
    (folder / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))


def view(home: Path, shot: Path) -> ShotView:
    options = {name: {} for name in STAGES}
    disk = read_shot(Query(str(shot), "", options), JobStore(home).jobs())
    return compose(disk, disk.jobs, set())


STARTED = {"event": "started", "pid": 0, "versions": {}}


def test_a_failure_is_shown_at_its_stage_with_its_remedy(tmp_path: Path) -> None:
    failed = {"event": "failed", "stage": "colmap", "reason": "No luck.", "remedy": "run_again"}
    write_job(tmp_path / "jobs", tmp_path / "shot", "1", [STARTED, failed])
    stages = view(tmp_path / "jobs", tmp_path / "shot").stages
    assert stages["ingest"].state is StageState.MISSING
    assert stages["colmap"].state is StageState.FAILED
    assert (stages["colmap"].reason, stages["colmap"].remedy) == ("No luck.", Remedy.RUN_AGAIN)
    assert stages["scene"].job == ""


def test_a_failure_before_any_stage_is_shown_at_the_first(tmp_path: Path) -> None:
    failed = {"event": "failed", "reason": "No network.", "remedy": "allow_online"}
    write_job(tmp_path / "jobs", tmp_path / "shot", "1", [STARTED, failed])
    stages = view(tmp_path / "jobs", tmp_path / "shot").stages
    assert stages["ingest"].remedy is Remedy.ALLOW_ONLINE
    assert stages["colmap"].state is StageState.MISSING


def test_a_running_job_is_shown_with_its_bar_and_what_waits(tmp_path: Path) -> None:
    status = {"event": "status", "stage": "ingest", "text": "Extracting frames"}
    progress = {"event": "progress", "stage": "ingest", "done": 3, "total": 10, "unit": "frames"}
    write_job(tmp_path / "jobs", tmp_path / "shot", "1", [STARTED, status, progress])
    worker = FileLock(tmp_path / "jobs" / "1" / "worker.lock")
    assert worker.acquire()
    shown = view(tmp_path / "jobs", tmp_path / "shot")
    worker.release()
    ingest, colmap = shown.stages["ingest"], shown.stages["colmap"]
    assert (ingest.state, colmap.state) == (StageState.RUNNING, StageState.WAITING)
    assert (ingest.text, ingest.count) == ("Extracting frames", "3/10 frames")
    assert ingest.fraction == pytest.approx(0.3)
    assert shown.busy


def test_a_running_job_tells_the_time_that_is_left(tmp_path: Path) -> None:
    now = time.time()
    counts = [
        {"event": "progress", "stage": "ingest", "done": 10 * n, "total": 400, "unit": "frames",
         "time": now - 5 + n / 2}
        for n in range(11)
    ]  # fmt: skip
    status = {"event": "status", "stage": "ingest", "text": "Extracting frames", "time": now - 5}
    write_job(tmp_path / "jobs", tmp_path / "shot", "1", [STARTED, status, *counts])
    worker = FileLock(tmp_path / "jobs" / "1" / "worker.lock")
    assert worker.acquire()
    shown = view(tmp_path / "jobs", tmp_path / "shot")
    worker.release()
    assert shown.stages["ingest"].count == "100/400 frames  0:15 left"


@pytest.mark.parametrize(("time", "state"), [(4e9, StageState.DONE), (1.0, StageState.MISSING)])
def test_what_has_just_been_done_is_done_before_the_disk_says_so(
    tmp_path: Path, time: float, state: StageState
) -> None:
    write_job(
        tmp_path / "jobs", tmp_path / "shot", "1", [STARTED, {"event": "finished", "time": time}]
    )
    assert view(tmp_path / "jobs", tmp_path / "shot").stages["colmap"].state is state


def test_a_worker_that_was_killed_is_shown_as_a_failure(tmp_path: Path) -> None:
    write_job(tmp_path / "jobs", tmp_path / "shot", "1", [{**STARTED, "pid": 1}])
    stages = view(tmp_path / "jobs", tmp_path / "shot").stages
    assert stages["ingest"].state is StageState.FAILED
    assert "stopped from outside" in stages["ingest"].reason


def test_the_newest_job_decides(tmp_path: Path) -> None:
    failed = {"event": "failed", "stage": "colmap", "reason": "No luck.", "remedy": ""}
    canceled = {"event": "canceled", "stage": "colmap"}
    write_job(tmp_path / "jobs", tmp_path / "shot", "1", [STARTED, failed])
    write_job(tmp_path / "jobs", tmp_path / "shot", "2", [STARTED, canceled])
    write_job(tmp_path / "jobs", tmp_path / "other", "3", [STARTED, failed])
    colmap = view(tmp_path / "jobs", tmp_path / "shot").stages["colmap"]
    assert (colmap.state, colmap.text, colmap.job) == (StageState.MISSING, "Canceled", "2")


def test_options_make_plain_values(settings: Any) -> None:
    from shot_gopher.operators.addon import stage_options

    settings.options.colmap.quality = "high"
    values = stage_options(bpy.context.scene, "colmap")
    assert ColmapOptions(**values) == ColmapOptions(quality="high")


def test_what_reads_the_disk_ends_before_a_context_is_overridden() -> None:
    reading = Reading(lambda: time.sleep(0.3))
    assert not reading.done
    let_threads_end()
    assert reading.done


def test_the_preferences_choose_the_comfyui_server(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    addon.use_comfyui("farm:8188", str(tmp_path / "ComfyUI"))
    chosen = ComfySettings("http://farm:8188", str(tmp_path / "ComfyUI"))
    assert ComfySettings.load(tmp_path) == chosen
    addon.use_comfyui("ftp://farm", "")
    assert ComfySettings.load(tmp_path) == chosen
    addon.use_comfyui("", "")
    assert ComfySettings.load(tmp_path) == ComfySettings()
