# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of models, the store on disk, and the verb, without any network."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest

from backend import cli
from backend.errors import FormatError, ModelError, Remedy, UsageError
from backend.host import Host
from backend.model_table import MODELS, model_named, size_text
from backend.models import RECORD, ModelFile, ModelState, ModelStore, Record

COMMIT = "0" * 40


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "home")


def put(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"{}")
    return folder


def downloaded(store: ModelStore, name: str = "sam2-tiny") -> Path:
    """A model as a download leaves it, with small files."""
    model = model_named(name)
    paths = [str(Path(model.inside, need.replace("*", ""))) for need in model.needs]
    place = put(store.place(name), *paths)
    repository, revision = store.source(name)
    files = tuple(ModelFile(path, 2, "0" * 64) for path in paths)
    Record(repository, revision or COMMIT, files).save(place / RECORD)
    return place


def run(store: ModelStore, *words: str) -> int:
    host = Host(python=Path(sys.executable), home=store.home)
    return cli.main(["models", *words], host)


@pytest.mark.parametrize("name", list(MODELS))
def test_every_entry_says_what_an_artist_needs_to_know(name: str) -> None:
    model = MODELS[name]
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", model.repository) or model.registration
    assert model.licence.address.startswith("https://")
    assert model.licence.limits.endswith(".")
    assert re.fullmatch(r"([0-9a-f]{40})?", model.revision) or model.archives
    for file in model.files:
        assert re.fullmatch(r"([0-9a-f]{64})?", file.sha256)
        assert file.size <= model.size <= file.size + 50e6 or not file.size
    pickles = {path for path in model.patterns if path.endswith((".pt", ".bin", ".ckpt"))}
    assert pickles <= {file.path for file in model.files if file.sha256 and file.size}
    for archive in model.archives:
        assert archive.address.startswith("https://")
        assert archive.address.endswith(f"/{archive.file}.zip")
        assert re.fullmatch(r"[0-9a-f]{40}", archive.sha1)
        assert archive.sha1[:8] in archive.file
    assert [bool(model.patterns), bool(model.archives), bool(model.registration)].count(True) == 1
    assert bool(model.ask) is bool(model.registration)


def test_a_model_that_is_not_there_is_told_with_what_to_do(store: ModelStore) -> None:
    assert store.state("sam3") is ModelState.MISSING
    with pytest.raises(ModelError, match=r"models get sam3.*3\.4 GB") as caught:
        store.folder("sam3")
    assert caught.value.remedy is Remedy.GET_MODEL
    with pytest.raises(UsageError, match="There is no model 'sam9'"):
        store.folder("sam9")


@pytest.mark.parametrize("name", list(MODELS))
def test_what_was_downloaded_is_ready_as_long_as_it_is_whole(store: ModelStore, name: str) -> None:
    place = downloaded(store, name)
    assert store.state(name) is ModelState.READY
    assert store.folder(name) == place / MODELS[name].inside
    file = store.folder(name) / MODELS[name].needs[0].replace("*", "")
    file.write_bytes(b"{")
    assert store.state(name) is ModelState.PARTIAL
    file.unlink()
    assert store.state(name) is ModelState.PARTIAL


