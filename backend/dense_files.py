# SPDX-License-Identifier: GPL-3.0-or-later
"""The PLY files of dense points and meshes: what is in them, read and written.

    cloud.ply       vertex: x y z nx ny nz (float) red green blue (uchar) confidence (float)
    mesh.ply        vertex: x y z and, where there is a texture, s t (float); face: vertex_indices

A vertex at a seam of the texture stands in the file once for each side of it, which every program
reads; reading puts it together again. t goes up, as in Blender: (0, 0) is the lower left corner.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import FormatError
from .formats import ply

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Indices = NDArray[np.int32]

_PLACE, _NORMAL, _COLOR = ("x", "y", "z"), ("nx", "ny", "nz"), ("red", "green", "blue")
_UV_NAMES = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"))
_CORNER_NAMES = ("vertex_indices", "vertex_index")
_PRIMES = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)
"""Odd constants that spread the bits of a place over a key (as in Fibonacci hashing)."""


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points: positions and normals (p, 3), colors (p, 3) in sRGB, confidence (p,) from 0 to 1."""

    positions: Floats
    normals: Floats
    colors: Bytes
    confidence: Floats


@dataclass(frozen=True, eq=False)
class Triangles:
    """A mesh: positions (v, 3), faces (f, 3) counterclockwise from outside, and the place of each
    corner in the texture uvs (f, 3, 2), None without one."""

    positions: Floats
    faces: Indices
    uvs: Floats | None = None


def write_cloud(path: Path, cloud: Cloud) -> None:
    """Raises OutputError."""
    names = (*_PLACE, *_NORMAL)
    fields = [*((name, "<f4") for name in names), *((name, "u1") for name in _COLOR)]
    rows = np.empty(len(cloud.positions), [*fields, ("confidence", "<f4")])
    columns = np.concatenate([cloud.positions, cloud.normals], axis=1)
    for index, name in enumerate(names):
        rows[name] = columns[:, index]
    for index, name in enumerate(_COLOR):
        rows[name] = cloud.colors[:, index]
    rows["confidence"] = cloud.confidence
    ply.write(path, {"vertex": rows})


def read_cloud(path: Path) -> Cloud:
    """Points of any program; what a file does not tell is white, sure, and without a direction.

    Points that are not finite are left out. Raises FormatError.
    """
    rows = _vertices(path, ply.read(path))
    positions = _columns(rows, _PLACE)
    rows = rows[np.isfinite(positions).all(axis=1)]
    count, names = len(rows), rows.dtype.names
    normals = _columns(rows, _NORMAL) if "nx" in names else np.zeros((count, 3), dtype=np.float32)
    white = np.full((count, 3), 255, dtype=np.uint8)
    colors = np.stack([rows[name] for name in _COLOR], axis=1) if "red" in names else white
    sure = np.ones(count, dtype=np.float32)
    confidence = rows["confidence"].astype(np.float32) if "confidence" in names else sure
    return Cloud(_columns(rows, _PLACE), normals, colors.astype(np.uint8), confidence)


def write_mesh(path: Path, mesh: Triangles, texture: str = "") -> None:
    """`texture` is the name of the file beside it that `uvs` belong to. Raises OutputError."""
    source, uv, faces = _split(mesh)
    names = (*_PLACE, *(("s", "t") if mesh.uvs is not None else ()))
    columns = np.concatenate([mesh.positions[source], uv], axis=1)
    vertices = np.empty(len(source), [(name, "<f4") for name in names])
    for index, name in enumerate(names):
        vertices[name] = columns[:, index]
    rows = np.empty(len(faces), [("vertex_indices", "<i4", (3,))])
    rows["vertex_indices"] = faces
    comments = (f"TextureFile {texture}",) if texture else ()
    ply.write(path, {"vertex": vertices, "face": rows}, comments)


