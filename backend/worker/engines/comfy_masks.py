# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks from a ComfyUI server: what words name, and what was pointed at.

A long clip goes there in legs. Each begins with the last frame of the one before and is given the
masks of that frame, so things keep their ids; a thing that is hidden there gets a new one when it
is back.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...comfyui import ComfySettings
from ...errors import ComfyError, UsageError
from ...prompts import Prompt, PromptedObject, Prompts
from ...shot import Shot, folder_name
from ...workflows import Workflow, load
from ..comfy import fill as filling
from ..comfy.client import Clock, Image
from ..comfy.fill import Copy, Filled
from ..comfy.footage import chunks, halves
from ..comfy.page import Page, collected, put_on_page
from ..comfy.session import PREFIX, Session, saved, session
from ..report import Report
from .masking import Clip, Found, FrameMasks, Mask

SEGMENTATION = "02_segmentation"
INTERACTIVE = "05_interactive_segmentation"
_TRACK, _DETECT = "SAM3_VideoTrack", "SAM3_Detect"
_MOST_OBJECTS = 64
"""What the tracker takes for a limit of 0."""


@dataclass(frozen=True)
class Seed:
    """A mask, as a PNG, that a leg begins with, and the id of what it selects."""

    instance: int
    png: bytes


@dataclass
class _Ids:
    """Which id the things of a leg have, by their place in it."""

    seeds: Sequence[Seed]
    given: dict[int, int] = field(default_factory=dict)

    def of(self, place: int, taken: int) -> int:
        if place < len(self.seeds):
            return self.seeds[place].instance
        return self.given.setdefault(place, taken)


class ComfyText:
    """Text roto by SAM 3.1 in ComfyUI (TextEngine)."""

    name = "comfyui"

    def __init__(
        self, shot: Shot, settings: ComfySettings | None = None, clock: Clock | None = None
    ) -> None:
        self._workflow = load(SEGMENTATION, shot)
        self._settings, self._clock = settings, clock

    def find(
        self, clip: Clip, labels: Sequence[str], threshold: float, report: Report
    ) -> Iterator[FrameMasks]:
        """Every frame once: from the start frame on, then those before it, backwards. Instances
        are counted within a label. Raises ShotGopherError."""
        filling.require(self._workflow.graph, ("<clip>", "<prompt>", "<job>"), SEGMENTATION)
        with session(report, self._settings, self._clock) as server:
            server.require(SEGMENTATION, self._workflow)
            run = _TextRun(server, self._workflow, clip, labels, threshold)
            yield from run.frames()


