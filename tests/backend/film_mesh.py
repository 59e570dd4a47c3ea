# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a moving mesh out of .abc (by alembic3d) and saves it as .npz: `film_mesh.py ABC NPZ`.

A program of its own: Blender and alembic3d in one process do not get on.
"""

from __future__ import annotations

import sys

import numpy as np


def read(path: str) -> dict[str, np.ndarray]:
    """times (n,) in seconds, positions (n, v, 3), corners a face (f,), corners (c,)."""
    from alembic3d import Abc, AbcGeom

    archive = Abc.IArchive(path)
    thing = archive.getTop().getChild(0).getChild(0)
    schema = AbcGeom.IPolyMesh(thing.getParent(), thing.getName()).getSchema()
    sampling = schema.getTimeSampling()
    times = [sampling.getSampleTime(index) for index in range(schema.getNumSamples())]
    samples = [schema.getValue(Abc.ISampleSelector(float(time))) for time in times]
    return {
        "times": np.array(times),
        "positions": np.array([[list(place) for place in s.getPositions()] for s in samples]),
        "counts": np.array(list(samples[0].getFaceCounts())),
        "corners": np.array(list(samples[0].getFaceIndices())),
    }


if __name__ == "__main__":
    np.savez(sys.argv[2], **read(sys.argv[1]))
