# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job promises, whoever dies: one terminal event, no half output, nothing lost."""

from __future__ import annotations

import io
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend import outputs, stages
from backend.console import Console
from backend.errors import JobError, Remedy, UsageError
from backend.jobs import Job, JobState, JobStore, Request, StageRequest, Waiting, plan
from backend.shot import Shot
from backend.verbs import run
from tests.backend import stand_in_worker

WORKER = Path(stand_in_worker.__file__)
PATIENCE = 20.0


@pytest.fixture(autouse=True)
def _stages() -> Iterator[None]:
    before = dict(stages.STAGES)
    stand_in_worker.add_stages()
    yield
    stages.STAGES.clear()
    stages.STAGES.update(before)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobStore:
    monkeypatch.setenv("SHOT_GOPHER_HOME", str(tmp_path / "home"))
    return JobStore(tmp_path / "home" / "jobs", WORKER)


def count(shot: Path, name: str = "count", force: bool = False, **options: object) -> Request:
    asked = (StageRequest(name, dict(options)),)
    return Request(shot=str(shot), plate="a plate", stages=asked, force=force)


def submit(store: JobStore, request: Request) -> Job:
    return store.submit(request, Path(sys.executable))


def wait(job: Job, until: Callable[[], bool] | None = None) -> Job:
    """Polls until the job has ended, or until something else holds."""
    give_up = time.monotonic() + PATIENCE
    while job.snapshot.state.active and not (until and until()):
        assert time.monotonic() < give_up, job.log_tail()
        time.sleep(0.01)
        job.poll()
        job.press_cancel()
    return job


def worker_pid(job: Job) -> int:
    wait(job, lambda: job.snapshot.done > 0 or bool(job.snapshot.results))
    return job._pid


def is_alive(pattern: str) -> bool:
    return subprocess.run(["pgrep", "-f", pattern], capture_output=True).returncode == 0


def test_a_job_runs_to_its_end(store: JobStore, tmp_path: Path) -> None:
    job = wait(submit(store, count(tmp_path / "shot", steps=5)))
    assert job.snapshot.state is JobState.FINISHED
    assert (job.snapshot.done, job.snapshot.total, job.snapshot.unit) == (5, 5, "files")
    shot = Shot(tmp_path / "shot")
    assert len(list(shot.output("count").glob("*.bin"))) == 5
    assert not shot.output("count.part").exists()
    assert outputs.recorded(shot, stages.get("count"))["options"]["steps"] == 5
    assert (shot.logs / f"{job.folder.name}.txt").is_file()


def test_the_store_finds_jobs_again(store: JobStore, tmp_path: Path) -> None:
    first = wait(submit(store, count(tmp_path / "one")))
    second = wait(submit(store, count(tmp_path / "two")))
    again = store.jobs()
    assert [job.folder for job in again] == [first.folder, second.folder]
    for job in again:
        job.poll()
        assert job.snapshot.state is JobState.FINISHED
    store.remove(again[0])
    assert [job.folder for job in store.jobs()] == [second.folder]
    with pytest.raises(JobError):
        store.get("../jobs")


def test_the_worker_outlives_a_killed_parent(store: JobStore, tmp_path: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(stand_in_worker.ROOT)!r})\n"
        "from tests.backend.test_jobs import *\n"
        "stand_in_worker.add_stages()\n"
        "store = JobStore(Path(sys.argv[1]), WORKER)\n"
        "job = submit(store, count(Path(sys.argv[2]), steps=10, delay=0.1))\n"
        "worker_pid(job); print('running', flush=True); time.sleep(600)\n"
    )
    command = [sys.executable, "-c", program, str(store.folder), str(tmp_path / "shot")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"running\n"
        parent.kill()
    (job,) = store.jobs()
    job.poll()
    assert job.snapshot.state is JobState.RUNNING
    assert wait(job).snapshot.state is JobState.FINISHED


def test_a_killed_worker_is_lost_and_resumes(store: JobStore, tmp_path: Path) -> None:
    shot = Shot(tmp_path / "shot")
    wait(submit(store, count(shot.path, steps=1)))
    job = submit(store, count(shot.path, steps=20, delay=0.05))
    wait(job, lambda: job.snapshot.done >= 4)
    os.kill(worker_pid(job), signal.SIGKILL)
    wait(job)
    assert job.snapshot.state is JobState.LOST
    assert job.snapshot.remedy is Remedy.RUN_AGAIN
    assert len(list(shot.output("count").glob("*.bin"))) == 1
    again = wait(submit(store, count(shot.path, steps=20, delay=0.05)))
    assert again.snapshot.state is JobState.FINISHED
    record = outputs.recorded(shot, stages.get("count"))
    assert record["resumed"] >= 4
    assert len(list(shot.output("count").glob("*.bin"))) == 20
    assert len(list(shot.output("count.previous").glob("*.bin"))) == 1


def test_other_options_do_not_resume(store: JobStore, tmp_path: Path) -> None:
    shot = Shot(tmp_path / "shot")
    job = submit(store, count(shot.path, steps=20, delay=0.05))
    os.kill(worker_pid(job), signal.SIGKILL)
    wait(job)
    wait(submit(store, count(shot.path, steps=2)))
    assert outputs.recorded(shot, stages.get("count"))["resumed"] == 0
    assert len(list(shot.output("count").glob("*.bin"))) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="children end with the worker on Linux")
