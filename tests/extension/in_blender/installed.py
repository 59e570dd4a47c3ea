# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension that is enabled in this Blender, for a scenario: its modules, and what it knows."""

from __future__ import annotations

import sys
from typing import Any

import bpy

NAME = "bl_ext.user_default.shot_gopher"


def module(name: str) -> Any:
    """One of the extension's own, such as operators.monitor."""
    return sys.modules[f"{NAME}.{name}"]


def monitor() -> Any:
    return module("operators.monitor").monitor


def scene() -> Any:
    return bpy.context.window_manager.windows[0].scene


def view() -> Any:
    """What the panels know of the scene's shot."""
    return monitor().view(scene())
