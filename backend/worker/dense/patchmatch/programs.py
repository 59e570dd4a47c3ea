# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that run over all pixels, compiled from the same functions for either machine.

A program takes all arrays, whatever of them it uses. CUDA runs one thread a pixel, the processor
one thread for some rows. CUDA compiles each program by itself, since one for all would need as many
registers as the greediest; for the processor there is one for all, because what programs have in
common is optimized anew for each of them.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Protocol

import numba
import numpy as np
from numba import cuda
from numpy.typing import NDArray

from ..compiled import in_spans
from . import matching, planes, propagation, turns
from .layout import COLOR, MOST_VIEWS, PROGRAM, PROGRAMS, SAMPLES

Function = Callable[..., Any]
FUNCTIONS: tuple[Function, ...] = (
    *(planes.mixed, planes.seeded, planes.centered, planes.start_pixel, planes.finer_pixel),
    *(planes.facing_normal, planes.allowed),
    *(matching.fill_patch, matching.match, matching.reprojected, matching.view_cost),
    *(matching.ranked, matching.mean_of_best, matching.evaluate),
    *(propagation.beside, propagation.best_of_region, propagation.neighbors_slope),
    *(propagation.propose, propagation.alike, propagation.restraint, propagation.choose_views),
    *(propagation.stored_cost, propagation.score_pixel, propagation.update_pixel),
    *(propagation.steepness, propagation.describe_pixel),
)
"""What runs at one pixel, those that are called before those that call them."""
TURNS: tuple[Function, ...] = (
    *(turns.start, turns.finer, turns.score, turns.update, turns.describe),
    turns.each,
)
BLOCK = (16, 8)
"""CUDA's threads in a block, to the right and down."""
FAST = {"contract", "reassoc", "arcp", "nsz"}
"""fastmath without the flags that forbid NaN, which stands for masked pixels."""


@dataclass(frozen=True, eq=False)
class Arrays:
    """What a program is given, float32 but for `numbers`. For an image of h x w and n views:

    image        (h, w) NaN where not usable
    stack        (n, h', w') the source views, likewise
    cameras      (n, 12) to a source view's pixels: 3 x 3, then what an inverse depth adds
    merit        (n,) which views to prefer
    maps         (n, h', w', 3) the source views' planes; `backs` (n, 12) their `cameras` to here
    planes       (h, w, 3) inverse depth, its growth to the right, down
    costs        (h, w), and of each view `view_costs` (h, w, n)
    prior        (h, w, 3) the planes that the level began with; the coarser level's for `finer`
    confidence   (h, w)
    settings, numbers    see layout

    `start` takes depth from `costs` and normals from `prior`; `describe` leaves them there.
    """

    image: Any
    stack: Any
    cameras: Any
    merit: Any
    maps: Any
    backs: Any
    planes: Any
    costs: Any
    view_costs: Any
    prior: Any
    confidence: Any
    settings: Any
    numbers: Any

    def in_order(self) -> tuple[Any, ...]:
        """As a program's arguments."""
        return tuple(getattr(self, field.name) for field in fields(self))


class Machine(Protocol):
    """Where programs run."""

    name: str
    maps: int
    """So many depth maps that sources gave are kept there as planes."""

    def array(self, values: NDArray[Any]) -> Any:
        """A copy or the same values, there."""

    def empty(self, shape: tuple[int, ...]) -> Any:
        """float32 of any value, there."""

    def copy(self, target: Any, values: Any) -> None:
        """Puts values, there or here, into an array there."""

    def fetched(self, values: Any) -> NDArray[np.float32]:
        """The values, here."""

    def run(self, name: str, arrays: Arrays) -> None:
        """Runs a program over the pixels of `planes`."""


def _with(function: Function, names: dict[str, Any]) -> Function:
    """The function with other things behind its global names."""
    return types.FunctionType(
        function.__code__, {**function.__globals__, **names}, function.__name__
    )


def _turns(compiler: Callable[[Function], Any]) -> dict[str, Any]:
    """The turn of each program, compiled with all that it calls."""
    done: dict[str, Any] = {}
    for function in (*FUNCTIONS, *TURNS):
        done[function.__name__] = compiler(_with(function, done))
    return {function.__name__: done[function.__name__] for function in TURNS}


