# SPDX-License-Identifier: GPL-3.0-or-later
"""One figure of a bench."""

from __future__ import annotations

from typing import Any


def at_most(name: str, value: float, unit: str, goal: float, how: str) -> dict[str, Any]:
    """A figure that holds when it is not over its goal."""
    return {
        "name": name,
        "value": round(value, 6),
        "unit": unit,
        "goal": f"at most {goal:g}",
        "holds": value <= goal,
        "how": how,
    }
