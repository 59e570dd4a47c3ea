# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys in bulk: exact, linear, fast, and only where they are asked for."""

from __future__ import annotations

import time

import bpy
import numpy as np
import pytest
from shot_gopher.operators.scene.animation import drop_channels, key_channels

from .test_import import curves


def an_object() -> bpy.types.Object:
    thing = bpy.data.objects.new("thing", None)
    bpy.context.scene.collection.objects.link(thing)
    return thing


def test_values_are_at_their_frames_and_linear_between() -> None:
    thing = an_object()
    key_channels(thing, {("location", 1): np.array([1.0, 3.0, -5.0])}, np.array([1001, 1003, 1004]))
    for frame, value in ((1001, 1), (1002, 2), (1003, 3), (1004, -5), (1200, -5)):
        bpy.context.scene.frame_set(frame)
        assert thing.location[1] == pytest.approx(value)
    assert set(curves(thing)) == {("location", 1)}


def test_other_channels_stay() -> None:
    thing = an_object()
    thing.keyframe_insert("scale", frame=7)
    thing.location.x = 4
    thing.keyframe_insert("location", frame=7)
    key_channels(thing, {("location", 0): np.array([1.0, 2.0])}, np.array([1, 2]))
    keys = {channel: len(curve.keyframe_points) for channel, curve in curves(thing).items()}
    assert keys == {("location", 0): 2} | dict.fromkeys(
        [("location", 1), ("location", 2), *(("scale", i) for i in range(3))], 1
    )


def test_channels_can_be_dropped() -> None:
    thing = an_object()
    drop_channels(thing, "location")
    for path in ("scale", "location"):
        key_channels(thing, {(path, 0): np.array([1.0, 2.0])}, np.array([1, 2]))
    drop_channels(thing, "location")
    assert set(curves(thing)) == {("scale", 0)}


def test_a_new_value_is_seen_at_once() -> None:
    thing = an_object()
    for value in (2.0, 5.0):
        key_channels(thing, {("location", 0): np.array([value, value])}, np.array([1, 10]))
        bpy.context.scene.frame_set(bpy.context.scene.frame_current)
        assert thing.matrix_world.translation.x == value


def test_a_thousand_frames_are_keyed_in_bulk() -> None:
    """Key by key it takes a hundred times longer; the bench holds the figure."""
    frames = np.arange(1001, 2001)
    channels = {
        (path, index): np.random.default_rng(index).normal(size=1000)
        for path, size in (("location", 3), ("rotation_quaternion", 4))
        for index in range(size)
    }
    seconds = []
    for _ in range(5):
        thing = an_object()
        began = time.process_time()
        key_channels(thing, channels, frames)
        seconds.append(time.process_time() - began)
    assert min(seconds) < 0.05
