# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloading models with the Hub's own package from a stand-in of the Hub on this machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from backend import models
from backend.errors import Canceled, ModelError, OutputError, Remedy
from backend.events import Event, EventReader
from backend.jobs import WORKER, Request
from backend.model_table import MODELS, Commercial, Licence, Model, ModelFile
from backend.models import ModelState, ModelStore
from backend.shot import write_json
from backend.worker import downloading
from tests.models.hub_server import COMMIT, TOKEN, Hub, serving

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = bytes(range(256)) * 2000
FILES = {
    "config.json": b'{"model_type": "small"}',
    "model.safetensors": WEIGHTS,
    "model.pt": b"pickled",
    "notes/README.md": b"about",
}
WANTED = ("config.json", "model.safetensors")
PIECE = 65536


@dataclass
class Recorder:
    """Keeps what a download tells; `on_progress` may raise."""

    on_progress: Callable[[int], None] = lambda _done: None
    statuses: list[str] = field(default_factory=list)
    counts: list[tuple[int, int, str]] = field(default_factory=list)

    def status(self, text: str) -> None:
        self.statuses.append(text)

    def progress(self, done: int, total: int, unit: str) -> None:
        self.counts.append((done, total, unit))
        self.on_progress(done)

    def warning(self, text: str) -> None:
        raise AssertionError(text)

    def check(self) -> None:
        pass


MODEL = Model(
    name="small",
    title="Small Model",
    purpose="Tests",
    repository="owner/model",
    licence=Licence("Test License", "https://example.org/license", Commercial.YES, "None."),
    patterns=("*.json", "*.safetensors"),
    needs=("config.json", "model.safetensors"),
    size=len(WEIGHTS),
    gpu_memory=0,
    files=(ModelFile("model.safetensors", len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest()),),
    revision=COMMIT,
)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub(FILES)) as running:
        yield running


