# SPDX-License-Identifier: GPL-3.0-or-later
"""Which stages need the packages that run models, and which model tracks."""

from __future__ import annotations

import pytest

from backend.engines import DEPTH_MODELS, POSE_MODELS, PROMPT_MODELS, groups_of
from backend.errors import ModelError, Remedy
from backend.events import EventWriter
from backend.jobs import Request, StageRequest
from backend.locations import HOME_VARIABLE
from backend.models import ModelStore
from backend.nvidia import has_driver
from backend.shot import Shot
from backend.stages import STAGES, DepthOptions, InteractiveOptions, MocapOptions
from backend.worker.engines.choice import motion_engine, prompt_model
from backend.worker.report import Report
from backend.worker.stages.mama import load_engine
from tests.backend.test_models import downloaded


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    return ModelStore(tmp_path / "home")


def groups(stage, store, **options):
    return groups_of(STAGES[stage], options, store)


@pytest.mark.parametrize("engine", ["auto", "embedded", "comfyui"])
@pytest.mark.parametrize(
    ("stage", "models"),
    [("roto", ["sam3"]), *(("interactive", [name]) for name in PROMPT_MODELS)],
)
def test_a_stage_needs_packages_for_models_when_it_runs_one(store, stage, models, engine):
    assert groups(stage, store, engine=engine) == ("core",)
    for name in models:
        downloaded(store, name)
    runs = engine != "comfyui"
    assert groups(stage, store, engine=engine) == (("core", "ml") if runs else ("core",))
    asked = StageRequest(stage, {"engine": engine})
    assert ("ml" in Request("shot", "", (asked,)).groups()) is runs


def test_the_model_that_is_asked_for_counts_alone(store):
    downloaded(store, "sam2-tiny")
    assert groups("interactive", store, model="sam2-tiny") == ("core", "ml")
    assert groups("interactive", store, model="sam2-large") == ("core",)
    downloaded(store, "da3-small")
    assert groups("depth", store, model="da3-small") == ("core", "ml", "depth")
    assert groups("depth", store, model="da3-large") == ("core",)


@pytest.mark.parametrize("name", DEPTH_MODELS)
def test_any_depth_model_does(store, name):
    assert groups("depth", store) == ("core",)
    downloaded(store, name)
    assert groups("depth", store) == ("core", "ml", "depth")
    assert groups("depth", store, engine="comfyui") == ("core",)


def test_a_clean_plate_needs_propainter_where_it_may_be_used(store):
    alone, more = ("core", "dense"), ("core", "dense", "ml", "propainter")
    assert groups("cleanplate", store, method="propainter") == alone
    downloaded(store, "propainter")
    assert groups("cleanplate", store) == more
    assert groups("cleanplate", store, unseen="propainter") == more
    assert groups("cleanplate", store, unseen="around") == more, "where no other method does"
    assert groups("cleanplate", store, unseen="around", method="median") == alone
    assert groups("cleanplate", store, unseen="alpha", method="project") == alone
    assert groups("cleanplate", store, unseen="alpha", method="propainter") == more
    assert groups("cleanplate", store, method="propainter", engine="comfyui") == alone


@pytest.mark.parametrize("pose", POSE_MODELS)
def test_body_motion_needs_gvhmr_where_it_is_found_and_agreed_to(store, pose):
    more = ("core", "ml", "mocap")
    for name in ("gvhmr", "hmr2"):
        downloaded(store, name)
        assert groups("mocap", store) == ("core",)
    downloaded(store, pose)
    assert groups("mocap", store) == ("core",), "before its license is accepted nothing comes"
    store.accept("gvhmr")
    assert groups("mocap", store) == groups("mocap", store, engine="embedded") == more
    assert groups("mocap", store, engine="external") == ("core",)
    assert groups("mocap", store, source="/motion/hmr4d_results.pt") == ("core",)


def motion(store, **options):
    shot = Shot(store.home / "shot")
    report = Report(EventWriter(store.home / "events.jsonl"), store.home / "cancel")
    return motion_engine(MocapOptions(**options), store, shot, report)


