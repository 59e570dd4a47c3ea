# SPDX-License-Identifier: GPL-3.0-or-later
"""`blender --command shot_gopher ...`: the same verbs as `python3 -m backend ...`."""

from __future__ import annotations

from typing import Any

import bpy

from ..backend.cli import main
from . import addon

_commands: list[Any] = []


def _command(arguments: list[str]) -> int:
    addon.take_ctrl_c()
    return main(arguments, addon.host())


def register() -> None:
    _commands.append(bpy.utils.register_cli_command("shot_gopher", _command))


def unregister() -> None:
    bpy.utils.unregister_cli_command(_commands.pop())
