# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxies as Blender lays them out beside a clip's frames: BL_proxy/<first file>/proxy_50/..."""

from __future__ import annotations

from pathlib import PurePath

PROXY_PERCENTS = (100, 50, 25)
"""Sizes of the proxies over that of the frames, the largest first: each is made from the one
before."""


def proxy_folder(first: str, percent: int) -> PurePath:
    """The folder, beside the frames, for a clip whose first file is called `first`."""
    return PurePath("BL_proxy", first, f"proxy_{percent}")


def proxy_name(number: int, first: int) -> str:
    """Blender counts proxies from 1 at the first frame, holes included."""
    return f"{number - first + 1:08d}.jpg"


def proxy_size(size: tuple[int, int], percent: int) -> tuple[int, int]:
    width, height = (max(1, side * percent // 100) for side in size)
    return width, height
