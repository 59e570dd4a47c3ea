# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line as a stranger meets it: started by a bare Python, judged by what it leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from backend import environment, locations
from backend.installation import InstallReport
from backend.shot import CAMERAS, Shot, write_json
from tests.backend.checked_shot import COUNT, FIRST, make_shot
from tests.backend.movies import coded_frame, write_movie
from tests.backend.textured_room import picture, room, sideways, track
from tests.ctrl_c import heeding_ctrl_c

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 20


class Silent(InstallReport):
    def status(self, text: str) -> None:
        pass

    def progress(self, done: int, total: int, unit: str) -> None:
        pass

    def warning(self, text: str) -> None:
        pass

    def check(self) -> None:
        pass


@pytest.fixture(scope="session")
def environments() -> Path:
    """The worker's real environment, installed once on this machine and kept."""
    kept = locations.home() / "tests" / "worker"
    environment.install(kept, ("core", "blender"), Path(sys.executable), Silent(), online=True)
    return locations.environments_folder(kept)


@pytest.fixture
def home(environments: Path, tmp_path: Path) -> Path:
    """A home of its own for each test, with the environment that all share."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "environments").symlink_to(environments, target_is_directory=True)
    return folder


@pytest.fixture(scope="session")
def plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small movie that can be tracked, with spaces and letters of other scripts in its name."""
    camera, planes = track(sideways, FRAMES, 480, 270), room()
    pictures = (picture(planes, camera, index) for index in range(FRAMES))
    path = tmp_path_factory.mktemp("plate") / "shöt 010 素材.mp4"
    return write_movie(path, pictures, "-crf", "12", "-pix_fmt", "yuv420p")


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-B", "-m", "backend", *map(str, arguments)]


def start(home: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments),
        cwd=ROOT,
        env=os.environ | {"SHOT_GOPHER_HOME": str(home), "SHOT_GOPHER_BLENDER": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def call(home: Path, *arguments: str | Path) -> tuple[int, str, str]:
    with start(home, *arguments) as process:
        out, err = process.communicate(timeout=180)
    return process.returncode, out, err


@pytest.mark.parametrize(
    "verb", ["demo", "run", "stages", "jobs", "overlay", "environment", "models", "package"]
)
def test_every_verb_explains_itself(verb: str, tmp_path: Path) -> None:
    status, out, _err = call(tmp_path, verb, "--help")
    assert status == 0
    assert f"python3 -m backend {verb}" in out
    assert len(out.splitlines()) > 5


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "required"),
        (("dance",), "invalid choice"),
        (("run", "a.mp4"), "Name stages"),
        (("run", "-s", "ingest"), "Name a plate"),
        (("run", "a.mp4", "-s", "dance"), "no stage 'dance'"),
        (("run", "a.mp4", "-s", "ingest,gsir"), "not part of this version"),
        (("run", "a.mp4", "-s", "colmap", "-q", "best"), "invalid choice"),
        (("run", "a.mp4", "-s", "colmap", "-m", "--dense-engine", "sift"), "invalid choice"),
        (("run", "a", "b", "-s", "ingest", "--shot", "c"), "names one shot folder"),
        (("run", "a.mp4", "-s", "ingest", "--fps", "fast"), "fast"),
        (("run", "a.mp4", "-s", "ingest", "--overlay", "b.gif"), "ends in .mp4"),
        (("run", "a", "b", "-s", "ingest", "--overlay", "c.mp4"), "names one movie"),
        (("overlay", "shot", "review.gif"), "ends in .mp4"),
        (("overlay", "shot", "review.mp4", "--points", "0"), "under 1"),
    ],
)
def test_wrong_use_is_2(words: tuple[str, ...], sentence: str, home: Path, plate: Path) -> None:
    named = [str(plate) if word == "a.mp4" else word for word in words]
    status, _out, err = call(home, *named)
    assert sentence in err
    assert status == 2


def bad_plates(folder: Path) -> dict[str, tuple[Path, str]]:
    text, empty = folder / "text.mp4", folder / "empty.mov"
    text.write_text("this is not a movie\n" * 100)
    empty.touch()
    bare = folder / "bare folder"
    bare.mkdir()
    (bare / "notes.txt").touch()
    one = write_movie(folder / "one.mp4", [coded_frame(1)])
    return {
        "text": (text, "no movie"),
        "empty": (empty, "empty"),
        "bare": (bare, "image"),
        "one": (one, "one frame"),
        "missing": (folder / "gone.mp4", "gone.mp4"),
    }


@pytest.mark.parametrize("kind", ["text", "empty", "bare", "one", "missing"])
def test_a_bad_plate_is_named_and_leaves_nothing(kind: str, home: Path, tmp_path: Path) -> None:
    path, sentence = bad_plates(tmp_path)[kind]
    shot = tmp_path / "shot"
    began = time.monotonic()
    status, _out, err = call(home, "run", path, "-s", "ingest,colmap", "--shot", shot)
    assert time.monotonic() - began < 10  # one or two seconds on a machine that is not loaded
    assert status == 1
    assert sentence in err
    assert "Traceback" not in err
    assert not (shot / "source").exists()
    assert not (shot / "source.part").exists()


