# SPDX-License-Identifier: GPL-3.0-or-later
"""Which stages need the packages that run models, and which model tracks."""

from __future__ import annotations

import pytest

from backend.engines import PROMPT_MODELS, groups_of
from backend.errors import ModelError
from backend.jobs import Request, StageRequest
from backend.locations import HOME_VARIABLE
from backend.models import ModelStore
from backend.stages import STAGES, InteractiveOptions
from backend.worker.engines.choice import prompt_model
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


def test_mattes_need_both_of_their_models(store):
    downloaded(store, "videomama")
    assert groups("mama", store) == ("core",)
    with pytest.raises(ModelError, match="SVD Image Decoder is not on this machine"):
        load_engine(42)
    downloaded(store, "svd-vae")
    assert groups("mama", store) == ("core", "ml")


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


def test_each_model_that_can_track_can_be_asked_for():
    (field,) = [each for each in InteractiveOptions.__dataclass_fields__.values()
                if each.name == "model"]  # fmt: skip
    values = {choice.value for choice in field.metadata["choices"]}
    assert values == {"auto", *PROMPT_MODELS}