class _TextRun:
    """One search through a clip. `_next` is the next free id of each label."""

    def __init__(
        self,
        server: Session,
        workflow: Workflow,
        clip: Clip,
        labels: Sequence[str],
        threshold: float,
    ) -> None:
        self._server, self._workflow, self._clip = server, workflow, clip
        self._labels, self._threshold = labels, threshold
        self._next = [0] * len(labels)
        self._longest = server.longest(list(clip.files.values()), clip.size)

    def frames(self) -> Iterator[FrameMasks]:
        numbers = list(self._clip.files)
        after = [number for number in numbers if number >= self._clip.start]
        before = [number for number in reversed(numbers) if number <= self._clip.start]
        begin: list[list[Seed]] = [[] for _label in self._labels]
        for way in (after, before) if len(before) > 1 else (after,):
            seeds, first = begin, True
            for leg in chunks(way, self._longest):
                skip = way is before or not first
                for index, masks, held in self._leg(leg, seeds):
                    if index == 0 and way is after and first:
                        begin = held
                    if index or not skip:
                        yield masks
                seeds, first = held, False

    def _leg(
        self, leg: Sequence[int], seeds: Sequence[Sequence[Seed]]
    ) -> Iterator[tuple[int, FrameMasks, list[list[Seed]]]]:
        """The masks of each frame of a leg by its place, and the same as seeds for another."""
        filled = self._graph(seeds)
        filled = self._server.put(filled, "<clip>", [self._clip.files[each] for each in leg])
        files = saved(self._server.run(filled, len(leg)), filled, len(leg))
        ids = [_Ids(each) for each in seeds]
        for index, frame in enumerate(leg):
            held: list[list[Seed]] = [[] for _label in self._labels]
            found = []
            for (label, place), images in sorted(files.items()):
                png = self._server.client.view(images[index])
                mask = decoded(png, self._clip.size)
                if mask.any():
                    instance = self._instance(label, ids[label], place)
                    found.append(Found(self._labels[label], instance, mask))
                    held[label].append(Seed(instance, png))
            self._server.report.progress(index + 1, len(leg), "masks")
            yield index, FrameMasks(frame, tuple(found)), held

    def _instance(self, label: int, ids: _Ids, place: int) -> int:
        instance = ids.of(place, self._next[label])
        self._next[label] = max(self._next[label], instance + 1)
        return instance

    def _graph(self, seeds: Sequence[Sequence[Seed]]) -> Filled:
        """The workflow for these labels; only the movie and the job's name are not filled in."""
        own = self._workflow.own
        filled = self._server.named(
            SEGMENTATION, filling.start(self._workflow.graph), self._workflow
        )
        copies = [
            Copy(index, {"<prompt>": label, "<label>": folder_name(label)})
            for index, label in enumerate(self._labels)
        ]
        filled = filling.repeat(filled, ("<prompt>", "<label>"), copies)
        for node in filled.of_class(_TRACK):
            inputs = filled.graph[node]["inputs"]
            if not own:
                inputs["detection_threshold"] = self._threshold
            trail = filled.trail(node)
            if trail and seeds[trail[0]]:
                names = [self._server.send_bytes(seed.png, "seed.png") for seed in seeds[trail[0]]]
                inputs["initial_mask"] = _put_seeds(filled.graph, node, names)
        places = range(_most_objects(filled))
        return filling.repeat(
            filled, ("<instance>",), [Copy(place, {"<instance>": str(place)}) for place in places]
        )


def _most_objects(filled: Filled) -> int:
    """How many things the trackers of a graph follow at most."""
    limits = (filled.graph[node]["inputs"].get("max_objects") for node in filled.of_class(_TRACK))
    counts = [limit if isinstance(limit, int) else 0 for limit in limits]
    if not counts:
        raise ComfyError(f"The workflow {SEGMENTATION} has no node {_TRACK} any more.")
    return max(count or _MOST_OBJECTS for count in counts)


def _put_seeds(graph: dict[str, dict[str, Any]], node: str, names: Sequence[str]) -> list[Any]:
    """Adds nodes that load these masks; the link to all of them."""
    for index, name in enumerate(names):
        graph[f"{node}_seed{index}"] = mask_loader(name)
    inputs = {f"masks.mask{index}": [f"{node}_seed{index}", 0] for index in range(len(names))}
    graph[f"{node}_seeds"] = {"class_type": "BatchMasksNode", "inputs": inputs}
    return [f"{node}_seeds", 0]


def mask_loader(name: str) -> dict[str, Any]:
    """A node that gives the mask in a file that was uploaded."""
    return {"class_type": "LoadImageMask", "inputs": {"image": name, "channel": "red"}}


class ComfyPrompts:
    """Masks of what was pointed at, by SAM 3.1 in ComfyUI (PromptEngine).

    From each key frame the objects that were pointed at there are tracked both ways; a frame takes
    an object's mask from the nearest of that object's key frames.
    """

    name = "comfyui"

    def __init__(
        self, shot: Shot, settings: ComfySettings | None = None, clock: Clock | None = None
    ) -> None:
        self._shot = shot
        self._workflow = load(INTERACTIVE, shot)
        self._settings, self._clock = settings, clock

    def track(self, clip: Clip, prompts: Prompts, report: Report) -> Iterator[FrameMasks]:
        """Every frame of the clip once, ascending. Raises ShotGopherError."""
        filling.require(self._workflow.graph, ("<clip>", "<inside>", "<job>"), INTERACTIVE)
        keys = _keys(clip, prompts)
        with session(report, self._settings, self._clock) as server:
            server.require(INTERACTIVE, self._workflow)
            run = _PromptRun(server, self._workflow, clip, prompts, self._shot)
            for key in keys:
                run.track_from(key)
            yield from run.frames()


