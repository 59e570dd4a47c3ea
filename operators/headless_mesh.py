# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that a Blender without a window, or the bpy wheel, runs to write moving meshes as
Alembic.

    blender -b --factory-startup --python operators/headless_mesh.py -- REQUEST.json ANSWER.json

REQUEST   meshes: each with body (an .npz with vertices and faces), cache (a .pc2 of all frames from
          `first` to `last`), name and file, the .abc to write; fps: [frames, seconds]
ANSWER    error: a sentence, "" when all went well
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any


def main(arguments: list[str]) -> int:
    """Writes what the request file asks for and the answer file; the exit status."""
    request = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    error = ""
    try:
        error = _write_all(request)
    except Exception as problem:
        traceback.print_exc()
        error = f"Blender could not write Alembic: {problem}"
    Path(arguments[1]).write_text(json.dumps({"error": error}), encoding="utf-8")
    return 1 if error else 0


def _write_all(request: dict[str, Any]) -> str:
    import bpy

    if not bpy.app.build_options.alembic:
        return "This Blender was built without Alembic: take one from blender.org."
    scene = bpy.context.scene
    frames, seconds = request["fps"]
    scene.render.fps, scene.render.fps_base = round(frames / seconds), 1.0
    scene.render.fps_base = scene.render.fps * seconds / frames
    for mesh in request["meshes"]:
        _write(mesh, scene)
    return ""


def _write(asked: dict[str, Any], scene: Any) -> None:
    import bpy

    thing = _object(asked, scene)
    bpy.ops.object.select_all(action="DESELECT")
    thing.select_set(True)
    scene.frame_start, scene.frame_end = asked["first"], asked["last"]
    bpy.ops.wm.alembic_export(
        filepath=asked["file"],
        start=asked["first"],
        end=asked["last"],
        selected=True,
        normals=False,
        export_hair=False,
        export_particles=False,
        as_background_job=False,
    )


def _object(asked: dict[str, Any], scene: Any) -> Any:
    import bpy
    import numpy as np

    with np.load(asked["body"], allow_pickle=False) as body:
        vertices, faces, uv = body["vertices"], body["faces"], body["uv"]
    mesh = bpy.data.meshes.new(asked["name"])
    mesh.from_pydata(vertices.tolist(), [], faces.tolist())
    if len(uv):
        layer = mesh.uv_layers.new(name="UVMap")
        layer.data.foreach_set("uv", np.ascontiguousarray(uv, np.float32).ravel())
    thing = bpy.data.objects.new(asked["name"], mesh)
    scene.collection.objects.link(thing)
    cache = thing.modifiers.new("Cache", "MESH_CACHE")
    cache.cache_format, cache.filepath = "PC2", asked["cache"]
    cache.forward_axis, cache.up_axis = "POS_Y", "POS_Z"
    cache.frame_start = asked["first"]
    return thing


if __name__ == "__main__":
    status = main(sys.argv[sys.argv.index("--") + 1 :])
    sys.stdout.flush()
    sys.stderr.flush()
    # bpy has been seen to hang when its interpreter ends.
    os._exit(status)
