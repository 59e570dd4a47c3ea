# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloading a model's files into the store, and checking them byte by byte.

    <home>/models/<name>/.download/     what has arrived so far of each file
    <home>/models/<name>/model.json     written last, when all is there and checked

A download that was cut or canceled goes on where it was. Files are asked for one by one, so that a
cancel is heeded at once. The server's own list says which files there are, how big they are and
which hash they have; where the table knows more, the server has to agree. Zips at addresses of
their own have no list: the table names the file in each, and its hash.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO
from urllib.parse import urlparse

# Read once, when the package is imported: plain HTTP, which every mirror can do, and no bars. The
# artist has asked for a download, whatever this machine keeps other programs from.
os.environ["HF_HUB_OFFLINE"] = "0"
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

from ..errors import ModelError, OutputError, Remedy, explain_os_error
from ..installation import InstallReport
from ..locations import locks_folder
from ..model_table import HUB, Archive, Model, ModelFile, model_named, size_text
from ..models import RECORD, ModelState, ModelStore, Record, hash_of, not_downloaded
from ..processes import FileLock

UNIT = "MB"
_MB = 10**6
_SPARE = 200 * _MB
"""Bytes that are left free on the disk."""
_LONG = 500 * _MB
"""Bytes that take a while to check."""
_BEGUN = ".download"
_PIECE = 1 << 20
_GROWN = 10
"""How much larger than its zip a file may be, at most: weights shrink little."""


@dataclass(frozen=True)
class _Remote:
    """A file as the server lists it. `git` is its git hash, which small files have alone."""

    path: str
    size: int
    sha256: str
    git: str

    @property
    def part(self) -> str:
        return (
            f"{hashlib.sha256(self.path.encode()).hexdigest()[:8]}-{(self.sha256 or self.git)[:16]}"
        )


def get_model(store: ModelStore, name: str, report: InstallReport) -> None:
    """Brings a model into the store; a no-op when it is ready.

    Raises ModelError with one sentence, OutputError, and whatever `report` raises.
    """
    model = model_named(name)
    if store.state(name) is ModelState.READY:
        report.status(f"{model.title} is there")
        return
    if model.registration:
        raise ModelError(not_downloaded(model), Remedy.GET_MODEL)
    if not store.accepted(name):
        raise ModelError(
            f"The license of {model.title} ({model.licence.name}) is not accepted yet: read it at "
            f"{model.licence.address}, then accept it under Models or with --accept-licence.",
            Remedy.GET_MODEL,
        )
    lock = FileLock(locks_folder(store.home) / f"model-{model.name}.lock")
    waiting = lock.take_turns("Waiting for another download of this model", report)
    with waiting, _explained(store, model):
        (_Archives if model.archives else _Download)(store, model, report).run()