def _keys(clip: Clip, prompts: Prompts) -> list[int]:
    """The frames in which something is said of an object. Raises UsageError."""
    prompts.check()
    found = sorted({number for each in prompts.objects for number in _said(each)})
    absent = [number for number in found if number not in clip.files]
    if absent:
        raise UsageError(f"The plate has no frame {absent[0]}, in which something was selected.")
    if not found:
        raise UsageError("Nothing is selected: click on something first.")
    return found


def _said(each: PromptedObject) -> list[int]:
    return [number for number, prompt in each.frames.items() if not prompt.is_empty]


class _PromptRun:
    """Tracks from key frames and keeps the masks, as PNGs, until all are there."""

    def __init__(
        self, server: Session, workflow: Workflow, clip: Clip, prompts: Prompts, shot: Shot
    ) -> None:
        self._server, self._workflow, self._clip, self._shot = server, workflow, clip, shot
        self._objects = prompts.objects
        self._near = [halves(list(clip.files), _said(each)) for each in prompts.objects]
        self._masks: dict[int, dict[int, bytes]] = {number: {} for number in clip.files}
        self._longest = server.longest(list(clip.files.values()), clip.size)

    def frames(self) -> Iterator[FrameMasks]:
        for frame, pngs in self._masks.items():
            found = []
            for place, png in sorted(pngs.items()):
                mask = decoded(png, self._clip.size)
                if mask.any():
                    found.append(Found(self._objects[place].name, place, mask))
            yield FrameMasks(frame, tuple(found))

    def track_from(self, key: int) -> None:
        places = [place for place, near in enumerate(self._near) if key in near]
        wanted = sorted({number for place in places for number in self._near[place][key]})
        after = [number for number in wanted if number >= key]
        before = [number for number in reversed(wanted) if number <= key]
        self._way(key, places, after)
        if len(before) > 1:
            self._way(key, places, before)

    def _way(self, key: int, places: Sequence[int], numbers: Sequence[int]) -> None:
        seeds: dict[int, bytes] = {}
        for leg in chunks(numbers, self._longest):
            seeds = self._leg(key, [place for place in places if not seeds or place in seeds],
                              leg, seeds)  # fmt: skip
            if not seeds:
                return

    def _leg(
        self, key: int, places: Sequence[int], leg: Sequence[int], seeds: Mapping[int, bytes]
    ) -> dict[int, bytes]:
        """Tracks through a leg. Returns the masks of those that are in its last frame."""
        filled = self._graph(key, places, seeds)
        filled = self._server.put(filled, "<clip>", [self._clip.files[each] for each in leg])
        files = saved(self._server.run(filled, len(leg)), filled, len(leg))
        last: dict[int, bytes] = {}
        for (copy,), images in files.items():
            place = places[copy]
            pngs = self._fetched(images, leg, self._near[place][key])
            self._masks_of(place, pngs)
            end = self._server.client.view(images[-1])
            if decoded(end, self._clip.size).any():
                last[place] = end
            if leg[0] == key and leg[-1] >= key and not seeds:
                self._warn_of_nothing(place, key, pngs[key])
        return last

    def _fetched(
        self, images: Sequence[Image], leg: Sequence[int], wanted: Sequence[int]
    ) -> dict[int, bytes]:
        near = set(wanted)
        found = {}
        for index, number in enumerate(leg):
            if number in near:
                found[number] = self._server.client.view(images[index])
            self._server.report.progress(index + 1, len(leg), "masks")
        return found

    def _masks_of(self, place: int, pngs: Mapping[int, bytes]) -> None:
        for number, png in pngs.items():
            self._masks[number].setdefault(place, png)

    def _warn_of_nothing(self, place: int, key: int, png: bytes) -> None:
        if not decoded(png, self._clip.size).any():
            name = self._objects[place].name
            self._server.report.warning(
                f"Nothing was found for '{name}' in frame {key}: click on it once more there."
            )

    def _graph(self, key: int, places: Sequence[int], seeds: Mapping[int, bytes]) -> Filled:
        filled = self._server.named(
            INTERACTIVE, filling.start(self._workflow.graph), self._workflow
        )
        copies = [self._copy(copy, place, key) for copy, place in enumerate(places)]
        marks = ("<inside>", "<outside>", "<label>", "<instance>")
        filled = filling.repeat(filled, marks, copies)
        for node in filled.of_class(_DETECT):
            (copy,) = filled.trail(node) or (0,)
            self._point(filled.graph, node, places[copy], key, seeds)
        for node in filled.of_class(_TRACK):
            filled.graph[node]["inputs"]["max_objects"] = len(places)
        return filled

    def _copy(self, copy: int, place: int, key: int) -> Copy:
        each = self._objects[place]
        prompt = each.frames[key]
        values = {
            "<label>": each.folder,
            "<instance>": str(copy),
            "<inside>": _coordinates(prompt, True),
            "<outside>": _coordinates(prompt, False),
        }
        return Copy(copy, values)

    def _point(
        self,
        graph: dict[str, dict[str, Any]],
        node: str,
        place: int,
        key: int,
        seeds: Mapping[int, bytes],
    ) -> None:
        """Gives a node what is said of an object: a mask that there is takes its place."""
        prompt = self._objects[place].frames[key]
        if place in seeds:
            graph[node] = mask_loader(self._server.send_bytes(seeds[place], "seed.png"))
        elif prompt.mask:
            graph[node] = mask_loader(self._server.send_file(self._mask_file(prompt)))
        else:
            graph[node]["inputs"] = pointed(graph[node]["inputs"], prompt)

    def _mask_file(self, prompt: Prompt) -> Path:
        file = (self._shot.path / prompt.mask).resolve()
        if not file.is_relative_to(self._shot.path.resolve()) or not file.is_file():
            raise UsageError(f"The drawn mask {prompt.mask} is not in the shot any more.")
        return file


