# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys in bulk, and the one place that knows how actions differ between Blender 4.2 and 5.2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

Channel = tuple[str, int]
"""A property's path and index, as F-curves name it."""

_LINEAR = 1
_AUTO_CLAMPED = 4


def key_channels(
    block: bpy.types.ID,
    channels: Mapping[Channel, NDArray[np.float64]],
    frames: NDArray[np.int64] | NDArray[np.float64],
    action: bpy.types.Action | None = None,
) -> None:
    """Keys each channel with its values (n,) at `frames` (n,), linear in between.

    The keys that these channels had go; every other channel of the block stays as it is. `action`
    is one that the block has in a strip, None for the one that it plays.
    """
    curves = _Curves(block, action)
    for channel, values in channels.items():
        fill_curve(curves.ensure(channel), frames, values)
    curves.action.update_tag()


def fill_curve(
    curve: bpy.types.FCurve,
    frames: NDArray[np.int64] | NDArray[np.float64],
    values: NDArray[np.float64],
) -> None:
    """Gives a curve these keys (n,), linear in between, in place of those that it has."""
    points = np.stack([frames, values], axis=1).astype(np.float32)
    keys = curve.keyframe_points
    keys.clear()
    keys.add(len(frames))
    keys.foreach_set("co", points.ravel())
    keys.foreach_set("interpolation", np.full(len(frames), _LINEAR, dtype=np.int32))
    # Linear keys use no handles, but an artist who switches to Bezier expects smooth ones.
    handles = np.full(len(frames), _AUTO_CLAMPED, dtype=np.int32)
    keys.foreach_set("handle_left_type", handles)
    keys.foreach_set("handle_right_type", handles)
    curve.update()


def read_channels(
    block: bpy.types.ID, channels: Sequence[Channel], action: bpy.types.Action | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The times (k,) of all keys of these channels and their values (k, c) then; none where one of
    them has no curve."""
    curves = [_Curves(block, action).all.find(path, index=index) for path, index in channels]
    if None in curves:
        return np.zeros(0), np.zeros((0, len(channels)))
    times = np.unique([key.co.x for curve in curves for key in curve.keyframe_points])
    return times, np.array([[curve.evaluate(time) for curve in curves] for time in times])


def actions_of(block: bpy.types.ID) -> list[bpy.types.Action]:
    """The one that a block plays, and those in its strips."""
    animation = block.animation_data
    if animation is None:
        return []
    found = [
        animation.action,
        *(each.action for line in animation.nla_tracks for each in line.strips),
    ]
    return list(dict.fromkeys(action for action in found if action is not None))


def drop_channels(block: bpy.types.ID, *paths: str) -> None:
    """Removes all curves of these properties, if there are any."""
    if block.animation_data is None or block.animation_data.action is None:
        return
    curves = _Curves(block).all
    for curve in [curve for curve in curves if curve.data_path in paths]:
        curves.remove(curve)


class _Curves:
    """The F-curves of a block in an action, its own one if none is given; it is made where the
    block has none.

    Up to 4.3 they lie in the action itself; since 4.4 in the channel bag that an action keeps for
    each block's slot.
    """

    def __init__(self, block: bpy.types.ID, action: bpy.types.Action | None = None) -> None:
        animation = block.animation_data or block.animation_data_create()
        if action is None and animation.action is None:
            animation.action = bpy.data.actions.new(f"{block.name} Action")
        self.action = action or animation.action
        layered = hasattr(self.action, "slots")
        self.all: Any = _layered_curves(block, self.action) if layered else self.action.fcurves

    def ensure(self, channel: Channel) -> bpy.types.FCurve:
        path, index = channel
        return self.all.find(path, index=index) or self.all.new(path, index=index)


def _layered_curves(block: bpy.types.ID, action: bpy.types.Action) -> Any:
    layer = action.layers[0] if action.layers else action.layers.new("Layer")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type="KEYFRAME")
    return strip.channelbag(_slot(block, action), ensure=True).fcurves


def _slot(block: bpy.types.ID, action: bpy.types.Action) -> Any:
    animation = block.animation_data
    if animation.action != action:
        strips = (each for line in animation.nla_tracks for each in line.strips)
        found = next(each.action_slot for each in strips if each.action == action)
        return action.slots[0] if found is None and action.slots else found
    if animation.action_slot is None:
        animation.action_slot = action.slots.new(id_type=block.id_type, name=block.name)
    return animation.action_slot
