# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist points at things with: points, boxes and drawn masks, by object and frame.

`roto/prompts.json` keeps it, so that the same masks can be tracked again without any window.
Pixels are the plate's: (0, 0) is the corner of the first one, x to the right and y down.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .atomic import write_text
from .errors import FormatError, UsageError
from .shot import folder_name, read_json

_VERSION = 1
_KEPT = ("mask", "combined")
"""Folders beside those of labels that are made of them."""


def label_folder(label: str) -> str:
    """The folder under roto/ for a label that somebody typed."""
    name = folder_name(label)
    return f"{name}_" if name.casefold() in _KEPT else name


def split_labels(text: str) -> list[str]:
    """The labels between the commas; of those that would share a folder the last."""
    words = (" ".join(part.split()) for part in text.split(","))
    return list({label_folder(label).casefold(): label for label in words if label}.values())


@dataclass(frozen=True)
class Point:
    """`inside`: whether the pixel belongs to the object."""

    x: float
    y: float
    inside: bool = True


@dataclass(frozen=True)
class Prompt:
    """What is said of an object in one frame; not empty.

    box   left, top, right, bottom, None without one
    mask  a file of a drawn mask (white = selected, plate size), relative to the shot, "" for none
    """

    points: tuple[Point, ...] = ()
    box: tuple[float, float, float, float] | None = None
    mask: str = ""

    @property
    def is_empty(self) -> bool:
        return not self.points and self.box is None and not self.mask


@dataclass(frozen=True)
class PromptedObject:
    """An object with a name and what is said of it, by plate frame number."""

    name: str
    frames: Mapping[int, Prompt] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Its folder under roto/."""
        return label_folder(self.name)


@dataclass(frozen=True)
class Prompts:
    """All objects of a shot, in the order in which they were added."""

    objects: tuple[PromptedObject, ...] = ()

    @property
    def say_nothing(self) -> bool:
        """Whether there are no objects, or only names."""
        return all(prompt.is_empty for each in self.objects for prompt in each.frames.values())

    def check(self) -> None:
        """Raises UsageError for objects that share a folder or have nothing said of them."""
        folders: dict[str, str] = {}
        for each in self.objects:
            other = folders.setdefault(each.folder.casefold(), each.name)
            if other is not each.name:
                raise UsageError(f"'{each.name}' and '{other}' would share one folder: rename one.")
            if all(prompt.is_empty for prompt in each.frames.values()):
                raise UsageError(f"Nothing is selected for '{each.name}': click on it first.")

    def save(self, path: Path) -> None:
        """Raises OutputError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(self.to_json(), indent=1, ensure_ascii=False))

    def to_json(self) -> dict[str, Any]:
        objects = [{"name": each.name, "frames": _frames_json(each)} for each in self.objects]
        return {"version": _VERSION, "objects": objects}

    @classmethod
    def load(cls, path: Path) -> Prompts:
        """Raises FormatError."""
        try:
            return cls.from_json(read_json(path))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"{path} is damaged: {error!r}.") from error

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Prompts:
        """Raises FormatError for those of a newer version, what Python raises for nonsense."""
        if data["version"] != _VERSION:
            raise FormatError("The prompts were written by a newer version of Shot Gopher.")
        return cls(tuple(_object(each) for each in data["objects"]))


def _frames_json(each: PromptedObject) -> dict[str, Any]:
    said = sorted((n, prompt) for n, prompt in each.frames.items() if not prompt.is_empty)
    return {str(number): prompt_json(prompt) for number, prompt in said}


def prompt_json(prompt: Prompt) -> dict[str, Any]:
    """A prompt as JSON has it."""
    points = [[point.x, point.y, int(point.inside)] for point in prompt.points]
    found = {"points": points, "box": prompt.box, "mask": prompt.mask}
    return {key: value for key, value in found.items() if value}


def _object(data: Mapping[str, Any]) -> PromptedObject:
    frames = {int(number): read_prompt(prompt) for number, prompt in data["frames"].items()}
    return PromptedObject(str(data["name"]), dict(sorted(frames.items())))


def read_prompt(data: Mapping[str, Any]) -> Prompt:
    """What `prompt_json` has made. Raises KeyError, TypeError or ValueError."""
    points = tuple(
        Point(float(x), float(y), bool(inside)) for x, y, inside in data.get("points", ())
    )
    box = data.get("box")
    if box is not None:
        left, top, right, bottom = map(float, box)
        box = (min(left, right), min(top, bottom), max(left, right), max(top, bottom))
    return Prompt(points, box, str(data.get("mask", "")))
