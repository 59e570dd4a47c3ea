# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks a ComfyUI graph in API form against what a server says of its nodes (/object_info).

A server checks less than it should (options of an option), and of two branches it runs the one
that is right: so a graph is checked whole before it is sent. The kinds of faults carry the names
that ComfyUI 0.33 gives them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Graph = dict[str, dict[str, Any]]
"""{node id: {"class_type": class, "inputs": {name: value or [node id, output]}}}"""
Classes = Mapping[str, Mapping[str, Any]]
"""/object_info: what each class of nodes takes and gives, by its name."""

_DYNAMIC = "COMFY_DYNAMICCOMBO_V3"
_GROWING = "COMFY_AUTOGROW_V3"
_NUMBERS = {"INT": int, "FLOAT": float}
_UPLOADS = ("image_upload", "video_upload", "audio_upload", "file_upload")
"""Choices that are files: the server looks for them itself, below its input folder."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong. `details` are as the server words them."""

    node: str
    class_type: str
    kind: str
    input: str
    details: str

    def __str__(self) -> str:
        name = f"{self.class_type} ({self.node})"
        return f"{name}: {_SENTENCES.get(self.kind, self.kind)} {self.details}".strip()


_SENTENCES = {
    "missing_node_type": "this node is not installed.",
    "required_input_missing": "an input is missing:",
    "value_not_in_list": "the server does not have",
    "return_type_mismatch": "inputs and outputs do not fit:",
    "invalid_input_type": "a value is of the wrong kind:",
    "value_smaller_than_min": "a value is too small:",
    "value_bigger_than_max": "a value is too large:",
    "bad_linked_input": "a link leads nowhere:",
    "dependency_cycle": "it waits for itself.",
    "prompt_no_outputs": "the workflow saves nothing.",
}


@dataclass(frozen=True)
class Slot:
    """An input that a node may have: its name in the API form, its type and what else is said."""

    name: str
    type: str
    how: Mapping[str, Any]
    required: bool

    @property
    def choices(self) -> list[Any] | None:
        """What may be chosen, None for an input that is no choice or one of files."""
        if any(self.how.get(key) for key in _UPLOADS):
            return None
        return self.how.get("options", []) if self.type == "COMBO" else None


def faults(graph: Graph, classes: Classes) -> list[Fault]:
    """Everything that is wrong with a graph, [] for one that the server can run."""
    unknown = [_unknown(node, graph[node]) for node in graph if _class(graph[node]) not in classes]
    if unknown:
        return unknown
    found = [fault for node in graph for fault in _node_faults(node, graph, classes)]
    if not any(classes[_class(node)].get("output_node") for node in graph.values()):
        found.append(Fault("", "", "prompt_no_outputs", "", ""))
    if not found:
        found = [
            Fault(node, _class(graph[node]), "dependency_cycle", "", "") for node in _rings(graph)
        ]
    return found


def slots(values: Mapping[str, Any], described: Mapping[str, Any]) -> Iterator[Slot]:
    """The inputs of a class for a node with these values, what a choice or a list brings along
    included."""
    yield from _slots(values, described.get("input", {}), "")


def _slots(values: Mapping[str, Any], inputs: Mapping[str, Any], prefix: str) -> Iterator[Slot]:
    for part in ("required", "optional"):
        for name, said in inputs.get(part, {}).items():
            slot = _slot(prefix + name, said, part == "required")
            if slot.type == _GROWING:
                yield from _grown(values, slot)
            else:
                yield slot
            if slot.type == _DYNAMIC:
                yield from _slots(values, _chosen(values, slot), f"{slot.name}.")


def _slot(name: str, said: Any, required: bool) -> Slot:
    how = said[1] if len(said) > 1 and isinstance(said[1], Mapping) else {}
    if isinstance(said[0], list):  # How nodes of the older kind write a choice.
        return Slot(name, "COMBO", {**how, "options": said[0]}, required)
    return Slot(name, str(said[0]), how, required)


def _chosen(values: Mapping[str, Any], slot: Slot) -> Mapping[str, Any]:
    for each in slot.how.get("options", ()):
        if each["key"] == values.get(slot.name):
            inputs: Mapping[str, Any] = each["inputs"]
            return inputs
    return {}


