# SPDX-License-Identifier: GPL-3.0-or-later
"""The ComfyUI graphs: those that come with Shot Gopher, a shot's own, and what they need.

`workflows/*.json` are graphs in API form with marks (`<clip>`, `<prompt>`, `<label>` ...) that
a run fills in; `workflows/needs.json` says for each of them which nodes and weights it needs and
where to get them. A file of the same name in `<shot>/workflows/` wins.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .comfyui_graph import Classes, Graph, slots
from .errors import FormatError, OutputError, UsageError, explain_os_error
from .shot import Shot, read_json

FOLDER = Path(__file__).resolve().parents[1] / "workflows"
_NEEDS = "needs.json"


@dataclass(frozen=True)
class Weights:
    """A file of weights that a node of class `loader` loads, by its input `input`.

    `folder` is below ComfyUI's folder `models`; "" for weights that the node fetches itself.
    """

    loader: str
    input: str
    folder: str
    file: str
    size: str
    url: str
    license: str


@dataclass(frozen=True)
class Package:
    """Where a class of nodes comes from; `version` is the first that has it."""

    name: str
    url: str
    version: str
    license: str


@dataclass(frozen=True)
class Needs:
    """What a workflow needs. `inputs` are types by input by class of nodes; `packages` are the
    classes' origins."""

    name: str
    stage: str
    title: str
    inputs: Mapping[str, Mapping[str, str]]
    packages: Mapping[str, Package]
    weights: tuple[Weights, ...]


def needs() -> dict[str, Needs]:
    """What each workflow needs, by its name."""
    data = read_json(FOLDER / _NEEDS)
    packages = {name: Package(**said) for name, said in data["packages"].items()}
    return {name: _needs(name, said, packages) for name, said in data["workflows"].items()}


def _needs(name: str, said: Mapping[str, Any], packages: Mapping[str, Package]) -> Needs:
    nodes = said["nodes"]
    return Needs(
        name=name,
        stage=said["stage"],
        title=said["title"],
        inputs={class_type: node["inputs"] for class_type, node in nodes.items()},
        packages={class_type: packages[node["package"]] for class_type, node in nodes.items()},
        weights=tuple(Weights(**each) for each in said["weights"]),
    )


def of_stage(stage: str) -> Needs | None:
    """What the workflow of a stage needs, None for a stage that ComfyUI has no part in."""
    return next((each for each in needs().values() if each.stage == stage), None)


@dataclass(frozen=True)
class Workflow:
    """A graph as it was read. `own` says that it is the shot's own, whose numbers stand."""

    graph: Graph
    file: Path
    own: bool


def load(name: str, shot: Shot | None = None) -> Workflow:
    """The shot's own workflow of that name, else the one that comes with Shot Gopher.

    Raises FormatError for one that is not in API form.
    """
    own = shot.workflows / f"{name}.json" if shot else None
    if own and own.is_file():
        return Workflow(_read(own), own, True)
    file = FOLDER / f"{name}.json"
    return Workflow(_read(file), file, False)


def _read(file: Path) -> Graph:
    data = read_json(file)
    if not data or not all(
        isinstance(node, dict) and "class_type" in node for node in data.values()
    ):
        raise FormatError(
            f"{file} is not a workflow in API form: in ComfyUI choose Workflow > Export (API)."
        )
    return data


def copy_to(shot: Shot) -> tuple[list[Path], list[Path]]:
    """Puts the workflows into a shot, to be edited there. Files that are there stay as they are.

    Returns those that were written and those that were there. Raises UsageError, OutputError.
    """
    if not shot.path.is_dir():
        raise UsageError(f"There is no shot {shot.path}.")
    written, there = [], []
    try:
        shot.workflows.mkdir(exist_ok=True)
        for name in needs():
            target = shot.workflows / f"{name}.json"
            if target.exists():
                there.append(target)
            else:
                part = shutil.copyfile(FOLDER / target.name, target.with_suffix(".part"))
                part.replace(target)
                written.append(target)
    except OSError as error:
        raise OutputError(explain_os_error(error)) from error
    return written, there


def missing(needed: Needs, classes: Classes) -> list[str]:
    """What a server lacks for a workflow, a sentence each that says where to get it."""
    absent = [name for name in needed.inputs if name not in classes]
    found = list(_missing_packages(needed, absent))
    for name, inputs in needed.inputs.items():
        if name in classes:
            found += _changed(name, inputs, classes[name], needed.packages[name])
    return found + [
        sentence
        for weights in needed.weights
        if weights.loader in classes and (sentence := _missing_weights(weights, classes))
    ]


def _missing_packages(needed: Needs, absent: list[str]) -> Iterator[str]:
    for package in dict.fromkeys(needed.packages[name] for name in absent):
        names = ", ".join(name for name in absent if needed.packages[name] == package)
        if package.name == "ComfyUI":
            yield f"Update ComfyUI to {package.version} or newer: it lacks {names}."
        else:
            yield (
                f"Install {package.name} into ComfyUI's custom_nodes ({package.url}, "
                f"{package.license}): {names} is missing."
            )


def _changed(
    name: str, inputs: Mapping[str, str], described: Mapping[str, Any], package: Package
) -> Iterator[str]:
    """Inputs that have another name or type than the workflow was made for."""
    now = {slot.name: slot.type for slot in slots({}, described)}
    wrong = [each for each, type_ in inputs.items() if now.get(each.split(".")[0]) is None
             or ("." not in each and now[each] != type_)]  # fmt: skip
    if wrong:
        yield (
            f"The server's {name} has no input {', '.join(wrong)} as it was in {package.name} "
            f"{package.version}: its version does not fit."
        )


def _missing_weights(weights: Weights, classes: Classes) -> str:
    if not weights.folder:
        return ""
    described = slots({}, classes[weights.loader])
    choices = next((slot.choices for slot in described if slot.name == weights.input), None) or []
    # Servers on Windows write subfolders with a backslash.
    if any(str(each).replace("\\", "/").split("/")[-1] == weights.file for each in choices):
        return ""
    return (
        f"Put {weights.file} ({weights.size}, {weights.license}) from {weights.url} into "
        f"ComfyUI's folder models/{weights.folder}."
    )


def weights_choice(weights: Weights, classes: Classes) -> str:
    """The weights under the name that the server has for them: they may lie in a subfolder."""
    for slot in slots({}, classes.get(weights.loader, {})):
        for choice in (slot.choices or []) if slot.name == weights.input else []:
            if str(choice).replace("\\", "/").split("/")[-1] == weights.file:
                return str(choice)
    return weights.file
