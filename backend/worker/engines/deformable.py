# SPDX-License-Identifier: GPL-3.0-or-later
"""Deformable convolution where torchvision has none: one of another build than torch lacks it."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch.nn import functional


def stand_in() -> None:
    """Has torchvision's layers use ours, unless it has an operation of its own."""
    layers = importlib.import_module("torchvision.ops.deform_conv")
    try:
        layers.deform_conv2d(*(torch.zeros(1, count, 1, 1) for count in (1, 2, 1)))
    except RuntimeError:
        setattr(layers, "deform_conv2d", deform_conv2d)  # noqa: B010


def deform_conv2d(
    input: torch.Tensor,
    offset: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """A convolution (n, o, h', w') whose taps are moved: Zhu et al., Deformable ConvNets v2.

    `input` is (n, c, h, w) and `weight` (o, c, kh, kw). `offset` is (n, 2 g kh kw, h', w'): down
    and right for each tap, the same for the channels of each of g groups; `mask`
    (n, g kh kw, h', w') is what each tap counts. Outside of the input all is 0. Weights have no
    groups.
    """
    count, channels, height, width = input.shape
    outputs, _channels, kernel_height, kernel_width = weight.shape
    taps = kernel_height * kernel_width
    groups = offset.shape[1] // (2 * taps)
    out = offset.shape[2:]
    moved = offset.view(count, groups, kernel_height, kernel_width, 2, *out)
    down, right = (
        moved[:, :, :, :, axis] + _starts(axis, out, weight, stride, padding, dilation)
        for axis in (0, 1)
    )
    places = torch.stack((_normal(right, width), _normal(down, height)), dim=-1)
    sampled = functional.grid_sample(
        input.reshape(count * groups, channels // groups, height, width),
        places.reshape(count * groups, taps * out[0], out[1], 2),
        align_corners=True,
    ).view(count, groups, channels // groups, taps, *out)
    if mask is not None:
        sampled = sampled * mask.view(count, groups, 1, taps, *out)
    columns = sampled.reshape(count, channels * taps, -1)
    made = (weight.view(outputs, -1) @ columns).view(count, outputs, *out)
    return made if bias is None else made + bias.view(1, -1, 1, 1)


def _starts(axis: int, out: Any, weight: torch.Tensor, *steps: tuple[int, int]) -> torch.Tensor:
    """Where taps are before they are moved, down (axis 0) or right (1): (kh, kw, h', w')."""
    stride, padding, dilation = (step[axis] for step in steps)
    first = torch.arange(out[axis], device=weight.device) * stride - padding
    further = torch.arange(weight.shape[2 + axis], device=weight.device) * dilation
    shape = [1, 1, 1, 1]
    shape[2 + axis] = -1
    places = first.view(shape)
    shape[2 + axis], shape[axis] = 1, -1
    return places + further.view(shape)


def _normal(place: torch.Tensor, length: int) -> torch.Tensor:
    """-1 at the first pixel's center and 1 at the last one's."""
    return place * (2 / max(length - 1, 1)) - 1
