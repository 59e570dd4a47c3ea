# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine says when its device is too small for what it was asked."""

from __future__ import annotations


class OutOfRoomError(Exception):
    """The device has not enough memory for so many frames; what they took is free again."""
