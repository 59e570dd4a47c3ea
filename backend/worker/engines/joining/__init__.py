# SPDX-License-Identifier: GPL-3.0-or-later
"""Links between tracks where tracking cannot make any.

Frames that show one place but share no tracks (on either side of a break, or where the camera
comes back) are matched by features; the tracks of the one are then looked for in the other, so
that a solve has marks of the same tracks on both sides.
"""

from __future__ import annotations

from .joined import Joined, joined

__all__ = ["Joined", "joined"]
