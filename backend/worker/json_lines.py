# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the worker that tell what they do in JSON Lines, one object a line."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from typing import Any

from ..errors import ShotGopherError
from ..processes import INTERRUPT_SIGNALS


def tell(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def run_program(work: Callable[[], object]) -> int:
    """Does the work. Returns the exit status: 0, 1 when it fails, which tells `error`, 130 when it
    was interrupted."""
    for number in INTERRUPT_SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        work()
    except ShotGopherError as error:
        tell(error=error.reason)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
