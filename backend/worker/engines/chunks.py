# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames a model sees together: stretches are cut into chunks that share some frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from ...errors import ModelError
from .room import OutOfRoomError

Found = TypeVar("Found")
Work = Callable[[Sequence[int]], Sequence[Found]]
"""Finds something of each of the frames, which follow each other. Raises OutOfRoomError."""


class Chunks:
    """How long chunks may be. It shrinks for good when the device had no room."""

    def __init__(self, most: int, overlap: int) -> None:
        self.most, self._overlap = most, overlap

    @property
    def shared(self) -> int:
        """Frames that two chunks have in common."""
        return min(self._overlap, self.most // 2)

    def length(self, count: int) -> int:
        """The length of the first of the chunks for so many frames, all about as long."""
        step = self.most - self.shared
        chunks = max(1, -(-(count - self.shared) // step))
        return -(-(count + (chunks - 1) * self.shared) // chunks)

    def halve(self) -> None:
        """Raises ModelError when there is nothing left to halve."""
        if self.most == 1:
            raise ModelError(
                "The device has no room for even one frame of the model: close other "
                "programs that use the GPU, then run again."
            )
        self.most //= 2


def refined(
    frames: Sequence[int], done: int, chunks: Chunks, work: Work[Found]
) -> Iterator[list[tuple[int, Found, float]]]:
    """What is found of a stretch, chunk by chunk: frame, result, and its share of what is
    written.

    The first `done` frames are written. Where a chunk shares frames with the one before, its share
    grows from frame to frame, and the rest is what is there. Frames come with their own numbers, in
    order, whatever chunks they were cut into. Raises ModelError.
    """
    while done < len(frames):
        shared = min(chunks.shared, done)
        start = done - shared
        piece = frames[start : start + chunks.length(len(frames) - start)]
        try:
            results = work(piece)
        except OutOfRoomError:
            chunks.halve()
            continue
        shares = [(place + 1) / (shared + 1) for place in range(shared)] + [1.0] * len(piece)
        yield list(zip(piece, results, shares, strict=False))
        done = start + len(piece)
