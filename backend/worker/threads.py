# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on many frames at once: decoding, scaling and encoding all run without Python's lock."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TypeVar

FEW = 4
"""Threads where each holds several images of full size."""

Piece = TypeVar("Piece")


def thread_count() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@contextmanager
def threads(
    work: Callable[[Piece], None], pieces: Iterable[Piece], most: int = FEW
) -> Iterator[Iterator[None]]:
    """Gives an iterator that ends one step after each piece of work; raises what that raised.

    Leaving the block drops what has not begun and waits for the rest.
    """
    with ThreadPoolExecutor(min(most, thread_count())) as pool:
        futures: list[Future[None]] = [pool.submit(work, piece) for piece in pieces]
        try:
            yield (future.result() for future in as_completed(futures))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
