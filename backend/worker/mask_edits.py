# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes, combines and imports masks of a shot, a frame at a time and several at once.

What is written takes the place of the target folder when it is whole; the one before is kept as
`<label>.previous`. The union that the label is part of is then made again, unless somebody made
that one himself. Files belong together by the frame number in their name.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import MaskError, OutputError, UsageError, explain_os_error
from ..mask_edits import (
    COMBINE,
    EDIT,
    IMPORT,
    RESTORE,
    SUBTRACT,
    UNITE,
    EditOptions,
    ImportOptions,
    MaskJob,
)
from ..mask_folders import (
    Edit,
    existing_folder,
    is_own,
    mask_files,
    mask_folder,
    previous,
    shot_name,
    union_of,
)
from ..options import from_mapping
from ..outputs import PART, replace_folder
from ..plates import ranges
from ..shot import FRAME_PATTERN, Plate, Shot, label_folders
from .mask_files import Mask, read_mask, write_mask
from .mask_images import MaskImages
from .mask_shapes import edited, invert
from .mask_union import union, write_union
from .threads import FEW, threads

Progress = Callable[[int, int], None]
"""Is told how many of how many frames are done, from the thread that asked; may raise to stop."""

_MEMORY = 300 * 2**20
"""Bytes of masks that are held at one time, about."""
_HELD = 6
"""Images of a mask's size that the work on one takes, about."""
_ASIDE = ".aside"
"""Ending of the name that a folder has while it changes places with another."""


def run(job: MaskJob, progress: Progress) -> list[str]:
    """Does the job. Returns sentences that are worth telling.

    Raises UsageError for names and options that are wrong, MaskError, PlateError, FormatError,
    OutputError. Hold the shot's lock.
    """
    work = _Work(Shot(job.shot), progress)
    return {EDIT: work.edit, COMBINE: work.combine, IMPORT: work.take_in, RESTORE: work.restore}[
        job.what
    ](job)