class _Download:
    """One run: asks for the list, fetches what is missing, checks it, writes the record."""

    def __init__(self, store: ModelStore, model: Model, report: InstallReport) -> None:
        self._model = model
        self._report = report
        self._place = store.place(model.name)
        self._begun = self._place / _BEGUN
        self._repository, self._revision = store.source(model.name)
        self._endpoint, self._token = _server(store, model)
        self._done = 0
        self._total = 0

    def run(self) -> None:
        self._report.status(f"Looking for {self._model.title} at {urlparse(self._endpoint).netloc}")
        revision, listed = self._list()
        self._total = sum(file.size for file in listed)
        self._begun.mkdir(parents=True, exist_ok=True)
        (self._place / RECORD).unlink(missing_ok=True)
        self._check_space(listed)
        self._report.status(f"Downloading {self._model.title}")
        files = tuple(self._get(file, revision) for file in listed)
        self._remove_others(listed)
        Record(self._repository, revision, files).save(self._place / RECORD)

    def _list(self) -> tuple[str, list[_Remote]]:
        """The commit that is taken, and its files that the model wants. Raises ModelError."""
        api = HfApi(endpoint=self._endpoint, token=self._token)
        info = api.model_info(
            self._repository, revision=self._revision or None, files_metadata=True
        )
        listed = [_remote(entry) for entry in info.siblings or ()]
        wanted = [
            file
            for file in listed
            if any(fnmatch.fnmatch(file.path, pattern) for pattern in self._model.patterns)
        ]
        self._check_list(wanted)
        return str(info.sha), wanted

    def _check_list(self, wanted: Sequence[_Remote]) -> None:
        paths = [PurePosixPath(file.path) for file in wanted]
        for pattern in self._model.needs:
            inside = str(PurePosixPath(self._model.inside, pattern))
            if not any(path.match(inside) for path in paths):
                raise ModelError(
                    f"The repository {self._repository} has no {inside}, which is needed of "
                    f"{self._model.title}. Name another one with --repository."
                )
        if any(path.is_absolute() or ".." in path.parts for path in paths):
            raise ModelError(f"{self._repository} has a file outside of its own folder.")
        if self._repository == self._model.repository:
            self._compare(wanted)

    def _compare(self, wanted: Sequence[_Remote]) -> None:
        known = {file.path: file for file in self._model.files}
        for file in wanted:
            table = known.get(file.path, ModelFile(file.path))
            if table.size not in (0, file.size) or table.sha256 not in ("", file.sha256):
                raise ModelError(
                    f"{self._endpoint} offers another {file.path} than the one that is known of "
                    f"{self._model.title}. Do not use it; ask another server."
                )

    def _check_space(self, listed: Sequence[_Remote]) -> None:
        """Raises ModelError when the disk cannot take what is still to come."""
        free, needed = shutil.disk_usage(self._place).free, self._to_come(listed)
        if free < needed + _SPARE:
            raise ModelError(
                f"{self._model.title} needs {size_text(needed + _SPARE)} of disk space and "
                f"{size_text(free)} are free at {self._place}. Free some, or choose another Worker "
                "Folder in the preferences.",
                Remedy.GET_MODEL,
            )

    def _to_come(self, listed: Sequence[_Remote]) -> int:
        """Bytes that the disk is still to take."""
        there = sum(_size(self._place / file.path, self._begun / file.part) for file in listed)
        return self._total - there

    def _get(self, file: _Remote, revision: str) -> ModelFile:
        """Fetches one file unless the right one is there. Raises ModelError."""
        target = self._place / file.path
        if target.is_file() and target.stat().st_size == file.size:
            self._count(file.size)
            sha256 = self._check(file, target)
            if sha256:
                return ModelFile(file.path, file.size, sha256)
            self._count(-file.size)
        self._fetch(file, revision, target)
        sha256 = self._check(file, target)
        if not sha256:
            target.unlink()
            raise _damaged(self._model, file.path)
        return ModelFile(file.path, file.size, sha256)

    def _fetch(self, file: _Remote, revision: str, target: Path) -> None:
        url = hf_hub_url(self._repository, file.path, revision=revision, endpoint=self._endpoint)
        metadata = get_hf_file_metadata(url, token=self._token, endpoint=self._endpoint)
        # A content server elsewhere knows the address it was given, and must not see the token.
        same = urlparse(metadata.location).netloc == urlparse(self._endpoint).netloc
        part = self._receive(file, metadata.location, self._token if same else False)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(part, target)

    def _receive(self, file: _Remote, address: str, token: str | bool | None) -> Path:
        """The file with what an address has, going on behind what is there of it."""
        part = self._begun / file.part
        with open(part, "ab") as output:
            there = output.tell()
            if there > file.size:
                output.truncate(there := 0)
            self._count(there)
            counted: Any = _Counted(output, self._count)
            http_get(
                address,
                counted,
                resume_size=there,
                headers=build_hf_headers(token=token),
                expected_size=file.size,
            )
        return part

    def _count(self, count: int) -> None:
        self._done += count
        self._report.progress(self._done // _MB, max(1, self._total // _MB), UNIT)

    def _check(self, file: _Remote, target: Path) -> str:
        """The file's SHA-256, "" when it is not the file that the server listed."""
        if file.size > _LONG:
            self._report.status(f"Checking {self._model.title}")
        sha256 = hash_of(target, lambda _count: self._report.check())
        good = sha256 == file.sha256 if file.sha256 else _git_hash(target) == file.git
        return sha256 if good else ""

    def _remove_others(self, listed: Sequence[_Remote]) -> None:
        """Removes what an earlier revision left: two sets of weights must not be mixed."""
        kept = {self._place / file.path for file in listed}
        shutil.rmtree(self._begun)
        for file in self._place.rglob("*"):
            if file.is_file() and file not in kept:
                file.unlink()


class _Archives(_Download):
    """The same for zips at addresses of their own: what is listed are the files in them, with the
    sizes of the zips."""

    def _list(self) -> tuple[str, list[_Remote]]:
        return self._revision, [
            _Remote(archive.file, _length(archive.address), "", archive.sha1)
            for archive in self._model.archives
        ]

    def _to_come(self, listed: Sequence[_Remote]) -> int:
        """Each zip, and about as much again for the file in it."""
        absent = [file for file in listed if not (self._place / file.path).is_file()]
        arrived = sum(_size(self._begun / file.part) for file in absent)
        return 2 * sum(file.size for file in absent) - arrived

    def _get(self, file: _Remote, _revision: str) -> ModelFile:
        archive = next(one for one in self._model.archives if one.file == file.path)
        target = self._place / file.path
        if target.is_file() and _sha1(target) == archive.sha1:
            self._count(file.size)
        else:
            zipped = self._receive(file, archive.address, False)
            self._unzip(zipped, archive, target)
            zipped.unlink()
        size, sha256 = target.stat().st_size, hash_of(target, lambda _count: self._report.check())
        return ModelFile(file.path, size, sha256)

    def _unzip(self, zipped: Path, archive: Archive, target: Path) -> None:
        """Takes the one file out, under the table's name for it whatever else is in there.

        Raises ModelError, and forgets the zip, when that is not the file that it should be.
        """
        unpacked, most = self._begun / "unpacked", _GROWN * zipped.stat().st_size
        try:
            with zipfile.ZipFile(zipped) as found, found.open(archive.file) as data:
                self._copy(_pieces(data, most), unpacked)
        except (zipfile.BadZipFile, zlib.error, KeyError, NotImplementedError, EOFError):
            unpacked.write_bytes(b"")
        if _sha1(unpacked) != archive.sha1:
            unpacked.unlink()
            zipped.unlink()
            raise _damaged(self._model, archive.file)
        os.replace(unpacked, target)

    def _copy(self, pieces: Iterator[bytes], target: Path) -> None:
        with open(target, "wb") as output:
            for piece in pieces:
                output.write(piece)
                self._report.check()


class _Counted:
    """A file that tells how many bytes are written into it, and of those that are taken back."""

    def __init__(self, file: BinaryIO, count: Callable[[int], None]) -> None:
        self._file = file
        self._count = count

    def write(self, data: bytes) -> int:
        written = self._file.write(data)
        self._count(len(data))
        return written

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        before = self._file.tell()
        place = self._file.seek(offset, whence)
        self._count(place - before)
        return place

    def tell(self) -> int:
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        return self._file.truncate(size)


def _server(store: ModelStore, model: Model) -> tuple[str, str | bool | None]:
    """The server and how it is told who asks.

    None is the login that the artist has with the Hub's own program, which no mirror may see.
    """
    for archive in model.archives:
        where = urlparse(archive.address)
        return f"{where.scheme}://{where.netloc}", False
    settings = store.settings()
    endpoint = settings.endpoint or HUB
    return endpoint, settings.token or (None if endpoint == HUB else False)


def _length(address: str) -> int:
    """Bytes of what an address has. Asks for a single one of them: servers that sign what they
    redirect to answer nothing but that kind of request."""
    headers = build_hf_headers(token=False, headers={"Range": "bytes=0-0"})
    with get_session().stream("GET", address, headers=headers, follow_redirects=True) as answer:
        hf_raise_for_status(answer)
        ranged = re.fullmatch(r"bytes 0-0/(\d+)", answer.headers.get("Content-Range", ""))
        return int(ranged[1] if ranged else answer.headers.get("Content-Length", 0))


def _pieces(data: IO[bytes], most: int) -> Iterator[bytes]:
    """What is read, up to so many bytes."""
    while most > 0 and (piece := data.read(_PIECE)):
        yield piece
        most -= len(piece)


def _sha1(file: Path) -> str:
    with open(file, "rb") as data:
        return hashlib.file_digest(data, "sha1").hexdigest()


def _remote(entry: Any) -> _Remote:
    sha256 = str(entry.lfs.sha256) if entry.lfs else ""
    return _Remote(str(entry.rfilename), int(entry.size or 0), sha256, str(entry.blob_id or ""))


def _size(*files: Path) -> int:
    """Bytes of the first that is there."""
    return next((file.stat().st_size for file in files if file.is_file()), 0)


def _git_hash(file: Path) -> str:
    """The name that git gives to a file's content."""
    data = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@contextmanager
def _explained(store: ModelStore, model: Model) -> Iterator[None]:
    """Puts what the network and the disk do into one sentence each."""
    token = bool(store.settings().token)
    repository, revision = store.source(model.name)
    server, _token = _server(store, model)
    try:
        yield
    except GatedRepoError as error:
        raise _failed(_gated(model, f"{HUB}/{repository}", token)) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        doubt = ", or it does not let this token see it" if token else ""
        raise _failed(f"{server} has no repository {repository}{doubt}.") from error
    except RevisionNotFoundError as error:
        raise _failed(f"The repository {repository} has no revision {revision}.") from error
    except RemoteEntryNotFoundError as error:
        raise _failed(f"A file of {repository} is gone from {server}; try again later.") from error
    except HfHubHTTPError as error:
        raise _failed(_refused(server, int(error.response.status_code))) from error
    except ConnectionError as error:
        raise _failed(_unreachable(model, server)) from error
    except OSError as error:
        raise _lost(model, error) from error
    except Exception as error:
        # The network library's own errors, of which the Hub's package promises no names.
        if not type(error).__module__.startswith(("httpx", "httpcore", "requests")):
            raise
        raise _failed(_unreachable(model, server)) from error


def _damaged(model: Model, path: str) -> ModelError:
    return _failed(
        f"{path} of {model.title} arrived damaged. Get the model again; if that stays so, another "
        "program on the way (a proxy or a virus scanner) changes it."
    )


def _unreachable(model: Model, server: str) -> str:
    return (
        f"{server} cannot be reached. Check the network, then get {model.title} again; what is "
        "there already is kept."
    )


def _lost(model: Model, error: OSError) -> ModelError | OutputError:
    if error.errno:
        return OutputError(explain_os_error(error))
    return _failed(
        f"The download of {model.title} ended early. Get it again; what is there already is kept."
    )


def _failed(sentence: str) -> ModelError:
    return ModelError(sentence, Remedy.GET_MODEL)


def _gated(model: Model, page: str, token: bool) -> str:
    others = "Or name a mirror with --repository, or a folder that has it."
    if token:
        return (
            f"Your access token may not have {model.title} yet: ask for access at {page} and wait "
            f"for the answer. {others}"
        )
    return (
        f"{model.title} is given out on request: ask for access at {page}, then set your access "
        f"token under Models or with `models server --token`. {others}"
    )


def _refused(server: str, status: int) -> str:
    if status in (401, 403):
        return f"{server} does not accept the access token. Set a new one, or none."
    return f"{server} answered with error {status}. Try again later."
