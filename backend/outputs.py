# SPDX-License-Identifier: GPL-3.0-or-later
"""How a stage's output comes to be, so that nothing is ever lost.

A stage writes into `<output>.part`; when all is whole, `<output>` is renamed to
`<output>.previous` and `<output>.part` takes its place. An output folder that exists is complete.
A run that fails or is canceled leaves the old output as it was and no `.part`, unless its stage
resumes. That one, and one whose process was killed, leaves its `.part`, from which the next run may
resume when the fingerprint is the same.

The first folder a stage makes holds its record, mostly `stage.json`: what it was made from.
Comparing it with today's options and inputs tells a current output from a stale one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any

from . import locations
from .errors import (
    Canceled,
    FormatError,
    ModelError,
    OutputError,
    UsageError,
    explain_os_error,
)
from .models import ModelStore
from .options import from_mapping, lasting
from .pictures import pictures_digest
from .plates import plate_fingerprint
from .shot import Shot, instance_folders, label_folders, read_json, write_json
from .stages import STAGES, Stage

PART = ".part"
PREVIOUS = ".previous"


class Freshness(str, Enum):
    """What an output is, seen from today's options and inputs."""

    MISSING = "missing"
    CURRENT = "current"
    STALE = "stale"


def stage_file(shot: Shot, stage: Stage) -> Path:
    return shot.output(stage.makes[0]) / stage.record


def exists(shot: Shot, stage: Stage) -> bool:
    return stage_file(shot, stage).is_file()


def recorded(shot: Shot, stage: Stage) -> dict[str, Any]:
    """The stage.json of an output, {} when there is none or it cannot be read."""
    try:
        return read_json(stage_file(shot, stage))
    except FormatError:
        return {}


def file_fingerprint(path: Path) -> list[Any]:
    """Name, size and time of a file, or of every file right under a folder; [] when missing."""
    if path.is_dir():
        entries = sorted(entry.name for entry in os.scandir(path) if entry.is_file())
        return [part for name in entries for part in file_fingerprint(path / name)]
    try:
        status = path.stat()
    except OSError:
        return []
    return [path.name, status.st_size, status.st_mtime_ns]