def _split(mesh: Triangles) -> tuple[Indices, Floats, Indices]:
    """The vertices of a file, each the index of one of the mesh's, with their uv (n, 2 or 0), and
    the faces made of them."""
    count = len(mesh.positions)
    if mesh.uvs is None:
        return np.arange(count, dtype=np.int32), np.empty((count, 0), np.float32), mesh.faces
    corners = np.empty(3 * len(mesh.faces), [("vertex", "i4"), ("uv", "f4", (2,))])
    corners["vertex"], corners["uv"] = mesh.faces.ravel(), mesh.uvs.reshape(-1, 2)
    key = np.concatenate([corners["vertex"][:, None], corners["uv"].view(np.int32)], axis=1)
    first, inverse = _distinct(key.view(np.uint32))
    faces = inverse.reshape(-1, 3).astype(np.int32)
    return corners["vertex"][first], corners["uv"][first], faces


def read_mesh(path: Path) -> Triangles:
    """Triangles of any program, put together at the seams of their texture.

    Raises FormatError for other polygons and for faces on vertices that are not there.
    """
    tables = ply.read(path)
    vertices, faces = _vertices(path, tables), tables.get("face")
    name = next((each for each in _CORNER_NAMES if each in _fields(faces)), "")
    if faces is None or not name:
        raise FormatError(f"{path.name} has no faces.")
    corners = faces[name].astype(np.int32)
    if len(corners) and corners.shape[1] != 3:
        raise FormatError(f"{path.name} does not consist of triangles.")
    corners = corners.reshape(-1, 3)
    positions = _columns(vertices, _PLACE)
    if len(corners) and not 0 <= corners.min() <= corners.max() < len(positions):
        raise FormatError(f"{path.name} is damaged: a face has a vertex that is not there.")
    if not np.isfinite(positions).all():
        raise FormatError(f"{path.name} is damaged: a vertex is nowhere.")
    mesh = Triangles(positions, corners, _uvs(vertices, faces, corners))
    return _without_slivers(mesh if mesh.uvs is None else _put_together(mesh))


def _uvs(vertices: ply.Table, faces: ply.Table, corners: Indices) -> Floats | None:
    """Those of the corners (as MeshLab has them), else of the vertices."""
    if "texcoord" in _fields(faces) and faces.dtype["texcoord"].shape == (6,):
        return faces["texcoord"].reshape(-1, 3, 2).astype(np.float32)
    names = next((each for each in _UV_NAMES if each[0] in _fields(vertices)), None)
    return None if names is None else _columns(vertices, names)[corners]


def _fields(table: ply.Table | None) -> tuple[str, ...]:
    return () if table is None else table.dtype.names or ()


def _vertices(path: Path, tables: dict[str, ply.Table]) -> ply.Table:
    vertices = tables.get("vertex")
    if vertices is None or not {*_PLACE} <= {*_fields(vertices)}:
        raise FormatError(f"{path.name} has no points.")
    return vertices


def _columns(rows: ply.Table, names: tuple[str, ...]) -> Floats:
    found = np.empty((len(rows), len(names)), dtype=np.float32)
    for index, name in enumerate(names):
        found[:, index] = rows[name]
    return found


def _put_together(mesh: Triangles) -> Triangles:
    """One vertex at each place."""
    # Adding 0 makes the two zeros of floating point one.
    first, inverse = _distinct((mesh.positions + np.float32(0)).view(np.uint32))
    faces = inverse.astype(np.int32)[mesh.faces]
    return replace(mesh, positions=mesh.positions[first], faces=faces)


def _distinct(rows: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The index of the first of each kind of row (n, 3), and for every row which kind it is."""
    keys = np.bitwise_xor.reduce(_spread(rows.astype(np.uint64)), axis=1)
    _keys, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    if not np.array_equal(rows[first][inverse], rows):
        _rows, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return first, inverse.reshape(-1)


def _spread(rows: NDArray[np.uint64]) -> NDArray[np.uint64]:
    spread: NDArray[np.uint64] = rows * _PRIMES
    spread ^= spread >> np.uint64(29)
    return spread * _PRIMES[::-1]


def _without_slivers(mesh: Triangles) -> Triangles:
    """Without faces that have a vertex twice, which Blender cannot hold."""
    a, b, c = mesh.faces.T
    whole = (a != b) & (b != c) & (c != a)
    if whole.all():
        return mesh
    uvs = None if mesh.uvs is None else mesh.uvs[whole]
    return replace(mesh, faces=mesh.faces[whole], uvs=uvs)