@pytest.fixture
def store(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """A store that asks the stand-in, with the license accepted and pieces of 64 KiB, in kB."""
    monkeypatch.setitem(MODELS, "small", MODEL)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", PIECE)
    monkeypatch.setattr(downloading, "_MB", 1000)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    made = ModelStore(tmp_path / "home")
    made.use_server(endpoint=hub.address)
    made.accept("small")
    return made


def get(store: ModelStore, report: Recorder | None = None) -> None:
    downloading.get_model(store, "small", report or Recorder())


def refused(store: ModelStore) -> ModelError:
    with pytest.raises(ModelError) as caught:
        get(store)
    assert store.state("small") is not ModelState.READY
    assert caught.value.reason.count(". ") <= 2
    return caught.value


def test_a_model_is_fetched_checked_and_recorded(store: ModelStore, hub: Hub) -> None:
    report = Recorder()
    assert store.state("small") is ModelState.MISSING
    get(store, report)
    assert store.state("small") is ModelState.READY
    folder = store.folder("small")
    assert {file.name for file in folder.rglob("*") if file.is_file()} == {
        "config.json", "model.safetensors", "model.json",
    }  # fmt: skip
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    record = store.record("small")
    assert record is not None
    assert (record.repository, record.revision) == ("owner/model", COMMIT)
    assert {file.path: file.sha256 for file in record.files} == {
        name: hashlib.sha256(FILES[name]).hexdigest()
        for name in ("config.json", "model.safetensors")
    }
    total = (len(WEIGHTS) + len(FILES["config.json"])) // 1000
    assert report.counts[-1] == (total, total, "MB")
    assert [count[0] for count in report.counts] == sorted(count[0] for count in report.counts)
    assert len(report.counts) > len(WEIGHTS) // PIECE

    hub.asked.clear()
    get(store)
    assert hub.asked == []


def test_a_cut_connection_is_taken_up_within_a_download(store: ModelStore, hub: Hub) -> None:
    hub.cut, hub.cuts = 3 * PIECE, 2
    get(store)
    assert (store.folder("small") / "model.safetensors").read_bytes() == WEIGHTS
    assert any(header.startswith("bytes=") for header in hub.fetched())


def test_a_canceled_download_goes_on_where_it_was(store: ModelStore, hub: Hub) -> None:
    def stop(done: int) -> None:
        if done > 200:
            raise Canceled

    with pytest.raises(Canceled):
        get(store, Recorder(stop))
    assert store.state("small") is ModelState.PARTIAL
    with pytest.raises(ModelError, match="not complete"):
        store.folder("small")
    there = max(file.stat().st_size for file in store.place("small").rglob("*") if file.is_file())
    assert PIECE <= there < len(WEIGHTS)
    hub.asked.clear()
    report = Recorder()
    get(store, report)
    assert f"bytes={there}-" in hub.fetched()
    assert report.counts[1][0] >= there // 1000
    assert (store.folder("small") / "model.safetensors").read_bytes() == WEIGHTS


def test_a_connection_that_is_always_cut_is_told(store: ModelStore, hub: Hub) -> None:
    hub.cut, hub.cuts = 0, 100
    error = refused(store)
    assert "cannot be reached" in error.reason or "ended early" in error.reason
    assert error.remedy is Remedy.GET_MODEL


@pytest.mark.parametrize("name", WANTED)
def test_what_arrives_damaged_is_thrown_away(store: ModelStore, hub: Hub, name: str) -> None:
    hub.spoiled = (name,)
    assert f"{name} of Small Model arrived damaged" in refused(store).reason
    hub.spoiled = ()
    get(store)
    assert store.check("small") == 2


def test_a_mirror_with_other_weights_is_refused(
    store: ModelStore, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(MODEL, files=(ModelFile("model.safetensors", len(WEIGHTS), "0" * 64),))
    monkeypatch.setitem(MODELS, "small", other)
    assert "offers another model.safetensors" in refused(store).reason
    assert hub.fetched() == []


def test_a_gated_model_wants_a_token(store: ModelStore, hub: Hub) -> None:
    hub.gated = True
    assert "ask for access at https://huggingface.co/owner/model" in refused(store).reason
    store.use_server(token="hf_wrong")
    assert "does not accept the access token" in refused(store).reason
    # The content server answers 400 to a request that carries the token.
    store.use_server(token=TOKEN)
    get(store)
    assert store.state("small") is ModelState.READY
    assert (store.path / "settings.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("repository", "sentence"),
    [
        ("owner/nothing", "has no repository owner/nothing"),
        ("owner/model@v2", "has no revision v2"),
    ],
)
def test_a_repository_that_is_not_there_is_told(
    store: ModelStore, repository: str, sentence: str
) -> None:
    store.use_repository("small", repository)
    assert sentence in refused(store).reason


def test_a_mirror_by_its_name_is_taken_at_its_newest(store: ModelStore) -> None:
    store.use_repository("small", "owner/model")
    get(store)
    record = store.record("small")
    assert record is not None
    assert record.revision == COMMIT
    store.use_repository("small", "owner/model@" + "f" * 40)
    assert store.state("small") is ModelState.PARTIAL, "what is there is of another revision"


def test_a_repository_of_another_format_is_refused(store: ModelStore, hub: Hub) -> None:
    hub.files = {"config.json": b"{}", "model.pt": b"pickled"}
    assert "has no model.safetensors" in refused(store).reason
    assert hub.fetched() == []


def test_what_the_network_does_is_told(store: ModelStore, hub: Hub) -> None:
    hub.status = 503
    assert "answered with error 503" in refused(store).reason
    store.use_server(endpoint="http://127.0.0.1:9")
    assert "cannot be reached" in refused(store).reason


def test_a_disk_that_is_too_small_is_told_before(
    store: ModelStore, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(0, 0, 1000))
    assert "Small Model needs" in refused(store).reason
    assert hub.fetched() == []


def test_a_disk_that_becomes_full_is_told(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_named: object) -> None:
        raise OSError(28, "No space left on device", "model.safetensors")

    monkeypatch.setattr(downloading, "http_get", full)
    with pytest.raises(OutputError, match="disk is full"):
        get(store)


def test_the_license_comes_first(store: ModelStore, hub: Hub) -> None:
    store._set("licences", "small", "")
    error = refused(store)
    assert "Test License" in error.reason
    assert "https://example.org/license" in error.reason
    assert hub.asked == []
    store._set("licences", "small", "Another License")
    assert not store.accepted("small"), "a license that has changed is another one"


def test_what_is_given_to_the_registered_is_asked_of_no_server(store: ModelStore, hub: Hub) -> None:
    store.accept("smplx")
    with pytest.raises(ModelError, match=r"Register at https://smpl-x\.is\.tue\.mpg\.de"):
        downloading.get_model(store, "smplx", Recorder())
    assert not hub.asked


def test_weights_that_were_changed_are_found(store: ModelStore) -> None:
    get(store)
    weights = store.folder("small") / "model.safetensors"
    read: list[tuple[int, int]] = []
    assert store.check("small", lambda done, total: read.append((done, total))) == 2
    assert read[-1] == (len(WEIGHTS) + len(FILES["config.json"]),) * 2
    weights.write_bytes(bytes(len(WEIGHTS)))
    assert store.state("small") is ModelState.READY, "its size is right"
    with pytest.raises(ModelError, match="damaged or another file"):
        store.check("small")
    weights.write_bytes(WEIGHTS[:-1])
    assert store.state("small") is ModelState.PARTIAL
    get(store)
    assert store.check("small") == 2
    store.remove("small")
    assert store.state("small") is ModelState.MISSING
    assert not store.place("small").exists()


def test_a_new_revision_leaves_no_old_weights(store: ModelStore, hub: Hub) -> None:
    get(store)
    (store.place("small") / "model-00001-of-00002.safetensors").write_bytes(b"old")
    record = store.record("small")
    assert record is not None
    replace(record, revision="e" * 40).save(store.place("small") / models.RECORD)
    assert store.state("small") is ModelState.PARTIAL
    hub.asked.clear()
    get(store)
    assert hub.fetched() == [], "what has not changed is not fetched again"
    assert not (store.place("small") / "model-00001-of-00002.safetensors").exists()


# The whole way: a job of the worker, then a model that is loaded without any network


def run_job(home: Path, folder: Path, hub_model: str) -> list[dict[str, Any]]:
    """Runs a job that downloads a model, in this Python; its events."""
    folder.mkdir()
    request = Request(shot="", plate="", stages=(), models=(hub_model,))
    write_json(folder / "request.json", vars(request) | {"versions": {}})
    subprocess.run(
        [sys.executable, "-I", "-B", str(WORKER), str(folder), "--inside"],
        env=os.environ | {"SHOT_GOPHER_HOME": str(home)}, check=False, timeout=60,
    )  # fmt: skip
    return EventReader(folder / "events.jsonl").poll()


_LOAD = """
import socket, sys

def refuse(*_arguments, **_named):
    raise AssertionError("a socket was opened")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from backend.models import ModelStore
from backend.worker import weights

weights.prepare()
from transformers import CLIPTextModel

store = ModelStore(Path(sys.argv[2]))
model = weights.load_pretrained(CLIPTextModel, store.folder("sam2-tiny"))
print(sum(part.numel() for part in model.parameters()))
"""


def test_what_a_job_has_downloaded_is_used_without_a_network(hub: Hub, tmp_path: Path) -> None:
    import torch

    from backend.worker import weights

    weights.prepare()
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=8,
    )  # fmt: skip
    tiny = CLIPTextModel(config)
    tiny.save_pretrained(tmp_path / "tiny")
    hub.files = {file.name: file.read_bytes() for file in (tmp_path / "tiny").iterdir()} | {
        "preprocessor_config.json": b"{}"
    }
    store = ModelStore(tmp_path / "home")
    store.use_server(endpoint=hub.address)
    store.use_repository("sam2-tiny", "owner/model")

    refused = run_job(store.home, tmp_path / "job1", "sam2-tiny")[-1]
    assert refused["event"] == Event.FAILED
    assert refused["remedy"] == Remedy.GET_MODEL
    assert "is not accepted yet" in refused["reason"]

    store.accept("sam2-tiny")
    events = run_job(store.home, tmp_path / "job2", "sam2-tiny")
    assert events[-1]["event"] == Event.FINISHED
    assert any(event["event"] == Event.PROGRESS and event["unit"] == "MB" for event in events)
    answer = subprocess.run(
        [sys.executable, "-I", "-B", "-c", _LOAD, str(ROOT), str(store.home)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    expected = sum(part.numel() for part in tiny.parameters())
    assert answer.stdout.split() == [str(expected)], answer.stderr
