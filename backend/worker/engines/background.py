# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a long pycolmap call so that progress can be told and the user can stop it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import pycolmap

from ..report import Report

T = TypeVar("T")

INTERVAL = 0.15
"""Seconds between two looks at how far the call is."""

PATIENCE = 4.0
"""Seconds a call gets to notice that it was canceled before it is left to die with the worker."""


class _Call(Generic[T]):
    """One call in a thread of its own: a daemon, so that it cannot keep the worker alive."""

    def __init__(self, function: Callable[[pycolmap.CancellationToken], T]) -> None:
        self.token = pycolmap.CancellationToken()
        self.error: BaseException | None = None
        self.result: list[T] = []
        self._function = function
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.result.append(self._function(self.token))
        except BaseException as error:
            self.error = error


def cancelable(
    function: Callable[[pycolmap.CancellationToken], T],
    report: Report,
    tick: Callable[[], None] = lambda: None,
) -> T:
    """The result of `function(token)`, which must release Python's lock while it computes.

    The calling thread stays free for signals; it calls `tick` a few times a second. On a cancel
    the token is set, the call gets `PATIENCE` seconds to end, and Canceled passes on.
    """
    call = _Call(function)
    try:
        while call.thread.is_alive():
            call.thread.join(INTERVAL)
            report.check()
            tick()
    except BaseException:
        call.token.cancel()
        call.thread.join(PATIENCE)
        raise
    if call.error is not None:
        raise call.error
    return call.result[0]