def _turn(*arguments: Any) -> None:
    """Stands in the kernels below for the turn that is compiled in."""
    raise NotImplementedError(len(arguments))


def _over_rows(
    top: Any, end: Any, image: Any, stack: Any, cameras: Any, merit: Any, maps: Any, backs: Any,
    planes: Any, costs: Any, view_costs: Any, prior: Any, confidence: Any, settings: Any,
    numbers: Any,
) -> None:  # fmt: skip
    color = numbers[COLOR]
    patch = np.empty((2, SAMPLES), np.float32)
    scores = np.empty(MOST_VIEWS, np.float32)
    for y in range(top, end):
        first = 0 if color < 0 else (y + color) & 1
        for x in range(first, planes.shape[1], 1 if color < 0 else 2):
            _turn(
                x, y, patch, scores, image, stack, cameras, merit, maps, backs, planes, costs,
                view_costs, prior, confidence, settings, numbers,
            )  # fmt: skip


def _over_threads(
    image: Any, stack: Any, cameras: Any, merit: Any, maps: Any, backs: Any, planes: Any,
    costs: Any, view_costs: Any, prior: Any, confidence: Any, settings: Any, numbers: Any,
) -> None:  # fmt: skip
    patch = cuda.local.array((2, SAMPLES), numba.float32)
    scores = cuda.local.array(MOST_VIEWS, numba.float32)
    x, y = cuda.grid(2)
    if numbers[COLOR] >= 0:
        x = 2 * x + ((y + numbers[COLOR]) & 1)
    if x < planes.shape[1] and y < planes.shape[0]:
        _turn(
            x, y, patch, scores, image, stack, cameras, merit, maps, backs, planes, costs,
            view_costs, prior, confidence, settings, numbers,
        )  # fmt: skip


class Processor:
    """All processors that this process may use."""

    name = "processor"
    maps = 0

    def __init__(self) -> None:
        bare = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
        turn = _turns(numba.njit(fastmath=FAST, error_model="numpy", **bare))["each"]
        over = numba.njit(nogil=True, fastmath=FAST, error_model="numpy")
        self._program = over(_with(_over_rows, {"_turn": turn}))

    def array(self, values: NDArray[Any]) -> Any:
        return np.ascontiguousarray(values)

    def empty(self, shape: tuple[int, ...]) -> Any:
        return np.empty(shape, np.float32)

    def copy(self, target: Any, values: Any) -> None:
        target[...] = values

    def fetched(self, values: Any) -> NDArray[np.float32]:
        return np.asarray(values)

    def run(self, name: str, arrays: Arrays) -> None:
        arrays.numbers[PROGRAM] = PROGRAMS.index(name)
        given = arrays.in_order()
        in_spans(lambda top, end: self._program(top, end, *given), arrays.planes.shape[0])


class Cuda:
    """The NVIDIA GPU that CUDA names first."""

    name = "cuda"
    maps = 12

    def __init__(self) -> None:
        compiled = _turns(cuda.jit(device=True, fastmath=False))
        self._programs = {
            name: cuda.jit(_with(_over_threads, {"_turn": compiled[name]})) for name in PROGRAMS
        }

    def array(self, values: NDArray[Any]) -> Any:
        return cuda.to_device(np.ascontiguousarray(values))

    def empty(self, shape: tuple[int, ...]) -> Any:
        return cuda.device_array(shape, np.float32)

    def copy(self, target: Any, values: Any) -> None:
        target.copy_to_device(values)

    def fetched(self, values: Any) -> NDArray[np.float32]:
        found: NDArray[np.float32] = values.copy_to_host()
        return found

    def run(self, name: str, arrays: Arrays) -> None:
        height, width = arrays.planes.shape[:2]
        grid = (-(-width // BLOCK[0]), -(-height // BLOCK[1]))
        self._programs[name][grid, BLOCK](*arrays.in_order())


@cache
def processor() -> Machine:
    """Compiled when first asked for."""
    return Processor()


@cache
def gpu() -> Machine:
    """Compiled when first asked for. Needs `has_cuda`."""
    return Cuda()


def has_cuda() -> bool:
    """Whether CUDA can be used: a driver, a GPU and the package numba-cuda are there."""
    return bool(cuda.is_available())