def test_a_model_that_is_registered_for_comes_from_the_artists_folder_alone(
    store: ModelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = r"Register at https://smpl-x\.is\.tue\.mpg\.de, download 'SMPL-X v1\.1 \(NPZ\+PKL\)'"
    with pytest.raises(ModelError, match=asked):
        store.folder("smplx")
    with pytest.raises(UsageError, match=asked):
        store.use_repository("smplx", "someone/mirror")
    assert run(store, "get", "smplx", "--accept-licence") == 1
    assert re.search(asked, capsys.readouterr().err)
    assert not (store.home / "jobs").exists()
    with pytest.raises(ModelError, match=r"is not SMPL-X: it lacks SMPLX_NEUTRAL\.npz"):
        store.choose("smplx", tmp_path)
    whole = put(tmp_path / "models", "smplx/SMPLX_NEUTRAL.npz")
    for folder in (whole, whole / "smplx"):
        store.choose("smplx", folder)
        assert store.folder("smplx") == whole / "smplx"
    (whole / "smplx" / "SMPLX_NEUTRAL.npz").unlink()
    with pytest.raises(ModelError, match=asked):
        store.folder("smplx")


def test_the_license_of_a_model_in_an_own_folder_can_be_accepted(
    store: ModelStore, tmp_path: Path
) -> None:
    store.choose("gvhmr", put(tmp_path / "own", *MODELS["gvhmr"].needs))
    assert run(store, "get", "gvhmr") == 0
    assert not store.accepted("gvhmr")
    assert run(store, "get", "gvhmr", "--accept-licence") == 0
    assert store.accepted("gvhmr")


def test_without_its_record_a_download_is_not_ready(store: ModelStore) -> None:
    place = downloaded(store)
    (place / RECORD).write_text('{"repository": "x"', encoding="utf-8")
    assert store.state("sam2-tiny") is ModelState.PARTIAL
    with pytest.raises(ModelError, match="not complete"):
        store.folder("sam2-tiny")


def test_a_record_that_leads_elsewhere_is_damaged(tmp_path: Path) -> None:
    for path in ("../secret", "/etc/passwd"):
        files = [{"path": path, "size": 1, "sha256": ""}]
        data = {"repository": "a/b", "revision": "c", "files": files}
        (tmp_path / RECORD).write_text(json.dumps(data), encoding="utf-8")
        with pytest.raises(FormatError, match="leads out"):
            Record.load(tmp_path / RECORD)


def test_the_artists_own_folder_comes_first(store: ModelStore, tmp_path: Path) -> None:
    place = downloaded(store, "svd-vae")
    whole = put(tmp_path / "svd", "vae/config.json", "vae/diffusion_pytorch_model.safetensors")
    store.choose("svd-vae", whole)
    assert store.folder("svd-vae") == whole / "vae"
    store.choose("svd-vae", whole / "vae")
    assert store.folder("svd-vae") == whole / "vae"
    assert ModelStore(store.home).chosen("svd-vae") == whole / "vae"
    (whole / "vae" / "config.json").unlink()
    assert store.folder("svd-vae") == place / "vae", "the drive is not there: the store is"
    store.choose("svd-vae", None)
    assert store.chosen("svd-vae") is None


def test_a_folder_without_the_model_is_refused(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"lacks config\.json, model\.safetensors"):
        store.choose("sam3", tmp_path)
    put(tmp_path, "sam3.pt")
    with pytest.raises(ModelError, match=r"holds sam3\.pt, which is of another format"):
        store.choose("sam3", tmp_path)
    assert store.chosen("sam3") is None


def test_weights_that_no_hub_has_have_no_mirror(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ProPainter is in no repository of a Hub"):
        store.use_repository("propainter", "someone/mirror")
    put(tmp_path, "raft_things-0.pth")
    with pytest.raises(ModelError, match=r"is not ProPainter: it lacks propainter_rfc-\*\.pth"):
        store.choose("propainter", tmp_path)


def test_a_chosen_folder_that_goes_is_told(store: ModelStore, tmp_path: Path) -> None:
    own = put(tmp_path / "own", *MODELS["sam3"].needs)
    store.choose("sam3", own)
    (own / "model.safetensors").unlink()
    assert store.state("sam3") is ModelState.PARTIAL
    with pytest.raises(ModelError, match=r"own lacks model\.safetensors"):
        store.folder("sam3")


def test_another_repository_makes_another_model(store: ModelStore) -> None:
    downloaded(store)
    store.use_repository("sam2-tiny", "someone/mirror")
    assert store.source("sam2-tiny") == ("someone/mirror", "")
    assert store.state("sam2-tiny") is ModelState.PARTIAL
    store.use_repository("sam2-tiny", "")
    assert store.state("sam2-tiny") is ModelState.READY
    with pytest.raises(UsageError, match="owner/name"):
        store.use_repository("sam2-tiny", "https://example.org/model")


def test_damaged_settings_are_the_usual_ones(store: ModelStore) -> None:
    store.accept("sam3")
    (store.path / "settings.json").write_text('{"folders": 3, "licences": {"sam3": 1}}')
    assert not store.accepted("sam3")
    assert store.state("sam3") is ModelState.MISSING
    store.accept("sam3")
    assert store.accepted("sam3")


def test_the_list_shows_every_model(store: ModelStore, capsys: pytest.CaptureFixture[str]) -> None:
    place = downloaded(store)
    assert run(store) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(MODELS)
    assert str(place) in next(line for line in lines if line.startswith("sam2-tiny "))
    assert "(not accepted)" in lines[1]
    assert "on request" in lines[1]
    for words in (("--json",), ("list", "--json"), ("--json", "list")):
        assert run(store, *words) == 0
        records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert {record["name"]: record["state"] for record in records} == {
            name: "ready" if name == "sam2-tiny" else "missing" for name in MODELS
        }


def test_a_model_is_not_fetched_before_its_license_is_accepted(
    store: ModelStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(store, "get", "sam3") == 1
    said = capsys.readouterr().err
    assert "SAM License" in said
    assert MODELS["sam3"].licence.address in said
    assert "--accept-licence" in said
    assert not store.accepted("sam3")
    assert not (store.home / "jobs").exists()


def test_a_model_that_is_there_is_not_fetched(
    store: ModelStore, capsys: pytest.CaptureFixture[str]
) -> None:
    place = downloaded(store)
    assert run(store, "get", "sam2-tiny") == 0
    assert str(place) in capsys.readouterr().out
    assert not (store.home / "jobs").exists()


def test_check_remove_and_use(
    store: ModelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    downloaded(store)
    assert run(store, "check", "sam2-tiny") == 1
    assert "damaged" in capsys.readouterr().err
    assert run(store, "remove", "sam2-tiny") == 0
    assert store.state("sam2-tiny") is ModelState.MISSING
    own = put(tmp_path / "own", *MODELS["sam2-tiny"].needs)
    assert run(store, "use", "sam2-tiny", str(own)) == 0
    assert store.folder("sam2-tiny") == own
    assert run(store, "check", "sam2-tiny") == 1, "its weights are not those that are known"
    assert run(store, "use", "sam2-tiny", "") == 0
    assert run(store, "check", "sam2-tiny") == 1
    assert run(store, "use", "sam9", str(own)) == 2


def test_the_server_and_the_token_are_kept(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("hf_secret\n"))
    assert run(store, "server", "--endpoint", "https://hub.example.org/", "--token") == 0
    out = capsys.readouterr().out
    assert "https://hub.example.org\n" in out
    assert "hf_secret" not in out
    assert store.settings().token == "hf_secret"
    assert "hf_secret" not in repr(store.settings())
    assert run(store, "server", "--endpoint", "hub") == 2
    assert run(store, "server", "--endpoint", "") == 0
    assert store.settings().endpoint == ""
    assert store.settings().token == "hf_secret"


def test_sizes_read_as_artists_write_them() -> None:
    assert [size_text(count) for count in (195_531_910, 3_444_000_000)] == ["196 MB", "3.4 GB"]
