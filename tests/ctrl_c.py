# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that Ctrl-C is pressed in, though the tests themselves may run in the background."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def heeding_ctrl_c() -> Iterator[None]:
    """Programs started inside heed SIGINT: what a shell runs in the background ignores it, and
    hands that on to its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
