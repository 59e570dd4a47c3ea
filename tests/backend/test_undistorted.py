# SPDX-License-Identifier: GPL-3.0-or-later
"""The undistorted plate: its frames, its camera, and the maps of a zoom."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from backend import outputs, stages
from backend.camera import DISTORTED_PLATE, PLATE, UNDISTORTED_PLATE, CameraTrack, Similarity
from backend.errors import Canceled, FormatError, PlateError, Remedy
from backend.events import Event, EventReader, EventWriter
from backend.formats import stmap, write_cameras
from backend.outputs import Freshness
from backend.reconstruction import CameraModel
from backend.shot import CAMERA, CAMERA_PLATE, CAMERA_UNDISTORTED, Plate, Shot, write_json
from backend.solve import FrameSolve, FrameState, Grade, Motion, Quality, Solve
from backend.stages import ColmapOptions, UndistortOptions
from backend.undistorted import UndistortedPlate, cameras_by_plate
from backend.worker.lens_maps import LensMaps, plate_for, undistorted_plate
from backend.worker.report import Context, Report
from backend.worker.stages import colmap, undistort
from backend.worker.undistorted import write_undistorted_proxies
from tests.backend import readers
from tests.backend.cameras import moving_track, points_ahead

WIDTH, HEIGHT, COUNT, FIRST = 320, 180, 5, 1001
BARREL = CameraModel("SIMPLE_RADIAL", WIDTH, HEIGHT, (300, 160, 90, -0.15))
PINHOLE = CameraModel("SIMPLE_PINHOLE", WIDTH, HEIGHT, (300, 160, 90))
STAGE = stages.get("undistort")


def picture(width: int, height: int, bits: int = 8) -> np.ndarray:
    """Smooth waves in three colors: what is looked up between pixels is known well."""
    y, x = np.mgrid[:height, :width] + 0.5
    waves = [np.sin(x / 17 + k) + np.cos(y / (11 + k)) for k in range(3)]
    scale = 2.0 ** (bits - 2)
    kind = np.uint8 if bits == 8 else np.uint16
    return np.clip(2 * scale + 0.9 * scale * np.stack(waves, axis=-1), 0, 2**bits - 1).astype(kind)


def some_solve(lens: CameraModel, focals: np.ndarray | None = None) -> Solve:
    frames = np.arange(FIRST, FIRST + COUNT)
    focal = np.tile(lens.focal, (COUNT, 1)) if focals is None else np.stack([focals] * 2, axis=1)
    track = CameraTrack(
        frames=frames,
        matrices=np.tile(np.eye(4), (COUNT, 1, 1)),
        focal=focal,
        center=np.tile(lens.center, (COUNT, 1)),
        solved=np.ones(COUNT, bool),
        width=lens.width,
        height=lens.height,
        fps=Fraction(24),
        fits=PLATE if lens.is_pinhole else UNDISTORTED_PLATE,
    )
    return Solve(
        engine="test",
        camera=lens.with_focal(*focal[0].tolist()),
        world=Similarity.axes_only(),
        world_note="",
        track=track,
        frames=tuple(FrameSolve(int(frame), FrameState.SOLVED) for frame in frames),
        point_count=0,
        mean_error=0.0,
        max_error=0.0,
        quality=Quality(Motion.MOVING, "", Grade.GOOD),
    )


def make_shot(path: Path, solve: Solve, bits: int = 8) -> Shot:
    shot = Shot(path)
    shot.frames.mkdir(parents=True)
    shot.camera.mkdir()
    numbers = tuple(solve.track.frames.tolist())
    for number in numbers:
        image = np.roll(picture(WIDTH, HEIGHT, bits), 9 * (number - FIRST), axis=1)
        cv2.imwrite(str(shot.frame_file(number)), image)
    plate = Plate("a.mov", "movie", WIDTH, HEIGHT, Fraction(24), numbers, (), ())
    write_json(shot.plate_file, plate.to_json())
    solve.save(shot.camera)
    return shot


def run(shot: Shot) -> dict:
    """Runs the stage as the worker does; what stage.json records besides."""
    report = Report(EventWriter(shot.path / "events.jsonl"), shot.path / "cancel")
    options = UndistortOptions()
    inputs = outputs.inputs_of(shot, STAGE, "")
    with outputs.writing(shot, STAGE, options, inputs, report.uninterrupted()) as (part, record):
        undistort.run(Context(shot, options, "", "", part, report, record))
    return record


def through_map(image: np.ndarray, lens: CameraModel) -> np.ndarray:
    """A picture looked up as a compositor does, from u and v, between four pixels."""
    size = plate_for([lens])
    map_ = stmap.from_positions(LensMaps(lens, size).undistort(), WIDTH, HEIGHT)
    u, v, inside = (map_[..., channel] for channel in range(3))
    flat = cv2.remap(
        image.astype(np.float32), u * WIDTH - 0.5, HEIGHT - v * HEIGHT - 0.5, cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return flat * inside[..., None]


class TestFrames:
    @pytest.mark.parametrize("bits", [8, 16])
    def test_each_is_the_plate_through_the_map(self, tmp_path: Path, bits: int) -> None:
        shot = make_shot(tmp_path / "shot", some_solve(BARREL), bits)
        record = run(shot)
        size = plate_for([BARREL])
        assert record["size"] == [size.width, size.height]
        for number in range(FIRST, FIRST + COUNT):
            flat = cv2.imread(str(shot.undistorted_frame(number)), cv2.IMREAD_UNCHANGED)
            plate = cv2.imread(str(shot.frame_file(number)), cv2.IMREAD_UNCHANGED)
            assert flat.dtype == plate.dtype == (np.uint8 if bits == 8 else np.uint16)
            assert flat.shape == (size.height, size.width, 3)
            expected = through_map(plate, BARREL)
            away = np.abs(flat.astype(float) - expected) / 2**bits
            assert np.percentile(away, 99) < 0.01
        # What the plate does not show is black, up to its very edge.
        assert (flat[0, size.width // 2] == 0).all()
        assert flat[size.height // 2, 40:-40].min() > 0

    def test_they_stand_under_the_plates_numbers_with_their_record(self, tmp_path: Path) -> None:
        shot = make_shot(tmp_path / "shot", some_solve(BARREL))
        run(shot)
        names = {path.name for path in shot.undistorted.iterdir()}
        frames = {f"frame_{number}.png" for number in range(FIRST, FIRST + COUNT)}
        assert names == {"stage.json", *frames}
        options = UndistortOptions()
        assert outputs.freshness(shot, STAGE, options, "") is Freshness.CURRENT
        told = EventReader(shot.path / "events.jsonl").poll()
        assert [e["path"] for e in told if e["event"] == Event.RESULT] == ["camera/undistorted"]
        progress = [e for e in told if e["event"] == Event.PROGRESS]
        assert (progress[-1]["done"], progress[-1]["total"]) == (COUNT, COUNT)
        assert not list(shot.camera.glob("*.part"))

    def test_a_plate_without_distortion_is_copied(self, tmp_path: Path) -> None:
        shot = make_shot(tmp_path / "shot", some_solve(PINHOLE))
        run(shot)
        for number in range(FIRST, FIRST + COUNT):
            same = shot.undistorted_frame(number).read_bytes()
            assert same == shot.frame_file(number).read_bytes()

    def test_a_killed_run_goes_on_where_it_was(self, tmp_path: Path) -> None:
        shot = make_shot(tmp_path / "shot", some_solve(BARREL))
        inputs = outputs.inputs_of(shot, STAGE, "")
        mark = outputs.fingerprint(STAGE, UndistortOptions(), inputs)
        part = outputs.Writing(shot, STAGE, mark)
        part.begin({"options": {}, "inputs": inputs})
        kept = part.folder(STAGE.makes[0]) / shot.frame_file(FIRST).name
        kept.write_bytes(b"whole already")
        run(shot)
        assert shot.undistorted_frame(FIRST).read_bytes() == b"whole already"
        assert shot.undistorted_frame(FIRST + 1).stat().st_size > 1000

    def test_a_missing_frame_is_told_and_the_old_output_stays(self, tmp_path: Path) -> None:
        shot = make_shot(tmp_path / "shot", some_solve(BARREL))
        run(shot)
        before = shot.undistorted_frame(FIRST).read_bytes()
        shot.frame_file(FIRST + 2).write_bytes(b"no picture")
        with pytest.raises(PlateError, match=rf"frame_{FIRST + 2}\.png") as error:
            run(shot)
        assert error.value.remedy is Remedy.SET_UP_SHOT
        shot.frame_file(FIRST + 2).unlink()
        with pytest.raises(PlateError, match=rf"frame_{FIRST + 2}\.png"):
            run(shot)
        assert shot.undistorted_frame(FIRST).read_bytes() == before
        assert not list(shot.camera.glob("*.part"))

    def test_cancel_leaves_nothing(self, tmp_path: Path) -> None:
        shot = make_shot(tmp_path / "shot", some_solve(BARREL))
        (shot.path / "cancel").touch()
        with pytest.raises(Canceled):
            run(shot)
        assert not shot.undistorted.exists()
        assert not list(shot.camera.glob("*.part"))

    def test_a_new_solve_takes_its_old_undistorted_plate_along(self, tmp_path: Path) -> None:
        """Frames that fit another lens must not lie beside the new camera."""
        shot = make_shot(tmp_path / "shot", some_solve(BARREL))
        run(shot)
        part = shot.path / "camera.part"
        part.mkdir()
        some_solve(PINHOLE).save(part)
        outputs.replace_folder(part, shot.camera)
        assert outputs.freshness(shot, STAGE, UndistortOptions(), "") is Freshness.MISSING
        assert (shot.path / "camera.previous" / "undistorted" / "stage.json").is_file()


class TestZoom:
    FOCALS = np.array([260.0, 280.0, 300.0, 330.0, 370.0])

    def test_each_frame_has_its_own_lens_and_maps(self, tmp_path: Path) -> None:
        solve = some_solve(BARREL, self.FOCALS)
        shot = make_shot(tmp_path / "shot", solve)
        run(shot)
        size = undistorted_plate(solve)
        for index, number in enumerate(range(FIRST, FIRST + COUNT)):
            lens = BARREL.with_focal(self.FOCALS[index], self.FOCALS[index])
            maps = LensMaps(lens, size)
            for way, expected, source in (
                ("undistort", maps.undistort(), (WIDTH, HEIGHT)),
                ("distort", maps.distort(), (size.width, size.height)),
            ):
                map_ = cv2.imread(str(shot.stmap(way, number)), cv2.IMREAD_UNCHANGED)[..., ::-1]
                found, inside = stmap.to_positions(map_, *source)
                assert np.abs(found - expected)[inside].max() < 1e-3
            flat = cv2.imread(str(shot.undistorted_frame(number)))
            assert flat.shape == (size.height, size.width, 3)
        # The longer the lens the less it bends, and the less it fills a size made for all.
        black = [
            (cv2.imread(str(shot.undistorted_frame(n))).max(axis=2) == 0).mean()
            for n in (FIRST, FIRST + COUNT - 1)
        ]
        assert len({path.name for path in (shot.undistorted / "stmaps").iterdir()}) == 2 * COUNT
        assert black[0] < black[1]

    def test_its_maps_do_not_hold_up_the_solve(self, tmp_path: Path) -> None:
        shot = make_shot(tmp_path / "shot", some_solve(BARREL, self.FOCALS))
        shown = delivered(shot)
        assert not any(name.startswith("stmap") for name in shown)
        rows = readers.csv_rows(shot.camera_file("csv", CAMERA_UNDISTORTED))
        assert [float(row["fx"]) for row in rows.values()] == self.FOCALS.tolist()

    def test_proxies_take_the_lens_of_their_frame(self, tmp_path: Path) -> None:
        folder = tmp_path / "in" / "frame_1001.png" / "proxy_50"
        folder.mkdir(parents=True)
        half = picture(WIDTH, HEIGHT)
        for number in (1, 2):
            cv2.imwrite(str(folder / f"{number:08d}.jpg"), half)
        lenses = {1: BARREL, 2: PINHOLE}
        report = Report(EventWriter(tmp_path / "events.jsonl"), tmp_path / "cancel")
        count = write_undistorted_proxies(
            lenses.__getitem__, tmp_path / "in", tmp_path / "out", report
        )
        assert count == 2
        out = tmp_path / "out" / "frame_1001.png" / "proxy_50_undistorted"
        bent, same = (
            np.abs(cv2.imread(str(out / f"{n:08d}.jpg")).astype(float) - half)[5:-5, 5:-5].max()
            for n in (1, 2)
        )
        assert same < 12 < bent


def delivered(shot: Shot) -> set[str]:
    """Has the colmap stage write what belongs to the lens of the shot's solve; all that is there.

    The plate has a proxy for each frame.
    """
    plain = shot.proxies / f"frame_{FIRST}.png" / "proxy_50"
    plain.mkdir(parents=True)
    for number in range(1, COUNT + 1):
        cv2.imwrite(str(plain / f"{number:08d}.jpg"), picture(WIDTH // 2, HEIGHT // 2))
    report = Report(EventWriter(shot.path / "events.jsonl"), shot.path / "cancel")
    part = outputs.Writing(shot, stages.get("colmap"), "")
    context = Context(shot, ColmapOptions(), "", "", part, report)
    colmap._write_lens(context, Solve.load(shot.camera), shot.camera)
    return {path.name for path in shot.camera.iterdir()}


class TestSolvesDelivery:
    CAMERAS = {
        f"{stem}.{extension}"
        for stem in ("camera", "camera_plate", "camera_undistorted")
        for extension in ("chan", "clip", "csv", "jsx", "nk")
    }
    SOLVE = {"solve.json", "extrinsics.json", "intrinsics.json", "undistorted.json"}

    def test_a_lens_that_bends_comes_with_maps_and_proxies(self, tmp_path: Path) -> None:
        shot = make_shot(tmp_path / "shot", some_solve(BARREL))
        maps = {"stmap_undistort.exr", "stmap_distort.exr"}
        assert delivered(shot) == self.CAMERAS | self.SOLVE | maps | {"BL_proxy"}
        size = UndistortedPlate.load(shot.undistorted_file)
        map_ = cv2.imread(str(shot.stmap("undistort")), cv2.IMREAD_UNCHANGED)
        assert map_.dtype == np.float32
        assert map_.shape == (size.height, size.width, 3)
        proxies = shot.undistorted_proxies / f"frame_{FIRST}.png" / "proxy_50_undistorted"
        assert len(list(proxies.iterdir())) == COUNT

    def test_a_lens_that_bends_nothing_has_none(self, tmp_path: Path) -> None:
        shot = make_shot(tmp_path / "shot", some_solve(PINHOLE))
        assert delivered(shot) == self.CAMERAS | self.SOLVE
        assert UndistortedPlate.load(shot.undistorted_file).is_plate

    def test_a_lens_that_sees_too_far_is_told(self, tmp_path: Path) -> None:
        fisheye = CameraModel("OPENCV_FISHEYE", WIDTH, HEIGHT, (100, 100, 160, 90, 0, 0, 0, 0))
        shot = make_shot(tmp_path / "shot", some_solve(fisheye))
        delivered(shot)
        told = EventReader(shot.path / "events.jsonl").poll()
        assert any("cut" in event["text"] for event in told if event["event"] == Event.WARNING)


class TestCameras:
    SIZE = UndistortedPlate(2100, 1200, 1920, 1080)

    def test_pinhole_is_square_centered_and_of_the_same_millimeters(self) -> None:
        track = moving_track()
        flat = self.SIZE.camera(track)
        assert (flat.width, flat.height) == (2100, 1200)
        assert (flat.center == [1050, 600]).all()
        assert (flat.focal[:, 0] == flat.focal[:, 1]).all()
        assert (flat.focal[:, 0] == track.focal[:, 1]).all()
        assert flat.fits == UNDISTORTED_PLATE
        plain = replace(track, focal=np.stack([track.focal[:, 0]] * 2, axis=1))
        np.testing.assert_allclose(self.SIZE.camera(plain).lens_mm(), plain.lens_mm())

    def test_smaller_images_have_a_smaller_undistorted_plate(self) -> None:
        half = self.SIZE.camera(moving_track().resized(960, 540))
        assert (half.width, half.height) == (1050, 600)

    @pytest.mark.parametrize(
        ("fits", "is_plate", "expected"),
        [
            (PLATE, True, (PLATE, PLATE, PLATE)),
            (PLATE, False, (PLATE, PLATE, UNDISTORTED_PLATE)),
            (UNDISTORTED_PLATE, False, (UNDISTORTED_PLATE, DISTORTED_PLATE, UNDISTORTED_PLATE)),
        ],
    )
    def test_each_says_which_plate_it_fits(
        self, fits: str, is_plate: bool, expected: tuple[str, ...]
    ) -> None:
        track = replace(moving_track(), fits=fits)
        cameras = cameras_by_plate(track, replace(self.SIZE, is_plate=is_plate))
        assert tuple(cameras) == (CAMERA, CAMERA_PLATE, CAMERA_UNDISTORTED)
        assert tuple(camera.fits for camera in cameras.values()) == expected

    def test_the_lens_takes_one_cameras_pixels_to_the_others(self, tmp_path: Path) -> None:
        """The two files, read back: the map leads from what one projects to what the other does."""
        lens = CameraModel("RADIAL", 1920, 1080, (1700.0, 950.0, 550.0, -0.12, 0.02))
        track = moving_track(frames=4)
        count = len(track.frames)
        track = replace(
            track,
            focal=np.tile(lens.focal, (count, 1)),
            center=np.tile(lens.center, (count, 1)),
            fits=UNDISTORTED_PLATE,
        )
        size = plate_for([lens])
        names = {file.name for file in write_cameras(track, size, tmp_path)}
        assert names == {
            f"{stem}.{extension}"
            for stem in ("camera", "camera_plate", "camera_undistorted")
            for extension in ("chan", "clip", "csv", "jsx", "nk")
        }
        as_shot = readers.csv_rows(tmp_path / "camera_plate.csv")
        flat = readers.csv_rows(tmp_path / "camera_undistorted.csv")
        assert as_shot[1001]["fits"] == "distorted plate"
        assert flat[1001]["fits"] == "undistorted plate"
        assert (int(flat[1001]["width"]), int(flat[1001]["height"])) == (size.width, size.height)
        maps = LensMaps(lens, size).distort()
        for index, frame in enumerate(track.frames.tolist()):
            points = points_ahead(track, index)
            pinhole = readers.csv_pixels(as_shot[frame], points)
            rays = np.hstack([(pinhole - lens.center) / lens.focal[0], np.ones((len(points), 1))])
            squares = (rays[:, :2] ** 2).sum(axis=1, keepdims=True)
            bent = rays[:, :2] * (1 - 0.12 * squares + 0.02 * squares**2)
            pixels = bent * lens.focal[0] + lens.center
            inside = ((pixels > 1) & (pixels < [1919, 1079])).all(axis=1)
            straight = cv2.remap(
                maps.astype(np.float32), *(pixels[:, k, None].astype(np.float32) - 0.5
                                           for k in (0, 1)), cv2.INTER_LINEAR,
            )[:, 0]  # fmt: skip
            away = straight - readers.csv_pixels(flat[frame], points)
            # OpenCV rounds to 1/32 of a pixel.
            assert np.abs(away[inside]).max() < 0.02

    def test_every_format_says_so_where_it_has_room(self, tmp_path: Path) -> None:
        track = replace(moving_track(frames=3), fits=UNDISTORTED_PLATE)
        write_cameras(track, self.SIZE, tmp_path)
        for stem, said in (
            ("camera", "undistorted plate of 1920 x 1080"),
            ("camera_plate", "distorted plate of 1920 x 1080"),
            ("camera_undistorted", "undistorted plate of 2100 x 1200"),
        ):
            label = readers.nk_nodes(tmp_path / f"{stem}.nk")["Camera2"]["label"]
            assert f"fits the {said}" in label
            assert (
                f"fits the {said}"
                in readers.composition_of(tmp_path / f"{stem}.jsx").comment.lower()
            )
        comp = readers.composition_of(tmp_path / "camera_undistorted.jsx")
        assert "cannot hold" not in comp.comment
        assert (comp.width, comp.height) == (2100, 1200)

    def test_size_comes_back_and_damage_is_told(self, tmp_path: Path) -> None:
        file = tmp_path / "undistorted.json"
        size = replace(self.SIZE, cut=True)
        size.save(file)
        assert UndistortedPlate.load(file) == size
        whole = json.loads(file.read_text())
        for broken in ({"width": 0}, {"height": "tall"}, {"plate_width": 10**9}):
            file.write_text(json.dumps(whole | broken))
            with pytest.raises(FormatError, match="size"):
                UndistortedPlate.load(file)
