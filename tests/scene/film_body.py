# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a body out of .abc (by alembic3d) or .usd (by usd-core) into an .npz.

A program of its own: usd-core and bpy's own USD must not share a process. Y is up.

    python film_body.py FILE RESULT
"""

from __future__ import annotations

import sys

import numpy as np


def read_alembic(path: str) -> dict[str, np.ndarray]:
    """times (n,) in seconds, places (n, v, 3)."""
    from alembic3d import Abc, AbcGeom

    (mesh,) = (each for each in _below(Abc.IArchive(path).getTop()) if _is_mesh(each))
    schema = AbcGeom.IPolyMesh(mesh.getParent(), mesh.getName()).getSchema()
    times = [schema.getTimeSampling().getSampleTime(at) for at in range(schema.getNumSamples())]
    samples = [schema.getValue(Abc.ISampleSelector(time)) for time in times]
    places = [[tuple(place) for place in sample.getPositions()] for sample in samples]
    return {"times": np.array(times), "places": np.array(places)}


def _is_mesh(each: object) -> bool:
    from alembic3d import AbcGeom

    return bool(AbcGeom.IPolyMesh.matches(each.getMetaData()))


def _below(top: object) -> list[object]:
    return [found for each in top.children for found in (each, *_below(each))]


def read_usd(path: str) -> dict[str, np.ndarray]:
    """frames (n,), names (j,), joints (n, j, 3); samples of the mesh's points, skinned (1,)."""
    from pxr import Usd, UsdGeom, UsdSkel

    stage = Usd.Stage.Open(path)
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    (prim,) = (each for each in stage.Traverse() if each.IsA(UsdSkel.Skeleton))
    (mesh,) = (each for each in stage.Traverse() if each.IsA(UsdGeom.Mesh))
    cache = UsdSkel.Cache()
    query = cache.GetSkelQuery(UsdSkel.Skeleton(prim))
    frames = np.arange(int(stage.GetStartTimeCode()), int(stage.GetEndTimeCode()) + 1)
    joints = []
    for frame in frames.tolist():
        world = UsdGeom.XformCache(frame).GetLocalToWorldTransform(prim)
        poses = query.ComputeJointSkelTransforms(Usd.TimeCode(frame))
        joints.append([np.array(pose * world)[3, :3] for pose in poses])
    return {
        "frames": frames,
        "names": np.array([str(name).rsplit("/", 1)[-1] for name in query.GetJointOrder()]),
        "joints": np.array(joints),
        "samples": np.array(UsdGeom.Mesh(mesh).GetPointsAttr().GetNumTimeSamples()),
        "skinned": np.array(UsdSkel.BindingAPI(mesh).GetJointIndicesPrimvar().HasValue()),
    }


if __name__ == "__main__":
    file, result = sys.argv[1:]
    np.savez(result, **(read_alembic(file) if file.endswith(".abc") else read_usd(file)))
