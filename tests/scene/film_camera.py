# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a camera out of .abc (by alembic3d) or .usd (by usd-core) and prints it as JSON.

A program of its own: usd-core and bpy's own USD must not share a process. By frame: the
camera-to-world matrix of a Y-up world, and focal length, aperture and its offset, all in mm.

    python film_camera.py FILE
"""

from __future__ import annotations

import json
import sys


def read_alembic(path: str) -> dict[str, dict[str, object]]:
    from alembic3d import Abc, AbcGeom

    archive = Abc.IArchive(path)
    rate = float(archive.getTop().getMetaData().get("FramesPerTimeUnit"))
    (holder,) = archive.getTop().children
    (inside,) = holder.children
    transform = AbcGeom.IXform(holder.getParent(), holder.getName()).getSchema()
    camera = AbcGeom.ICamera(inside.getParent(), inside.getName()).getSchema()
    frames = {}
    for index in range(transform.getNumSamples()):
        time = transform.getTimeSampling().getSampleTime(index)
        matrix = transform.getValue(Abc.ISampleSelector(time)).getMatrix()
        lens = camera.getValue(Abc.ISampleSelector(time))
        frames[str(round(time * rate))] = {
            "matrix": [[matrix[row][column] for row in range(4)] for column in range(4)],
            "focal": lens.getFocalLength(),
            "aperture": [lens.getHorizontalAperture() * 10, lens.getVerticalAperture() * 10],
            "offset": [lens.getHorizontalFilmOffset() * 10, lens.getVerticalFilmOffset() * 10],
        }
    return frames


def read_usd(path: str) -> dict[str, dict[str, object]]:
    from pxr import Usd, UsdGeom

    stage = Usd.Stage.Open(path)
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    (prim,) = (each for each in stage.Traverse() if each.IsA(UsdGeom.Camera))
    camera = UsdGeom.Camera(prim)
    unit = UsdGeom.GetStageMetersPerUnit(stage) * 1000 / 10
    frames = {}
    for frame in range(int(stage.GetStartTimeCode()), int(stage.GetEndTimeCode()) + 1):
        matrix = UsdGeom.XformCache(frame).GetLocalToWorldTransform(prim)

        def mm(attribute: Usd.Attribute, frame: int = frame) -> float:
            return attribute.Get(frame) * unit

        frames[str(frame)] = {
            "matrix": [[matrix[row][column] for row in range(4)] for column in range(4)],
            "focal": mm(camera.GetFocalLengthAttr()),
            "aperture": [
                mm(camera.GetHorizontalApertureAttr()),
                mm(camera.GetVerticalApertureAttr()),
            ],
            "offset": [
                mm(camera.GetHorizontalApertureOffsetAttr()),
                mm(camera.GetVerticalApertureOffsetAttr()),
            ],
        }
    return frames


if __name__ == "__main__":
    file = sys.argv[1]
    print(json.dumps(read_alembic(file) if file.endswith(".abc") else read_usd(file)))