def test_a_read_only_target_is_named(home: Path, plate: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.touch()
    status, _out, err = call(home, "run", plate, "-s", "ingest", "--shot", blocked / "shot")
    assert status == 1
    assert str(blocked) in err


def test_from_plate_to_scene(home: Path, plate: Path, tmp_path: Path) -> None:
    shot, blend = Shot(tmp_path / "my shot"), tmp_path / "out" / "my scene.blend"
    blend.parent.mkdir()
    words = ("run", plate, "--shot", shot.path, "-s", "ingest,colmap", "-q", "low")
    review = tmp_path / "out" / "review.mp4"
    status, out, err = call(home, *words, "--blend", blend, "--overlay", review, "--json")
    assert status == 0, err
    assert frame_count(review) == FRAMES
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events[:1] + events[-1:]] == ["started", "finished"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    stages = [event["stage"] for event in events]
    assert sorted(set(stages), key=stages.index)[1:] == ["ingest", "colmap", "scene"]
    assert blend.is_file()
    for extension in ("abc", "chan", "nk", "csv", "jsx", "clip", "usd"):
        assert shot.camera_file(extension).stat().st_size > 100, extension
    assert shot.contact_sheet.is_file()
    solve = json.loads(shot.solve_file.read_text())
    assert len(solve["solved"]) == FRAMES
    _once_more_changes_nothing(home, shot, (*words, "--blend", blend))
    _the_plate_is_undistorted_without_solving_again(home, shot)
    _a_failed_solve_keeps_the_old_one(home, shot)


def frame_count(movie: Path) -> int:
    with av.open(str(movie)) as container:
        return sum(1 for _frame in container.decode(video=0))


def _once_more_changes_nothing(home: Path, shot: Shot, words: tuple[str | Path, ...]) -> None:
    before = shot.solve_file.stat().st_mtime_ns
    status, out, err = call(home, *words)
    assert status == 0, err
    assert out.count("up to date") >= 2
    assert shot.solve_file.stat().st_mtime_ns == before
    status, out, _err = call(home, "jobs")
    assert status == 0
    assert out.count("finished") == 2
    assert out.count(f"{FRAMES}/{FRAMES}  ") == 2
    status, out, _err = call(home, "stages", shot.path)
    assert out.count("current") == 3
    Path(words[-1]).unlink()
    status, out, _err = call(home, "stages", shot.path)
    assert "scene      stale" in out


def _the_plate_is_undistorted_without_solving_again(home: Path, shot: Shot) -> None:
    before = shot.solve_file.stat().st_mtime_ns
    status, _out, err = call(home, "run", shot.path, "-s", "undistort")
    assert status == 0, err
    assert shot.solve_file.stat().st_mtime_ns == before
    size = json.loads(shot.undistorted_file.read_text())
    for number in range(1, FRAMES + 1):
        picture = cv2.imread(str(shot.undistorted_frame(number)))
        assert picture.shape == (size["height"], size["width"], 3)
    for stem in CAMERAS:
        for extension in ("abc", "usd", "nk"):
            assert shot.camera_file(extension, stem).stat().st_size > 100, (stem, extension)
    status, out, _err = call(home, "stages", shot.path)
    assert "undistort  current" in out


def _a_failed_solve_keeps_the_old_one(home: Path, shot: Shot) -> None:
    before = shot.solve_file.read_bytes()
    # Masks over everything leave nothing to track.
    shot.masks.mkdir(parents=True)
    white = write_white_mask(shot.masks / "frame_0001.png")
    for number in range(2, FRAMES + 1):
        shutil.copyfile(white, shot.masks / f"frame_{number:04d}.png")
    status, out, _err = call(home, "stages", shot.path)
    assert "colmap     stale" in out
    status, _out, err = call(home, "run", shot.path, "-s", "colmap", "-q", "low")
    assert status == 1
    assert "Error: " in err
    assert shot.solve_file.read_bytes() == before
    assert not (shot.path / "colmap.part").exists()


def write_white_mask(path: Path) -> Path:
    cv2.imwrite(str(path), np.full((270, 480), 255, np.uint8))
    return path


def test_ctrl_c_is_130_and_leaves_nothing(home: Path, tmp_path: Path) -> None:
    long_plate = write_movie(tmp_path / "long.mp4", (coded_frame(n, 960, 540) for n in range(300)))
    shot = tmp_path / "shot"
    with (
        heeding_ctrl_c(),
        start(home, "run", long_plate, "-s", "ingest", "--shot", shot) as process,
    ):
        assert process.stdout is not None
        while "frames" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert not (shot / "source").exists()
    assert not (shot / "source.part").exists()


def test_an_overlay_can_be_canceled(home: Path, tmp_path: Path) -> None:
    made = make_shot(tmp_path / "shot", images=True)
    for number in range(FIRST, FIRST + COUNT):
        big = np.random.default_rng(number).integers(0, 255, (2160, 3840, 3), np.uint8)
        cv2.imwrite(str(made.shot.frame_file(number)), big)
    plate = made.shot.load_plate()
    write_json(made.shot.plate_file, replace(plate, width=3840, height=2160).to_json())
    review = tmp_path / "out" / "review.mp4"
    with heeding_ctrl_c(), start(home, "overlay", made.shot.path, review) as process:
        assert process.stdout is not None
        while "frames" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "Error: Canceled.\n")
    assert not list(review.parent.iterdir())


def test_an_overlay_of_nothing_is_refused(home: Path, tmp_path: Path) -> None:
    status, _out, err = call(home, "overlay", tmp_path / "nowhere", tmp_path / "review.mp4")
    assert (status, "no camera yet" in err) == (1, True), err
    assert not (tmp_path / "review.mp4").exists()
    status, _out, err = call(tmp_path / "bare", "overlay", tmp_path, tmp_path / "review.mp4")
    assert (status, "environment is not installed" in err) == (1, True), err


def test_several_plates_end_in_one_table(home: Path, plate: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone.mp4"
    status, out, _err = call(home, "run", plate, gone, "-s", "ingest", "-p", tmp_path / "shots")
    assert status == 1
    table = out.splitlines()[-2:]
    assert "finished" in table[0]
    assert "failed" in table[1]
    assert "gone.mp4" in table[1]
