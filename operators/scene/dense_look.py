# SPDX-License-Identifier: GPL-3.0-or-later
"""What the dense mesh looks like: its texture as it was shot, lit, or the plate or clean plate
projected onto it, each frame or one of them held.

A material each, made when it is first wanted and then the artist's. In all of them the frames'
light is part of the colors; `LIT` takes it for the surface's own color.
"""

from __future__ import annotations

from enum import Enum

import bpy

from ...backend.errors import UsageError
from ...backend.shot import Shot
from . import parts
from .color_space import mark_as_color
from .dense_mesh import UV_MAP, Use, set_use
from .parts import Role
from .projection import add_projection, read_projection, show_projection

_LOOK = "shot_gopher_look"
"""Custom property of a material: the name of the Look that it was made for."""
_HELD = "shot_gopher_held"
"""Custom property of a material: the frame that it shows in all frames, 0 for each its own."""


class Look(Enum):
    """A material: label, and what Blender's tooltip says."""

    PLATE = ("As Shot", "The texture with the light of the plate, which no lamp changes")
    LIT = ("Lit", "The texture as the color of a matte surface that takes light and shadow")
    PROJECTED = ("Projected Plate", "The plate's current frame, projected from the shot's camera")
    CLEAN = ("Projected Clean Plate", "The same of the clean plate: what is behind the masks")

    @property
    def is_projected(self) -> bool:
        return self in (Look.PROJECTED, Look.CLEAN)


def show_texture(mesh: bpy.types.Object, shot: Shot, dress: bool) -> None:
    """Reads the texture again; with `dress` shows it on the mesh as it was shot."""
    image = _texture(shot)
    if dress:
        _use_material(mesh, _material(shot, Look.PLATE, image))


def set_look(
    scene: bpy.types.Scene, mesh: bpy.types.Object, shot: Shot, look: Look, hold: bool = False
) -> None:
    """Puts a material onto the mesh in the place of its first. Raises ShotGopherError.

    With `hold` a projection shows the current frame in all frames, from where it was shot: it stays
    on the mesh while the camera moves on. There is a material for each frame that was held.
    """
    image = _texture(shot) if shot.dense.texture.is_file() else None
    if look.is_projected:
        material = _projected(scene, shot, look, image, scene.frame_current if hold else 0)
    elif image is None:
        raise UsageError("The mesh has no texture: run Dense Mesh again.")
    else:
        material = _material(shot, look, image)
    _use_material(mesh, material)


def use_as(scene: bpy.types.Scene, mesh: bpy.types.Object, shot: Shot, use: Use) -> str:
    """Sets what a mesh is for, and what of scene and material that needs. Says what was changed.

    Raises ShotGopherError.
    """
    set_use(mesh, use)
    told = []
    shines = look_of(mesh) not in (Look.LIT, None)
    if use is Use.CATCHER and shines and shot.dense.texture.is_file():
        # What shines by itself shows hardly any shadow.
        set_look(scene, mesh, shot, Look.LIT)
        told.append(f"its material is {Look.LIT.value[0]} now")
    if use in (Use.CATCHER, Use.HOLDOUT) and not scene.render.film_transparent:
        scene.render.film_transparent = True
        told.append("the film is transparent")
    return "; ".join((use.value[0], *told))


def look_of(mesh: bpy.types.Object) -> Look | None:
    """None for a material of the artist's own."""
    material = mesh.active_material if mesh.material_slots else None
    name = material.get(_LOOK) if material is not None else None
    return next((look for look in Look if look.name == name), None)


def held_frame(mesh: bpy.types.Object) -> int:
    """The frame that is projected in all frames, 0 where each is."""
    material = mesh.active_material if mesh.material_slots else None
    return int(material.get(_HELD, 0)) if material is not None else 0


def _texture(shot: Shot) -> bpy.types.Image:
    """The mesh's texture, as it is on disk."""
    source, path = str(shot.path.resolve()), str(shot.dense.texture.resolve())
    image = parts.find(bpy.data.images, Role.TEXTURE, source)
    if image is None:
        image = bpy.data.images.load(path)
        image.name = f"{shot.name} Texture"
        parts.tag(image, Role.TEXTURE, source)
        mark_as_color(image)
        return image
    parts.tag(image, Role.TEXTURE, source)
    if bpy.path.abspath(image.filepath) != path:
        image.filepath = path
    image.reload()
    return image


