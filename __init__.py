# SPDX-License-Identifier: GPL-3.0-or-later
"""Shot Gopher: plate in, tracked camera in the scene out.

`panels` is what an artist sees, `operators` what a button does, `backend` everything that works
without Blender.
"""

import bpy

register, unregister = bpy.utils.register_submodule_factory(__package__, ("panels", "operators"))
