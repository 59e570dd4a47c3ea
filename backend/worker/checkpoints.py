# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the weights out of a checkpoint of PyTorch Lightning without running anything of it.

Such a file is a pickle, and holds objects of the program that wrote it beside the weights. torch
reads it by itself where there are none. Else everything that is not a tensor becomes a thing that
takes whatever it is given and does nothing.
"""

from __future__ import annotations

import pickle
import types
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

from .weights import refused

_REAL = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
}
"""What a pickle may call by its name: what tensors are made with."""


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of the checkpoint's "state_dict", by their names. They stay on the disk until
    they are used. Raises ModelError."""
    try:
        content = _content(path)
        values = content["state_dict"]
        return {str(name): value for name, value in values.items() if torch.is_tensor(value)}
    except (OSError, RuntimeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise refused(
            path.parent, f"{path.name}: {(str(error) or repr(error)).splitlines()[0]}"
        ) from error
    except (pickle.UnpicklingError, EOFError, IndexError) as error:
        raise refused(path.parent, f"{path.name} is damaged") from error


def _content(path: Path) -> Any:
    if not zipfile.is_zipfile(path):
        raise ValueError("no checkpoint of PyTorch 1.6 or newer")
    try:
        return torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except pickle.UnpicklingError:
        pass
    inert: Any = types.SimpleNamespace(Unpickler=_Reader, __name__=__name__)
    return torch.load(path, "cpu", pickle_module=inert, weights_only=False, mmap=True)


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return _REAL.get((module, name), _Thing)


class _Thing:
    """In the place of any object: made, filled and called, it stays what it is."""

    def __new__(cls, *_given: Any, **_named: Any) -> _Thing:
        return super().__new__(cls)

    def __call__(self, *_given: Any, **_named: Any) -> _Thing:
        return self

    def _take(self, *_given: Any) -> None:
        """What pickles do with an object."""

    __setstate__ = __setitem__ = append = extend = add = update = _take
