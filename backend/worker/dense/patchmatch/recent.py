# SPDX-License-Identifier: GPL-3.0-or-later
"""The last few things that were made of objects, for as long as those live."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Keeps what was made last, at most `room` of them. An object is known by being the same one,
    and is not held."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._kept: OrderedDict[int, tuple[weakref.ref[object], Value]] = OrderedDict()

    def get(self, of: object, make: Callable[[], Value]) -> Value:
        """What `make` returns, or returned when it was last called for this object."""
        kept = self._kept.pop(id(of), None)
        if kept is None or kept[0]() is not of:
            kept = (weakref.ref(of), make())
        self._kept[id(of)] = kept
        while len(self._kept) > self._room:
            self._kept.popitem(last=False)
        return kept[1]
