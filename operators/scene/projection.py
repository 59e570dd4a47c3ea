# SPDX-License-Identifier: GPL-3.0-or-later
"""Shader nodes that project a shot's frames from its camera, frame by frame or one held for all.

A point (x, y, z) in the camera's axes is seen at slopes (x, y) / -z. The lens bends them by the
solve's polynomial, as `lens.bend` does; u = 0.5 + lens / sensor * bent x - shift_x of the frame,
and likewise v. Lens and shifts follow the camera by drivers. Frames of a lens that is no polynomial
are projected undistorted, which reaches beyond the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy

from ...backend.backgrounds import extent
from ...backend.dense import place_of
from ...backend.errors import UsageError
from ...backend.lens import is_polynomial, reach
from ...backend.pictures import Kind, find_pictures
from ...backend.reconstruction import CameraModel
from ...backend.shot import Plate, Shot
from ...backend.solve import Solve, solve_of
from ...backend.undistorted import UndistortedPlate
from . import nodes, parts, placed
from .parts import Role
from .sequences import hold, play, sequence

_IMAGE_NODE = "Shot Gopher Plate"
"""The name of the node that holds the frames."""
_GROUP_NODE = "Shot Gopher Projection"
"""The name of the node that says where a point is seen."""
_HELD = "shot_gopher_held"
"""Custom property of a camera: the frame that it stands still at."""
_SPARE = 1.02
"""Past the plate's corners by so much, the lens model is not asked: it folds back at some point."""


@dataclass(frozen=True)
class Projection:
    """The frames that are projected, and from where.

    aspect  the frame's width over its height
    extent  of the picture in the frame: `backgrounds.extent`
    lens    what bends the picture; None for one that a pinhole has seen
    reach   the largest slopes that are seen at any time
    held    the frame that is shown in all frames; 0 for each its own
    """

    camera: bpy.types.Object
    image: bpy.types.Image
    plate: Plate
    aspect: float
    extent: tuple[float, float, float, float] = (1.0, 1.0, 0.0, 0.0)
    lens: CameraModel | None = None
    reach: float = 0.0
    held: int = 0


def read_projection(
    scene: bpy.types.Scene, shot: Shot, clean: bool = False, held: int = 0
) -> Projection:
    """Of the plate, or of the clean plate; `held` is the scene's current frame, or 0.

    Raises UsageError where there is no camera or no picture that fits it, FormatError.
    """
    camera = parts.find_object(scene, Role.CAMERA, str(shot.path.resolve()))
    if camera is None:
        raise UsageError("Import the camera first: the plate is projected from it.")
    plate, solve = shot.load_plate(), solve_of(shot)
    lens, place, far = solve.camera, (1.0, 1.0, 0.0, 0.0), 0.0
    bends = is_polynomial(lens)
    if bends:
        file, title = _frames(shot, plate, clean)
        far = 0.0 if lens.is_pinhole else _SPARE * reach(_widest(solve))
    elif clean:
        raise UsageError(f"The clean plate of a lens {lens.model} cannot be projected.")
    else:
        file, title = _undistorted(shot, plate), "Undistorted Plate"
        place = extent(UndistortedPlate.load(shot.undistorted_file), lens)
    bent = lens if bends and not lens.is_pinhole else None
    if held:
        camera = _standing(scene, shot, camera, held)
    image = sequence(shot, file, title)
    return Projection(camera, image, plate, _aspect(scene.render), place, bent, far, held)


def _frames(shot: Shot, plate: Plate, clean: bool) -> tuple[Path, str]:
    if clean:
        found = (each for each in find_pictures(shot) if each.kind is Kind.CLEAN_PLATE)
        pictures = next(found, None)
        if pictures is None:
            raise UsageError("The shot has no clean plate yet: run Clean Plate first.")
        return pictures.first, "Clean Plate"
    file = shot.frame_file(plate.first_frame)
    if not file.is_file():
        raise UsageError("The plate's frames are missing: set the shot up again.")
    return file, "Plate"


def _undistorted(shot: Shot, plate: Plate) -> Path:
    file = shot.undistorted_frame(plate.first_frame)
    if not file.is_file():
        raise UsageError("The lens distorts: run Undistort Plate first, then project it.")
    return file


def _widest(solve: Solve) -> CameraModel:
    return solve.camera_at(int(solve.track.focal[:, 0].argmin()))


