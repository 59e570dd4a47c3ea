# SPDX-License-Identifier: GPL-3.0-or-later
"""A clip's frames as SAM's sessions want them, read from disk when the model comes to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from ...errors import PlateError, Remedy
from ..frame_files import read_colors


class DiskFrames(dict[int, Any]):
    """Frames by their place in `files`. A session asks for its length and for one at a time.

    A preprocessed frame takes 12 MB: a shot of a thousand would not fit in memory. `prepare` is
    the model's image processor; `before` is called with the place of a frame that is about to be
    read.
    """

    def __init__(
        self,
        files: Sequence[Path],
        prepare: Any,
        dtype: torch.dtype,
        before: Callable[[int], object] = lambda _place: None,
    ) -> None:
        super().__init__()
        self._files, self._prepare, self._dtype, self._before = files, prepare, dtype, before

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, place: int) -> Any:
        """(3, side, side). Raises PlateError for a frame that is missing or damaged."""
        self._before(place)
        colors = read_colors(self._files[place])
        if colors is None:
            raise PlateError(
                f"{self._files[place]} is missing or damaged: set the shot up again.",
                Remedy.SET_UP_SHOT,
            )
        pixels = torch.from_numpy(colors.copy()).permute(2, 0, 1)
        found = self._prepare(images=pixels, return_tensors="pt")
        return found["pixel_values"][0].to(self._dtype)
