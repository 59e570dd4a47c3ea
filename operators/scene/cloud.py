# SPDX-License-Identifier: GPL-3.0-or-later
"""The dense points as a mesh of vertices, drawn as colored dots like the solved ones.

A mesh for the reasons that points.py has; Object > Convert > Point Cloud keeps its attributes.
"""

from __future__ import annotations

import bpy
import numpy as np

from ...backend.camera import Similarity
from ...backend.dense_files import Cloud
from .points import add_attribute, draw_dots, fill_places

NORMAL = "point_normal"
CONFIDENCE = "confidence"

_FEWEST = 10_000
"""Points under which dots get no larger."""


def build_cloud(
    name: str,
    cloud: Cloud,
    step: Similarity,
    collection: bpy.types.Collection,
    existing: bpy.types.Object | None,
    distance: float,
) -> bpy.types.Object:
    """Makes the cloud, moved by `step`, or gives `existing` new vertices.

    `distance` is how far the camera typically is; it decides the size of the dots, once.
    """
    if existing is not None:
        _fill(existing.data, cloud, step)
        return existing
    mesh = bpy.data.meshes.new(name)
    _fill(mesh, cloud, step)
    made = bpy.data.objects.new(name, mesh)
    made.hide_render = True
    collection.objects.link(made)
    draw_dots(made, distance / float(np.sqrt(max(len(cloud.positions), _FEWEST))))
    return made


def _fill(mesh: bpy.types.Mesh, cloud: Cloud, step: Similarity) -> None:
    fill_places(mesh, step.apply(cloud.positions), cloud.colors)
    turned = np.ascontiguousarray(cloud.normals @ step.rotation.T, dtype=np.float32)
    add_attribute(mesh, NORMAL, "FLOAT_VECTOR").foreach_set("vector", turned.ravel())
    add_attribute(mesh, CONFIDENCE, "FLOAT").foreach_set("value", cloud.confidence)
    mesh.update()