def _grown(values: Mapping[str, Any], slot: Slot) -> Iterator[Slot]:
    """The members of a list of inputs; as many as it must have at least are required."""
    template = slot.how["template"]
    ((_name, said),) = template["input"]["required"].items()
    for index in range(int(template["max"])):
        member = f"{slot.name}.{template['prefix']}{index}"
        required = slot.required and index < int(template["min"])
        if required or member in values:
            yield _slot(member, said, required)


def _class(node: Mapping[str, Any]) -> str:
    return str(node.get("class_type", ""))


def _unknown(node: str, described: Mapping[str, Any]) -> Fault:
    return Fault(node, _class(described), "missing_node_type", "", "")


def _node_faults(node: str, graph: Graph, classes: Classes) -> Iterator[Fault]:
    class_type = _class(graph[node])
    values = graph[node].get("inputs", {})
    for slot in slots(values, classes[class_type]):
        fault = _slot_fault(slot, values, graph, classes)
        if fault:
            yield Fault(node, class_type, fault[0], slot.name, fault[1])


def _slot_fault(
    slot: Slot, values: Mapping[str, Any], graph: Graph, classes: Classes
) -> tuple[str, str] | None:
    if slot.name not in values:
        return ("required_input_missing", slot.name) if slot.required else None
    value = values[slot.name]
    if isinstance(value, list):
        return _link_fault(slot, value, graph, classes)
    return _value_fault(slot, value)


def _link_fault(
    slot: Slot, link: list[Any], graph: Graph, classes: Classes
) -> tuple[str, str] | None:
    if len(link) != 2 or link[0] not in graph or not isinstance(link[1], int):
        return "bad_linked_input", f"{slot.name}: {link}"
    outputs = classes[_class(graph[link[0]])].get("output", [])
    if not 0 <= link[1] < len(outputs):
        return "bad_linked_input", f"{slot.name}: {link}"
    if not _fit(outputs[link[1]], slot.type):
        return (
            "return_type_mismatch",
            f"{slot.name}, received_type({outputs[link[1]]}) mismatch input_type({slot.type})",
        )
    return None


def _fit(given: Any, wanted: Any) -> bool:
    given, wanted = ("COMBO" if isinstance(each, list) else str(each) for each in (given, wanted))
    return "*" in (given, wanted) or bool(set(given.split(",")) & set(wanted.split(",")))


def _value_fault(slot: Slot, value: Any) -> tuple[str, str] | None:
    if slot.type in _NUMBERS:
        return _number_fault(slot, value)
    if slot.type == _DYNAMIC:
        return _choice_fault(slot, value, [each["key"] for each in slot.how.get("options", ())])
    choices = slot.choices
    if choices is not None:
        return _choice_fault(slot, value, choices)
    if _is_socket(slot):
        return "invalid_input_type", f"{slot.name}: {value!r} is no link"
    return None


def _is_socket(slot: Slot) -> bool:
    """Whether an input takes links only: those that may be written out say so."""
    return slot.type not in ("STRING", "BOOLEAN", "COMBO", "BOUNDING_BOX")


def _number_fault(slot: Slot, value: Any) -> tuple[str, str] | None:
    try:
        number = _NUMBERS[slot.type](value)
    except (TypeError, ValueError):
        return "invalid_input_type", f"{slot.name}, {value}"
    if "min" in slot.how and number < slot.how["min"]:
        return "value_smaller_than_min", f"{slot.name}: {value}"
    if "max" in slot.how and number > slot.how["max"]:
        return "value_bigger_than_max", f"{slot.name}: {value}"
    return None


def _choice_fault(slot: Slot, value: Any, choices: list[Any]) -> tuple[str, str] | None:
    if value in choices:
        return None
    return "value_not_in_list", f"{slot.name}: {value!r} not in {choices}"


def links(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The links of a node: the input's name and the node that it comes from."""
    for name, value in node.get("inputs", {}).items():
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
            yield name, value[0]


def _rings(graph: Graph) -> list[str]:
    """The nodes that wait for themselves, and those behind them."""
    open_nodes = dict(graph)
    while True:
        free = [
            node for node, said in open_nodes.items()
            if not any(source in open_nodes for _name, source in links(said))
        ]  # fmt: skip
        if not free:
            return list(open_nodes)
        for node in free:
            del open_nodes[node]
