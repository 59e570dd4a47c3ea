# SPDX-License-Identifier: GPL-3.0-or-later
"""How the faces of a mesh hang together: edges, pieces, and cuts where they do so wrongly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...dense_files import Indices, Triangles
from .compiled import compiled
from .meshes import areas, with_faces

Labels = NDArray[np.int64]


@compiled
def _root(parents: Any, item: int) -> int:
    while parents[item] != item:
        parents[item] = parents[parents[item]]
        item = parents[item]
    return item


@compiled
def _unite(parents: Any, first: Any, second: Any) -> None:
    """Joins the sets of each pair (Tarjan 1975); afterwards `parents` names each item's set."""
    for index in range(first.shape[0]):
        one, other = _root(parents, first[index]), _root(parents, second[index])
        if one != other:
            parents[max(one, other)] = min(one, other)
    for item in range(parents.shape[0]):
        parents[item] = _root(parents, item)


def groups(count: int, first: Labels, second: Labels) -> Labels:
    """(count,) a number for the set that each item is in when those in each pair are in one set:
    the least item of the set."""
    parents = np.arange(count, dtype=np.int64)
    _unite(parents, first, second)
    return parents


def half_edges(faces: Indices, vertices: int) -> tuple[Labels, NDArray[np.bool_]]:
    """(3 m,) of each corner the edge to the next corner: its number, the same from both sides,
    and whether it runs from the lower vertex to the higher. Corner c of face f is at 3 f + c."""
    tail = faces.reshape(-1).astype(np.int64)
    head = np.roll(faces, -1, axis=1).reshape(-1).astype(np.int64)
    return np.minimum(tail, head) * vertices + np.maximum(tail, head), tail < head


def pairs(faces: Indices, vertices: int) -> tuple[Labels, Labels]:
    """The two corners whose edges are one, for each edge that exactly two faces have, which run
    along it in opposite directions, as on a proper surface."""
    edge, up = half_edges(faces, vertices)
    order = np.argsort(edge, kind="stable")
    edge, up = edge[order], up[order]
    fresh = np.flatnonzero(np.diff(edge, prepend=-1))
    length = np.diff(fresh, append=len(edge))
    two = fresh[length == 2]
    two = two[up[two] != up[two + 1]]
    return order[two], order[two + 1]


def pieces(mesh: Triangles) -> Labels:
    """(m,) a number for the piece that each face is in; faces in a piece share edges."""
    first, second = pairs(mesh.faces, len(mesh.positions))
    return groups(len(mesh.faces), first // 3, second // 3)


def without_small_pieces(mesh: Triangles, share: float) -> Triangles:
    """Without the pieces that have less than a share of all faces."""
    if not len(mesh.faces):
        return mesh
    piece = pieces(mesh)
    size = np.bincount(piece, minlength=len(piece))[piece]
    return with_faces(mesh, size >= share * len(mesh.faces))


def repaired(mesh: Triangles) -> Triangles:
    """A mesh in which every edge has one or two faces and every vertex one fan of them.

    Faces without area and faces that are there twice go. Where more than two faces meet in an
    edge, where two run along it the same way, or where fans meet in a vertex only, the surface is
    cut: each side gets vertices of its own.
    """
    mesh = with_faces(mesh, _proper(mesh))
    first, second = pairs(mesh.faces, len(mesh.positions))
    # A corner's edge begins at it and ends at the next corner; from the other side it is reversed.
    ends = [(first, _next(second)), (_next(first), second)]
    corner = groups(
        mesh.faces.size,
        np.concatenate([one for one, _other in ends]),
        np.concatenate([other for _one, other in ends]),
    )
    kept, place = np.unique(corner, return_inverse=True)
    source = mesh.faces.reshape(-1)[kept]
    return Triangles(mesh.positions[source], place.reshape(-1, 3).astype(np.int32))


def _next(corner: Labels) -> Labels:
    found: Labels = np.where(corner % 3 == 2, corner - 2, corner + 1)
    return found


def _proper(mesh: Triangles) -> NDArray[np.bool_]:
    """(m,) which faces have three corners, an area, and no twin before them."""
    alike = np.sort(mesh.faces, axis=1)
    distinct = (alike[:, 0] != alike[:, 1]) & (alike[:, 1] != alike[:, 2])
    _rows, first = np.unique(alike, axis=0, return_index=True)
    original = np.zeros(len(alike), bool)
    original[first] = True
    found: NDArray[np.bool_] = distinct & original & (areas(mesh) > 0)
    return found
