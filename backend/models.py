# SPDX-License-Identifier: GPL-3.0-or-later
"""The weights on this machine: where they lie, and what is there of them.

    <home>/models/
        settings.json        what the artist has set: folders, accepted licences, the server
        <name>/              one model, as its repository has it
            model.json       its record, written last: revision, files with size and SHA-256

A model is looked for in the folder that the artist named, then in the store. State is read from
disk: what was downloaded is ready when the record says so and every file has its size; a folder of
the artist's own is when it has what the model needs. Downloading is worker/downloading.py.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any

from .errors import FormatError, ModelError, OutputError, Remedy, UsageError, explain_os_error
from .locations import locks_folder, models_folder
from .model_table import HUB, MODELS, Licence, Model, ModelFile, model_named, size_text
from .processes import FileLock
from .shot import read_json, write_json

__all__ = [
    "HUB",
    "MODELS",
    "Licence",
    "Model",
    "ModelFile",
    "ModelState",
    "ModelStore",
    "model_named",
]

RECORD = "model.json"
SETTINGS = "settings.json"
_CHUNK = 1 << 22


class ModelState(str, Enum):
    """What is on disk of a model."""

    MISSING = "missing"
    PARTIAL = "partial"
    READY = "ready"


@dataclass(frozen=True)
class Settings:
    """What the artist has set, by the models' names where there is one for each.

    `folders` are the artist's own, `licences` the names of those that were accepted,
    `repositories` "owner/name" or "owner/name@revision" to take instead of the table's.
    `endpoint` is the server, "" for the usual one; `token` tells it who asks.
    """

    folders: Mapping[str, str] = field(default_factory=dict)
    licences: Mapping[str, str] = field(default_factory=dict)
    repositories: Mapping[str, str] = field(default_factory=dict)
    endpoint: str = ""
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Record:
    """What was downloaded: from which commit of which repository, file by file."""

    repository: str
    revision: str
    files: tuple[ModelFile, ...]

    @classmethod
    def load(cls, path: Path) -> Record:
        """Raises FormatError."""
        data = read_json(path)
        try:
            files = tuple(_file(entry) for entry in data["files"])
            return cls(str(data["repository"]), str(data["revision"]), files)
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"{path} is damaged: {error!r}.") from error

    def save(self, path: Path) -> None:
        """Raises OSError."""
        _replace_json(path, asdict(self))


def _file(entry: Mapping[str, Any]) -> ModelFile:
    path = PurePosixPath(str(entry["path"]))
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{path} leads out of the folder")
    return ModelFile(str(path), int(entry["size"]), str(entry["sha256"]))


def _replace_json(path: Path, data: dict[str, Any], mode: int = 0o666) -> None:
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode)
    write_json(part, data)
    os.replace(part, path)


class ModelStore:
    """The models of one home folder. Names that the table has not raise UsageError."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.path = models_folder(home)

    # What is there

    def state(self, name: str) -> ModelState:
        """What is there of a model, wherever it lies."""
        model = model_named(name)
        if self._ready_root(model) is not None:
            return ModelState.READY
        begun = self.place(name).is_dir() or self.chosen(name) is not None
        return ModelState.PARTIAL if begun else ModelState.MISSING

    def folder(self, name: str) -> Path:
        """The folder with the weights and, where they have one, their config.json.

        Raises ModelError with a sentence on how to get it when it is not ready.
        """
        model = model_named(name)
        root = self._ready_root(model)
        if root is None:
            raise ModelError(self._why_not(model), Remedy.GET_MODEL)
        return weights_in(root, model)

    def place(self, name: str) -> Path:
        """Where the store keeps the model; it need not be there."""
        return self.path / model_named(name).name

    def record(self, name: str) -> Record | None:
        """What was downloaded of the model and found whole, None when nothing was."""
        try:
            return Record.load(self.place(name) / RECORD)
        except FormatError:
            return None

    def _ready_root(self, model: Model) -> Path | None:
        chosen = self.chosen(model.name)
        if chosen is not None and not lacking(chosen, model):
            return chosen
        return self.place(model.name) if self._is_whole(model) else None

    def _is_whole(self, model: Model) -> bool:
        record, place = self.record(model.name), self.place(model.name)
        if record is None or lacking(place, model):
            return False
        repository, revision = self.source(model.name)
        if record.repository != repository or revision not in ("", record.revision):
            return False
        return all(_size(place / file.path) == file.size for file in record.files)

    def _why_not(self, model: Model) -> str:
        chosen = self.chosen(model.name)
        if model.registration:
            return not_downloaded(model)
        get = f"get it in the preferences under Models, or with `models get {model.name}`"
        if chosen is not None:
            missing = ", ".join(lacking(chosen, model))
            return f"{chosen} lacks {missing} of {model.title}. Choose another folder, or {get}."
        if self.place(model.name).is_dir():
            return f"The download of {model.title} is not complete: {get}."
        return f"{model.title} is not on this machine: {get} ({size_text(model.size)})."

    def check(
        self, name: str, on_progress: Callable[[int, int], None] = lambda _done, _total: None
    ) -> int:
        """Reads again every file of a model whose hash is known. Returns how many those are.

        `on_progress` is told how many bytes were read, of how many. Raises ModelError when the
        model is not ready or a file is not what it was.
        """
        model = model_named(name)
        expected = self._expected(model, self.folder(name))
        done, total = 0, sum(_size(file) for file, _known in expected)

        def on_bytes(count: int) -> None:
            nonlocal done
            done += count
            on_progress(done, total)

        for file, known in expected:
            if hash_of(file, on_bytes) != known:
                raise ModelError(
                    f"{file} of {model.title} is damaged or another file: remove the model, then "
                    "get it again.",
                    Remedy.GET_MODEL,
                )
        return len(expected)

    def _expected(self, model: Model, folder: Path) -> list[tuple[Path, str]]:
        """The files that lie there whose hash is known, from the record or from the table."""
        place, record = self.place(model.name), self.record(model.name)
        if record is not None and folder == weights_in(place, model):
            return [(place / file.path, file.sha256) for file in record.files]
        named = ((folder / PurePosixPath(file.path).name, file.sha256) for file in model.files)
        return [(file, sha256) for file, sha256 in named if file.is_file() and sha256]

    def remove(self, name: str) -> None:
        """Deletes what was downloaded. A folder of the artist's own stays, and is forgotten.

        Raises ModelError while it is being downloaded, OutputError.
        """
        model = model_named(name)
        lock = FileLock(locks_folder(self.home) / f"model-{name}.lock")
        try:
            if not lock.acquire():
                raise ModelError(f"{model.title} is being downloaded; cancel that first.")
            if self.place(name).is_dir():
                shutil.rmtree(self.place(name))
        except OSError as error:
            raise OutputError(explain_os_error(error)) from error
        finally:
            lock.release()
        self.choose(name, None)

    # What the artist has set

    def settings(self) -> Settings:
        """As they are on disk; settings that are missing or damaged are the usual ones."""
        try:
            data = read_json(self.path / SETTINGS)
        except FormatError:
            return Settings()
        return Settings(
            folders=_texts(data.get("folders")),
            licences=_texts(data.get("licences")),
            repositories=_texts(data.get("repositories")),
            endpoint=str(data.get("endpoint") or ""),
            token=str(data.get("token") or ""),
        )

    def chosen(self, name: str) -> Path | None:
        """The folder that the artist named for the model."""
        folder = self.settings().folders.get(model_named(name).name, "")
        return Path(folder) if folder else None

    def choose(self, name: str, folder: Path | None) -> None:
        """Takes the model from an artist's own folder; None forgets that.

        Raises ModelError when the folder lacks what the model needs, OutputError.
        """
        model = model_named(name)
        if folder is not None:
            missing = lacking(folder, model)
            if missing:
                raise ModelError(_not_the_model(folder, model, missing))
        self._set("folders", name, str(folder.absolute()) if folder else "")

    def accepted(self, name: str) -> bool:
        """Whether the model's licence, as it is named now, was accepted."""
        return self.settings().licences.get(name) == model_named(name).licence.name

    def accept(self, name: str) -> None:
        """Raises OutputError."""
        self._set("licences", name, model_named(name).licence.name)

    def source(self, name: str) -> tuple[str, str]:
        """The repository to take the model from, and the revision, "" for the newest."""
        model = model_named(name)
        other = self.settings().repositories.get(name, "")
        if not other:
            return model.repository, model.revision
        repository, _sign, revision = other.partition("@")
        return repository, revision

    def use_repository(self, name: str, repository: str) -> None:
        """Takes the model from "owner/name" or "owner/name@revision"; "" from the usual one.

        Raises UsageError, OutputError.
        """
        model = model_named(name)
        if repository and model.registration:
            raise UsageError(not_downloaded(model))
        if repository and not re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", repository):
            raise UsageError(f"'{repository}' is no repository: write owner/name.")
        if repository and model.archives:
            raise UsageError(
                f"{model.title} is in no repository of a Hub: name a folder of your own."
            )
        self._set("repositories", model.name, repository)

    def use_server(self, endpoint: str | None = None, token: str | None = None) -> None:
        """Sets what is not None; "" is the usual server, and no token.

        Raises UsageError, OutputError.
        """
        if endpoint and not re.fullmatch(r"https?://[^\s/]+\S*", endpoint.strip()):
            raise UsageError(f"'{endpoint}' is no address: it begins with https://.")
        with self._changing() as now:
            server = now.endpoint if endpoint is None else endpoint.strip().rstrip("/")
            known = now.token if token is None else token.strip()
            self._save(replace(now, endpoint=server, token=known))

    def _set(self, table: str, name: str, text: str) -> None:
        with self._changing() as now:
            entries = dict(getattr(now, table)) | {name: text}
            kept: Any = {key: value for key, value in entries.items() if value}
            self._save(replace(now, **{table: kept}))

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Settings]:
        """The settings, which nobody else changes during the block."""
        lock = FileLock(locks_folder(self.home) / "models-settings.lock")
        try:
            with lock.wait(lambda: None, interval=0.02):
                yield self.settings()
        except OSError as error:
            raise OutputError(explain_os_error(error)) from error

    def _save(self, settings: Settings) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        # The token is nobody else's business.
        _replace_json(self.path / SETTINGS, asdict(settings), mode=0o600)


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {str(key): text for key, text in value.items() if isinstance(text, str)}


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return -1