def test_children_end_with_a_killed_worker(store: JobStore, tmp_path: Path) -> None:
    job = submit(store, count(tmp_path / "shot", child=True))
    os.kill(worker_pid(job), signal.SIGKILL)
    wait(job)
    give_up = time.monotonic() + 5
    while is_alive(str(tmp_path / "shot")):
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_a_job_waits_until_the_button_is_pressed(store: JobStore, tmp_path: Path) -> None:
    job = submit(store, count(tmp_path / "shot", ask=True))
    wait(job, lambda: job.snapshot.waiting is not None)
    assert job.snapshot.waiting == Waiting(
        "Do what is to be done", "Done", "http://127.0.0.1:1/page"
    )
    job.go_on()
    wait(job)
    assert (job.snapshot.state, job.snapshot.waiting) == (JobState.FINISHED, None)


def test_a_job_that_waits_can_be_canceled(store: JobStore, tmp_path: Path) -> None:
    job = submit(store, count(tmp_path / "shot", ask=True))
    wait(job, lambda: job.snapshot.waiting is not None).cancel()
    assert wait(job).snapshot.state is JobState.CANCELED


def test_in_a_terminal_enter_is_the_button(
    store: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    typed: queue.SimpleQueue[str] = queue.SimpleQueue()
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(readline=typed.get))
    monkeypatch.setattr(run, "_enter", run._EnterKey())

    def page_opened(link: str) -> None:
        opened.append(link)
        threading.Timer(0.3, typed.put, ("\n",)).start()

    monkeypatch.setattr("webbrowser.open", page_opened)
    said = io.StringIO()
    request = replace(count(tmp_path / "shot", ask=True), attended=True)
    job = submit(store, request)
    run.follow(job, Console(out=said))
    assert job.snapshot.state is JobState.FINISHED
    assert opened == ["http://127.0.0.1:1/page"]
    assert "press Enter" in said.getvalue()
    typed.put("")


def test_cancel_at_random_moments(store: JobStore, tmp_path: Path) -> None:
    shot = Shot(tmp_path / "shot")
    wait(submit(store, count(shot.path, steps=1)))
    dice = random.Random(1)
    for _round in range(12):
        job = submit(store, count(shot.path, steps=40, delay=0.01))
        time.sleep(dice.uniform(0, 0.5))
        job.poll()
        job.cancel()
        asked = time.monotonic()
        wait(job)
        assert time.monotonic() - asked < 10
        assert not shot.output("count.part").exists()
        if job.snapshot.state is JobState.FINISHED:
            wait(submit(store, count(shot.path, steps=1)))
            continue
        assert job.snapshot.state is JobState.CANCELED
        assert len(list(shot.output("count").glob("*.bin"))) == 1


