# SPDX-License-Identifier: GPL-3.0-or-later
"""Shader nodes that project the plate from the shot's camera, frame by frame.

A point (x, y, z) in the camera's axes is at u = 0.5 + lens / sensor * x / -z - shift_x of the
frame, and likewise v; lens and shifts follow the camera by drivers. What is projected is the plate
where the camera has a pinhole lens, else the undistorted plate, which reaches beyond the frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy

from ...backend.backgrounds import extent
from ...backend.errors import UsageError
from ...backend.shot import Plate, Shot
from ...backend.solve import solve_of
from ...backend.undistorted import UndistortedPlate
from . import parts
from .parts import Role
from .sequences import play, sequence

_IMAGE_NODE = "Shot Gopher Plate"
"""The name of the node that holds the plate's frames."""


@dataclass(frozen=True)
class Projection:
    """The frames that are projected, and from where.

    aspect  the frame's width over its height
    extent  of the picture in the frame: `backgrounds.extent`
    """

    camera: bpy.types.Object
    image: bpy.types.Image
    plate: Plate
    aspect: float
    extent: tuple[float, float, float, float]


def read_projection(scene: bpy.types.Scene, shot: Shot) -> Projection:
    """Raises UsageError where there is no camera or no picture that fits it, FormatError."""
    source = str(shot.path.resolve())
    camera = parts.find_object(scene, Role.CAMERA, source)
    if camera is None:
        raise UsageError("Import the camera first: the plate is projected from it.")
    plate, lens = shot.load_plate(), solve_of(shot).camera
    file, place = shot.frame_file(plate.first_frame), (1.0, 1.0, 0.0, 0.0)
    if not lens.is_pinhole:
        file = shot.undistorted_frame(plate.first_frame)
        if not file.is_file():
            raise UsageError("The lens distorts: run Undistort Plate first, then project it.")
        place = extent(UndistortedPlate.load(shot.undistorted_file), lens)
    elif not file.is_file():
        raise UsageError("The plate's frames are missing: set the shot up again.")
    render = scene.render
    aspect = (render.resolution_x * render.pixel_aspect_x) / (
        render.resolution_y * render.pixel_aspect_y
    )
    image = sequence(shot, file, "Plate" if lens.is_pinhole else "Undistorted Plate")
    return Projection(camera, image, plate, aspect, place)


def add_projection(
    tree: bpy.types.NodeTree, projection: Projection
) -> tuple[bpy.types.Node, bpy.types.NodeSocket]:
    """The node of the projected picture, and the socket that says where there is any, 0 to 1."""
    place, z = _in_camera(tree, projection.camera)
    across, down, right, up = projection.extent
    ways = (("X", "shift_x", 1.0, across, right), ("Y", "shift_y", projection.aspect, down, up))
    sides = []
    for axis, shift, aspect, size, middle in ways:
        beside = _math(tree, "DIVIDE", place.outputs[axis], _math(tree, "MULTIPLY", z, -1.0))
        seen = _math(tree, "MULTIPLY", beside, _camera_value(tree, projection.camera, "focal"))
        moved = _math(tree, "SUBTRACT", seen, _camera_value(tree, projection.camera, shift))
        framed = _math(tree, "MULTIPLY_ADD", moved, aspect, -middle)
        sides.append(_math(tree, "MULTIPLY_ADD", framed, 1 / size, 0.5))
    uv = _node(tree, "ShaderNodeCombineXYZ")
    for socket, side in zip(uv.inputs, sides, strict=False):
        tree.links.new(side, socket)
    picture = _node(tree, "ShaderNodeTexImage")
    picture.name = picture.label = _IMAGE_NODE
    picture.extension = "CLIP"
    tree.links.new(uv.outputs[0], picture.inputs["Vector"])
    show_projection(tree, projection)
    before = _math(tree, "LESS_THAN", z, 0.0)
    return picture, _math(tree, "MULTIPLY", before, picture.outputs["Alpha"])


def show_projection(tree: bpy.types.NodeTree, projection: Projection) -> None:
    """Shows the plate's frames in nodes that were made before, as far as the artist kept them."""
    picture = tree.nodes.get(_IMAGE_NODE)
    if picture is None:
        return
    picture.image = projection.image
    play(picture.image_user, projection.plate)


def _in_camera(
    tree: bpy.types.NodeTree, camera: bpy.types.Object
) -> tuple[bpy.types.Node, bpy.types.NodeSocket]:
    """A point in the camera's axes, taken apart, and its z."""
    place, apart = _node(tree, "ShaderNodeTexCoord"), _node(tree, "ShaderNodeSeparateXYZ")
    place.object = camera
    tree.links.new(place.outputs["Object"], apart.inputs[0])
    return apart, apart.outputs["Z"]


_FOCAL = "lens / sensor_width"
"""Of a camera whose sensor fits the width, as those of shots do."""


def _camera_value(
    tree: bpy.types.NodeTree, camera: bpy.types.Object, name: str
) -> bpy.types.NodeSocket:
    """A value that follows the camera: "shift_x", "shift_y", or "focal" in frame widths."""
    socket = _node(tree, "ShaderNodeValue").outputs[0]
    driver = socket.driver_add("default_value").driver
    driver.type = "SCRIPTED"
    driver.expression = _FOCAL if name == "focal" else name
    for each in ("lens", "sensor_width") if name == "focal" else (name,):
        variable = driver.variables.new()
        variable.name, target = each, variable.targets[0]
        target.id_type, target.id, target.data_path = "CAMERA", camera.data, each
    return socket


def _math(
    tree: bpy.types.NodeTree, operation: str, *values: bpy.types.NodeSocket | float
) -> bpy.types.NodeSocket:
    node = _node(tree, "ShaderNodeMath")
    node.operation = operation
    for socket, value in zip(node.inputs, values, strict=False):
        if isinstance(value, float):
            socket.default_value = value
        else:
            tree.links.new(value, socket)
    return node.outputs[0]


def _node(tree: bpy.types.NodeTree, kind: str) -> bpy.types.Node:
    """A new node, in rows of eight to the left of the others."""
    count = len(tree.nodes)
    node = tree.nodes.new(kind)
    node.location = (-2200 + 200 * (count % 8), 300 + 200 * (count // 8))
    return node
