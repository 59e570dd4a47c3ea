# SPDX-License-Identifier: GPL-3.0-or-later
"""Enables and disables the extension again and again: nothing may be left, nothing doubled."""

import os
import sys

import addon_utils
import bpy

NAME = "bl_ext.user_default.shot_gopher"


def traces() -> dict[str, list[str]]:
    """Everything of Shot Gopher that Blender knows about."""
    handlers = [
        f"{name}:{handler.__name__}"
        for name in dir(bpy.app.handlers)
        if isinstance(getattr(bpy.app.handlers, name), list)
        for handler in getattr(bpy.app.handlers, name)
        if handler.__module__.startswith(NAME)
    ]
    entries = [
        function.__name__
        for function in bpy.types.TOPBAR_MT_file_export._dyn_ui_initialize()
        if function.__module__.startswith(NAME)
    ]
    return {
        "panels": sorted(name for name in dir(bpy.types) if name.startswith("SHOTGOPHER_")),
        "operators": sorted(dir(bpy.ops.shot_gopher)),
        "groups": sorted(
            group.__name__
            for group in bpy.types.PropertyGroup.__subclasses__()
            if group.__name__.startswith("SHOTGOPHER_") and group.is_registered
        ),
        "scene": [name for name in dir(bpy.types.Scene) if name == "shot_gopher"],
        "handlers": handlers,
        "menu": entries,
        "home": [os.environ.get("SHOT_GOPHER_HOME", "")],
    }


def doubled() -> list[str]:
    """Modules that hold a monitor other than the one that is registered."""
    real = sys.modules[f"{NAME}.operators.monitor"].monitor
    return [
        name
        for name, module in sys.modules.items()
        if name.startswith(NAME) and getattr(module, "monitor", real) not in (real, None)
        and not isinstance(module.monitor, type(sys))
    ]  # fmt: skip


enabled = traces()
assert len(enabled["panels"]) == 21, enabled
assert len(enabled["operators"]) == 58, enabled
assert len(enabled["groups"]) == 17, enabled
assert enabled["scene"] == ["shot_gopher"], enabled
assert len(enabled["handlers"]) == 10, enabled
assert len(enabled["menu"]) == 1, enabled
for _ in range(3):
    addon_utils.disable(NAME)
    gone = traces()
    home = gone.pop("home")
    assert home == enabled["home"], home
    assert not any(gone.values()), gone
    addon_utils.enable(NAME)
    assert traces() == enabled, traces()
    assert not doubled(), doubled()
print("clean")