def test_cancel_takes_children_along(store: JobStore, tmp_path: Path) -> None:
    job = submit(store, count(tmp_path / "shot", child=True))
    worker_pid(job)
    job.cancel()
    assert wait(job).snapshot.state is JobState.CANCELED
    assert not is_alive(str(tmp_path / "shot"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system can be mounted by root on Linux only")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_keeps_the_old_output(store: JobStore, small_disk: Path) -> None:
    shot = Shot(small_disk / "shot")
    wait(submit(store, count(shot.path, steps=2)))
    job = wait(submit(store, count(shot.path, steps=50, kilobytes=100)))
    assert job.snapshot.state is JobState.FAILED
    assert "full" in job.snapshot.reason
    assert not shot.output("count.part").exists()
    assert len(list(shot.output("count").glob("*.bin"))) == 2


def spans(shot: Path, name: str) -> tuple[float, float]:
    record = outputs.recorded(Shot(shot), stages.get(name))
    return record["began"], record["ended"]


def test_two_gpu_jobs_take_turns(store: JobStore, tmp_path: Path) -> None:
    names = {"one": "gpucount", "two": "gpucount", "beside": "count"}
    jobs = {
        shot: submit(store, count(tmp_path / shot, name, steps=10, delay=0.05))
        for shot, name in names.items()
    }
    for job in jobs.values():
        assert wait(job).snapshot.state is JobState.FINISHED
    one, two, beside = (spans(tmp_path / shot, name) for shot, name in names.items())
    assert one[1] <= two[0] or two[1] <= one[0]
    assert beside[0] < max(one[1], two[1])
    assert beside[1] > min(one[0], two[0])
    assert beside[1] < max(one[1], two[1])


def test_two_jobs_on_one_shot_take_turns(store: JobStore, tmp_path: Path) -> None:
    shot = tmp_path / "shot"
    jobs = [submit(store, count(shot, steps=steps, delay=0.02)) for steps in (10, 11)]
    for job in jobs:
        assert wait(job).snapshot.state is JobState.FINISHED
    assert len(list(Shot(shot).output("count").glob("*.bin"))) in (10, 11)
    assert len(list(Shot(shot).output("count.previous").glob("*.bin"))) in (10, 11)


def test_a_current_output_does_not_run_again(store: JobStore, tmp_path: Path) -> None:
    shot = tmp_path / "shot"

    def began(**options: object) -> float:
        job = wait(submit(store, count(shot, **options)))
        assert job.snapshot.state is JobState.FINISHED
        return spans(shot, "count")[0]

    first = began(steps=2)
    assert began(steps=2) == first
    assert began(steps=2, force=True) > first
    second = spans(shot, "count")[0]
    kept = Request(str(shot), "a plate", (StageRequest("count", {"steps": 3}),), skip_existing=True)
    wait(submit(store, kept))
    assert spans(shot, "count")[0] == second
    assert began(steps=3) > second


def test_unknown_options_fail_with_a_sentence(store: JobStore, tmp_path: Path) -> None:
    job = wait(submit(store, count(tmp_path / "shot", leaps=3)))
    assert job.snapshot.state is JobState.FAILED
    assert job.snapshot.reason == "Unknown option: leaps."


def test_a_read_only_target_fails_with_a_sentence(store: JobStore, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    job = wait(submit(store, count(blocked / "shot")))
    assert job.snapshot.state is JobState.FAILED
    assert str(blocked) in job.snapshot.reason


def test_an_interrupted_commit_is_finished(tmp_path: Path) -> None:
    shot, stage = Shot(tmp_path), stages.get("colmap")
    part = outputs.Writing(shot, stage, "new")
    part.begin({"options": {}, "inputs": {}})
    for name in stage.makes:
        (part.folder(name) / "new").touch()
    shot.output("colmap").mkdir()
    record = outputs.read_json(part.folder("colmap") / "stage.json") | {"finished": 1.0}
    outputs.write_json(part.folder("colmap") / "stage.json", record)
    outputs.replace_folder(part.folder("camera"), shot.output("camera"))
    outputs.recover(shot, stage)
    assert (shot.output("colmap") / "new").exists()
    assert (shot.output("camera") / "new").exists()
    assert shot.output("colmap.previous").exists()


def test_asking_for_a_solve_sets_the_shot_up_first(tmp_path: Path) -> None:
    planned = plan(Shot(tmp_path), [StageRequest("colmap", {"quality": "low"})])
    assert [(stage.name, stage.prerequisite) for stage in planned] == [
        ("ingest", True),
        ("colmap", False),
    ]
    with pytest.raises(UsageError, match="not part of this version"):
        plan(Shot(tmp_path), [StageRequest("gsir", {})])
