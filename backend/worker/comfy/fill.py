# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills a workflow's marks in: the part that stands for one label is repeated for each.

A mark is a word in angle brackets in a node's input. A node with a mark of what is repeated, and
everything that hangs on it, is copied for each; where copies run together in a list of inputs
(`masks.mask0`), that list is continued with all of them. Nodes are never named here: a workflow
that somebody has edited is filled in as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from ...comfyui_graph import Graph, links
from ...errors import FormatError

GATHERING = ("BatchMasksNode", "BatchImagesNode")
"""Classes with a list of inputs, in which copies run together again."""
MOST_JOINED = 50
"""How long such a list may be."""
_MARK = re.compile(r"<[a-z]+>")
_MEMBER = re.compile(r"(.*\D)\d+")


@dataclass(frozen=True)
class Copy:
    """One of the things that a part is repeated for: its key, and what stands for the marks."""

    key: int
    values: Mapping[str, str]


@dataclass(frozen=True)
class Filled:
    """A graph, and for each of its nodes the keys of what it was copied for."""

    graph: Graph
    trails: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def trail(self, node: str) -> tuple[int, ...]:
        return self.trails.get(node, ())

    def of_class(self, class_type: str) -> list[str]:
        return [node for node, said in self.graph.items() if said["class_type"] == class_type]

    def saving(self) -> dict[str, tuple[int, ...]]:
        """The nodes that save files, with what they were copied for."""
        return {
            node: self.trail(node)
            for node, said in self.graph.items()
            if "filename_prefix" in said.get("inputs", {})
        }


def start(graph: Graph) -> Filled:
    return Filled(deepcopy(graph))


def marks_in(graph: Graph) -> set[str]:
    return {mark for node in graph.values() for mark in _marks(node)}


def require(graph: Graph, marks: Sequence[str], name: str) -> None:
    """Raises FormatError for a workflow without a mark that it cannot be filled in without."""
    absent = [mark for mark in marks if mark not in marks_in(graph)]
    if absent:
        raise FormatError(
            f"The workflow {name} has no {', '.join(absent)} in it any more. Put it back, or "
            "delete the file to use the workflow that comes with Shot Gopher."
        )


def repeat(filled: Filled, marks: Sequence[str], copies: Sequence[Copy]) -> Filled:
    """The graph with every part that holds one of the marks once for each of the copies."""
    inside = _part(filled.graph, set(marks))
    graph: Graph = {}
    trails = dict(filled.trails)
    for node, said in filled.graph.items():
        if node not in inside:
            graph[node] = _gathered(said, inside, copies)
            continue
        trail = trails.pop(node, ())
        for copy in copies:
            name = _copied(node, copy)
            graph[name] = _filled(_relinked(said, inside, copy), copy.values)
            trails[name] = (*trail, copy.key)
    return Filled(graph, trails)


def fill(filled: Filled, values: Mapping[str, str]) -> Filled:
    """Every mark that is in `values` replaced, wherever it stands."""
    graph = {node: _filled(said, values) for node, said in filled.graph.items()}
    return Filled(graph, filled.trails)


def put_clip(filled: Filled, mark: str, names: Sequence[str]) -> Filled:
    """Loads a movie that was uploaded in several files, joined behind what takes it apart."""
    graph = deepcopy(filled.graph)
    for loader in [node for node, said in graph.items() if mark in _marks(said)]:
        original = deepcopy(graph[loader])
        graph[loader] = _filled(original, {mark: names[0]})
        readers = [node for node, said in graph.items() if loader in _sources(said)]
        for reader in readers if len(names) > 1 else ():
            _join(graph, original, loader, reader, mark, names)
    return Filled(graph, filled.trails)


def _join(
    graph: Graph, original: Any, loader: str, reader: str, mark: str, names: Sequence[str]
) -> None:
    joined, inputs = f"{reader}_joined", {"images.image0": [reader, 0]}
    for said in graph.values():
        _redirect(said, reader, joined)
    for index, name in enumerate(names[1:], 1):
        part_loader, part_reader = f"{loader}_{index}", f"{reader}_{index}"
        graph[part_loader] = _filled(deepcopy(original), {mark: name})
        graph[part_reader] = deepcopy(graph[reader])
        _redirect(graph[part_reader], loader, part_loader)
        inputs[f"images.image{index}"] = [part_reader, 0]
    graph[joined] = {"class_type": "BatchImagesNode", "inputs": inputs}


def _redirect(said: dict[str, Any], old: str, new: str) -> None:
    """Makes a node take the first output of another one."""
    for name, value in said.get("inputs", {}).items():
        if value == [old, 0]:
            said["inputs"][name] = [new, 0]


def _part(graph: Graph, marks: set[str]) -> set[str]:
    """The nodes with one of the marks, and those that hang on them."""
    inside = {node for node, said in graph.items() if marks & _marks(said)}
    while True:
        more = {
            node for node, said in graph.items()
            if node not in inside and said["class_type"] not in GATHERING
            and any(source in inside for _name, source in links(said))
        }  # fmt: skip
        if not more:
            return inside
        inside |= more


def _marks(said: Mapping[str, Any]) -> set[str]:
    texts = (value for value in said.get("inputs", {}).values() if isinstance(value, str))
    return {mark for text in texts for mark in _MARK.findall(text)}


def _sources(said: Mapping[str, Any]) -> set[str]:
    return {source for _name, source in links(said)}


def _copied(node: str, copy: Copy) -> str:
    return f"{node}_{copy.key}"


def _relinked(said: Mapping[str, Any], inside: set[str], copy: Copy) -> dict[str, Any]:
    made: dict[str, Any] = deepcopy(dict(said))
    for name, source in links(said):
        if source in inside:
            made["inputs"][name][0] = _copied(source, copy)
    return made


def _gathered(said: Mapping[str, Any], inside: set[str], copies: Sequence[Copy]) -> dict[str, Any]:
    """A node that stays one, its list of inputs continued with every copy."""
    made: dict[str, Any] = deepcopy(dict(said))
    old = [(name, source) for name, source in links(said) if source in inside]
    if not old:
        return made
    found = _MEMBER.fullmatch(old[0][0])
    if found is None:
        raise FormatError(f"The workflow cannot be repeated at '{old[0][0]}'.")
    outputs = [(source, made["inputs"].pop(name)[1]) for name, source in old]
    members = [[_copied(source, copy), out] for copy in copies for source, out in outputs]
    for index, member in enumerate(members, len(made["inputs"])):
        made["inputs"][f"{found.group(1)}{index}"] = member
    return made


def _filled(said: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = deepcopy(dict(said))
    for name, value in made.get("inputs", {}).items():
        if isinstance(value, str):
            made["inputs"][name] = _MARK.sub(lambda found: values.get(found[0], found[0]), value)
    return made
