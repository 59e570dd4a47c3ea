# SPDX-License-Identifier: GPL-3.0-or-later
"""PLATE SHOT TOLD: sets up a shot from a script and writes down what the operator said."""

import json
import sys
from pathlib import Path

import bpy

plate, shot, told = sys.argv[sys.argv.index("--") + 1 :]
bpy.context.preferences.system.use_online_access = True
settings = bpy.context.scene.shot_gopher
settings.plate, settings.shot = plate, shot
result = {"result": [], "error": ""}
try:
    result["result"] = sorted(bpy.ops.shot_gopher.set_up())
except RuntimeError as error:
    result["error"] = str(error)
Path(told).write_text(json.dumps(result))
