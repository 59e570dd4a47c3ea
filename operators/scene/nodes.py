# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that work out something, one after the other, for groups that an artist seldom opens."""

from __future__ import annotations

import bpy

_COLUMNS = 8


def add(tree: bpy.types.NodeTree, kind: str, **settings: object) -> bpy.types.Node:
    """A new node with these settings, in rows of eight below where groups have their ends."""
    row, column = divmod(len(tree.nodes), _COLUMNS)
    node = tree.nodes.new(kind)
    node.location = (-1600 + 200 * column, -250 - 220 * row)
    for name, value in settings.items():
        setattr(node, name, value)
    return node


def math(
    tree: bpy.types.NodeTree, operation: str, *values: bpy.types.NodeSocket | float
) -> bpy.types.NodeSocket:
    """What a Math node makes of sockets and numbers."""
    node = add(tree, "ShaderNodeMath", operation=operation)
    for socket, value in zip(node.inputs, values, strict=False):
        if isinstance(value, float):
            socket.default_value = value
        else:
            tree.links.new(value, socket)
    return node.outputs[0]