def hash_of(file: Path, on_bytes: Callable[[int], None]) -> str:
    """A file's SHA-256; `on_bytes` hears of every piece that was read, and may raise."""
    digest = hashlib.sha256()
    with open(file, "rb") as data:
        while piece := data.read(_CHUNK):
            digest.update(piece)
            on_bytes(len(piece))
    return digest.hexdigest()


def weights_in(root: Path, model: Model) -> Path:
    """The folder with the weights, given that one or the whole repository's."""
    inner = root / model.inside
    return inner if any(next(inner.glob(need), None) for need in model.needs) else root


def lacking(root: Path, model: Model) -> tuple[str, ...]:
    """The files that the model needs and the folder has not."""
    folder = weights_in(root, model)
    return tuple(pattern for pattern in model.needs if not any(folder.glob(pattern)))


def not_downloaded(model: Model) -> str:
    """What to do for a model that is given to those alone who register for it."""
    return (
        f"{model.title} is not downloaded by Shot Gopher. {model.ask} That is done in the "
        f"preferences under Models, or with `models use {model.name} FOLDER`."
    )


def _not_the_model(folder: Path, model: Model, missing: Sequence[str]) -> str:
    own = next(iter([*folder.glob("*.pt"), *folder.glob("*.pth"), *folder.glob("*.ckpt")]), None)
    if own is not None and "config.json" in model.needs:
        return (
            f"{folder} holds {own.name}, which is of another format. Choose a folder with "
            f"{' and '.join(model.needs)}, as in {model.repository}."
        )
    return f"{folder} is not {model.title}: it lacks {', '.join(missing)}."
