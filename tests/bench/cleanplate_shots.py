# SPDX-License-Identifier: GPL-3.0-or-later
"""The rendered shots of clean_shots.py as shot folders: frames, masks and, on demand, a solve."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from backend.accuracy import load_truth
from backend.shot import Plate, Shot, write_json
from backend.worker.carrying import link
from backend.worker.frame_files import read_frame
from tests.environments import DEFAULT_BPY, ROOT, call, test_python
from tests.extension.solved_shot import write_solved
from tests.render.bench_shots import FPS
from tests.render.clean_shots import (
    CLEAN_SHOTS,
    CleanShot,
    clean_of,
    folder_of,
    frame_of,
    mask_of,
    missing,
)

LABEL = "actor"


@dataclass(frozen=True)
class Rendered:
    """A shot's folder, and what it would show without the actor."""

    shot: Shot
    spec: CleanShot
    folder: Path

    @property
    def size(self) -> tuple[int, int]:
        return self.spec.shot.width, self.spec.shot.height

    def clean(self, number: int) -> np.ndarray:
        """(h, w, 3) uint8 without actor and noise, red first."""
        return _read(clean_of(self.folder, self.spec, number))

    def frame(self, number: int) -> np.ndarray:
        """(h, w, 3) uint8, red first."""
        return _read(frame_of(self.folder, number))


def rendered_shot(name: str, path: Path, solved: bool) -> Rendered:
    """Renders what is missing and makes a shot folder of it at `path`."""
    if missing(name):
        call([str(test_python(DEFAULT_BPY)), "-B", "-m", "tests.render.render_clean", name], ROOT)
    spec, folder, shot = CLEAN_SHOTS[name], folder_of(name), Shot(path)
    shot.frames.mkdir(parents=True)
    (shot.roto / LABEL).mkdir(parents=True)
    for number in spec.shot.frames:
        link(frame_of(folder, number), shot.frame_file(number))
        link(mask_of(folder, number), shot.roto / LABEL / shot.frame_file(number).name)
    _write_plate(shot, spec)
    if solved:
        write_solved(shot, *load_truth(folder / "truth.json"))
    return Rendered(shot, spec, folder)


def _write_plate(shot: Shot, spec: CleanShot) -> None:
    count = spec.shot.count
    numbers = tuple(spec.shot.frames)
    times = tuple(index / FPS for index in range(count))
    size = spec.shot.width, spec.shot.height
    plate = Plate("plate", "movie", *size, Fraction(FPS), numbers, tuple(range(count)), times)
    write_json(shot.plate_file, plate.to_json())


def _read(path: Path) -> np.ndarray:
    found = read_frame(path)
    if found is None:
        raise FileNotFoundError(path)
    return found


@dataclass(frozen=True)
class Likeness:
    """Of all frames together.

    decibels      PSNR of what was replaced (more than half of it) against the render without actor
    replaced      pixels that is over
    changed       pixels outside of the masks, feather included, that are not the plate's
    kept          pixels outside
    """

    decibels: float
    replaced: int
    changed: int
    kept: int


def likeness(rendered: Rendered, result: Path) -> Likeness:
    """Compares a folder cleanplate/ with what was rendered without the actor."""
    squares, count, changed, kept = 0.0, 0, 0, 0
    for number, made, mask in _results(rendered, result):
        where = mask >= 128
        apart = made[where].astype(float) - rendered.clean(number)[where]
        squares, count = squares + float((apart**2).mean(axis=1).sum()), count + int(where.sum())
        outside = mask == 0
        changed += int((made[outside] != rendered.frame(number)[outside]).any(axis=1).sum())
        kept += int(outside.sum())
    decibels = float(10 * np.log10(255**2 * count / squares)) if squares else np.inf
    return Likeness(decibels, count, changed, kept)


def _results(rendered: Rendered, result: Path) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    for number in rendered.spec.shot.frames:
        name = rendered.shot.frame_file(number).name
        mask = cv2.imread(str(result / "mask" / name), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            raise FileNotFoundError(result / "mask" / name)
        yield number, _read(result / name)[..., :3], mask
