# SPDX-License-Identifier: GPL-3.0-or-later
"""Track a plate from a script, with the extension installed in Blender:

blender -b --python-exit-code 1 --python docs/track_plate.py -- PLATE BLEND_FILE
"""

import sys
from pathlib import Path

import bpy

plate, blend = (Path(argument).absolute() for argument in sys.argv[sys.argv.index("--") + 1 :])

settings = bpy.context.scene.shot_gopher
settings.plate = str(plate)
settings.shot = str(blend.with_suffix(""))

# Without a window each operator returns when its job has ended, and raises when that failed.
bpy.ops.shot_gopher.stage_run(stage="ingest")
bpy.ops.shot_gopher.stage_run(stage="colmap")
bpy.ops.shot_gopher.camera_import()

bpy.ops.wm.save_as_mainfile(filepath=str(blend))
