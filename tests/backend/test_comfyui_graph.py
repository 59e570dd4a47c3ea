# SPDX-License-Identifier: GPL-3.0-or-later
"""Graphs against what a real ComfyUI says of its nodes: ours, and ones with faults in them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend import workflows
from backend.comfyui_graph import Graph, faults
from backend.errors import FormatError, UsageError
from backend.shot import Shot
from backend.worker.comfy import fill
from backend.worker.comfy.fill import Copy
from tests.comfyui_validate import comfy_python, verdicts

from .comfy_server import DATA, WIRE, object_info

NAMES = ("01_analysis", "02_segmentation", "03_cleanplate", "05_interactive_segmentation")
MARKS = {"<clip>": "a.mov", "<masks>": "b.mov", "<job>": "shotgopher/x", "<prompt>": "person"}
MARKS |= {"<label>": "person", "<instance>": "0", "<inside>": "[]", "<outside>": "[]"}


def recorded(name: str) -> Graph:
    """A graph that the real server took."""
    graph: Graph = json.loads((DATA / f"{name}.api.json").read_text(encoding="utf-8"))
    return graph


def ours(name: str, parts: int = 1) -> Graph:
    """A workflow that comes with Shot Gopher, filled in, with the clip in so many files."""
    filled = fill.start(workflows.load(name).graph)
    labels = [Copy(i, {"<prompt>": f"thing {i}", "<label>": f"thing_{i}"}) for i in range(2)]
    if name.startswith("02"):
        filled = fill.repeat(filled, ("<prompt>", "<label>"), labels)
        places = [Copy(i, {"<instance>": str(i)}) for i in range(3)]
        filled = fill.repeat(filled, ("<instance>",), places)
    if name.startswith("05"):
        filled = fill.repeat(filled, ("<inside>", "<label>"), labels)
    for mark in ("<clip>", "<masks>"):
        filled = fill.put_clip(filled, mark, [f"{mark[1]}{part}.mov" for part in range(parts)])
    return fill.fill(filled, MARKS).graph


def bad(change: Callable[[Graph], Any], name: str = "02_segmentation") -> Graph:
    graph = copy.deepcopy(recorded(name))
    change(graph)
    return graph


def inputs(graph: Graph, node: str) -> dict[str, Any]:
    found: dict[str, Any] = graph[node]["inputs"]
    return found


BAD = {
    "missing_node_type": bad(lambda g: g["person_track"].update(class_type="SAM3VideoSegmenter")),
    "required_input_missing": bad(lambda g: inputs(g, "person_track").pop("images")),
    "value_not_in_list": bad(lambda g: inputs(g, "ckpt").update(ckpt_name="sam3.pt")),
    "return_type_mismatch": bad(lambda g: inputs(g, "person_track").update(images=["ckpt", 0])),
    "bad_linked_input": bad(lambda g: inputs(g, "person_track").update(images=["nowhere", 0])),
    "value_bigger_than_max": bad(lambda g: inputs(g, "person_track").update(max_objects=65)),
    "value_smaller_than_min": bad(lambda g: inputs(g, "person_track").update(detect_interval=0)),
    "invalid_input_type": bad(lambda g: inputs(g, "person_track").update(max_objects="many")),
    "prompt_no_outputs": {"1": recorded("02_segmentation")["ckpt"]},
}
MORE_BAD = {
    "choice of a choice": bad(
        lambda g: inputs(g, "view").update({"output.normalization": "none"}), "01_analysis"
    ),
    "choice": bad(lambda g: inputs(g, "view").update(output="dept"), "01_analysis"),
    "what a choice brings": bad(
        lambda g: inputs(g, "save_raw").pop("format.bit_depth"), "01_analysis"
    ),
    "combo of the older kind": bad(
        lambda g: inputs(g, "inpaint").update(fp16="yes"), "03_cleanplate"
    ),
    "list without members": bad(
        lambda g: g["seeds"].update(inputs={}), "05_interactive_segmentation"
    ),
    "member of a list": bad(
        lambda g: inputs(g, "seeds").update({"masks.mask1": ["frames", 0]}),
        "05_interactive_segmentation",
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_graphs_that_the_real_server_took_are_right(name):
    assert faults(recorded(name), object_info()) == []


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_our_workflows_are_right(name, parts):
    graph = ours(name, parts)
    assert faults(graph, object_info()) == []
    assert not fill.marks_in(graph)
    joined = [node for node in graph.values() if node["class_type"] == "BatchImagesNode"]
    assert len(joined) == (0 if parts == 1 else 2 if name.startswith("03") else 1)
    assert all(len(node["inputs"]) == parts for node in joined)


@pytest.mark.parametrize("kind", BAD)
def test_each_fault_is_found_under_the_servers_name_for_it(kind):
    found = faults(BAD[kind], object_info())
    assert {fault.kind for fault in found} == {kind}
    assert str(found[0])


@pytest.mark.parametrize("what", MORE_BAD)
def test_faults_in_inputs_of_the_newer_kind_are_found(what):
    assert len(faults(MORE_BAD[what], object_info())) == 1


def test_a_ring_is_found():
    graph = recorded("05_interactive_segmentation")
    inputs(graph, "key")["image"] = ["key", 0]
    assert "dependency_cycle" in {fault.kind for fault in faults(graph, object_info())}


def test_faults_are_worded_as_the_server_words_them():
    errors = WIRE["missing model: POST /prompt"]["json"]["node_errors"]["2"]["errors"]
    graph = {"2": {"class_type": "CheckpointLoaderSimple",
                   "inputs": {"ckpt_name": "sam3.1_multiplex_fp16.safetensors"}}}  # fmt: skip
    found = [fault for fault in faults(graph, object_info(weights=False)) if fault.node]
    assert [(fault.kind, fault.details) for fault in found] == [
        (error["type"], error["details"]) for error in errors
    ]


def test_comfy_cli_says_the_same():
    """Of every good graph, of ours, and of every bad one."""
    if comfy_python() is None:
        pytest.skip("comfy-cli is not installed: python3 -m tests.comfyui_validate installs it")
    good = [*map(recorded, NAMES), *(ours(name, parts) for name in NAMES for parts in (1, 3))]
    graphs = [*good, *BAD.values(), *MORE_BAD.values()]
    theirs = verdicts(object_info(), graphs)
    names = [*["good"] * len(good), *BAD, *MORE_BAD]
    differing = {
        name: verdict
        for name, graph, verdict in zip(names, graphs, theirs, strict=True)
        if verdict["valid"] != (not faults(graph, object_info()))
    }
    assert differing == {}


def test_needs_say_every_class_and_input_that_a_workflow_has():
    classes = object_info()
    for name, needed in workflows.needs().items():
        for node in workflows.load(name).graph.values():
            known = needed.inputs[node["class_type"]]
            assert {each for each in node["inputs"] if "." not in each} <= set(known)
        assert workflows.missing(needed, classes) == []
        assert all(weights.url.startswith("https://") for weights in needed.weights)


def test_what_a_server_lacks_is_told_with_where_to_get_it():
    needed = workflows.needs()
    classes = object_info()
    del classes["ProPainterInpaint"]
    (sentence,) = workflows.missing(needed["03_cleanplate"], classes)
    assert "ComfyUI_ProPainter_Nodes" in sentence
    assert "https://" in sentence
    (sentence,) = workflows.missing(needed["02_segmentation"], object_info(weights=False))
    assert "sam3.1_multiplex_fp16.safetensors" in sentence
    assert "models/checkpoints" in sentence
    assert "SAM License" in sentence
    for name in [name for name in classes if name.startswith("SAM3_")]:
        del classes[name]
    (sentence,) = workflows.missing(needed["05_interactive_segmentation"], classes)
    assert sentence == (
        "Update ComfyUI to 0.20 or newer: it lacks SAM3_Detect, SAM3_VideoTrack, SAM3_TrackToMask."
    )


def test_an_input_of_another_name_or_type_is_told():
    classes = object_info()
    required = classes["SAM3_VideoTrack"]["input"]["required"]
    required["pictures"] = required.pop("images")
    required["max_objects"] = ["STRING", {}]
    (sentence,) = workflows.missing(workflows.needs()["02_segmentation"], classes)
    assert "images, max_objects" in sentence


def test_weights_in_a_subfolder_are_found():
    classes = object_info()
    file = "SAM\\sam3.1_multiplex_fp16.safetensors"
    classes["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0][:] = [file]
    needed = workflows.needs()["02_segmentation"]
    assert workflows.missing(needed, classes) == []
    assert workflows.weights_choice(needed.weights[0], classes) == file


def test_a_shots_workflows_are_never_overwritten(tmp_path: Path):
    shot = Shot(tmp_path / "shot")
    with pytest.raises(UsageError):
        workflows.copy_to(shot)
    shot.path.mkdir()
    written, there = workflows.copy_to(shot)
    assert [file.stem for file in written] == list(NAMES)
    assert there == []
    mine = shot.workflows / "02_segmentation.json"
    mine.write_text('{"1": {"class_type": "A", "inputs": {}}}', encoding="utf-8")
    assert workflows.copy_to(shot) == ([], written)
    assert workflows.load("02_segmentation", shot).graph == {"1": {"class_type": "A", "inputs": {}}}
    assert workflows.load("02_segmentation", shot).own
    assert not workflows.load("02_segmentation").own
    mine.write_text('{"nodes": []}', encoding="utf-8")
    with pytest.raises(FormatError, match="API"):
        workflows.load("02_segmentation", shot)
