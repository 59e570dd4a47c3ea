# SPDX-License-Identifier: GPL-3.0-or-later
"""An installation of the artist's: a program stands in its place that writes what GVHMR writes."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.camera import rotations_from_vectors
from backend.errors import Canceled, ModelError
from backend.events import EventWriter
from backend.worker.engines.body_motion import Person, PlateCamera
from backend.worker.engines.external_gvhmr import (
    PYTHON_VARIABLE,
    ExternalGvhmr,
    Installation,
    stands_still,
)
from backend.worker.image_files import write_png
from backend.worker.report import Report

SIZE = (321, 200)
"""Movies have no odd sides, plates may."""
COUNT = 5
PELVIS = np.array([0.003, -0.351, 0.012])
SHIFT = np.array([3.0, 1.0])
"""From the plate as shot to the pinhole."""


def silent(_done: int, _total: int, _unit: str) -> None:
    pass


def spot(frame: int) -> np.ndarray:
    """Where the plate is bright, in pixels."""
    return np.array([100.0 + 12 * frame, 90 + 4 * frame])


@pytest.fixture
def camera(tmp_path: Path) -> PlateCamera:
    files = {}
    for index in range(COUNT):
        picture = np.full((SIZE[1], SIZE[0], 3), 40, np.uint8)
        x, y = spot(index).astype(int)
        picture[y - 6 : y + 6, x - 6 : x + 6] = 255
        files[1001 + index] = tmp_path / f"frame_{1001 + index}.png"
        write_png(files[1001 + index], picture)
    return PlateCamera(
        frames=np.arange(1001, 1001 + COUNT),
        files=files,
        size=SIZE,
        matrix=np.array([[400.0, 0, 150], [0, 400, 110], [0, 0, 1]]),
        rotations=rotations_from_vectors(np.outer(np.arange(COUNT), [0, 0.01, 0])),
        centers=np.zeros((COUNT, 3)),
        straighten=lambda points: points + SHIFT,
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "GVHMR" / "tools" / "demo" / "demo.py"
    program.parent.mkdir(parents=True)
    shutil.copyfile(Path(__file__).with_name("stand_in_gvhmr.py"), program)
    monkeypatch.setenv(PYTHON_VARIABLE, sys.executable)
    return program.parent


@pytest.fixture
def engine(folder: Path, tmp_path: Path) -> ExternalGvhmr:
    report = Report(EventWriter(tmp_path / "events.jsonl"), tmp_path / "cancel")
    return ExternalGvhmr(Installation.find(str(folder.parents[1])), report)


def told(folder: Path) -> Any:
    return json.loads((folder / "told.json").read_text(encoding="utf-8"))


def pelvis_pixels(translation: np.ndarray, camera: PlateCamera) -> np.ndarray:
    place = translation + PELVIS
    return np.asarray(
        (place[:, :2] / place[:, 2:]) @ camera.matrix[:2, :2].T + camera.matrix[:2, 2]
    )


def test_the_body_covers_the_pixels_that_it_covered(
    engine: ExternalGvhmr, folder: Path, camera: PlateCamera
) -> None:
    """Though the program rounds the focal length and knows no other center or lens."""
    (person,) = engine.people(camera, silent)
    done: list[tuple[int, int, str]] = []
    motion = engine.motion(person, camera, lambda *each: done.append(each))
    given = told(folder)
    assert given["frames"] == COUNT
    assert given["fps"] == "30", "what it takes every movie for"
    assert given["size"] == [322, 200]
    assert given["folder"] == str(folder.parents[1])
    assert given["static_cam"] == "False"
    # 400 pixels on 321 x 200 with GVHMR's sensor of 43.27 mm corner to corner: 45.76 mm.
    assert given["f_mm"] == "46"
    wanted = np.array([spot(index) for index in range(COUNT)]) + SHIFT
    assert np.abs(pelvis_pixels(motion.translation, camera) - wanted).max() < 1.0
    # 4 m at 46 mm are as large as at 400 pixels this far away.
    theirs = 46 * np.hypot(322, 200) / np.hypot(36, 24)
    np.testing.assert_allclose(motion.translation[:, 2] + 0.012, 4 * 400 / theirs, rtol=1e-3)
    assert motion.frames.tolist() == camera.frames.tolist()
    np.testing.assert_allclose(motion.rotations[-1, 0], [3.0, 0.1, 0.2], rtol=1e-6)
    np.testing.assert_allclose(motion.rotations[0, 1:22], 0.1, rtol=1e-6)
    assert motion.upright is not None
    np.testing.assert_allclose(motion.upright[-1], [0, 1, 0], atol=1e-6)
    assert motion.contact is not None
    assert (motion.contact == 0.5).all()
    assert (COUNT, COUNT, "frames") in done
    assert (COUNT, COUNT, "steps") in done


def test_pixels_that_are_not_square_are_made_so(
    engine: ExternalGvhmr, folder: Path, camera: PlateCamera
) -> None:
    tall = replace(camera, matrix=camera.matrix * np.array([[1], [0.5], [1]]))
    (person,) = engine.people(tall, silent)
    motion = engine.motion(person, tall, silent)
    assert told(folder)["size"] == [322, 400]
    wanted = np.array([spot(index) for index in range(COUNT)]) + SHIFT
    assert np.abs(pelvis_pixels(motion.translation, tall) - wanted).max() < 1.0


def test_where_others_are_masked_the_movie_shows_one_person(
    engine: ExternalGvhmr, folder: Path, camera: PlateCamera
) -> None:
    frames = camera.frames[1:4]
    boxes = np.array([[*spot(index) - 12, *spot(index) + 12] for index in (1, 2, 3)])
    motion = engine.motion(Person("person_01", frames[[0, 2]], boxes[[0, 2]]), camera, silent)
    given = told(folder)
    assert given["frames"] == 3
    assert max(given["dark"]) < 36**2 / (SIZE[0] * SIZE[1]) * 1.1, "the rest is gray"
    assert motion.frames.tolist() == frames.tolist()
    assert motion.confidence.tolist() == [1, 0, 1]
    wanted = np.array([spot(index) for index in (1, 2, 3)]) + SHIFT
    assert np.abs(pelvis_pixels(motion.translation, camera) - wanted).max() < 1.0


def test_a_camera_that_does_not_turn_is_told(
    engine: ExternalGvhmr, folder: Path, camera: PlateCamera
) -> None:
    """One that pans on a tripod turns."""
    assert not stands_still(camera.rotations)
    still = replace(camera, rotations=np.tile(np.eye(3), (COUNT, 1, 1)))
    engine.motion(engine.people(still, silent)[0], still, silent)
    assert told(folder)["static_cam"] == "True"


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("fail", "GVHMR failed: RuntimeError: no one is tracked"),
        ("short", "answered for 1 frames, not for the 5"),
        ("silent", r"wrote no hmr4d_results\.pt"),
    ],
)
def test_what_goes_wrong_is_told(
    engine: ExternalGvhmr, folder: Path, camera: PlateCamera, how: str, why: str
) -> None:
    (folder / how).touch()
    with pytest.raises(ModelError, match=why):
        engine.motion(engine.people(camera, silent)[0], camera, silent)


def test_a_cancel_ends_the_program(
    engine: ExternalGvhmr, folder: Path, camera: PlateCamera, tmp_path: Path
) -> None:
    def cancel(_done: int, _total: int, unit: str) -> None:
        if unit == "steps":
            raise Canceled

    with pytest.raises(Canceled):
        engine.motion(engine.people(camera, silent)[0], camera, cancel)
    (folder / "told.json").unlink()
    (folder / "demo.py").write_text("--f_mm = 0\nimport time\ntime.sleep(60)", encoding="utf-8")
    (tmp_path / "cancel").touch()
    with pytest.raises(Canceled):
        engine.motion(engine.people(camera, silent)[0], camera, silent)


@pytest.mark.parametrize("place", [".venv/bin/python", "venv/Scripts/python.exe", "env/python.exe"])
def test_its_python_is_in_its_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.delenv(PYTHON_VARIABLE)
    root = folder.parents[1]
    with pytest.raises(ModelError, match=PYTHON_VARIABLE):
        Installation.find(str(root))
    (root / place).parent.mkdir(parents=True)
    (root / place).touch()
    found = Installation.find(str(root))
    assert found.python == root / place
    assert found.takes("--f_mm")
    assert not found.takes_fractions("--f_mm")
    program = folder / "demo.py"
    text = program.read_text(encoding="utf-8")
    program.write_text(text.replace('--f_mm", type=int', '--f_mm", type=float'), encoding="utf-8")
    assert found.takes_fractions("--f_mm")
