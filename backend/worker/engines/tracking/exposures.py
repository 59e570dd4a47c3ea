# SPDX-License-Identifier: GPL-3.0-or-later
"""Registers patches across motion blur that changes: what is compared is first blurred alike.

A reference patch is streaked by the motion that it was taken in, a picture by its own. Where the
two differ, registration would be pulled along the streak. The patch is then drawn out along the
picture's streak, and the picture's samples along the patch's: both are blurred by the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....camera import Integers
from ....tracks import Floats
from .anchoring import (
    References,
    Registration,
    Window,
    expected_error,
    in_blocks,
    inverses,
    references,
)
from .anchoring import register as registered
from .blur import Blur, light
from .live import Live
from .records import Booleans
from .sources import Sources

_WINDOW = Window(15, sparse=True)
"""Blur leaves little to hold on to along the streak: a larger patch has more of it."""

_SHUTTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the time from frame to frame that the shutter may be open."""

_DIFFERENT = 1.0
"""Working px between two streaks that have to be equalized."""

_TELLING = 8.0
"""Working px a frame between motions from which the shutter shows."""

_ASKED = 60
"""Patches that are asked about the shutter."""

_LEAST = 24
"""Patches that can tell the shutter."""

_CLEAR = 0.9
"""Correlation without which no shutter is right: the blur is not that of the motion."""

_WORTH = 0.003
"""Correlation that equalizing must bring: without blur to speak of patches are left as they are."""

_PATIENCE = 8
"""Frames from one estimate of the shutter to the next."""

_MEMORY = 0.7
"""Weight of earlier estimates."""

_UNSURE = 0.01
"""Px by which a mark may miss for each px between streaks."""


@dataclass(frozen=True, eq=False)
class Start:
    """Where live tracks are registered from in a picture.

    center, shape  the warps
    motion         (n, 2) working px a frame in the middle of the picture's exposure
    sure           (n,) the search found the track
    """

    image: Floats
    center: Floats
    shape: Floats
    motion: Floats
    sure: Booleans


class Exposures:
    """Knows how long the plate's shutter is open, in frames: 0 until blur says otherwise."""

    def __init__(self, window: Window, steps: int) -> None:
        self.sources = Sources()
        self.shutter = 0.0
        self._window = window
        self._steps = steps
        self._alike = np.zeros(len(_SHUTTERS))
        self._waited = _PATIENCE

    def middle(self, live: Live, came: Floats) -> Floats:
        """The motion (n, 2) in the middle of a picture's exposure, to which live tracks `came`:
        goes on changing as it did. The last frame's, now that it is seen from both sides, is
        noted."""
        unknown = self.sources.unknown(live.row)
        before = np.where(unknown[:, None], came, live.motion)
        self.sources.moved(live.row, (before + came) / 2)
        return np.asarray(came + (came - before) / 2, np.float32)

    def register(self, live: Live, start: Start) -> tuple[Registration, Floats]:
        """The live tracks in the picture, and the error (n,) expected of them in working px."""
        apart = _apart(live, start, self.sources)
        self._look_at_shutter(live, start, apart)
        differs = apart * self.shutter > _DIFFERENT
        plain, blurred = np.flatnonzero(~differs), np.flatnonzero(differs)
        if not len(blurred):
            return self._plainly(live.patches, start, slice(None))
        found, error = self._plainly(live.patches.take(plain), start, plain)
        again, unsure = self._equalized(live, start, blurred, self.shutter)
        unsure = np.hypot(unsure, _UNSURE * self.shutter * apart[blurred])
        order = np.argsort(np.concatenate([plain, blurred]))
        both = Registration.joined(found, again).take(order)
        return both, np.concatenate([error, unsure])[order]

    def _plainly(
        self, patches: References, start: Start, index: Integers | slice
    ) -> tuple[Registration, Floats]:
        found = registered(
            start.image, patches, self._window, start.center[index], start.shape[index], self._steps
        )
        return found, expected_error(patches, found)

    def _equalized(
        self, live: Live, start: Start, index: Integers, shutter: float
    ) -> tuple[Registration, Floats]:
        lights = light(start.image)
        found = in_blocks(
            lambda block: self._equalize(live, start, index[block], shutter, lights), len(index)
        )
        parts, errors = zip(*found, strict=True)
        return Registration.joined(*parts), np.concatenate(errors)

    def _equalize(
        self, live: Live, start: Start, index: Integers, shutter: float, lights: Floats
    ) -> tuple[Registration, Floats]:
        shape, rows = start.shape[index], live.row[index]
        now = _in_patches(shape, start.motion[index]) * np.float32(shutter)
        taken = self.sources.motion(rows) * np.float32(shutter)
        patches = references(self.sources.streaked(rows, now, _WINDOW.radius + 1), _WINDOW)
        blur = Blur(lights, taken)
        found = registered(
            start.image, patches, _WINDOW, start.center[index], shape, self._steps, blur
        )
        return found, expected_error(patches, found)

    def _look_at_shutter(self, live: Live, start: Start, apart: Floats) -> None:
        """The right shutter makes patches and picture most alike."""
        self._waited += 1
        telling = np.flatnonzero(start.sure & (apart > _TELLING))
        if self._waited < _PATIENCE or len(telling) < _LEAST:
            return
        self._waited = 0
        asked = telling[:: -(-len(telling) // _ASKED)]
        alike = [
            float(np.median(self._equalized(live, start, asked, shutter)[0].correlation))
            for shutter in _SHUTTERS
        ]
        if max(alike) < _CLEAR:
            return
        alike[0] += _WORTH
        self._alike = _MEMORY * self._alike + np.array(alike)
        self.shutter = _SHUTTERS[int(self._alike.argmax())]


def _apart(live: Live, start: Start, sources: Sources) -> Floats:
    """(n,) px between the motions of patches and picture; a streak is the same both ways."""
    now, taken = _in_patches(start.shape, start.motion), sources.motion(live.row)
    return np.asarray(np.minimum(np.hypot(*(now - taken).T), np.hypot(*(now + taken).T)))


def _in_patches(shape: Floats, motion: Floats) -> Floats:
    """Motions (n, 2) in the px of patches."""
    return np.asarray(np.einsum("nij,nj->ni", inverses(shape), motion), np.float32)
