# SPDX-License-Identifier: GPL-3.0-or-later
"""Normal equations of an adjustment whose frames are coupled mostly to their neighbors in time.

The unknowns are blocks of d numbers, one block a frame, and g numbers that all share (the lens).
The frames' matrix is kept in square tiles of a few frames each; tiles that no track fills are not
stored, so the cost of solving grows linearly with the length of a shot.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ....camera import Array, Integers

TILE = 40
"""Frames a tile."""


class NormalEquations:
    """`matrix @ step = -gradient`, added to in parts; lower tiles only."""

    def __init__(self, frames: int, per_frame: int, shared: int) -> None:
        self.frames, self.per_frame, self.shared = frames, per_frame, shared
        self.tiles = -(-frames // TILE)
        self._blocks: dict[tuple[int, int], Array] = {}
        self.blocks = np.zeros((frames, per_frame, per_frame))
        self.border = np.zeros((frames * per_frame, shared))
        self.corner = np.zeros((shared, shared))
        self.shared_squares = np.zeros(shared)
        self.gradient = np.zeros(frames * per_frame)
        self.shared_gradient = np.zeros(shared)
        for tile in range(self.tiles):
            self._block(tile, tile)

    def _width(self, tile: int) -> int:
        return (min((tile + 1) * TILE, self.frames) - tile * TILE) * self.per_frame

    def _block(self, row: int, column: int) -> Array:
        if (row, column) not in self._blocks:
            self._blocks[row, column] = np.zeros((self._width(row), self._width(column)))
        return self._blocks[row, column]

    def add(self, frames: Integers, matrix: Array, factor: float = 1.0) -> None:
        """Adds `factor` times a matrix over the blocks of `frames` (ascending), then the shared
        unknowns."""
        d = self.per_frame
        inner = len(frames) * d
        runs = self._runs(frames)
        for row, row_place in runs:
            for column, column_place in runs:
                if column.start > row.start:
                    break
                part = matrix[row.start * d : row.stop * d, column.start * d : column.stop * d]
                self._add_part(row_place, column_place, part, factor)
                if column is not row and row_place // TILE == column_place // TILE:
                    self._add_part(column_place, row_place, part.T, factor)
        index = (frames[:, None] * d + np.arange(d)).ravel()
        self.border[index] += factor * matrix[:inner, inner:]
        self.corner += factor * matrix[inner:, inner:]

    def add_frames(self, frames: Integers, blocks: Array, border: Array, corner: Array) -> None:
        """Adds what each of `frames` has by itself: blocks (n, d, d), their ties to the shared
        unknowns (n, d, g), and the corner (g, g) of those."""
        d = self.per_frame
        self.blocks[frames] += blocks
        index = (frames[:, None] * d + np.arange(d)).ravel()
        self.border[index] += border.reshape(len(index), -1)
        self.corner += corner
        self.shared_squares += np.diag(corner)

    def _runs(self, frames: Integers) -> list[tuple[slice, int]]:
        """Stretches of frames that follow each other within a tile, and the frame each begins."""
        breaks = (np.diff(frames) != 1) | (np.diff(frames // TILE) != 0)
        starts = np.concatenate([[0], np.flatnonzero(breaks) + 1, [len(frames)]])
        return [(slice(int(a), int(b)), int(frames[a])) for a, b in pairwise(starts) if b > a]

    def _add_part(self, row: int, column: int, part: Array, factor: float) -> None:
        d = self.per_frame
        block = self._block(row // TILE, column // TILE)
        top, left = row % TILE * d, column % TILE * d
        place = block[top : top + part.shape[0], left : left + part.shape[1]]
        np.add(place, part if factor == 1.0 else factor * part, out=place)

    def add_gradient(self, frames: Integers, gradient: Array) -> None:
        index = (frames[:, None] * self.per_frame + np.arange(self.per_frame)).ravel()
        self.gradient[index] += gradient[: len(index)]
        self.shared_gradient += gradient[len(index) :]

    def damp(self, damping: float, gauge: float) -> None:
        """Adds `damping` times what the frames and the shared unknowns have by themselves to the
        diagonal, and `gauge` times the mean over frames; call once, when all is added."""
        own = np.einsum("fii->fi", self.blocks).copy()
        blocks = self.blocks.copy()
        index = np.arange(self.per_frame)
        blocks[:, index, index] += damping * own + gauge * own.mean(axis=0)
        for frame, part in enumerate(blocks):
            self._add_part(frame, frame, part, 1.0)
        self.corner += np.diag(damping * self.shared_squares)

    def solve(self) -> tuple[Array, Array]:
        """The step of the frames (f, d) and of the shared unknowns (g,).

        Raises LinAlgError when the equations are singular.
        """
        step, shared, _covariance = self._solve()
        return step, shared

    def shared_covariance(self) -> Array:
        """(g, g) inverse of the shared unknowns' matrix, all frames free. Raises LinAlgError."""
        return self._solve()[2]

    def _solve(self) -> tuple[Array, Array, Array]:
        """Block elimination, frames first; the right-hand side has the border beside it."""
        right = np.concatenate([self.border, -self.gradient[:, None]], axis=1)
        width = TILE * self.per_frame
        parts = [right[tile * width : (tile + 1) * width] for tile in range(self.tiles)]
        blocks = dict(self._blocks)
        corner = np.concatenate([self.corner, -self.shared_gradient[:, None]], axis=1)
        done: list[tuple[Array, list[int], Array]] = []
        for tile in range(self.tiles):
            below = [row for row in range(tile + 1, self.tiles) if (row, tile) in blocks]
            across = [blocks[row, tile].T for row in below]
            solved = np.linalg.solve(
                blocks[tile, tile], np.concatenate([*across, parts[tile]], axis=1)
            )
            right_part, left_part = self._split(solved, [part.shape[1] for part in across])
            for index, row in enumerate(below):
                lower = blocks[row, tile]
                for other in range(index + 1):
                    key = row, below[other]
                    product = lower @ left_part[other]
                    blocks[key] = blocks[key] - product if key in blocks else -product
                parts[row] = parts[row] - lower @ right_part
            corner = corner - parts[tile][:, : self.shared].T @ right_part
            done.append((right_part, below, np.concatenate(left_part, axis=1) if below else right))
        shared, covariance = self._solve_corner(corner)
        steps = self._back(done, shared)
        return steps.reshape(self.frames, self.per_frame), shared, covariance

    def _split(self, solved: Array, widths: list[int]) -> tuple[Array, list[Array]]:
        bounds = np.cumsum([0, *widths])
        parts = [solved[:, a:b] for a, b in pairwise(bounds)]
        return solved[:, bounds[-1] :], parts

    def _solve_corner(self, corner: Array) -> tuple[Array, Array]:
        if not self.shared:
            return np.zeros(0), np.zeros((0, 0))
        covariance = np.linalg.inv(corner[:, : self.shared])
        shared: Array = covariance @ corner[:, self.shared]
        return shared, covariance

    def _back(self, done: list[tuple[Array, list[int], Array]], shared: Array) -> Array:
        steps: list[Array] = [np.zeros(0)] * self.tiles
        for tile in reversed(range(self.tiles)):
            right, below, left = done[tile]
            step = right[:, self.shared] - right[:, : self.shared] @ shared
            if below:
                step = step - left @ np.concatenate([steps[row] for row in below])
            steps[tile] = step
        return np.concatenate(steps)
