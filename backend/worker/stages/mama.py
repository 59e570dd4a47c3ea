# SPDX-License-Identifier: GPL-3.0-or-later
"""Refines the masks of numbered instances to soft mattes.

    matte/<label>_00/frame_0001.png    plate size, under the plate's own frame numbers
    roto/combined/frame_0001.png       the union of all that is in matte/

A matte is made for every frame of the plate: black where the instance is not seen, without running
the model. Frames that follow each other and show it are refined in chunks, as long as the device
has room for; where two chunks meet they share some frames and are faded over. When the device is
out of memory a chunk is halved and tried again. Mattes that this stage did not make, or that were
edited since, stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from ... import locations
from ...engines import MATTE_MODELS
from ...errors import MaskError, PlateError, Remedy
from ...mask_folders import is_edited
from ...models import ModelStore
from ...outputs import recorded
from ...shot import Plate, instance_folders, label_folders
from ...stages import STAGES, MamaOptions
from ..carrying import carry_over
from ..engines.chunks import Chunks, refined
from ..engines.matting import Alpha, MatteEngine, Seen
from ..frame_files import read_colors
from ..mask_files import HALF, Mask, read_mask, write_mask
from ..mask_union import write_union
from ..masks import find_masks
from ..matte_detail import at_plate_size
from ..report import Context
from ..threads import threads

_RECORD = "mattes"
"""Key of the record: the folders that this stage made."""


def run(context: Context[MamaOptions]) -> None:
    """Raises MaskError without instances or for damaged masks, ModelError, PlateError,
    OutputError."""
    shot, report = context.shot, context.report
    instances = instance_folders(shot.roto)
    if not instances:
        raise MaskError(
            "There are no masks to refine: run Roto by Text with Separate Instances, or name what "
            "you track with a number, such as actor_00."
        )
    plate = shot.load_plate()
    size = plate.width, plate.height
    part = context.part.folder("matte")
    names = {folder.name for folder in instances}
    made = set(map(str, recorded(shot, STAGES["mama"]).get(_RECORD, ())))
    kept = _keep_own(context, part, made, names, size)
    refining = Refining(context, plate, [each for each in instances if each.name not in kept])
    refining.run(part)
    _combine(context, plate, part)
    report.result("matte", "mattes")
    # What was edited is still this stage's when the edit is taken back.
    context.record.update({_RECORD: sorted((names - kept) | (kept & made))}, **refining.record)


def _keep_own(
    context: Context[MamaOptions],
    part: Path,
    made: set[str],
    wanted: set[str],
    size: tuple[int, int],
) -> set[str]:
    """Carries over the mattes of others; their names. Says which of them stand in the way.

    Raises MaskError, before hours of work, for one that cannot be combined with the others.
    """
    own = [
        folder
        for folder in label_folders(context.shot.mattes)
        if folder.name not in made or is_edited(folder)
    ]
    for folder in own:
        for file in find_masks(folder).values():
            read_mask(file, size)
        carry_over(folder, part / folder.name)
        if folder.name in wanted:
            context.report.warning(
                f"matte/{folder.name} was made or edited by hand and stays as it is: rename or "
                "delete it to have it refined."
            )
    return {folder.name for folder in own}


def _combine(context: Context[MamaOptions], plate: Plate, part: Path) -> None:
    report, done = context.report, 0
    report.status("Combining the mattes")

    def tell() -> None:
        nonlocal done
        done += 1
        report.progress(done, len(plate.frames), "frames")

    size = plate.width, plate.height
    folder = context.part.folder("roto/combined")
    write_union(label_folders(part), plate.frames, size, folder, tell)
    report.result("roto/combined", "mask")


class Refining:
    """Refines one instance after the other with one engine. `record` is worth keeping."""

    def __init__(
        self, context: Context[MamaOptions], plate: Plate, instances: Sequence[Path]
    ) -> None:
        self._context, self._shot, self._report = context, context.shot, context.report
        self._plate, self._instances = plate, instances
        self._size = plate.width, plate.height
        self._done = 0
        self.record: dict[str, object] = {}

    @cached_property
    def _engine(self) -> MatteEngine:
        """Loaded when something is to be refined."""
        self._report.status("Loading the matte model")
        return load_engine(self._context.options.seed)

    @cached_property
    def _chunks(self) -> Chunks:
        options = self._context.options
        return Chunks(options.chunk or self._engine.room(), options.overlap)

    def run(self, part: Path) -> None:
        """Writes the mattes of every instance into a folder of its name under `part`."""
        for folder in self._instances:
            self._report.status(f"Looking through the masks of {folder.name}")
            masks = find_masks(folder)
            stretches = self._stretches(masks)
            target = part / folder.name
            target.mkdir(parents=True, exist_ok=True)
            self._write_black(target, {n for stretch in stretches for n in stretch})
            for stretch in stretches:
                self._refine(stretch, masks, target)

    def _stretches(self, masks: dict[int, Path]) -> list[list[int]]:
        """The frames that show the instance, those together that follow each other in the plate."""
        wanted = [number for number in self._plate.frames if number in masks]
        seen: dict[int, bool] = {}

        def look(number: int) -> None:
            seen[number] = bool((read_mask(masks[number], self._size) >= HALF).any())

        with threads(look, wanted) as finished:
            for _ in finished:
                self._report.check()
        return runs([seen.get(number, False) for number in self._plate.frames], self._plate.frames)

    def _write_black(self, target: Path, seen: set[int]) -> None:
        black: Mask = np.zeros(self._size[::-1], np.uint8)
        for number in self._plate.frames:
            if number not in seen:
                if not self._file(target, number).is_file():
                    write_mask(self._file(target, number), black)
                self._count(1)

    def _refine(self, stretch: Sequence[int], masks: dict[int, Path], target: Path) -> None:
        """Refines one stretch. What an interrupted run has written of its beginning stays."""
        there = [self._file(target, number).is_file() for number in stretch]
        done = there.index(False) if False in there else len(stretch)
        self._count(done)
        if done == len(stretch):
            return
        chunks, room = self._chunks, self._chunks.most
        self._report.status(f"Refining {target.name}")

        def work(piece: Sequence[int]) -> list[Alpha]:
            self._report.check()
            return self._engine.refine([self._seen(number, masks[number]) for number in piece])

        for written in refined(stretch, done, chunks, work):
            self._write(written, target)
        self.record = {"engine": self._engine.name, "chunk": chunks.most}
        if chunks.most < room:
            self._report.warning(
                f"The GPU was out of memory: mattes are refined {chunks.most} frames at a time."
            )

    def _seen(self, number: int, mask: Path) -> Seen:
        fit = self._engine.fit(self._size)
        there = fit.into(read_mask(mask, self._size)) >= HALF
        return Seen(number, fit.into(self._picture(number)), there)

    def _picture(self, number: int) -> Mask:
        file = self._shot.frame_file(number)
        picture = read_colors(file)
        if picture is None:
            raise PlateError(
                f"{file} is missing or damaged: set the shot up again.", Remedy.SET_UP_SHOT
            )
        return picture

    def _write(self, written: Sequence[tuple[int, Alpha, float]], target: Path) -> None:
        fit = self._engine.fit(self._size)

        def write(entry: tuple[int, Alpha, float]) -> None:
            number, alpha, share = entry
            file = self._file(target, number)
            matte = at_plate_size(fit.out_of(alpha), self._picture(number))
            if share < 1:
                matte = mixed(read_mask(file, self._size), matte, share)
            write_mask(file, matte)

        with threads(write, written) as finished:
            for _ in finished:
                self._report.check()
        self._count(sum(share == 1 for _number, _alpha, share in written))

    def _file(self, target: Path, number: int) -> Path:
        return target / self._shot.frame_file(number).name

    def _count(self, mattes: int) -> None:
        self._done += mattes
        total = len(self._instances) * len(self._plate.frames)
        self._report.progress(self._done, total, "mattes")


def load_engine(seed: int) -> MatteEngine:
    """Raises ModelError, before it imports torch."""
    store = ModelStore(locations.home())
    unet, vae = map(store.folder, MATTE_MODELS)
    from ..engines.videomama import VideoMama

    return VideoMama.load(unet, vae, seed)


def runs(seen: Sequence[bool], frames: Sequence[int]) -> list[list[int]]:
    """The frames that are seen, those together that have no unseen one between them."""
    found: list[list[int]] = []
    before = False
    for number, now in zip(frames, seen, strict=True):
        if now and before:
            found[-1].append(number)
        elif now:
            found.append([number])
        before = now
    return found


def mixed(old: Mask, new: Mask, share: float) -> Mask:
    """So much of the new matte, the rest of the old one."""
    both = old * np.float32(1 - share) + new * np.float32(share)
    return np.rint(both).astype(np.uint8)