def test_all_that_is_missing_for_body_motion_is_told_at_once(store, tmp_path):
    with pytest.raises(ModelError) as caught:
        motion(store)
    asked = (
        *("GVHMR (164 MB, GVHMR License", "HMR2 (2.7 GB, MIT License)", "ViTPose Base"),
        *("models get gvhmr hmr2 vitpose-base`", "--mocap-gvhmr", "--mocap-from"),
    )
    for words in asked:
        assert words in caught.value.reason
    assert caught.value.remedy is Remedy.GET_MODEL
    for name in ("gvhmr", "vitpose-huge"):
        downloaded(store, name)
    with pytest.raises(ModelError, match=r"needs HMR2 \(2\.7 GB, MIT License\): get"):
        motion(store, engine="embedded", gvhmr=str(tmp_path))
    downloaded(store, "hmr2")
    with pytest.raises(ModelError, match=r"is not accepted yet.*github\.com/zju3dv"):
        motion(store)


def test_an_own_gvhmr_is_taken_where_it_is_named(store, tmp_path):
    with pytest.raises(ModelError, match="Name the folder of your GVHMR"):
        motion(store, engine="external")
    with pytest.raises(ModelError, match=r"it has no tools/demo/demo\.py"):
        motion(store, gvhmr=str(tmp_path))
    program = tmp_path / "tools" / "demo" / "demo.py"
    program.parent.mkdir(parents=True)
    program.write_text('add_argument("--f_mm", type=int)')
    with pytest.raises(ModelError, match=r"make its environment in .*\.venv"):
        motion(store, gvhmr=str(tmp_path))
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert motion(store, gvhmr=str(tmp_path)).name == "external"
    assert motion(store, engine="external", gvhmr=str(tmp_path)).name == "external"


def test_mattes_need_both_of_their_models(store):
    downloaded(store, "videomama")
    assert groups("mama", store) == ("core",)
    with pytest.raises(ModelError, match="SVD Image Decoder is not on this machine"):
        load_engine(42)
    downloaded(store, "svd-vae")
    assert groups("mama", store) == ("core", "ml")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("driver", [True, False])
def test_dense_stereo_takes_what_the_machine_has(monkeypatch, driver):
    """Where a GPU may help its packages come along; only who asks for it cannot do without."""
    monkeypatch.setattr("backend.engines.has_driver", lambda: driver)
    wanted = {
        "auto": (set(), {"cuda"} if driver else set(), set()),
        "cpu": (set(), set(), set()),
        "cuda": ({"cuda"}, {"cuda"}, set()),
        "colmap-cuda": (set(), set(), {"colmap-cuda"}),
    }
    for engine, (needed, there, apart) in wanted.items():
        asked = Request("shot", "", (StageRequest("dense", {"engine": engine}),))
        assert set(asked.stage_groups()) == {"core", "dense"} | needed
        assert set(asked.groups()) == {"core", "dense"} | there
        assert set(asked.groups_apart()) == apart


def test_a_driver_is_told_by_its_files(tmp_path, monkeypatch):
    monkeypatch.setenv("SYSTEMROOT", str(tmp_path))
    assert not has_driver("win32")
    (tmp_path / "System32").mkdir()
    (tmp_path / "System32" / "nvcuda.dll").touch()
    assert has_driver("win32")
    monkeypatch.setattr("backend.nvidia._LINUX", (str(tmp_path / "version"),))
    assert not has_driver("linux")
    (tmp_path / "version").touch()
    assert has_driver("linux")


def test_other_stages_never_need_them(store):
    for name in ("sam3", "sam2-tiny", "videomama", "svd-vae"):
        downloaded(store, name)
    assert {groups(name, store) for name in ("ingest", "colmap", "proxies")} == {("core",)}


def test_the_only_model_that_is_here_tracks(store):
    assert prompt_model("auto", store) == "sam2-tiny"
    for name in PROMPT_MODELS:
        assert prompt_model(name, store) == name
    downloaded(store, "sam2-base")
    assert prompt_model("auto", store) == "sam2-base"


@pytest.mark.parametrize(
    ("options", "models"), [(InteractiveOptions, PROMPT_MODELS), (DepthOptions, DEPTH_MODELS)]
)
def test_each_model_of_a_stage_can_be_asked_for(options, models):
    (field,) = [each for each in options.__dataclass_fields__.values()
                if each.name == "model"]  # fmt: skip
    values = {choice.value for choice in field.metadata["choices"]}
    assert values == {"auto", *models}
