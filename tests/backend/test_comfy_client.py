# SPDX-License-Identifier: GPL-3.0-or-later
"""A job on a ComfyUI server: how far it is, how it ends, and every way in which it goes wrong.

With SHOT_GOPHER_COMFYUI=URL what can be asked of a real server runs there too
(`python3 -m tests.comfyui_live URL`).
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from backend.comfyui import ComfySettings
from backend.errors import Canceled, ComfyError
from backend.events import EventReader, EventWriter
from backend.worker.comfy import client as clients
from backend.worker.comfy import watch
from backend.worker.comfy.client import Client, Clock
from backend.worker.comfy.fill import start
from backend.worker.comfy.local import command
from backend.worker.comfy.session import saved, session
from backend.worker.image_files import write_png
from backend.worker.report import Report
from backend.workflows import load

from .comfy_idle import FastTime, idle_requests
from .comfy_server import ComfyServer, object_info


@pytest.fixture
def server():
    made = ComfyServer()
    yield made
    made.stop()


@pytest.fixture
def report(tmp_path):
    return Report(EventWriter(tmp_path / "events.jsonl"), tmp_path / "cancel")


@pytest.fixture
def plate(tmp_path):
    files = {number: tmp_path / f"frame_{number:04d}.png" for number in (1, 2, 3)}
    for number, file in files.items():
        write_png(file, np.full((8, 10, 3), number * 10, np.uint8))
    return files


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(watch, "ASK_EVERY", 0.1)
    monkeypatch.setattr(watch, "ASK_SELDOM", 0.2)
    monkeypatch.setattr(watch, "_SLICE", 0.02)
    monkeypatch.setattr(clients, "_CONNECTING", 1.0)


def depth_job(opened, plate):
    """Runs workflow 01 and gives what its nodes saved."""
    workflow = load("01_analysis")
    opened.require("01_analysis", workflow)
    filled = opened.put(start(workflow.graph), "<clip>", list(plate.values()))
    return saved(opened.run(filled, len(plate)), filled, len(plate), ["save_raw"])


def run_depth(server, report, plate):
    with session(report, ComfySettings(server.url)) as opened:
        return depth_job(opened, plate)


def told(tmp_path, event):
    return [
        each for each in EventReader(tmp_path / "events.jsonl").poll() if each["event"] == event
    ]


def test_a_job_says_how_far_it_is(server, report, plate, tmp_path):
    server.node_seconds = 0.02
    run_depth(server, report, plate)
    texts = [each["text"] for each in told(tmp_path, "status")]
    assert texts[0] == "Sending frames to ComfyUI"
    assert "ComfyUI: Depth" in texts
    assert "ComfyUI: Depth Anything 3" in texts
    (job,) = server.jobs
    assert server.asked(f"/history/{job}") == 1
    assert server.freed == 1


def test_frames_are_counted_as_the_server_counts_them(tmp_path, report):
    graph = {"7": {"class_type": "SAM3_VideoTrack", "inputs": {}}}
    progress = watch.Progress("mine", graph, 40, report)
    progress.take({"type": "executing", "data": {"node": "7", "prompt_id": "mine"}})
    for job in ("mine", "another"):
        said = {"value": 12 if job == "mine" else 39, "max": 40, "prompt_id": job, "node": "7"}
        progress.take({"type": "progress", "data": said})
        progress.take({"type": "executing", "data": {"node": None, "prompt_id": "another"}})
    assert not progress.ended
    (counted,) = told(tmp_path, "progress")
    assert (counted["done"], counted["total"], counted["unit"]) == (12, 40, "frames")
    progress.take({"type": "status", "data": None})
    progress.take({"type": "executing", "data": {"node": None, "prompt_id": "mine"}})
    assert progress.ended


@pytest.mark.usefixtures("quick")
def test_a_job_ends_without_a_websocket(server, report, plate):
    server.has_websocket = False
    assert len(run_depth(server, report, plate)[()]) == 3


@pytest.mark.usefixtures("quick")
def test_a_job_goes_on_when_the_websocket_breaks_off(server, report, plate):
    server.drops_websocket, server.node_seconds = True, 0.02
    assert len(run_depth(server, report, plate)[()]) == 3
    (job,) = server.jobs
    assert server.asked(f"/history/{job}") + server.asked("/queue") > 1


@pytest.mark.parametrize(
    ("play", "sentence"),
    [
        ("node exception", "failed in"),
        ("oom", "ran out of memory"),
        ("cancelled", "was stopped in ComfyUI"),
        ("cached", "made no images"),
        ("vanish", "gone from ComfyUI"),
        ("short", "2 images of 3 frames"),
        ("partial", "does not take the workflow"),
    ],
)
@pytest.mark.parametrize("has_websocket", [True, False])
@pytest.mark.usefixtures("quick")
def test_what_goes_wrong_is_one_sentence(server, report, plate, play, sentence, has_websocket):
    server.play, server.has_websocket = play, has_websocket
    with pytest.raises(ComfyError, match=sentence) as failed:
        run_depth(server, report, plate)
    assert "\n" not in failed.value.reason
    assert "tensor" not in failed.value.reason
    if play == "partial":
        assert server.requests[-2][2].endswith("/cancel")


@pytest.mark.usefixtures("quick")
def test_results_that_were_deleted_are_told(server, report, plate):
    server.play = "emptied"
    with session(report, ComfySettings(server.url)) as opened:
        images = depth_job(opened, plate)[()]
        with pytest.raises(ComfyError, match="not there any more"):
            opened.client.view(images[0])


@pytest.mark.usefixtures("quick")
def test_a_server_that_dies_is_told(server, report, plate):
    server.play = "die"
    with pytest.raises(ComfyError, match="stopped answering"):
        run_depth(server, report, plate)


def canceled_in(seconds: float, tmp_path: Path) -> None:
    threading.Timer(seconds, lambda: (tmp_path / "cancel").touch()).start()


@pytest.mark.parametrize("play", ["pending", "endless"])
@pytest.mark.parametrize("has_job_routes", [True, False])
@pytest.mark.usefixtures("quick")
def test_cancel_stops_this_job_and_no_other(server, report, plate, tmp_path, play, has_job_routes):
    server.play, server.has_job_routes = play, has_job_routes
    server.pending.append("somebody-else")
    canceled_in(0.3, tmp_path)
    with pytest.raises(Canceled):
        run_depth(server, report, plate)
    (job,) = server.jobs
    assert server.pending == ["somebody-else"]
    assert (job in server.interrupted) == (play == "endless")
    assert job not in str(server.queue())


@pytest.mark.usefixtures("quick")
def test_a_node_that_does_not_look_is_waited_for_and_left(
    server, report, plate, tmp_path, monkeypatch
):
    monkeypatch.setattr(watch, "_STOPPING", 0.2)
    server.play = "deaf"
    canceled_in(0.1, tmp_path)
    began = time.monotonic()
    with pytest.raises(Canceled):
        run_depth(server, report, plate)
    assert time.monotonic() - began < 5


@pytest.mark.usefixtures("quick")
def test_a_late_cancel_harms_nobody(server, plate, report):
    with session(report, ComfySettings(server.url)) as opened:
        depth_job(opened, plate)
        (job,) = server.jobs
        opened.client.cancel(job)
    assert not server.interrupted
    assert len(run_depth(server, report, plate)[()]) == 3


@pytest.mark.usefixtures("quick")
def test_a_frame_too_large_for_the_server_is_told(server, report, plate):
    server.max_upload = 20
    with pytest.raises(ComfyError, match="--max-upload-size"):
        run_depth(server, report, plate)
    server.says_max_upload = False
    with pytest.raises(ComfyError, match="--max-upload-size"):
        run_depth(server, report, plate)


@pytest.mark.usefixtures("quick")
def test_a_graph_that_the_server_refuses_is_told(server, report, plate):
    """The server has lost a node and a file since it was asked."""
    server.checked = object_info(weights=False)
    with pytest.raises(ComfyError, match="depth_anything_3_mono_large"):
        run_depth(server, report, plate)
    del server.checked["DA3Render"]
    with pytest.raises(ComfyError, match="'DA3Render' not found"):
        run_depth(server, report, plate)
    assert not server.jobs


@pytest.mark.usefixtures("quick")
def test_nothing_is_sent_to_a_server_that_lacks_something(server, report, plate):
    server.classes = object_info(weights=False)
    with pytest.raises(ComfyError, match="Put depth_anything_3_mono_large"):
        run_depth(server, report, plate)
    assert {method for _when, method, _path in server.requests} == {"GET", "POST"}
    assert [path for _when, method, path in server.requests if method == "POST"] == ["/free"]


def test_another_program_on_the_port_is_told(server, report, plate):
    server.answers_html = True
    with pytest.raises(ComfyError, match="is not ComfyUI"):
        run_depth(server, report, plate)


def test_a_server_that_sends_on_is_not_followed(server, report, plate):
    other = ComfyServer()
    try:
        server.redirect = f"{other.url}/"
        with pytest.raises(ComfyError, match="sends on"):
            run_depth(server, report, plate)
        with pytest.raises(ComfyError):
            Client(server.url).upload(plate[1], "a", "b.png")
        assert not other.requests
    finally:
        other.stop()


@pytest.mark.usefixtures("quick")
def test_a_proxy_is_not_asked_for_this_machine(server, report, plate, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert len(run_depth(server, report, plate)[()]) == 3


def test_an_idle_job_is_asked_after_once_a_second_at_most(server):
    server.has_websocket = False
    fast = FastTime()
    asked = idle_requests(server, Clock(fast.now, fast.sleep), 600.0)
    assert 300 < len(asked) <= 600


def test_with_a_websocket_it_is_asked_after_less(server):
    assert len(idle_requests(server, Clock(), 2.5)) <= 1


def comfyui_folder(tmp_path: Path) -> Path:
    """A ComfyUI to start: main.py is our stand-in."""
    folder = tmp_path / "ComfyUI"
    folder.mkdir()
    root = Path(__file__).resolve().parents[2]
    (folder / "main.py").write_text(
        f"import sys\nsys.path.insert(0, {str(root)!r})\n"
        "from tests.backend.comfy_server import main\nmain()\n",
        encoding="utf-8",
    )
    return folder


def free_url() -> str:
    probe = ComfyServer()
    probe.stop()
    return probe.url


@pytest.mark.usefixtures("quick")
def test_a_folder_is_started_and_only_that_one_stopped(report, plate, tmp_path):
    chosen = ComfySettings(free_url(), str(comfyui_folder(tmp_path)))
    with session(report, chosen) as opened:
        assert len(depth_job(opened, plate)[()]) == 3
    with (
        pytest.raises(ComfyError, match="No ComfyUI answers"),
        session(report, ComfySettings(chosen.url)),
    ):
        pass


@pytest.mark.usefixtures("quick")
def test_a_server_that_was_there_is_left_running(server, report, plate, tmp_path):
    folder = tmp_path / "nowhere"
    with session(report, ComfySettings(server.url, str(folder))) as opened:
        depth_job(opened, plate)
    assert run_depth(server, report, plate)


def test_a_folder_that_is_none_or_does_not_start_is_told(report, tmp_path):
    chosen = ComfySettings(free_url(), str(tmp_path))
    with pytest.raises(ComfyError, match=r"main\.py"), session(report, chosen):
        pass
    (tmp_path / "main.py").write_text("raise SystemExit('no torch here')", encoding="utf-8")
    with pytest.raises(ComfyError, match="no torch here"), session(report, chosen):
        pass


def test_a_folders_own_python_is_used(tmp_path):
    folder = comfyui_folder(tmp_path)
    chosen = ComfySettings("http://127.0.0.1:8199", str(folder))
    where = ["-u", "main.py", "--listen", "127.0.0.1", "--port", "8199"]
    assert command(chosen) == [sys.executable, *where]
    own = folder / "venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.touch()
    assert command(chosen)[0] == str(own)
