# SPDX-License-Identifier: GPL-3.0-or-later
"""PLY: points and polygons (Turk, "The PLY Polygon File Format", 1994), binary files only.

An element is a structured array, a row an entry; a list property is a field with a second axis,
and has the same length in every row: triangles, not polygons of any kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..atomic import written_beside
from ..errors import FormatError

Table = NDArray[Any]
"""A structured array."""

_LONGEST_HEADER = 65536
_END = b"end_header\n"
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">"}
_LONG = {"i": "int", "u": "uint", "f": "float"}
_NAMES = {
    "i1": "char",
    "u1": "uchar",
    "i2": "short",
    "u2": "ushort",
    "i4": "int",
    "u4": "uint",
    "f4": "float",
    "f8": "double",
}
_BITS = {f"{_LONG[code[0]]}{8 * int(code[1])}": code for code in _NAMES}
"""The other spelling: int8, uint8 and so on."""
_CODES = _BITS | {name: code for code, name in _NAMES.items()}
_COUNT = "{}\0count"
"""The field for a list's length: no property of a file has such a name."""


@dataclass(frozen=True)
class _Property:
    """`count` is the code of a list's length, "" for a single value."""

    name: str
    code: str
    count: str


@dataclass(frozen=True)
class _Element:
    name: str
    rows: int
    properties: tuple[_Property, ...]


def read(path: Path) -> dict[str, Table]:
    """The elements of a file by name; they cannot be written to. Raises FormatError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        return _parsed(data)
    except (ValueError, IndexError, KeyError) as error:
        raise FormatError(f"{path.name} is no PLY file that can be read: {error}.") from error


def _parsed(data: bytes) -> dict[str, Table]:
    end = data.find(_END, 0, _LONGEST_HEADER)
    if not data.startswith(b"ply") or end < 0:
        raise ValueError("its header is not whole")
    order, elements = _header(data[:end].decode("ascii").splitlines())
    tables, place = {}, end + len(_END)
    for element in elements:
        kind = _row_type(element, order, data, place)
        if element.rows * kind.itemsize > len(data) - place:
            raise ValueError(f"it ends before its last {element.name}")
        rows = np.frombuffer(data, kind, element.rows, place)
        _check_lengths(rows, element)
        place += rows.nbytes
        tables[element.name] = rows
    return tables


def _header(lines: Sequence[str]) -> tuple[str, list[_Element]]:
    """The byte order and the elements."""
    order, elements = "", list[_Element]()
    for words in (line.split() for line in lines[1:]):
        if words[:1] == ["format"]:
            order = _ORDERS.get(words[1], "")
        elif words[:1] == ["element"]:
            elements.append(_Element(words[1], _row_count(words[2]), ()))
        elif words[:1] == ["property"]:
            last = elements.pop()
            found = _property(words[1:])
            elements.append(_Element(last.name, last.rows, (*last.properties, found)))
    if not order:
        raise ValueError("it is not binary")
    return order, elements


def _row_count(word: str) -> int:
    if not word.isdigit():
        raise ValueError(f"{word} is no number of rows")
    return int(word)


def _property(words: Sequence[str]) -> _Property:
    if words[0] == "list":
        return _Property(words[3], _CODES[words[2]], _CODES[words[1]])
    return _Property(words[1], _CODES[words[0]], "")


def _row_type(element: _Element, order: str, data: bytes, place: int) -> np.dtype[Any]:
    """The type of the rows that begin at `place`: the first tells how long its lists are."""
    fields: list[Any] = []
    for each in element.properties:
        if not each.count:
            fields.append((each.name, order + each.code))
            continue
        length = 0
        if element.rows:
            at = place + np.dtype(fields).itemsize
            length = int(np.frombuffer(data, order + each.count, 1, at)[0])
        fields.append((_COUNT.format(each.name), order + each.count))
        fields.append((each.name, order + each.code, (length,)))
    return np.dtype(fields)


def _check_lengths(rows: Table, element: _Element) -> None:
    for each in element.properties:
        if each.count and (rows[_COUNT.format(each.name)] != rows.dtype[each.name].shape[0]).any():
            raise ValueError(f"its {element.name} lists are not all of one length")


def write(path: Path, elements: Mapping[str, Table], comments: Sequence[str] = ()) -> None:
    """Writes structured arrays, whose fields have at most a second axis. Raises OutputError."""
    lines = ["ply", "format binary_little_endian 1.0", *(f"comment {text}" for text in comments)]
    bodies = []
    for name, table in elements.items():
        lines += [f"element {name} {len(table)}", *_property_lines(table.dtype)]
        bodies.append(_with_lengths(table))
    header = "\n".join(lines) + "\n"
    with written_beside(path) as part, part.open("wb") as file:
        file.write(header.encode("ascii") + _END)
        for body in bodies:
            file.write(body.data)


def _property_lines(kind: np.dtype[Any]) -> list[str]:
    lines = []
    for name in kind.names or ():
        word = _NAMES[kind[name].base.str[1:]]
        lines.append(f"property {'list uchar ' if kind[name].shape else ''}{word} {name}")
    return lines


def _with_lengths(table: Table) -> Table:
    """The rows as they stand in a file."""
    fields: list[Any] = []
    for name in table.dtype.names or ():
        kind = table.dtype[name]
        if kind.shape:
            fields.append((_COUNT.format(name), "u1"))
        fields.append((name, kind.base.newbyteorder("<"), kind.shape))
    rows = np.empty(len(table), fields)
    for name in table.dtype.names or ():
        rows[name] = table[name]
        if table.dtype[name].shape:
            rows[_COUNT.format(name)] = table.dtype[name].shape[0]
    return rows
