# SPDX-License-Identifier: GPL-3.0-or-later
"""An artist's own installation of GVHMR (zju3dv/GVHMR), run as it is by its own Python.

It is given a movie of the plate, and finds out by itself how the camera turns; of the solved camera
it takes whether that stands still, and the focal length, which it may round. What it answers is
brought to the solved camera, so that the body covers the pixels that it covered.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from ...average_body import AVERAGE_JOINTS
from ...camera import Array, Integers
from ...errors import FormatError, ModelError, PlateError, Remedy
from ...processes import clean_environment, run_child
from ..frame_files import Pixels, read_colors
from ..mocap.importing import GvhmrResult, read_gvhmr, with_body
from ..movie import writing_movie
from ..report import Report
from .body_motion import Person, PlateCamera, Progress, SeenMotion, filled

PYTHON_VARIABLE = "SHOT_GOPHER_GVHMR_PYTHON"
"""Names the Python that runs GVHMR, where that is not in a folder of the installation."""
_PROGRAM = Path("tools", "demo", "demo.py")
_RESULT = "hmr4d_results.pt"
_ENVIRONMENTS = (".venv", "venv", "env")
_PYTHONS = ("bin/python", "Scripts/python.exe", "python.exe")
_RATE = Fraction(30)
"""Of the movie, whatever the plate's: what GVHMR takes every movie for. So each frame of the plate
is one of its frames."""
_STILL = np.radians(0.05)
"""How far a camera that does not turn may seem to."""
_DIAGONAL = float(np.hypot(36, 24))
"""Millimeters of the sensor that its focal lengths are of, corner to corner."""
_AROUND = 1.5
"""How much more than a person the movie shows where others are left out."""
_GRAY = 127
_LAST_LINES = 20
_BAR = re.compile(r"^\s*(?P<what>[^:|]+?):\s+\d+%\|.*?\|\s*(?P<done>\d+)/(?P<total>\d+)")


@dataclass(frozen=True)
class Installation:
    """A folder with GVHMR, and the Python that it is run by."""

    folder: Path
    python: Path

    @classmethod
    def find(cls, folder: str) -> Installation:
        """Raises ModelError with what is missing."""
        if not folder:
            raise ModelError("Name the folder of your GVHMR installation (--mocap-gvhmr).")
        root = Path(folder).expanduser().absolute()
        if not (root / _PROGRAM).is_file():
            raise ModelError(f"{root} is no GVHMR installation: it has no {_PROGRAM.as_posix()}.")
        named = os.environ.get(PYTHON_VARIABLE, "")
        places = [root / each / name for each in _ENVIRONMENTS for name in _PYTHONS]
        found = [Path(named)] if named else [place for place in places if place.is_file()]
        if not found or not found[0].is_file():
            raise ModelError(
                f"No Python for {root}: make its environment in {root / _ENVIRONMENTS[0]}, link it "
                f"there, or name the Python in the variable {PYTHON_VARIABLE}."
            )
        return cls(root, found[0])

    def takes(self, option: str) -> bool:
        """Whether its program has that option."""
        return option in self._source()

    def takes_fractions(self, option: str) -> bool:
        """Whether that may be a number with a fraction."""
        return re.search(rf"{option}['\"][^)]*type\s*=\s*float", self._source()) is not None

    def _source(self) -> str:
        return (self.folder / _PROGRAM).read_text(encoding="utf-8", errors="replace")


class ExternalGvhmr:
    """GVHMR in a process of its own (MotionEngine). It sees one person in a movie: where there are
    masks, the movie shows nobody else."""

    name = "external"

    def __init__(self, installation: Installation, report: Report) -> None:
        self._installation, self._report = installation, report

    def people(self, camera: PlateCamera, _progress: Progress) -> Sequence[Person]:
        """The one that GVHMR takes: whoever is seen longest and largest."""
        boxes = np.tile(np.array([0.0, 0, *camera.size]), (len(camera.frames), 1))
        return [Person("person_00", camera.frames, boxes)]

    def motion(self, person: Person, camera: PlateCamera, progress: Progress) -> SeenMotion:
        """See MotionEngine. Also raises OutputError."""
        first, last = np.searchsorted(camera.frames, [person.frames[0], person.frames[-1] + 1])
        part = slice(int(first), int(last))
        with tempfile.TemporaryDirectory(prefix="gvhmr-") as name:
            folder = Path(name)
            shown = _Shown(person, camera, part)
            movie = folder / "plate.mp4"
            with writing_movie(movie, shown.size, _RATE, Fraction(1)) as writing:
                for done, picture in enumerate(shown, 1):
                    writing.add(picture)
                    progress(done, len(shown.frames), "frames")
            self._run(movie, folder, camera, part, progress)
            result = self._result(folder)
        count = len(shown.frames)
        if len(result.body_pose) != count:
            raise ModelError(
                f"GVHMR answered for {len(result.body_pose)} frames, not for the {count} that it "
                "was given."
            )
        return seen_motion(result, shown, camera)

    def _run(
        self, movie: Path, folder: Path, camera: PlateCamera, part: slice, progress: Progress
    ) -> None:
        """Raises ModelError where it fails."""
        self._report.status("Running GVHMR")
        where, said = self._installation.folder, deque[str](maxlen=_LAST_LINES)

        def on_line(line: str) -> None:
            self._report.check()
            bar = _BAR.match(line)
            if bar:
                progress(int(bar["done"]), int(bar["total"]), "steps")
            elif line.strip():
                said.append(line.strip())
                sys.stderr.write(f"{line}\n")

        command = [str(self._installation.python), "-u", str(where / _PROGRAM), "--video",
                   str(movie), "--output_root", str(folder / "out"),
                   *self._about(camera, part)]  # fmt: skip
        environment = clean_environment() | {"PYTHONPATH": str(where)}
        try:
            status = run_child(command, on_line, environment, self._report.check, where)
        except OSError as error:
            raise ModelError(f"{command[0]} cannot be started: {error}.") from error
        if status:
            why = said[-1] if said else "it said nothing"
            raise ModelError(f"GVHMR failed: {why}", Remedy.OPEN_LOG)

    def _about(self, camera: PlateCamera, part: slice) -> list[str]:
        """What the program is told of the camera."""
        words = ["-s"] if stands_still(camera.rotations[part]) else []
        if not self._installation.takes("--f_mm"):
            self._report.warning(
                "This GVHMR takes no focal length: how far away the body stands is brought to the "
                "solved one afterwards, its pose is not."
            )
            return words
        millimeters = focal_millimeters(camera)
        exact = self._installation.takes_fractions("--f_mm")
        return [*words, "--f_mm", f"{millimeters:.3f}" if exact else str(round(millimeters))]

    def _result(self, folder: Path) -> GvhmrResult:
        found = next(iter(sorted((folder / "out").rglob(_RESULT))), None)
        if found is None:
            raise ModelError(f"GVHMR wrote no {_RESULT}.", Remedy.OPEN_LOG)
        try:
            return read_gvhmr(found)
        except FormatError as error:
            raise ModelError(f"GVHMR's answer cannot be read: {error.reason}") from error


class _Shown:
    """The pictures of the movie: the plate in square pixels, its sides even, in gray where it is
    far from the person. `frames` (n,) are the plate's; `scale` (2,) makes its pixels those of the
    movie."""

    def __init__(self, person: Person, camera: PlateCamera, part: slice) -> None:
        self._camera = camera
        self.frames: Integers = camera.frames[part]
        self.boxes, self.there = filled(person, self.frames)
        aspect = float(camera.matrix[0, 0] / camera.matrix[1, 1])
        self.scale = np.array([1.0, aspect])
        width, height = camera.size[0], max(1, round(camera.size[1] * aspect))
        self._inner = (width, height)
        self.size = (width + width % 2, height + height % 2)
        whole = self.boxes[:, :2].max() <= 0 and (self.boxes[:, 2:] >= camera.size).all()
        self._alone = not whole

    def __iter__(self) -> Iterator[Pixels]:
        for number, box in zip(self.frames, self.boxes, strict=True):
            file = self._camera.files.get(int(number))
            picture = None if file is None else read_colors(file)
            if picture is None:
                raise PlateError(f"Frame {number} of the plate is missing or damaged.")
            yield self._picture(picture, box)

    def _picture(self, picture: Pixels, box: Array) -> Pixels:
        """Blue first."""
        shown = picture[:, :, ::-1]
        if self._alone:
            shown = np.where(near(box, picture.shape[:2])[..., None], shown, np.uint8(_GRAY))
        if self._inner != self._camera.size:
            shown = np.asarray(cv2.resize(np.ascontiguousarray(shown), self._inner))
        more = np.subtract(self.size, self._inner)
        return np.pad(shown, ((0, int(more[1])), (0, int(more[0])), (0, 0)), mode="edge")


def near(box: Array, shape: tuple[int, ...]) -> Array:
    """(h, w) where a picture is near a box."""
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * _AROUND
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.asarray((abs(x - middle[0]) <= half[0]) & (abs(y - middle[1]) <= half[1]))


def stands_still(rotations: Array) -> bool:
    """Whether a camera of these rotations (n, 3, 3) does not turn either."""
    between = np.einsum("nij,ij->n", rotations, rotations[0])
    return bool((np.arccos(np.clip((between - 1) / 2, -1, 1)) <= _STILL).all())


def focal_millimeters(camera: PlateCamera) -> float:
    """The focal length as GVHMR takes it: of a sensor of 36 x 24 mm with the picture's diagonal."""
    height = camera.size[1] * camera.matrix[0, 0] / camera.matrix[1, 1]
    return float(camera.matrix[0, 0] * _DIAGONAL / np.hypot(camera.size[0], height))


def seen_motion(result: GvhmrResult, shown: _Shown, camera: PlateCamera) -> SeenMotion:
    """GVHMR's result before the solved camera: where its pelvis was in the movie, at the distance
    at which it is as large there."""
    theirs = np.array([[result.focal, 0, shown.size[0] / 2], [0, result.focal, shown.size[1] / 2]])
    if result.matrix is not None:
        theirs = result.matrix[0, :2]
    pelvis = result.camera_transl + AVERAGE_JOINTS[0]
    place = (pelvis[:, :2] / pelvis[:, 2:] * theirs[[0, 1], [0, 1]] + theirs[:, 2]) / shown.scale
    focal = camera.matrix[[0, 1], [0, 1]]
    depth = pelvis[:, 2:] * focal[0] / theirs[0, 0]
    moved = (camera.straighten(place) - camera.matrix[:2, 2]) / focal * depth
    return SeenMotion(
        frames=shown.frames,
        rotations=with_body(result.camera_orient, result.body_pose),
        translation=np.column_stack([moved, depth]) - AVERAGE_JOINTS[0],
        betas=result.betas,
        confidence=shown.there.astype(np.float64),
        contact=result.contact,
        upright=result.world_orient,
    )