def _aspect(render: bpy.types.RenderSettings) -> float:
    width = render.resolution_x * render.pixel_aspect_x
    return float(width / (render.resolution_y * render.pixel_aspect_y))


def _standing(
    scene: bpy.types.Scene, shot: Shot, camera: bpy.types.Object, number: int
) -> bpy.types.Object:
    """A camera that stands where the shot's is in the current frame, with the lens that it has."""
    cameras = parts.find_objects(scene, Role.PROJECTOR, str(shot.path.resolve()))
    still = next((each for each in cameras if each.get(_HELD) == number), None)
    if still is None:
        name = f"{camera.name} {number}"
        still = bpy.data.objects.new(name, camera.data.copy())
        still.data.name = name
        camera.users_collection[0].objects.link(still)
        parts.tag(still, Role.PROJECTOR, str(shot.path.resolve()))
        still[_HELD] = number
    still.data.animation_data_clear()
    still.data.background_images.clear()
    for each in ("lens", "sensor_width", "shift_x", "shift_y"):
        setattr(still.data, each, getattr(camera.data, each))
    still.parent, still.matrix_parent_inverse = camera.parent, camera.matrix_parent_inverse
    still.matrix_basis = camera.matrix_basis
    placed.note(still, place_of(shot))
    return still


# Nodes


def add_projection(
    tree: bpy.types.NodeTree, projection: Projection, name: str
) -> tuple[bpy.types.Node, bpy.types.NodeSocket]:
    """The node of the projected picture, and the socket that says where there is any, 0 to 1."""
    where = tree.nodes.new("ShaderNodeGroup")
    where.name = where.label = _GROUP_NODE
    where.node_tree = _new_group(name)
    where.location = (-800, 100)
    picture = tree.nodes.new("ShaderNodeTexImage")
    picture.name = picture.label = _IMAGE_NODE
    picture.extension = "CLIP"
    picture.location = (-500, 200)
    tree.links.new(where.outputs["UV"], picture.inputs["Vector"])
    show_projection(tree, projection)
    share = nodes.math(tree, "MULTIPLY", where.outputs["Seen"], picture.outputs["Alpha"])
    share.node.location = (-200, 0)
    return picture, share


def _new_group(name: str) -> bpy.types.NodeTree:
    group = bpy.data.node_groups.new(name, "ShaderNodeTree")
    for socket, kind in (("UV", "NodeSocketVector"), ("Seen", "NodeSocketFloat")):
        group.interface.new_socket(socket, in_out="OUTPUT", socket_type=kind)
    return group


def show_projection(tree: bpy.types.NodeTree, projection: Projection) -> None:
    """Brings nodes that were made before up to date, as far as the artist kept them."""
    picture, where = tree.nodes.get(_IMAGE_NODE), tree.nodes.get(_GROUP_NODE)
    if picture is not None:
        picture.image = projection.image
        if projection.held:
            hold(picture.image_user, projection.held)
        else:
            play(picture.image_user, projection.plate)
    if where is not None and where.type == "GROUP" and where.node_tree is not None:
        _fill(where.node_tree, projection)


def _fill(group: bpy.types.NodeTree, projection: Projection) -> None:
    """Makes the inside of the group anew: where in the picture a point is seen, and whether."""
    group.nodes.clear()
    group.animation_data_clear()
    camera, z, slopes = projection.camera, *_slopes(group, projection.camera)
    seen = nodes.math(group, "LESS_THAN", z, 0.0)
    if projection.lens is not None:
        radius = _square(group, slopes)
        seen = nodes.math(
            group, "MULTIPLY", seen, nodes.math(group, "LESS_THAN", radius, projection.reach**2)
        )
        slopes = _bent(group, slopes, radius, projection.lens.distortion())
    across, down, right, up = projection.extent
    ways = (("shift_x", 1.0, across, right), ("shift_y", projection.aspect, down, up))
    sides = []
    for slope, (shift, aspect, size, middle) in zip(slopes, ways, strict=True):
        shown = nodes.math(group, "MULTIPLY", slope, _camera_value(group, camera, "focal"))
        moved = nodes.math(group, "SUBTRACT", shown, _camera_value(group, camera, shift))
        framed = nodes.math(group, "MULTIPLY_ADD", moved, aspect, -middle)
        sides.append(nodes.math(group, "MULTIPLY_ADD", framed, 1 / size, 0.5))
    uv, end = nodes.add(group, "ShaderNodeCombineXYZ"), nodes.add(group, "NodeGroupOutput")
    for socket, side in zip(uv.inputs, sides, strict=False):
        group.links.new(side, socket)
    group.links.new(uv.outputs[0], end.inputs["UV"])
    group.links.new(seen, end.inputs["Seen"])


