# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what torch.save has written, without torch and without running anything of the file.

Such a file is an uncompressed zip: <name>/data.pkl, a pickle whose tensors name the storages
<name>/data/<key>. The unpickler here knows tensors, ordered dicts and plain values. Every other
name in the pickle, which could be any program, is refused.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FormatError

_MOST_PICKLE = 16 * 2**20
_KINDS: Mapping[str, type[np.generic]] = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}


def read_torch(path: Path) -> Any:
    """What was saved, its tensors as arrays. Raises FormatError."""
    try:
        with zipfile.ZipFile(path) as file:
            return _Reader(file).load()
    except zipfile.BadZipFile as error:
        raise FormatError(
            f"{path.name} is no file of torch.save, or one of a torch before 1.6: save it anew."
        ) from error
    except _BROKEN as error:
        raise FormatError(f"{path.name} cannot be read: {error}.") from error


_BROKEN = (
    OSError, KeyError, IndexError, ValueError, TypeError, AttributeError, EOFError,
    pickle.UnpicklingError, OverflowError, MemoryError, RecursionError, NotImplementedError,
)  # fmt: skip
"""All that a pickle which is none may make an unpickler raise."""


class _Kind:
    """Stands for one of torch's storage classes, and can do nothing."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Reader:
    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        pickles = [name for name in file.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError("it is no file of torch.save")
        self._root = pickles[0].removesuffix("data.pkl")
        self._storages: dict[str, NDArray[Any]] = {}

    def load(self) -> Any:
        if self._file.getinfo(f"{self._root}data.pkl").file_size > _MOST_PICKLE:
            raise ValueError("its pickle is too large")
        if self._has("byteorder") and self._file.read(f"{self._root}byteorder") != b"little":
            raise ValueError("it was saved on a big-endian machine")
        data = self._file.read(f"{self._root}data.pkl")
        return _Unpickler(data, self._storage).load()

    def _has(self, name: str) -> bool:
        return f"{self._root}{name}" in self._file.namelist()

    def _storage(self, kind: str, key: str) -> NDArray[Any]:
        if key not in self._storages:
            info = self._file.getinfo(f"{self._root}data/{key}")
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError("its tensors are compressed")
            self._storages[key] = np.frombuffer(self._file.read(info), np.uint8)
        found = self._storages[key].view(np.dtype(_KINDS[kind]).newbyteorder("<"))
        return found


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, storage: Callable[[str, str], NDArray[Any]]) -> None:
        super().__init__(io.BytesIO(data))
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _KINDS:
            return _Kind(name)
        known = {
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("collections", "OrderedDict"): _ordered,
        }
        try:
            return known[module, name]
        except KeyError as error:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, no plain data") from error

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        word, kind, key, _device, _count = pid
        if word != "storage" or not isinstance(kind, _Kind) or not isinstance(key, str):
            raise pickle.UnpicklingError("it has a storage of no known kind")
        return self._storage(kind.name, key)


def _ordered(*pairs: Any) -> dict[Any, Any]:
    return OrderedDict(*pairs)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_rest: Any) -> NDArray[Any]:
    """A tensor's elements: a copy, so that no two share any. Raises ValueError."""
    sides, steps = (tuple(int(each) for each in which) for which in (shape, strides))
    if len(sides) != len(steps) or min((*sides, *steps, int(offset)), default=0) < 0:
        raise ValueError("it has a tensor of no shape")
    if not isinstance(storage, np.ndarray):
        raise ValueError("it has a tensor without a storage")
    last = int(offset) + sum((side - 1) * step for side, step in zip(sides, steps, strict=True))
    empty = 0 in sides
    # A stride of 0 repeats an element: one number could claim all of memory.
    if not empty and (last >= len(storage) or _count(sides) > len(storage)):
        raise ValueError("it has a tensor that is longer than its storage")
    if empty:
        return np.zeros(sides, storage.dtype)
    size = storage.dtype.itemsize
    part = storage[int(offset) :]
    view = np.lib.stride_tricks.as_strided(part, sides, [step * size for step in steps])
    return view.astype(storage.dtype.newbyteorder("="))


def _count(sides: tuple[int, ...]) -> int:
    count = 1
    for side in sides:
        count *= side
    return count
