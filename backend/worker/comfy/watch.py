# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows a job on a server to its end: by its websocket, and by asking now and then.

The websocket tells of each node and frame; asking notices what it cannot tell: that the job was
deleted, that the server died or slept. While nothing happens, a second passes between two requests.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import websocket

from ...comfyui import is_local
from ...comfyui_graph import Graph
from ...errors import ComfyError
from .client import Client, UnreachableError, as_json

ASK_EVERY = 1.0
"""Seconds between two requests without a websocket; with one, ASK_SELDOM."""
ASK_SELDOM = 5.0
_SLICE = 0.2
"""Seconds between two looks at whether the user wants to stop."""
_SILENT = 5
"""Requests in a row without an answer after which the server counts as dead."""
_STOPPING = 10.0
"""Seconds to wait for the end of a job that is being stopped."""


class Listener(Protocol):
    """What is told how far a job is; any call may raise Canceled."""

    def status(self, text: str) -> None: ...
    def progress(self, done: int, total: int, unit: str) -> None: ...
    def check(self) -> None: ...


class Progress:
    """Turns a server's messages about one job into what an artist is told."""

    def __init__(self, job: str, graph: Graph, frames: int, listener: Listener) -> None:
        self._job = job
        self._titles = {node: _title(said) for node, said in graph.items()}
        self._frames = frames
        self._listener = listener
        self._told = ""
        self.ended = False

    def take(self, message: Mapping[str, Any]) -> None:
        kind, data = message.get("type"), message.get("data")
        if not isinstance(data, dict):
            return
        if kind == "status" and not self._told:
            self._say_queue(data)
        if data.get("prompt_id") != self._job:
            return
        # This comes when the history has the job; `execution_success` and the like come before.
        self.ended |= kind == "executing" and data.get("node") is None
        if kind == "executing" and data.get("node") is not None:
            self._say(f"ComfyUI: {self._titles.get(str(data['node']), 'working')}")
        elif kind == "progress":
            self._count(data.get("value"), data.get("max"))

    def _say_queue(self, data: Mapping[str, Any]) -> None:
        status = data.get("status")
        info = status.get("exec_info") if isinstance(status, dict) else None
        waiting = info.get("queue_remaining") if isinstance(info, dict) else None
        if isinstance(waiting, int) and waiting > 1:
            self._listener.status(f"Waiting for {waiting - 1} other jobs in ComfyUI")

    def _say(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._listener.status(text)

    def _count(self, done: Any, total: Any) -> None:
        if isinstance(done, int | float) and isinstance(total, int | float) and total > 1:
            unit = "frames" if total == self._frames else "steps"
            self._listener.progress(int(done), int(total), unit)


def _title(node: Mapping[str, Any]) -> str:
    meta = node.get("_meta")
    title = meta.get("title") if isinstance(meta, dict) else None
    return str(title or node.get("class_type", "working"))


class Stream:
    """The server's websocket; `alive` is False when there is none, or none any more."""

    def __init__(self, client: Client) -> None:
        self._socket: Any = None
        parts = urlsplit(client.url)
        scheme = "wss" if parts.scheme == "https" else "ws"
        url = f"{scheme}://{parts.netloc}{parts.path}/ws?clientId={client.id}"
        alone = [parts.hostname] if is_local(client.url) else None
        with contextlib.suppress(websocket.WebSocketException, OSError):
            self._socket = websocket.create_connection(
                url, timeout=5.0, http_no_proxy=alone, redirect_limit=0
            )

    @property
    def alive(self) -> bool:
        return self._socket is not None

    def read(self, seconds: float) -> dict[str, Any]:
        """The next message, {} when none came so long."""
        try:
            self._socket.settimeout(seconds)
            return as_json(self._socket.recv())
        except websocket.WebSocketTimeoutException:
            return {}
        except (websocket.WebSocketException, OSError):
            self.close()
            return {}

    def close(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(websocket.WebSocketException, OSError):
                self._socket.close(timeout=0)
            self._socket = None


class _Questions:
    """Asks after a job, one request at a time: its result, then its place in the queue."""

    def __init__(self, client: Client, job: str) -> None:
        self._client, self._job = client, job
        self._ask_queue = False
        self._not_queued = False
        self._silent = 0

    def ask(self) -> dict[str, Any] | None:
        """What became of the job, None while it goes on. Raises ComfyError when it is lost."""
        try:
            found = self._ask()
        except UnreachableError as error:
            self._silent += 1
            if self._silent < _SILENT:
                return None
            raise ComfyError(
                f"The ComfyUI at {self._client.url} stopped answering while it worked. Look at its "
                "window, start it again and run the stage again."
            ) from error
        self._silent = 0
        return found

    def ask_result_next(self) -> None:
        self._ask_queue = False

    def _ask(self) -> dict[str, Any] | None:
        if self._ask_queue:
            self._not_queued = not self._client.is_queued(self._job)
            self._ask_queue = False
            return None
        entry = self._client.history(self._job)
        if entry is None and self._not_queued:
            raise ComfyError(
                "The job is gone from ComfyUI: it was deleted from the queue there, or the server "
                "was started anew. Run the stage again."
            )
        self._ask_queue = True
        return entry


def wait(
    client: Client, job: str, progress: Progress, listener: Listener, stream: Stream
) -> dict[str, Any]:
    """The job's entry in the server's history when it has ended. Raises ComfyError when it is
    lost."""
    questions, clock = _Questions(client, job), client.clock
    next_time = clock.now() + ASK_EVERY
    told = False
    while True:
        listener.check()
        if stream.alive:
            progress.take(stream.read(_SLICE))
        else:
            clock.sleep(_SLICE)
        if progress.ended and not told:
            told, next_time = True, clock.now()
            questions.ask_result_next()
        if clock.now() >= next_time:
            entry = questions.ask()
            if entry is not None:
                return entry
            seldom = stream.alive and not progress.ended
            next_time = clock.now() + (ASK_SELDOM if seldom else ASK_EVERY)


def stop(client: Client, job: str) -> None:
    """Stops the job on the server and waits some seconds for that: a node that does not look
    whether it should stop runs on to its end there."""
    with contextlib.suppress(ComfyError):
        client.cancel(job)
        give_up = client.clock.now() + _STOPPING
        while client.clock.now() < give_up and client.is_queued(job):
            client.clock.sleep(ASK_EVERY)
