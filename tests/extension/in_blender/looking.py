# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes pictures of the window for a scenario, and notes where in them what is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from installed import scene
from window import Step, area, picture, region, sidebar_box


def without_panels(*names: str) -> None:
    """Takes panels out of the sidebar, so that those below them are in the picture."""
    for name in names:
        bpy.utils.unregister_class(getattr(bpy.types, f"SHOTGOPHER_PT_{name}"))


def timed(checker: Any) -> Generator[Step, None, float]:
    """Plays the first frames; the milliseconds of processor time that drawing one takes."""
    seconds: list[float] = []
    draw = checker._draw_view

    def watched(context: Any) -> None:
        began = time.thread_time()
        draw(context)
        seconds.append(time.thread_time() - began)

    checker._draw_view = watched
    for frame in range(1, 25):
        scene().frame_set(frame)
        yield 0.05
    del checker._draw_view
    return 1000 * statistics.median(seconds)


class Looking:
    """Puts into `told` the sidebar's box in each picture, and the middle of the 3D view."""

    def __init__(self, folder: Path, told: dict[str, Any]) -> None:
        self._folder = folder
        self._told = told
        told["pictures"] = {}

    def take(self, name: str, wait: float = 2.0) -> Iterator[Step]:
        yield wait
        picture(self._folder / f"{name}.png")
        pane, window = region("WINDOW", area()), bpy.context.window_manager.windows[0]
        self._told["pictures"][name] = sidebar_box()
        self._told["middle"] = [
            pane.x + pane.width // 2, window.height - pane.y - pane.height // 2
        ]  # fmt: skip

    def colored(self) -> Iterator[Step]:
        """Waits until the middle of the view is: shaders take their time to compile, and longer on
        a busy machine."""
        for _ in range(40):
            yield from self.take("wait", 3.0)
            image = bpy.data.images.load(str(self._folder / "wait.png"))
            x, y = self._told["middle"]
            pixels = np.array(image.pixels[:]).reshape(image.size[1], image.size[0], -1)[::-1]
            bpy.data.images.remove(image)
            patch = pixels[y - 60 : y + 60, x - 60 : x + 60, :3]
            if (np.ptp(patch, axis=2) > 0.2).mean() > 0.3:
                break
        del self._told["pictures"]["wait"]