def fingerprint(stage: Stage, options: Any, inputs: Mapping[str, Any]) -> str:
    """One hash over everything that decides a stage's result."""
    content = {"stage": stage.name, "version": stage.version, "options": lasting(options)}
    named = [getattr(options, name) for name in stage.files]
    if any(named):
        content["files"] = [file_fingerprint(Path(name).expanduser()) for name in named if name]
    text = json.dumps(content | {"inputs": dict(inputs)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def camera_digest(shot: Shot) -> str:
    """Tells one solved camera in one world from every other; "" without a camera."""
    digest = hashlib.sha256()
    try:
        for name in ("solve.json", "extrinsics.json"):
            digest.update((shot.camera / name).read_bytes())
    except OSError:
        return ""
    return digest.hexdigest()


def masks_digest(shot: Shot) -> str:
    """Tells the masks that a camera is solved with from every other set of them."""
    return hashlib.sha256(json.dumps(file_fingerprint(shot.masks)).encode()).hexdigest()


def lens_digest(shot: Shot) -> str:
    """Tells one solved lens, zooms included, from every other; "" without a camera.

    A survey moves the camera and leaves the lens as it is.
    """
    try:
        lens = read_json(shot.camera / "intrinsics.json")
        zoom = read_json(shot.camera / "extrinsics.json").get("focal_px")
    except FormatError:
        return ""
    return hashlib.sha256(json.dumps([lens, zoom]).encode()).hexdigest()


def prompts_digest(shot: Shot) -> str:
    """Tells what an artist has pointed at from everything else."""
    try:
        return hashlib.sha256(shot.prompts.read_bytes()).hexdigest()
    except OSError:
        return ""


def depth_digest(shot: Shot) -> str:
    """Tells the depth stage's maps from every other set of them; "" without any."""
    listed = file_fingerprint(shot.depth.map(1).parent)
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest() if listed else ""


def dense_digest(shot: Shot) -> str:
    """Tells one dense result from every other; "" without any."""
    try:
        return hashlib.sha256(shot.dense.record.read_bytes()).hexdigest()
    except OSError:
        return ""


def motion_digest(shot: Shot) -> str:
    """Tells one body motion from every other; "" without any."""
    files = sorted(shot.mocap.path.glob("*/motion.npz"))
    digest = hashlib.sha256()
    try:
        for file in (shot.mocap.record, *files):
            digest.update(file.read_bytes())
    except OSError:
        return ""
    return digest.hexdigest()


def instances_digest(shot: Shot) -> str:
    """Tells the masks of all numbered instances from every other set of them."""
    listed = [[folder.name, file_fingerprint(folder)] for folder in instance_folders(shot.roto)]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def mattes_digest(shot: Shot) -> str:
    """Tells the masks and mattes of all labels from every other set of them."""
    folders = [each for parent in (shot.roto, shot.mattes) for each in label_folders(parent)]
    listed = [
        [folder.relative_to(shot.path).as_posix(), file_fingerprint(folder)] for folder in folders
    ]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def bodies_digest(_shot: Shot) -> str:
    """Tells the artist's body models from every other set of them; "" without any."""
    try:
        folder = ModelStore(locations.home()).folder("smplx")
    except ModelError:
        return ""
    return hashlib.sha256(json.dumps(file_fingerprint(folder)).encode()).hexdigest()


_READ: Mapping[str, Callable[[Shot], str]] = {
    "bodies": bodies_digest,
    "camera": camera_digest,
    "dense": dense_digest,
    "depth": depth_digest,
    "lens": lens_digest,
    "instances": instances_digest,
    "masks": masks_digest,
    "mattes": mattes_digest,
    "motion": motion_digest,
    "pictures": pictures_digest,
    "prompts": prompts_digest,
}
"""What `Stage.reads` may name."""


def inputs_of(shot: Shot, stage: Stage, plate: str) -> dict[str, Any]:
    """What a stage reads: the plate for ingest, else the fingerprints of the stages it needs.

    What `stage.reads` names counts by its content: a survey moves the camera without a run of a
    stage, and masks may be painted by hand. `plate` is the path of the movie, the sequence's
    folder or one of its files.
    """
    if not stage.needs:
        return {"plate": plate, "files": plate_fingerprint(plate)}
    inputs: dict[str, Any] = {
        name: recorded(shot, STAGES[name]).get("fingerprint", "") for name in stage.needs
    }
    return inputs | {name: _READ[name](shot) for name in stage.reads}


def freshness(shot: Shot, stage: Stage, options: Any, plate: str) -> Freshness:
    """Whether an output is there, whole, and what today's options and inputs would make again."""
    record = recorded(shot, stage)
    if not record:
        return Freshness.MISSING
    today = fingerprint(stage, options, inputs_of(shot, stage, plate))
    same = record.get("fingerprint") == today
    there = all((shot.path / path).exists() for path in record.get("results", ()))
    return Freshness.CURRENT if same and there else Freshness.STALE


def freshness_as_recorded(shot: Shot, stage: Stage) -> Freshness:
    """Like `freshness`, with the options and the plate that the output was made with.

    Stale then means that an input has changed since.
    """
    record = recorded(shot, stage)
    try:
        options: Any = from_mapping(stage.options, record["options"])
        plate = str(record["inputs"].get("plate", ""))
    except (KeyError, TypeError, AttributeError, UsageError):
        return Freshness.STALE if record else Freshness.MISSING
    return freshness(shot, stage, options, plate)


class Writing:
    """The `.part` folders of one stage while it runs. `shot` has the same names inside them."""

    def __init__(self, shot: Shot, stage: Stage, fingerprint: str) -> None:
        self._shot = shot
        self._stage = stage
        self._fingerprint = fingerprint
        self._started = time.time()

    def folder(self, name: str) -> Path:
        """The `.part` folder that will become the output `name` (one of the stage's `makes`)."""
        if name not in self._stage.makes:
            raise ValueError(f"{self._stage.name} does not make {name}")
        return _beside(self._shot.output(name), PART)

    @property
    def resumable(self) -> bool:
        """True when the `.part` was begun by a run with the same options and inputs."""
        return self._left_behind().get("fingerprint") == self._fingerprint

    def _left_behind(self) -> dict[str, Any]:
        try:
            return read_json(self.folder(self._stage.makes[0]) / self._stage.record)
        except FormatError:
            return {}

    def begin(self, record: Mapping[str, Any]) -> None:
        """Makes the folders; drops what another run left unless it can be resumed."""
        if not self.resumable:
            self.discard()
        for name in self._stage.makes:
            self.folder(name).mkdir(parents=True, exist_ok=True)
        self._record = {"stage": self._stage.name, "fingerprint": self._fingerprint, **record}
        write_json(self.folder(self._stage.makes[0]) / self._stage.record, self._record)

    def commit(self, extra: Mapping[str, Any]) -> None:
        """Renames every folder into place. Old outputs become `.previous`."""
        seconds = round(time.time() - self._started, 3)
        record = self._record | {"seconds": seconds, "finished": time.time(), **extra}
        write_json(self.folder(self._stage.makes[0]) / self._stage.record, record)
        for name in reversed(self._stage.makes):
            replace_folder(self.folder(name), self._shot.output(name))

    def discard(self) -> None:
        for name in self._stage.makes:
            shutil.rmtree(self.folder(name), ignore_errors=True)


def recover(shot: Shot, stage: Stage) -> None:
    """Finishes the renames of a run that was killed between them: its results are whole."""
    finish_update(shot)
    left = _beside(shot.output(stage.makes[0]), PART)
    try:
        whole = "finished" in read_json(left / stage.record)
    except FormatError:
        return
    if whole:
        for name in reversed(stage.makes):
            part = _beside(shot.output(name), PART)
            if part.exists():
                replace_folder(part, shot.output(name))


@contextmanager
def updating(shot: Shot) -> Iterator[Path]:
    """Gives a folder for files that replace those at the same places of the shot, all or none.

    The files are moved when the block ends; when it raises, the shot stays as it was. Raises
    OutputError. Hold the shot's lock.
    """
    finish_update(shot)
    part, whole = shot.path / (_UPDATE + PART), shot.path / _UPDATE
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        yield part
        part.rename(whole)
        finish_update(shot)
    except OSError as error:
        raise OutputError(explain_os_error(error)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


_UPDATE = ".update"


def finish_update(shot: Shot) -> None:
    """Moves the files of an update that was killed when all were written."""
    whole = shot.path / _UPDATE
    if not whole.is_dir():
        return
    for file in sorted(path for path in whole.rglob("*") if path.is_file()):
        target = shot.path / file.relative_to(whole)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, target)
    shutil.rmtree(whole)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def replace_folder(part: Path, output: Path) -> None:
    """Puts `part` in the place of `output`, which is kept as `<output>.previous`."""
    previous = _beside(output, PREVIOUS)
    if output.exists():
        shutil.rmtree(previous, ignore_errors=True)
        output.rename(previous)
    try:
        part.rename(output)
    except OSError:
        if previous.exists() and not output.exists():
            previous.rename(output)
        raise


@contextmanager
def writing(
    shot: Shot,
    stage: Stage,
    options: Any,
    inputs: Mapping[str, Any],
    uninterrupted: AbstractContextManager[None] | None = None,
) -> Iterator[tuple[Writing, dict[str, Any]]]:
    """Gives the `.part` folders and a dict for what `stage.json` should say besides.

    Commits when the block ends, with `uninterrupted` held around the renames; removes the `.part`
    when it raises, unless the stage resumes. Raises OutputError when the shot cannot be written to.
    """
    part = Writing(shot, stage, fingerprint(stage, options, inputs))
    extra: dict[str, Any] = {}
    try:
        part.begin({"options": asdict(options), "inputs": dict(inputs)})
        yield part, extra
        with uninterrupted or nullcontext():
            part.commit(extra)
    except OSError as error:
        part.discard()
        raise OutputError(explain_os_error(error)) from error
    except (Exception, Canceled):
        if not stage.resumes:
            part.discard()
        raise
