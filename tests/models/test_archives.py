# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloading weights that no Hub has: zips at plain addresses, from a server on this machine."""

from __future__ import annotations

import hashlib
import io
import random
import shutil
import zipfile
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.errors import Canceled, ModelError
from backend.model_table import MODELS, Archive, Commercial, Licence, Model
from backend.models import ModelState, ModelStore
from backend.worker import downloading
from tests.models.hub_server import Hub, serving
from tests.models.test_downloading import PIECE, Recorder

WEIGHTS = {"one.pth": random.Random(1).randbytes(7 * PIECE), "two.pth": b"small weights"}


def zipped(**files: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


@pytest.fixture
def hub() -> Iterator[Hub]:
    zips = {f"{name}.zip": zipped(**{name: data}) for name, data in WEIGHTS.items()}
    with serving(Hub(zips)) as running:
        yield running


@pytest.fixture
def store(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    archives = tuple(
        Archive(f"{hub.address}/releases/{name}.zip", name, hashlib.sha1(data).hexdigest())
        for name, data in WEIGHTS.items()
    )
    model = Model(
        name="zips",
        title="Zipped Model",
        purpose="Tests",
        repository="owner/model",
        licence=Licence("Test License", "https://example.org/license", Commercial.NO, "None."),
        patterns=(),
        needs=("one*.pth", "two*.pth"),
        size=sum(map(len, WEIGHTS.values())),
        gpu_memory=0,
        revision="v1",
        archives=archives,
    )
    monkeypatch.setitem(MODELS, "zips", model)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", PIECE)
    monkeypatch.setattr(downloading, "_MB", 1000)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    made = ModelStore(tmp_path / "home")
    made.accept("zips")
    return made


def get(store: ModelStore, report: Recorder | None = None) -> None:
    downloading.get_model(store, "zips", report or Recorder())


def refused(store: ModelStore) -> str:
    with pytest.raises(ModelError) as caught:
        get(store)
    assert store.state("zips") is not ModelState.READY
    return caught.value.reason


def test_zips_are_fetched_unzipped_and_recorded(store: ModelStore, hub: Hub) -> None:
    report = Recorder()
    get(store, report)
    folder = store.folder("zips")
    found = {file.name for file in folder.rglob("*")}
    assert found == {*WEIGHTS, "model.json"}, "nothing of the download stays"
    assert all((folder / name).read_bytes() == data for name, data in WEIGHTS.items())
    record = store.record("zips")
    assert record is not None
    assert record.revision == "v1"
    assert store.check("zips") == 2
    total = sum(map(len, hub.files.values())) // 1000
    assert report.counts[-1] == (total, total, "MB")
    hub.asked.clear()
    get(store)
    assert hub.asked == []


def test_an_access_token_stays_with_the_hub(store: ModelStore) -> None:
    """The content server answers 400 to a request that carries one."""
    store.use_server(token="hf_known")
    get(store)
    assert store.state("zips") is ModelState.READY


def test_a_canceled_download_goes_on_where_it_was(store: ModelStore, hub: Hub) -> None:
    def stop(done: int) -> None:
        if done > 3 * PIECE // 1000:
            raise Canceled

    with pytest.raises(Canceled):
        get(store, Recorder(stop))
    assert store.state("zips") is ModelState.PARTIAL
    (there,) = (part.stat().st_size for part in (store.place("zips") / ".download").iterdir())
    assert 3 * PIECE <= there < len(WEIGHTS["one.pth"])
    hub.asked.clear()
    get(store)
    assert f"bytes={there}-" in hub.fetched()
    assert store.check("zips") == 2


def test_a_cut_connection_is_taken_up(store: ModelStore, hub: Hub) -> None:
    hub.cut, hub.cuts = 2 * PIECE, 3
    get(store)
    assert store.check("zips") == 2


def test_what_is_unzipped_already_is_not_fetched_again(store: ModelStore, hub: Hub) -> None:
    hub.spoiled = ("two.pth.zip",)
    assert "two.pth of Zipped Model arrived damaged" in refused(store)
    hub.spoiled = ()
    hub.asked.clear()
    get(store)
    asked = [path for _method, path, ranged in hub.asked if ranged != "bytes=0-0"]
    assert {path.rpartition("/")[2] for path in asked} == {"two.pth.zip"}


@pytest.mark.parametrize(
    "content",
    [
        zipped(**{"one.pth": b"other weights"}),
        zipped(**{"../one.pth": WEIGHTS["one.pth"], "/one.pth": WEIGHTS["one.pth"]}),
        zipped(**{"one.pth": WEIGHTS["one.pth"]})[: 5 * PIECE],
        zipped(**{"one.pth": bytes(3 << 20)}),
    ],
    ids=["another file", "paths that lead out", "half a zip", "a bomb"],
)
def test_a_zip_of_something_else_is_thrown_away(
    store: ModelStore, hub: Hub, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked, hashed = list[int](), downloading._sha1

    def watched(file: Path) -> str:
        unpacked.append(file.stat().st_size)
        return hashed(file)

    monkeypatch.setattr(downloading, "_sha1", watched)
    right = hub.files
    hub.files = {**right, "one.pth.zip": content}
    assert "one.pth of Zipped Model arrived damaged" in refused(store)
    assert max(unpacked) < 2 << 20, "no more is unpacked than weights may have"
    assert not [file for file in store.home.rglob("*.pth*") if file.is_file()]
    assert sum(file.stat().st_size for file in store.place("zips").rglob("*")) < PIECE
    hub.files = right
    get(store)
    assert store.check("zips") == 2


def test_a_server_that_has_it_no_more_is_told(
    store: ModelStore, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.status = 503
    assert f"{hub.address} answered with error 503" in refused(store)
    gone = replace(MODELS["zips"], archives=(Archive("http://127.0.0.1:9/x", "one.pth", "0"),))
    monkeypatch.setitem(MODELS, "zips", gone)
    assert "http://127.0.0.1:9 cannot be reached" in refused(store)


def test_the_disk_needs_room_for_zip_and_file(
    store: ModelStore, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    spare = downloading._SPARE
    free = spare + sum(map(len, hub.files.values())) * 3 // 2
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(0, 0, free))
    assert "Zipped Model needs" in refused(store)
    free *= 2
    get(store)
