# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a ComfyUI server is asked after a job that has nothing new to say."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from backend.worker.comfy.client import Clock
from tests.backend.comfy_idle import FastTime, idle_requests
from tests.backend.comfy_server import ComfyServer
from tests.bench.figure import at_least, at_most

MINUTES = 10
REAL_SECONDS = 20.0


def comfyui_figures(_folder: Path) -> list[dict[str, Any]]:
    """Ten minutes in fast time and some seconds in real time, with and without a websocket."""
    fast = FastTime()
    long_wait = _asked(Clock(fast.now, fast.sleep), MINUTES * 60.0, websocket=False)
    real = _asked(Clock(), REAL_SECONDS, websocket=False)
    listening = _asked(Clock(), REAL_SECONDS, websocket=True)
    how = "the worker's own loop against a server on 127.0.0.1 that counts requests"
    shortest = min((later - earlier for earlier, later in pairwise(real)), default=REAL_SECONDS)
    return [
        at_most(
            f"idle ComfyUI poll, {MINUTES} minutes", len(long_wait) / (MINUTES * 60), "1/s", 1,
            f"{how}, no websocket, its clock made fast",
        ),
        at_most(
            "idle ComfyUI poll, real time", len(real) / REAL_SECONDS, "1/s", 1,
            f"{how}, no websocket, {REAL_SECONDS:g} s",
        ),
        at_least("shortest time between two polls", shortest, "s", 0.99, f"{how}, no websocket"),
        at_most(
            "idle ComfyUI poll, websocket", len(listening) / REAL_SECONDS, "1/s", 1,
            f"{how}, {REAL_SECONDS:g} s",
        ),
    ]  # fmt: skip


def _asked(clock: Clock, seconds: float, websocket: bool) -> list[float]:
    server = ComfyServer()
    server.has_websocket = websocket
    try:
        return idle_requests(server, clock, seconds)
    finally:
        server.stop()
