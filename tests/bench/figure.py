# SPDX-License-Identifier: GPL-3.0-or-later
"""One figure of a bench."""

from __future__ import annotations

import math
from typing import Any


def at_most(name: str, value: float, unit: str, goal: float, how: str) -> dict[str, Any]:
    """A figure that holds when it is not over its goal."""
    return _figure(name, value, unit, f"at most {goal:g}", value <= goal, how)


def at_least(name: str, value: float, unit: str, goal: float, how: str) -> dict[str, Any]:
    """A figure that holds when it is not under its goal."""
    return _figure(name, value, unit, f"at least {goal:g}", value >= goal, how)


def less_than(name: str, value: float, unit: str, other: float, how: str) -> dict[str, Any]:
    """A figure that holds when it is under what it is compared with."""
    return _figure(name, value, unit, f"less than {other:.6g}", value < other, how)


def _figure(name: str, value: float, unit: str, goal: str, holds: bool, how: str) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(value, 6) if math.isfinite(value) else None,
        "unit": unit,
        "goal": goal,
        "holds": bool(holds),
        "how": how,
    }
