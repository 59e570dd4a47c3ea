# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a server is asked after a job that has nothing new to say, in real or in fast time."""

from __future__ import annotations

from backend.errors import Canceled
from backend.worker.comfy import watch
from backend.worker.comfy.client import Client, Clock

from .comfy_server import ComfyServer


class FastTime:
    """Ten minutes in no time: sleeping is what makes time go on."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class _Patience:
    """A listener that has enough after so many seconds."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self._end = clock, clock.now() + seconds

    def status(self, text: str) -> None: ...
    def progress(self, done: int, total: int, unit: str) -> None: ...

    def check(self) -> None:
        if self._clock.now() >= self._end:
            raise Canceled


def idle_requests(server: ComfyServer, clock: Clock, seconds: float) -> list[float]:
    """The moments, by that clock, of all requests that a wait of so many seconds makes."""
    moments: list[float] = []
    server.on_request = lambda: moments.append(clock.now())
    server.pending.append("idle")
    client, graph = Client(server.url, clock), {"1": {"class_type": "SaveImage", "inputs": {}}}
    stream = watch.Stream(client)
    moments.clear()
    listener = _Patience(clock, seconds)
    try:
        watch.wait(client, "idle", watch.Progress("idle", graph, 1, listener), listener, stream)
        raise AssertionError("the job ended")
    except Canceled:
        return moments
    finally:
        stream.close()
        client.close()
