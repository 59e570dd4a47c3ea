# SPDX-License-Identifier: GPL-3.0-or-later
"""Loops compiled by numba, and how they run on all processors: in spans, without Python's lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

from ..threads import thread_count, threads

Function = TypeVar("Function", bound=Callable[..., Any])

_SPANS_PER_THREAD = 4
"""More spans than threads: some have more to do than others."""


def compiled(function: Function) -> Function:
    """The function as machine code, made when it is first called."""
    return cast(Function, numba.njit(nogil=True, error_model="numpy")(function))


def in_spans(work: Callable[[int, int], None], count: int) -> None:
    """Calls `work(start, end)` for spans that make up 0 to `count`, several at a time."""
    most = thread_count()
    length = max(-(-count // (most * _SPANS_PER_THREAD)), 1)
    starts = range(0, count, length)

    def span(start: int) -> None:
        work(start, min(start + length, count))

    with threads(span, starts, most) as steps:
        for _step in steps:
            pass