def _use_material(mesh: bpy.types.Object, material: bpy.types.Material) -> None:
    if mesh.material_slots:
        mesh.material_slots[0].material = material
    else:
        mesh.data.materials.append(material)


def _found(source: str, look: Look, held: int = 0) -> bpy.types.Material | None:
    of_look = (
        each
        for each in bpy.data.materials
        if each.get(_LOOK) == look.name and each.get(_HELD, 0) == held
    )
    return parts.find(of_look, Role.MATERIAL, source)


def _new(shot: Shot, look: Look, held: int = 0) -> bpy.types.Material:
    name = f"{shot.name} {look.value[0]}"
    material = bpy.data.materials.new(f"{name} {held}" if held else name)
    parts.tag(material, Role.MATERIAL, str(shot.path.resolve()))
    material[_LOOK], material[_HELD] = look.name, held
    if material.node_tree is None:
        material.use_nodes = True
    material.node_tree.nodes.clear()
    return material


def _material(shot: Shot, look: Look, image: bpy.types.Image) -> bpy.types.Material:
    found = _found(str(shot.path.resolve()), look)
    if found is not None:
        return found
    material = _new(shot, look)
    tree = material.node_tree
    shader = _shader(tree, look)
    picture = _picture(tree, image)
    tree.links.new(picture.outputs["Color"], shader.inputs[0])
    _finish(tree, shader, picture)
    return material


def _projected(
    scene: bpy.types.Scene, shot: Shot, look: Look, image: bpy.types.Image | None, held: int
) -> bpy.types.Material:
    """Over the texture, where there is one: what the camera does not see keeps a color."""
    projection = read_projection(scene, shot, look is Look.CLEAN, held)
    found = _found(str(shot.path.resolve()), look, held)
    if found is not None:
        show_projection(found.node_tree, projection)
        return found
    material = _new(shot, look, held)
    tree = material.node_tree
    projected, share = add_projection(tree, projection, material.name)
    shader = _shader(tree, look)
    mixed = tree.nodes.new("ShaderNodeMix")
    mixed.data_type, mixed.location = "RGBA", (0, 100)
    factor, under, over = mixed.inputs[0], mixed.inputs[6], mixed.inputs[7]
    under.default_value = (0.0, 0.0, 0.0, 1.0)
    if image is not None:
        tree.links.new(_picture(tree, image).outputs["Color"], under)
    tree.links.new(share, factor)
    tree.links.new(projected.outputs["Color"], over)
    tree.links.new(mixed.outputs[2], shader.inputs[0])
    _finish(tree, shader, projected)
    return material


def _shader(tree: bpy.types.NodeTree, look: Look) -> bpy.types.Node:
    """Its first input is the color."""
    lit = look is Look.LIT
    shader = tree.nodes.new("ShaderNodeBsdfPrincipled" if lit else "ShaderNodeEmission")
    if lit:
        shader.inputs["Roughness"].default_value = 1.0
        shader.inputs["Specular IOR Level"].default_value = 0.0
    shader.location = (200, 0)
    return shader


def _picture(tree: bpy.types.NodeTree, image: bpy.types.Image) -> bpy.types.Node:
    place = tree.nodes.new("ShaderNodeUVMap")
    place.uv_map, place.location = UV_MAP, (-600, -300)
    picture = tree.nodes.new("ShaderNodeTexImage")
    picture.image, picture.location = image, (-400, -300)
    tree.links.new(place.outputs["UV"], picture.inputs["Vector"])
    return picture


def _finish(tree: bpy.types.NodeTree, shader: bpy.types.Node, shown: bpy.types.Node) -> None:
    """`shown` is the image that Solid shading shows."""
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    output.location = (500, 0)
    tree.links.new(shader.outputs[0], output.inputs["Surface"])
    tree.nodes.active = shown
