# SPDX-License-Identifier: GPL-3.0-or-later
"""`scene.shot_gopher`: what the artist set for the scene's shot. Nothing about jobs is stored here.

The groups under `scene.shot_gopher.options` are made from the stage table: one group a stage, one
property an option.
"""

from typing import Any

import bpy

from ..backend.mask_edits import EditOptions
from ..backend.options import Choice, OptionSpec, setting_specs, specs
from ..backend.overlay import MOST, STRONGEST
from ..backend.proxies import PROXY_PERCENTS
from ..backend.stages import STAGES, Stage
from ..backend.track_check import SLIP_FACTOR
from ..operators import choosing
from ..operators.monitor import monitor
from ..operators.picks_view import changed as picks_changed
from ..operators.picks_view import follow_shot
from ..operators.plate_overlay import redraw
from ..operators.scene import picks
from ..operators.scene.background import AUTO, FULL, use_size_everywhere
from ..operators.scene.body import How
from ..operators.scene.markers import MOST_TRACKS

# From Blender 4.5 on a path property says whether it understands "//"; before, none could say so.
_PATH_OPTIONS = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5) else set()
_PATHS = {"FILE_PATH", "DIR_PATH"}


def _changed(_group: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    monitor.refresh_soon()


def _view_changed(_group: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    redraw()


def _object_changed(_group: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    picks_changed(ask=False)


def _preview_switched(_group: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    picks_changed()


def _shot_changed(group: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    follow_shot(group.id_data)
    _changed(group, context)


def _plate_changed(group: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    """Suggests a shot folder, unless the artist has named one."""
    if group.plate and group.shot in ("", group.suggested_shot):
        group.suggested_shot = choosing.suggested_folder(
            group.id_data, group.plate, monitor.active_jobs
        )
        group.shot = group.suggested_shot
    _changed(group, context)


def _proxy_size_changed(group: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    use_size_everywhere(group.proxy_size)


def _property(spec: OptionSpec) -> Any:
    """The Blender property of one option."""
    common: dict[str, Any] = {
        "name": spec.label,
        "description": spec.help,
        "default": spec.default,
        "update": _changed,
    }
    if spec.choices:
        items = [(choice.value, _label(choice), choice.help) for choice in spec.choices]
        return bpy.props.EnumProperty(items=items, **common)
    if spec.type is bool:
        return bpy.props.BoolProperty(**common)
    common["subtype"] = spec.subtype
    if spec.type is str:
        options = _PATH_OPTIONS if spec.subtype in _PATHS else set()
        return bpy.props.StringProperty(options=options, **common)
    limits = {"min": spec.minimum, "max": spec.maximum}
    common |= {name: spec.type(limit) for name, limit in limits.items() if limit is not None}
    make = bpy.props.IntProperty if spec.type is int else bpy.props.FloatProperty
    return make(**common)


def _label(choice: Choice) -> str:
    return choice.label or choice.value.capitalize()


def _group(name: str, properties: dict[str, Any]) -> type:
    return type(
        f"SHOTGOPHER_PG_{name}", (bpy.types.PropertyGroup,), {"__annotations__": properties}
    )


def _stage_group(stage: Stage) -> type:
    return _group(stage.name, {spec.name: _property(spec) for spec in setting_specs(stage.options)})


_STAGE_GROUPS = {stage.name: _stage_group(stage) for stage in STAGES.values()}

SHOTGOPHER_PG_options = _group(
    "options",
    {
        name: bpy.props.PointerProperty(type=group, name=STAGES[name].title)
        for name, group in _STAGE_GROUPS.items()
    },
)


class SHOTGOPHER_PG_pick(bpy.types.PropertyGroup):
    """One click, box or drawn mask; places are pixels of the plate, y down."""

    frame: bpy.props.IntProperty()
    kind: bpy.props.EnumProperty(
        items=[(name, name.capitalize(), "") for name in (picks.POINT, picks.BOX, picks.MASK)]
    )
    x: bpy.props.FloatProperty()
    y: bpy.props.FloatProperty()
    right: bpy.props.FloatProperty()
    bottom: bpy.props.FloatProperty()
    inside: bpy.props.BoolProperty(default=True)
    mask: bpy.props.StringProperty()


class SHOTGOPHER_PG_object(bpy.types.PropertyGroup):
    """Something to cut out of the plate."""

    name: bpy.props.StringProperty(
        name="Name", description="Also the name of its folder of masks", update=_object_changed
    )
    color: bpy.props.FloatVectorProperty(
        name="Color", subtype="COLOR_GAMMA", min=0.0, max=1.0, update=_object_changed
    )
    picks: bpy.props.CollectionProperty(type=SHOTGOPHER_PG_pick)


SHOTGOPHER_PG_mask_edit = _group(
    "mask_edit", {spec.name: _property(spec) for spec in specs(EditOptions)}
)


class SHOTGOPHER_PG_shot(bpy.types.PropertyGroup):
    plate: bpy.props.StringProperty(
        name="Plate",
        description="The footage to track: a movie, or one image of an image sequence",
        subtype="FILE_PATH",
        options=_PATH_OPTIONS,
        update=_plate_changed,
    )
    shot: bpy.props.StringProperty(
        name="Shot Folder",
        description="Where frames and results of this shot are kept. It is made when the shot is "
        "set up; name the folder of an earlier shot to go on with it",
        subtype="DIR_PATH",
        options=_PATH_OPTIONS,
        update=_shot_changed,
    )
    suggested_shot: bpy.props.StringProperty(options={"HIDDEN"})
    import_when_done: bpy.props.BoolProperty(
        name="Import When Done",
        description="Bring the camera, the plate and the points, the dense mesh, or bodies into "
        "this scene as soon as they are done",
        default=True,
    )
    most_tracks: bpy.props.IntProperty(
        name="Tracks",
        description="How many of the solve's tracks become markers of the movie clip at most: the "
        "worst, and long ones from all over the picture. 0 for none",
        default=MOST_TRACKS,
        min=0,
        soft_max=5000,
    )
    proxy_size: bpy.props.EnumProperty(
        name="Proxies",
        description="Size in which the plate and everything else behind the camera is shown. "
        "Smaller ones scrub faster; one that was not written becomes one that was",
        items=[
            (AUTO, "Automatic Size", "Proxies as large as scrubs smoothly"),
            *(
                (str(each), f"{each} % Proxies", f"Proxies of {each} % of the plate's size")
                for each in PROXY_PERCENTS
            ),
            (FULL, "No Proxies", "The images themselves, which scrub slowly"),
        ],
        default=AUTO,
        update=_proxy_size_changed,
    )
    editor_follows: bpy.props.BoolProperty(
        name="Clip Editor Too",
        description="Show the same in the movie clip editors that show this shot. The solve's "
        "tracks are in the plate's own clip",
        default=False,
    )
    distance: bpy.props.FloatProperty(
        name="Distance",
        description="How far apart the two selected points are",
        subtype="DISTANCE",
        default=1.0,
        min=0.0,
    )
    check_factor: bpy.props.FloatProperty(
        name="Slip",
        description="How many times as long as it is the slip of a point is drawn in Check Track",
        default=SLIP_FACTOR,
        min=0.0,
        soft_max=100.0,
        update=_view_changed,
    )
    check_points: bpy.props.IntProperty(
        name="Points",
        description="How many points Check Track draws at most: the strongest, from all over the "
        "picture",
        default=STRONGEST,
        min=1,
        max=MOST,
        update=_view_changed,
    )
    body_how: bpy.props.EnumProperty(
        name="Body",
        description="How the body of a person follows its pose",
        items=[(each.name, *each.value) for each in How],
        default=How.CACHE.name,
    )
    picked: bpy.props.CollectionProperty(type=SHOTGOPHER_PG_object)
    picked_index: bpy.props.IntProperty()
    picks_shot: bpy.props.StringProperty(options={"HIDDEN"})
    picks_preview: bpy.props.BoolProperty(
        name="Live Masks",
        description="Draw the masks of what is picked in this frame over the plate",
        default=True,
        update=_preview_switched,
    )

    mask_label: bpy.props.StringProperty(
        name="Masks", description='The masks that are edited, such as "roto/actor"'
    )
    mask_edit: bpy.props.PointerProperty(type=SHOTGOPHER_PG_mask_edit, name="Edit Masks")
    options: bpy.props.PointerProperty(type=SHOTGOPHER_PG_options)


_register_classes, _unregister_classes = bpy.utils.register_classes_factory(
    (
        *_STAGE_GROUPS.values(),
        SHOTGOPHER_PG_options,
        SHOTGOPHER_PG_pick,
        SHOTGOPHER_PG_object,
        SHOTGOPHER_PG_mask_edit,
        SHOTGOPHER_PG_shot,
    )
)


def register() -> None:
    _register_classes()
    bpy.types.Scene.shot_gopher = bpy.props.PointerProperty(type=SHOTGOPHER_PG_shot)


def unregister() -> None:
    del bpy.types.Scene.shot_gopher
    _unregister_classes()