def _slopes(
    group: bpy.types.NodeTree, camera: bpy.types.Object
) -> tuple[bpy.types.NodeSocket, tuple[bpy.types.NodeSocket, ...]]:
    """A point's z in the camera's axes, and its slopes to the right and up."""
    place, apart = nodes.add(group, "ShaderNodeTexCoord"), nodes.add(group, "ShaderNodeSeparateXYZ")
    place.object = camera
    group.links.new(place.outputs["Object"], apart.inputs[0])
    z = apart.outputs["Z"]
    ahead = nodes.math(group, "MULTIPLY", z, -1.0)
    return z, tuple(nodes.math(group, "DIVIDE", apart.outputs[axis], ahead) for axis in "XY")


def _square(
    group: bpy.types.NodeTree, slopes: tuple[bpy.types.NodeSocket, ...]
) -> bpy.types.NodeSocket:
    x, y = slopes
    return nodes.math(group, "MULTIPLY_ADD", x, x, nodes.math(group, "MULTIPLY", y, y))


def _bent(
    group: bpy.types.NodeTree,
    slopes: tuple[bpy.types.NodeSocket, ...],
    square: bpy.types.NodeSocket,
    terms: dict[str, float],
) -> tuple[bpy.types.NodeSocket, ...]:
    """Slopes to the right and up as the lens bends them (`lens.bend`, whose y points down)."""
    k1, k2, k3 = terms.get("k", terms.get("k1", 0.0)), terms.get("k2", 0.0), terms.get("k3", 0.0)
    factor = _polynomial(group, square, (k1, k2, k3))
    if "k6" in terms:
        under = _polynomial(group, square, (terms["k4"], terms["k5"], terms["k6"]))
        factor = nodes.math(group, "DIVIDE", factor, under)
    bent = tuple(nodes.math(group, "MULTIPLY", slope, factor) for slope in slopes)
    p1, p2 = terms.get("p1", 0.0), terms.get("p2", 0.0)
    if p1 == p2 == 0.0:
        return bent
    product = nodes.math(group, "MULTIPLY", *slopes)
    sides = []
    for slope, start, along, across in zip(slopes, bent, (p2, -p1), (-p1, p2), strict=True):
        twice = nodes.math(group, "MULTIPLY", nodes.math(group, "MULTIPLY", slope, slope), 2.0)
        moved = nodes.math(
            group, "MULTIPLY_ADD", nodes.math(group, "ADD", square, twice), float(along), start
        )
        sides.append(nodes.math(group, "MULTIPLY_ADD", product, 2.0 * across, moved))
    return tuple(sides)


def _polynomial(
    group: bpy.types.NodeTree, square: bpy.types.NodeSocket, terms: tuple[float, ...]
) -> bpy.types.NodeSocket:
    """1 + square * (a + square * (b + square * c))."""
    a, b, c = (float(term) for term in terms)
    inner = nodes.math(group, "MULTIPLY_ADD", square, c, b)
    inner = nodes.math(group, "MULTIPLY_ADD", square, inner, a)
    return nodes.math(group, "MULTIPLY_ADD", square, inner, 1.0)


_FOCAL = "lens / sensor_width"
"""Of a camera whose sensor fits the width, as those of shots do."""


def _camera_value(
    group: bpy.types.NodeTree, camera: bpy.types.Object, name: str
) -> bpy.types.NodeSocket:
    """A value that follows the camera: "shift_x", "shift_y", or "focal" in frame widths."""
    socket = nodes.add(group, "ShaderNodeValue").outputs[0]
    driver = socket.driver_add("default_value").driver
    driver.type = "SCRIPTED"
    driver.expression = _FOCAL if name == "focal" else name
    for each in ("lens", "sensor_width") if name == "focal" else (name,):
        variable = driver.variables.new()
        variable.name, target = each, variable.targets[0]
        target.id_type, target.id, target.data_path = "CAMERA", camera.data, each
    return socket
