# SPDX-License-Identifier: GPL-3.0-or-later
"""What a ComfyUI server is told and asked over HTTP, each request a method.

Routes that change something are asked once; those that only look are tried again.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from ...comfyui import is_local, not_comfyui, not_there, said_wrong
from ...comfyui_graph import Graph
from ...errors import ComfyError

_CONNECTING = 5.0
_READING = 60.0
"""Seconds; a server that loads a model answers late."""
_TRIES = 3
_UPLOAD_BYTES = 100 << 20
"""What a server takes in one file unless it says otherwise."""
_GONE = (404, 405)


@dataclass(frozen=True)
class Clock:
    """Time, for whoever wants to make it fast."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class UnreachableError(ComfyError):
    """The server does not answer at all."""


@dataclass(frozen=True)
class Image:
    """A file that a server has written."""

    filename: str
    subfolder: str
    type: str

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Image:
        return cls(str(said["filename"]), str(said.get("subfolder", "")), str(said["type"]))


class Client:
    """One program's view of a server; `id` tells it from the server's other users."""

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self.url = url
        self.id = str(uuid.uuid4())
        self.clock = clock or Clock()
        self._session = requests.Session()
        # A proxy of the studio knows nothing of this machine's own ports.
        self._session.trust_env = not is_local(url)

    def close(self) -> None:
        self._session.close()

    def submit(self, graph: Graph, job: str) -> dict[str, Any]:
        """Queues a graph under our own id of it. Raises ComfyError when any of it is refused."""
        body = {"prompt": graph, "client_id": self.id, "prompt_id": job}
        answer = self._send("POST", "/prompt", json=body)
        said = _json(answer, self.url)
        if answer.status_code != 200:
            raise ComfyError(_refusal(self.url, answer.status_code, said))
        if said.get("prompt_id") != job:
            self.cancel(str(said.get("prompt_id")))
            raise ComfyError(f"The ComfyUI at {self.url} is too old: update it.")
        if said.get("node_errors"):
            # The server would run the branches that it found nothing wrong with.
            self.cancel(job)
            raise ComfyError(_refusal(self.url, answer.status_code, said))
        return said

    def upload(self, file: Path, folder: str, name: str) -> str:
        """Puts a file into the server's input folder. Returns its name for a node that loads it."""
        fields = {"subfolder": folder, "type": "input", "overwrite": "true"}
        with file.open("rb") as opened:
            answer = self._send(
                "POST", "/upload/image", data=fields, files={"image": (name, opened)}
            )
        if answer.status_code == 413:
            raise ComfyError(
                f"ComfyUI takes no file as large as {file.stat().st_size >> 20} MB: start it with "
                "--max-upload-size 1000."
            )
        if answer.status_code != 200:
            raise ComfyError(said_wrong(self.url, answer.status_code))
        said = _json(answer, self.url)
        folder = str(said.get("subfolder", ""))
        return f"{folder}/{said['name']}" if folder else str(said["name"])

    def view(self, image: Image) -> bytes:
        """A file that the server has written. Raises ComfyError when it is not there any more."""
        asked = {"filename": image.filename, "subfolder": image.subfolder, "type": image.type}
        answer = self._look("/view", asked)
        if answer.status_code != 200:
            raise ComfyError(
                f"ComfyUI says it wrote {image.filename}, but it is not there any more: its output "
                "folder was emptied. Run the stage again."
            )
        return bytes(answer.content)

    def history(self, job: str) -> dict[str, Any] | None:
        """What became of a job, None while it has not ended (or never was)."""
        entry: dict[str, Any] | None = self._asked(f"/history/{job}", tries=1).get(job)
        return entry

    def recent(self, count: int) -> dict[str, Any]:
        """What became of the last jobs of all users, by job."""
        return self._asked("/history", {"max_items": str(count)})

    def is_queued(self, job: str) -> bool:
        """Whether a job waits or runs."""
        queue = self._asked("/queue", tries=1)
        entries = [*queue.get("queue_running", ()), *queue.get("queue_pending", ())]
        return any(len(entry) > 1 and entry[1] == job for entry in entries)

    def largest_upload(self) -> int:
        """Bytes that the server takes in one file."""
        answer = self._look("/features")
        with contextlib.suppress(ValueError, AttributeError, TypeError):
            return int(answer.json().get("max_upload_size", _UPLOAD_BYTES))
        return _UPLOAD_BYTES

    def cancel(self, job: str) -> None:
        """Stops this job and no other one, whether it waits or runs or has ended by now."""
        answer = self._send("POST", f"/api/jobs/{job}/cancel", json={})
        if answer.status_code in _GONE:
            self._send("POST", "/queue", json={"delete": [job]})
            self._send("POST", "/interrupt", json={"prompt_id": job})

    def free(self) -> None:
        """Lets the server give its memory back: a stage in the worker may want the GPU next."""
        self._send("POST", "/free", json={"unload_models": True, "free_memory": True})

    def keep_workflow(self, name: str, text: str) -> None:
        """Puts a workflow among those that the server's page lists. Raises ComfyError."""
        quoted = quote(f"workflows/{name}.json", safe="")
        where = f"/userdata/{quoted}?overwrite=true"
        answer = self._send("POST", where, data=text.encode("utf-8"))
        if answer.status_code != 200:
            raise ComfyError(f"The ComfyUI at {self.url} keeps no workflows of others.")

    def _asked(
        self, path: str, query: Mapping[str, str] | None = None, tries: int = _TRIES
    ) -> dict[str, Any]:
        answer = self._look(path, query, tries)
        if answer.status_code != 200:
            raise ComfyError(said_wrong(self.url, answer.status_code))
        return _json(answer, self.url)

    def _look(
        self, path: str, query: Mapping[str, str] | None = None, tries: int = _TRIES
    ) -> requests.Response:
        while True:
            tries -= 1
            try:
                return self._send("GET", path, params=query)
            except UnreachableError:
                if tries <= 0:
                    raise
                self.clock.sleep(1.0)

    def _send(self, method: str, path: str, **what: Any) -> requests.Response:
        try:
            return self._session.request(
                method,
                f"{self.url}{path}",
                timeout=(_CONNECTING, _READING),
                allow_redirects=False,
                **what,
            )
        except requests.RequestException as error:
            raise UnreachableError(not_there(self.url)) from error


def _json(answer: requests.Response, url: str) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError as error:
        raise ComfyError(said_wrong(url, answer.status_code)) from error
    if not isinstance(said, dict):
        raise ComfyError(not_comfyui(url))
    return said


def _refusal(url: str, status: int, said: Mapping[str, Any]) -> str:
    """Why a server does not take a graph, in one sentence."""
    errors = said.get("node_errors")
    faults = list(_node_faults(errors)) if isinstance(errors, dict) else []
    error = said.get("error")
    if not faults and isinstance(error, dict):
        faults = [f"{error.get('message', '')} {error.get('details', '')}".strip()]
    if not faults:
        return said_wrong(url, status)
    return f"ComfyUI does not take the workflow: {'; '.join(faults[:3])}"


def _node_faults(errors: Mapping[str, Any]) -> Sequence[str]:
    return [
        f"{node.get('class_type')}: {error.get('message')} ({error.get('details')})"
        for node in errors.values()
        for error in node.get("errors", ())
    ]


def as_json(message: str | bytes) -> dict[str, Any]:
    """A message of the websocket, {} for a picture or what is none."""
    if isinstance(message, bytes):
        return {}
    try:
        said = json.loads(message)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