class ComfyPage:
    """Masks that an artist makes on the ComfyUI server's page (PromptEngine).

    The interactive workflow is put among the page's own, with a box for each object to be drawn in
    the clip's first frame. The artist is told what to do there; where nobody is, the first masks
    that come within `wait` seconds are taken.
    """

    name = "comfyui page"

    def __init__(
        self,
        shot: Shot,
        wait: float,
        settings: ComfySettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._shot, self._wait = shot, wait
        self._workflow = load(INTERACTIVE, shot)
        self._settings, self._clock = settings, clock

    def track(self, clip: Clip, prompts: Prompts, report: Report) -> Iterator[FrameMasks]:
        """Every frame of the clip once, ascending, when the artist has run it there. Raises
        ShotGopherError, also when nothing came."""
        objects = prompts.objects
        with session(report, self._settings, self._clock) as server:
            server.require(INTERACTIVE, self._workflow)
            page = self._put(server, clip, objects)
            _tell(report, page)
            made = collected(server, page, self._wait)
            yield from _of_page(server, made, clip, objects)

    def _put(self, server: Session, clip: Clip, objects: Sequence[PromptedObject]) -> Page:
        prefix = f"{PREFIX}/{uuid.uuid4()}"
        filled = server.named(INTERACTIVE, filling.start(self._workflow.graph), self._workflow)
        copies = [
            Copy(place, {"<label>": each.folder, "<instance>": str(place)})
            for place, each in enumerate(objects)
        ]
        filled = filling.repeat(filled, ("<inside>", "<outside>", *copies[0].values), copies)
        for node in filled.of_class(_TRACK):
            filled.graph[node]["inputs"]["max_objects"] = len(objects)
        for node in filled.of_class(_DETECT):
            _ask_for_box(filled.graph, node, clip.size)
        filled = server.put(filled, "<clip>", list(clip.files.values()))
        graph = filling.fill(filled, {"<job>": prefix}).graph
        return put_on_page(server, f"{PREFIX}_{folder_name(self._shot.name)}", graph, prefix)


def _tell(report: Report, page: Page) -> None:
    text = f"On {page.url} open {page.workflow} under Workflows, set the boxes and press Run"
    if report.attended:
        report.waiting(f"{text}, until the masks are good.", "Take Masks", page.url)
    else:
        report.status(text)


def _ask_for_box(graph: dict[str, dict[str, Any]], node: str, size: tuple[int, int]) -> None:
    """Takes a node's box from one that can be set on the page, in the middle at first."""
    width, height = size
    box = {"x": width // 4, "y": height // 4, "width": width // 2, "height": height // 2}
    graph[f"{node}_box"] = {"class_type": "PrimitiveBoundingBox", "inputs": box}
    inputs = graph[node]["inputs"]
    for name in ("positive_coords", "negative_coords"):
        inputs.pop(name, None)
    inputs["bboxes"] = [f"{node}_box", 0]


def _of_page(
    server: Session,
    made: Mapping[str, Sequence[Image]],
    clip: Clip,
    objects: Sequence[PromptedObject],
) -> Iterator[FrameMasks]:
    wrong = [folder for folder, images in made.items() if len(images) != len(clip.files)]
    if wrong:
        raise ComfyError(
            f"The page made {len(made[wrong[0]])} masks of '{wrong[0]}' for {len(clip.files)} "
            "frames. Run the whole workflow there."
        )
    for index, frame in enumerate(clip.files):
        found = []
        for place, each in enumerate(objects):
            images = made.get(f"{each.folder}_{place}")
            mask = decoded(server.client.view(images[index]), clip.size) if images else None
            if mask is not None and mask.any():
                found.append(Found(each.name, place, mask))
        yield FrameMasks(frame, tuple(found))


def pointed(inputs: Mapping[str, Any], prompt: Prompt) -> dict[str, Any]:
    """The inputs of SAM3_Detect for a prompt without a mask.

    The node makes a mask of the points and one of the box and joins both, so that a box would
    bring back what points outside take away: with those, points alone count.
    """
    inside = any(point.inside for point in prompt.points)
    outside = any(not point.inside for point in prompt.points)
    made = deepcopy(dict(inputs))
    with_box = prompt.box is not None and not (inside and outside)
    if with_box and prompt.box is not None:
        left, top, right, bottom = prompt.box
        corner = {"x": round(left), "y": round(top)}
        size = {"width": max(1, round(right - left)), "height": max(1, round(bottom - top))}
        made["bboxes"] = corner | size
    unused = [] if with_box else ["bboxes"]
    unused += [] if inside else ["positive_coords"]
    unused += [] if inside and outside else ["negative_coords"]
    return {name: value for name, value in made.items() if name not in unused}


def _coordinates(prompt: Prompt, inside: bool) -> str:
    """Points as the node wants them, in whole pixels of the plate."""
    points = [point for point in prompt.points if point.inside == inside]
    return json.dumps([{"x": int(point.x), "y": int(point.y)} for point in points])


def decoded(png: bytes, size: tuple[int, int]) -> Mask:
    """A mask that a server made. Raises ComfyError unless it is one of that width and height."""
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE) if png else None
    if image is None:
        raise ComfyError("ComfyUI sent a mask that is no image. Run the stage again.")
    height, width = image.shape
    if (width, height) != size:
        raise ComfyError(
            f"ComfyUI sent a mask of {width} x {height} for a plate of {size[0]} x {size[1]}. If "
            "the workflow is the shot's own, see that no node in it changes the size."
        )
    return np.where(image >= 128, np.uint8(255), np.uint8(0))
