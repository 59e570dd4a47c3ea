# SPDX-License-Identifier: GPL-3.0-or-later
"""Body motion from a plate to its files, with the worker's own GVHMR and with one of the artist's.

The worker's networks have random weights, so the motion means nothing; a program stands in the
place of the artist's. Everything between is the real thing.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backend import locations, outputs
from backend.events import EventWriter
from backend.formats.pc2 import PointCache
from backend.models import ModelStore
from backend.motion import MocapRecord, Motion
from backend.shot import FRAME_PATTERN, Shot
from backend.stages import STAGES, MocapOptions
from backend.worker.engines.external_gvhmr import PYTHON_VARIABLE
from backend.worker.image_files import write_png
from backend.worker.report import Context, Report
from backend.worker.stages import mocap
from tests.backend.walked_shot import walked_shot
from tests.body_model import write_model
from tests.models.tiny_bodies import LAYERS, save_gvhmr, save_hmr2, save_vit_pose
from tests.walking import walk

FRAMES = 5


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelStore]:
    """The worker's home, with SMPL-X."""
    home = tmp_path_factory.mktemp("home")
    made = ModelStore(home)
    write_model(home / "bodies")
    made.choose("smplx", home / "bodies")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(locations.HOME_VARIABLE, str(home))
        yield made


@pytest.fixture
def models(store: ModelStore, tmp_path: Path) -> Iterator[ModelStore]:
    """The same with all that finds motion; HMR2 has fewer layers."""
    made = {"gvhmr": save_gvhmr, "hmr2": save_hmr2, "vitpose-base": save_vit_pose}
    for name, save in made.items():
        store.choose(name, save(tmp_path / name))
    store.accept("gvhmr")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backend.worker.engines.hmr_features.HMR_LAYERS", LAYERS)
        yield store
    for name in made:
        store.choose(name, None)


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    return walked_shot(tmp_path / "sh010", walk(FRAMES, travel=1.0, size=(320, 180)))


def run(shot: Shot, folder: Path, **words: str) -> MocapRecord:
    asked, kind = MocapOptions(**words), STAGES["mocap"]
    report = Report(EventWriter(folder / "events.jsonl"), folder / "cancel")
    with outputs.writing(shot, kind, asked, outputs.inputs_of(shot, kind, "")) as (part, record):
        mocap.run(Context(shot, asked, "", "", part, report, record))
    return MocapRecord.load(shot.mocap.record)


@pytest.mark.usefixtures("models")
def test_the_workers_own_gvhmr_writes_a_whole_motion(shot: Shot, tmp_path: Path) -> None:
    record = run(shot, tmp_path)
    assert record.engine == "gvhmr"
    assert record.people == ("person_00",)
    folder = shot.mocap.person("person_00")
    motion = Motion.load(folder.motion)
    assert motion.frames.tolist() == walk(FRAMES).frames.tolist()
    assert motion.keypoints is not None
    assert (motion.confidence > 0).all()
    assert np.abs(motion.rotations[:, :22]).max() > 0.1
    cache = PointCache.open(folder.posed)
    assert np.isfinite(cache.read(0)).all()


@pytest.mark.usefixtures("store")
def test_an_own_gvhmr_does_as_well(
    shot: Shot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "GVHMR" / "tools" / "demo" / "demo.py"
    program.parent.mkdir(parents=True)
    shutil.copyfile(Path(__file__).with_name("stand_in_gvhmr.py"), program)
    monkeypatch.setenv(PYTHON_VARIABLE, sys.executable)
    walked = walk(FRAMES, travel=1.0, size=(320, 180))
    for number, places in zip(walked.frames, walked.project(walked.joints), strict=True):
        plate = np.full((180, 320, 3), 90, np.uint8)
        x, y = places.mean(axis=0).astype(int)
        plate[y - 4 : y + 4, x - 4 : x + 4] = 255
        write_png(shot.frames / f"{FRAME_PATTERN.format(number)}.png", plate)
    record = run(shot, tmp_path, gvhmr=str(tmp_path / "GVHMR"))
    assert record.engine == "external"
    assert len(Motion.load(shot.mocap.person("person_00").motion).frames) == FRAMES
