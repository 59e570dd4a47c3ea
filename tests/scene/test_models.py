# SPDX-License-Identifier: GPL-3.0-or-later
"""Models in the preferences: what the views say, what the buttons do, and what is drawn."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import pytest
from shot_gopher.backend.errors import ModelError, Remedy
from shot_gopher.backend.events import Event, EventWriter
from shot_gopher.backend.host import Host
from shot_gopher.backend.jobs import Job, Request
from shot_gopher.backend.model_table import MODELS
from shot_gopher.backend.models import ModelState, ModelStore
from shot_gopher.backend.processes import FileLock
from shot_gopher.backend.shot import write_json
from shot_gopher.operators.models_view import ModelView, compose_models, read_models
from shot_gopher.panels import models as panel

pytestmark = pytest.mark.usefixtures("settings")


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "home")


def own_folder(folder: Path, name: str = "sam2-tiny") -> Path:
    folder.mkdir()
    for need in MODELS[name].needs:
        (folder / need).write_bytes(b"{}")
    return folder


def download(folder: Path, name: str) -> Job:
    """A job that downloads a model, as its folder is when it has just started."""
    folder.mkdir(parents=True)
    request = Request(shot="", plate="", stages=(), models=(name,))
    write_json(folder / "request.json", vars(request) | {"versions": {}})
    return Job(folder)


def views(store: ModelStore, *jobs: Job, canceling: set[str] = frozenset()) -> dict[str, ModelView]:
    disk, downloads = read_models(Host(python=Path("python"), home=store.home), jobs)
    composed = compose_models(disk, downloads, canceling)
    assert composed.known
    return {view.name: view for view in composed.models}


def test_the_license_is_accepted_once_in_the_preferences(store: ModelStore) -> None:
    assert not views(store)["sam3"].accepted
    assert bpy.ops.shot_gopher.model_accept(model="sam3") == {"FINISHED"}
    assert store.accepted("sam3")
    assert views(store)["sam3"].accepted
    assert not store.accepted("sam2-tiny")


def test_a_folder_is_chosen_and_forgotten(store: ModelStore, tmp_path: Path) -> None:
    own = own_folder(tmp_path / "own")
    bpy.ops.shot_gopher.model_choose(model="sam2-tiny", directory=str(own))
    assert store.folder("sam2-tiny") == own
    seen = views(store)["sam2-tiny"]
    assert (seen.ready, seen.own, seen.where) == (True, True, str(own))
    with pytest.raises(RuntimeError, match="is not SAM 3: it lacks"):
        bpy.ops.shot_gopher.model_choose(model="sam3", directory=str(tmp_path))
    bpy.ops.shot_gopher.model_remove("EXEC_DEFAULT", model="sam2-tiny")
    assert own.is_dir()
    assert store.state("sam2-tiny") is ModelState.MISSING


def test_the_server_is_set(store: ModelStore) -> None:
    bpy.ops.shot_gopher.model_server(
        "EXEC_DEFAULT", endpoint="https://hub.example.org", token="hf_secret"
    )
    assert store.settings().endpoint == "https://hub.example.org"
    assert store.settings().token == "hf_secret"
    with pytest.raises(RuntimeError, match="no address"):
        bpy.ops.shot_gopher.model_server("EXEC_DEFAULT", endpoint="hub", token="")


def test_nothing_is_downloaded_while_blender_is_offline(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    if bpy.app.online_access:
        monkeypatch.setattr(bpy.context.preferences.system, "use_online_access", False)
    with pytest.raises(RuntimeError, match="online access is off"):
        bpy.ops.shot_gopher.model_get(model="sam2-tiny")
    assert not (store.home / "jobs").exists()


def test_a_download_is_seen_from_its_start_to_its_failure(
    store: ModelStore, tmp_path: Path
) -> None:
    job = download(tmp_path / "jobs" / "one", "sam2-tiny")
    lock = FileLock(job.folder / "worker.lock")
    assert lock.acquire()
    events = EventWriter(job.folder / "events.jsonl")
    events.write(Event.STARTED, pid=1, versions={})
    events.write(Event.STATUS, text="Downloading SAM 2.1 Tiny")
    events.write(Event.PROGRESS, done=39, total=156, unit="MB")
    seen = views(store, job)
    assert (seen["sam2-tiny"].getting, seen["sam2-tiny"].fraction) == (True, 0.25)
    assert seen["sam2-tiny"].count.startswith("39/156 MB")
    assert not seen["sam3"].getting
    assert views(store, job, canceling={"one"})["sam2-tiny"].text == "Canceling..."
    remedy = Remedy.GET_MODEL.value
    events.write(Event.FAILED, reason="The server cannot be reached.", remedy=remedy)
    lock.release()
    seen = views(store, job)
    assert not seen["sam2-tiny"].getting
    assert seen["sam2-tiny"].reason == "The server cannot be reached."
    again = download(tmp_path / "jobs" / "two", "sam2-tiny")
    assert views(store, job, again)["sam2-tiny"].getting
    assert views(store, job, again)["sam2-tiny"].reason == ""


class Layout:
    """Takes what a panel draws: the labels, and the operators with what they were given."""

    def __init__(self, drawn: list[Any] | None = None) -> None:
        self.drawn: list[Any] = drawn if drawn is not None else []
        self.enabled = True

    def row(self, **_how: Any) -> Layout:
        return Layout(self.drawn)

    column = box = row

    def label(self, text: str = "", **_how: Any) -> None:
        self.drawn.append(text)

    def progress(self, factor: float, text: str) -> None:
        self.drawn.append(f"{factor:.2f} {text}")

    def operator(self, name: str, **_how: Any) -> SimpleNamespace:
        given = SimpleNamespace(operator=name)
        self.drawn.append(given)
        return given


def drawn(view: ModelView) -> list[Any]:
    layout = Layout()
    system = SimpleNamespace(ui_scale=1.0)
    context = SimpleNamespace(
        preferences=SimpleNamespace(system=system), region=SimpleNamespace(width=900)
    )
    panel._draw_model(layout, context, view)
    return layout.drawn


def operators(found: list[Any]) -> set[str]:
    return {entry.operator.partition(".")[2] for entry in found if not isinstance(entry, str)}


def test_each_state_offers_what_can_be_done(store: ModelStore, tmp_path: Path) -> None:
    shown = drawn(views(store)["sam3"])
    assert operators(shown) == {"model_get", "model_choose", "model_accept", "url_open"}
    assert {one.url for one in shown if hasattr(one, "url")} == {
        MODELS["sam3"].licence.address, "https://huggingface.co/facebook/sam3",
    }  # fmt: skip
    assert any("SAM License" in text for text in shown if isinstance(text, str))
    store.accept("sam3")
    assert operators(drawn(views(store)["sam3"])) == {"model_get", "model_choose"}
    store.choose("sam2-tiny", own_folder(tmp_path / "own"))
    assert operators(drawn(views(store)["sam2-tiny"])) == {"model_choose", "model_remove"}
    job = download(tmp_path / "jobs" / "one", "sam2-large")
    assert operators(drawn(views(store, job)["sam2-large"])) == {"job_cancel"}


def test_a_model_that_is_registered_for_has_nothing_to_get(
    store: ModelStore, tmp_path: Path
) -> None:
    shown = drawn(views(store)["smplx"])
    assert operators(shown) == {"model_choose", "url_open"}
    assert {one.url for one in shown if hasattr(one, "url")} == {
        MODELS["smplx"].licence.address, MODELS["smplx"].registration,
    }  # fmt: skip
    assert any("Register at" in text for text in shown if isinstance(text, str))
    store.choose("smplx", own_folder(tmp_path / "own", "smplx"))
    assert operators(drawn(views(store)["smplx"])) == {"model_choose", "model_remove"}


def test_a_license_is_asked_for_where_a_program_comes_with_the_own_folder(
    store: ModelStore, tmp_path: Path
) -> None:
    store.choose("gvhmr", own_folder(tmp_path / "own", "gvhmr"))
    asked = {"model_choose", "model_remove", "model_accept", "url_open"}
    assert operators(drawn(views(store)["gvhmr"])) == asked
    store.accept("gvhmr")
    assert operators(drawn(views(store)["gvhmr"])) == {"model_choose", "model_remove"}


def test_a_view_of_all_models_is_fast(store: ModelStore) -> None:
    """It is read again at every change while a job runs."""
    begin = time.monotonic()
    for _ in range(20):
        views(store)
    assert (time.monotonic() - begin) / 20 < 0.05


def test_a_missing_model_says_where_the_button_is(store: ModelStore) -> None:
    with pytest.raises(ModelError, match="in the preferences under Models"):
        store.folder("sam3")