class _Work:
    """One job on a shot; `progress` counts the frames of the label and of its union."""

    def __init__(self, shot: Shot, progress: Progress) -> None:
        self._shot, self._progress = shot, progress
        self._plate: Plate = shot.load_plate()
        self._size = self._plate.width, self._plate.height
        self._done, self._total = 0, 0

    def edit(self, job: MaskJob) -> list[str]:
        options = from_mapping(EditOptions, job.how)
        source, target = existing_folder(self._shot, job.sources[0]), self._target(job)
        files = mask_files(source)

        def mask_of(number: int) -> Mask:
            window = [
                read_mask(files[n], self._size) for n in around(files, number, options.smooth)
            ]
            return edited(window, options)

        self._write(target, files, mask_of, Edit(EDIT, dict(job.how)), 2 * options.smooth + 1)
        return self._unite(target)

    def combine(self, job: MaskJob) -> list[str]:
        how = str(job.how["how"])
        found = [mask_files(existing_folder(self._shot, name)) for name in job.sources]
        frames = sorted(set().union(*found)) if how == UNITE else sorted(found[0])

        def mask_of(number: int) -> Mask:
            return combined([files.get(number) for files in found], how, self._size)

        record = Edit(COMBINE, {"how": how, "of": list(job.sources)})
        target = self._target(job)
        self._write(target, frames, mask_of, record)
        return self._unite(target)

    def take_in(self, job: MaskJob) -> list[str]:
        options = from_mapping(ImportOptions, job.how)
        images = MaskImages.of(Path(job.sources[0]), options, self._size)
        frames, there = self._plate.frames, images.frames
        inside = [number for number in frames if number in there]
        if not inside:
            raise MaskError(
                f"The images are numbered {_span(there)} and the plate {_span(frames)}: give an "
                f"offset, such as {frames[0] - min(there) + options.offset}."
            )

        def mask_of(number: int) -> Mask:
            if number not in there:
                return np.zeros(self._size[::-1], np.uint8)
            return images.read(number)

        target = self._target(job)
        record = Edit(IMPORT, {**job.how, "images": job.sources[0]})
        self._write(target, frames, mask_of, record)
        return [*_left_out(frames, inside, there), *self._unite(target)]

    def restore(self, job: MaskJob) -> list[str]:
        target = mask_folder(self._shot, job.target)
        if not swap_back(target):
            raise UsageError(f"There is nothing earlier of {job.target}.")
        self._total = len(self._plate.frames)
        return self._unite(target)

    def _target(self, job: MaskJob) -> Path:
        return mask_folder(self._shot, job.target)

    def _write(
        self,
        target: Path,
        frames: Iterable[int],
        mask_of: Callable[[int], Mask],
        record: Edit,
        held: int = 1,
    ) -> None:
        """Writes a mask for each frame and puts them in the place of the target."""
        part, numbers = target.with_name(target.name + PART), list(frames)
        self._total = len(numbers) + len(self._plate.frames)
        try:
            _settle(target)
            _remove(part)
            part.mkdir(parents=True)

            def write(number: int) -> None:
                write_mask(part / f"{FRAME_PATTERN.format(number)}.png", mask_of(number))

            with threads(write, numbers, most=self._threads(held)) as finished:
                for _ in finished:
                    self._tell()
            record.save(part)
            replace_folder(part, target)
        except OSError as error:
            raise OutputError(explain_os_error(error)) from error
        finally:
            _remove(part)

    def _threads(self, held: int) -> int:
        each = self._size[0] * self._size[1] * (held + _HELD)
        return max(1, min(FEW, _MEMORY // each))

    def _unite(self, label: Path) -> list[str]:
        """Makes the union again that a label is part of."""
        folder = union_of(self._shot, label)
        name = shot_name(self._shot, folder)
        if is_own(folder):
            return [f"{name} was not made from the labels and stays as it is."]
        part = folder.with_name(folder.name + PART)
        try:
            _remove(part)
            labels = label_folders(label.parent)
            write_union(labels, self._plate.frames, self._size, part, self._tell)
            replace_folder(part, folder)
        except OSError as error:
            raise OutputError(explain_os_error(error)) from error
        finally:
            _remove(part)
        return []

    def _tell(self) -> None:
        self._done += 1
        self._progress(self._done, self._total)


def swap_back(target: Path) -> bool:
    """Swaps a folder with the one before it; False when there is none.

    Killed in the middle, nothing is lost: the next call goes on. Raises OutputError.
    """
    before, aside = previous(target), target.with_name(target.name + _ASIDE)
    try:
        if not aside.is_dir():
            if not before.is_dir():
                return False
            before.rename(aside)
        if not before.is_dir() and target.is_dir():
            target.rename(before)
        aside.rename(target)
    except OSError as error:
        raise OutputError(explain_os_error(error)) from error
    return True


def _settle(target: Path) -> None:
    """Puts what a swap that was killed has left where it belongs."""
    aside = target.with_name(target.name + _ASIDE)
    if aside.is_dir():
        aside.rename(previous(target) if target.is_dir() else target)


def around(files: Mapping[int, Path], number: int, radius: int) -> list[int]:
    """The frame and those up to `radius` frames away, of which there are as many on either side:
    an odd number, with the frame in the middle."""
    reach = 0
    while reach < radius and {number - reach - 1, number + reach + 1} <= files.keys():
        reach += 1
    return list(range(number - reach, number + reach + 1))


def combined(files: Sequence[Path | None], how: str, size: tuple[int, int]) -> Mask:
    """Masks of one frame in one; None is black. Raises MaskError."""
    first, *others = [union([file] if file else [], size) for file in files]
    for other in others:
        other = invert(other) if how == SUBTRACT else other
        first = np.maximum(first, other) if how == UNITE else np.minimum(first, other)
    return first


def _span(numbers: Iterable[int]) -> str:
    listed = list(numbers)
    return f"{min(listed)} to {max(listed)}"


def _left_out(frames: Sequence[int], inside: Sequence[int], there: Iterable[int]) -> list[str]:
    """What an artist should know of frames that do not match."""
    without = sorted(set(frames) - set(inside))
    outside = sorted(set(there) - set(inside))
    told = [f"Frames without an image are black: {ranges(without)}."] if without else []
    return told + ([f"Images outside of the plate: {ranges(outside)}."] if outside else [])


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
