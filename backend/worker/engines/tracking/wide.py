# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds patches some pixels away from where they are expected: coarsely, from several starts."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from ....tracks import Floats
from .anchoring import References, Registration, Window, references, register
from .records import PATCH_REACH, Booleans

REACH = 7.0
"""Working px that a patch may be from where it is expected."""

_WINDOW = Window(5)

_SMOOTHING = np.array([1, 4, 6, 4, 1], np.float32) / 16
"""What the coarse registration sees; it then takes every other sample."""

_STARTS = np.array([[x, y] for y in (0, -1, 1) for x in (0, -1, 1)], np.float32) * np.float32(4)
"""Working px from where a patch is expected to where it is looked for."""

_STEPS = 4

_APART = 2.0
"""Working px between two places, either of which may be the right one."""

_TOO_ALIKE = 0.04
"""Correlation by which the right place must beat another."""


def inner(values: Floats, window: Window) -> Floats:
    """The middle of patches (n, 25, 25), as `references` wants it for the window."""
    margin = PATCH_REACH - window.radius - 1
    return values[:, margin : values.shape[1] - margin, margin : values.shape[2] - margin]


def smoothed(picture: Floats) -> Floats:
    """The picture that `found_widely` looks in."""
    return np.asarray(cv2.sepFilter2D(picture, cv2.CV_32F, _SMOOTHING, _SMOOTHING), np.float32)


def wide_references(values: Floats) -> References:
    """Of patches (n, 25, 25)."""
    # All patches as one tall picture, kept apart by copies of their first and last rows.
    apart = np.pad(values, ((0, 0), (2, 2), (0, 0)), mode="edge")
    tall = apart.reshape(-1, values.shape[2])
    smooth = smoothed(tall).reshape(apart.shape) if len(values) else apart
    return references(np.ascontiguousarray(smooth[:, 2:-2:2, ::2]), _WINDOW)


def found_widely(
    smooth: Floats, patches: References, center: Floats, shape: Floats
) -> tuple[Registration, Booleans]:
    """The best place around each center, and whether no other place is nearly as good."""
    count, starts = len(center), len(_STARTS)
    every = np.arange(count)
    tries = register(
        smooth,
        patches.take(np.tile(every, starts)),
        _WINDOW,
        (center + _STARTS[:, None]).reshape(-1, 2),
        np.tile(shape * np.float32(2), (starts, 1, 1)),
        _STEPS,
    )
    correlation = tries.correlation.reshape(starts, count)
    place = tries.center.reshape(starts, count, 2)
    best = correlation.argmax(axis=0)
    apart = np.hypot(*np.moveaxis(place - place[best, every], 2, 0)) > _APART
    near = np.hypot(*np.moveaxis(place - center, 2, 0)) < REACH
    rival = np.where(apart & near, correlation, -1).max(axis=0, initial=-1)
    chosen = tries.take(best * count + every)
    return (
        replace(chosen, shape=chosen.shape / 2),
        rival < chosen.correlation - _TOO_ALIKE,
    )
