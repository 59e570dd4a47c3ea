# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist sees. Panels draw what the monitor knows; they compute nothing, read no disk."""

import bpy

register, unregister = bpy.utils.register_submodule_factory(
    __package__,
    (
        "properties",
        "preferences",
        "shot",
        "stages",
        "roto",
        "masks",
        "results",
        "dense",
        "depth",
        "mocap",
        "refine",
    ),
)
