# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys in bulk, and the one place that knows how actions differ between Blender 4.2 and 5.2."""

from __future__ import annotations

from collections.abc import Mapping
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
    frames: NDArray[np.int64],
) -> None:
    """Keys each channel with its values (n,) at `frames` (n,), linear in between.

    The keys that these channels had go; every other channel of the block stays as it is.
    """
    curves = _Curves(block)
    points = np.empty((len(frames), 2), dtype=np.float32)
    points[:, 0] = frames
    linear = np.full(len(frames), _LINEAR, dtype=np.int32)
    # Linear keys use no handles, but an artist who switches to Bezier expects smooth ones.
    handles = np.full(len(frames), _AUTO_CLAMPED, dtype=np.int32)
    for channel, values in channels.items():
        points[:, 1] = values
        curve = curves.ensure(channel)
        keys = curve.keyframe_points
        keys.clear()
        keys.add(len(frames))
        keys.foreach_set("co", points.ravel())
        keys.foreach_set("interpolation", linear)
        keys.foreach_set("handle_left_type", handles)
        keys.foreach_set("handle_right_type", handles)
        curve.update()
    block.animation_data.action.update_tag()


def drop_channels(block: bpy.types.ID, *paths: str) -> None:
    """Removes all curves of these properties, if there are any."""
    if block.animation_data is None or block.animation_data.action is None:
        return
    curves = _Curves(block).all
    for curve in [curve for curve in curves if curve.data_path in paths]:
        curves.remove(curve)


class _Curves:
    """The F-curves of a block's action, which is made when the block has none.

    Up to 4.3 they lie in the action itself; since 4.4 in the channel bag that an action keeps for
    each block's slot.
    """

    def __init__(self, block: bpy.types.ID) -> None:
        animation = block.animation_data or block.animation_data_create()
        if animation.action is None:
            animation.action = bpy.data.actions.new(f"{block.name} Action")
        layered = hasattr(animation.action, "slots")
        self.all: Any = _layered_curves(block) if layered else animation.action.fcurves

    def ensure(self, channel: Channel) -> bpy.types.FCurve:
        path, index = channel
        return self.all.find(path, index=index) or self.all.new(path, index=index)


def _layered_curves(block: bpy.types.ID) -> Any:
    animation = block.animation_data
    action = animation.action
    if animation.action_slot is None:
        animation.action_slot = action.slots.new(id_type=block.id_type, name=block.name)
    layer = action.layers[0] if action.layers else action.layers.new("Layer")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type="KEYFRAME")
    return strip.channelbag(animation.action_slot, ensure=True).fcurves
