# SPDX-License-Identifier: GPL-3.0-or-later
"""A workflow on the server's own page: put there for an artist to finish, its masks collected.

The page lists workflows of its own form, with places and wires: a graph is written in that form
here, which is enough for graphs without choices that bring inputs along.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...comfyui_graph import Classes, Graph, Slot, slots
from ...errors import ComfyError
from .client import Image
from .session import Session

ASK_EVERY = 1.0
"""Seconds between two looks whether the artist has run it."""
_RECENT = 16
_WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
_COLUMN, _ROW = 320, 220


@dataclass(frozen=True)
class Page:
    """A workflow that was put on a server's page: its address, the workflow's name there, and the
    folder of the server's output that its files go to."""

    url: str
    workflow: str
    prefix: str


def put_on_page(server: Session, name: str, graph: Graph, prefix: str) -> Page:
    """Puts a graph among the workflows that the server's page lists. Raises ComfyError."""
    server.client.keep_workflow(name, json.dumps(page_form(graph, server.classes)))
    return Page(server.client.url, name, prefix)


def collected(server: Session, page: Page, seconds: float) -> dict[str, list[Image]]:
    """What the artist saved there, by folder below the prefix.

    Somebody who is there may run it again and again, and says when the last one is good. Where
    nobody is, the first one is taken. Raises ComfyError when none comes so long, Canceled.
    """
    clock, report = server.client.clock, server.report
    found: dict[str, list[Image]] = {}
    give_up = clock.now() + seconds
    while report.attended or clock.now() < give_up:
        found = _newest(server, page) or found
        if found and (not report.attended or report.has_pressed()):
            return found
        if report.attended and report.has_pressed():
            report.warning(f"Nothing was made on the page yet: press Run in {page.workflow} there.")
        report.check()
        clock.sleep(ASK_EVERY)
    raise ComfyError(
        f"No masks came from {page.url} in {seconds:g} seconds. Open the page, choose the workflow "
        f"{page.workflow}, and press Run there."
    )


def _newest(server: Session, page: Page) -> dict[str, list[Image]]:
    """What the last run that came to its end saved; {} without one."""
    newest: dict[str, list[Image]] = {}
    for entry in server.client.recent(_RECENT).values():
        if (entry.get("status") or {}).get("completed"):
            newest = dict(_saved_below(entry, page.prefix)) or newest
    return newest


def _saved_below(entry: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, list[Image]]]:
    for output in (entry.get("outputs") or {}).values():
        images = [Image.of(said) for said in output.get("images", ())]
        folders = {image.subfolder.replace("\\", "/") for image in images}
        for folder in folders:
            if folder.startswith(f"{prefix}/"):
                yield folder.removeprefix(f"{prefix}/"), images


def page_form(graph: Graph, classes: Classes) -> dict[str, Any]:
    """A graph as the page keeps workflows (LiteGraph's form, version 0.4)."""
    ids = {node: number for number, node in enumerate(graph, 1)}
    links: list[list[Any]] = []
    nodes = [_node(node, graph, classes, ids, links) for node in graph]
    for number, source, output, *_rest in links:
        slot = nodes[source - 1]["outputs"][output]
        slot["links"] = [*(slot["links"] or []), number]
    return {
        "last_node_id": len(nodes),
        "last_link_id": len(links),
        "nodes": nodes,
        "links": links,
        "groups": [],
        "config": {},
        "extra": {},
        "version": 0.4,
    }


def _node(
    node: str, graph: Graph, classes: Classes, ids: Mapping[str, int], links: list[list[Any]]
) -> dict[str, Any]:
    said = graph[node]
    values, described = said["inputs"], classes[said["class_type"]]
    number = ids[node]
    known = list(slots(values, described))
    inputs: list[dict[str, Any]] = []
    for slot in known:
        value = values.get(slot.name)
        if isinstance(value, list):
            links.append([len(links) + 1, ids[value[0]], value[1], number, len(inputs), slot.type])
            inputs.append({"name": slot.name, "type": slot.type, "link": len(links)})
        elif not _is_widget(slot):
            inputs.append({"name": slot.name, "type": slot.type, "link": None})
    names = described.get("output_name", described["output"])
    outputs = [
        {"name": name, "type": kind, "links": None}
        for name, kind in zip(names, described["output"], strict=True)
    ]
    column, row = divmod(number - 1, 4)
    return {
        "id": number,
        "type": said["class_type"],
        "pos": [column * _COLUMN, row * _ROW],
        "size": [_COLUMN - 40, _ROW - 40],
        "flags": {},
        "order": number - 1,
        "mode": 0,
        "title": said.get("_meta", {}).get("title", said["class_type"]),
        "inputs": inputs,
        "outputs": outputs,
        "properties": {"Node name for S&R": said["class_type"]},
        "widgets_values": [
            values.get(slot.name, slot.how.get("default")) for slot in known if _is_widget(slot)
        ],
    }


def _is_widget(slot: Slot) -> bool:
    return slot.type in _WIDGETS and not slot.how.get("forceInput")
