# SPDX-License-Identifier: GPL-3.0-or-later
"""What a button does: read the selection, call one function, report.

Modules that are not in the list keep their old selves when the add-on is disabled and enabled again
in one session: they hold no state and no reference to the monitor.
"""

import bpy

register, unregister = bpy.utils.register_submodule_factory(
    __package__,
    (
        "monitor",
        "picks_view",
        "job",
        "plate",
        "environment",
        "models",
        "comfyui",
        "camera",
        "dense",
        "depth",
        "mocap",
        "background",
        "masks",
        "tracks",
        "survey",
        "check",
        "picks",
        "picking",
        "export",
        "cli",
    ),
)
