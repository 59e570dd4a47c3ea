# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracks what an artist pointed at, with the tracker of SAM 3 or with SAM 2.1.

Each object has a session of its own, which begins at its earliest prompt and goes both ways; all
share the features of the frame that is looked at, which take nearly all of the time. A prompt
with a box, a drawn mask or a point inside is a key: the object is found by it alone, as the live
preview shows it, and tracks on both sides lean on it. One with points outside only takes away from
what was tracked to there.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    Sam2VideoModel,
    Sam2VideoProcessor,
    Sam3TrackerVideoModel,
    Sam3TrackerVideoProcessor,
)

from ...errors import MaskError, UsageError
from ...prompts import Prompt, PromptedObject, Prompts
from .. import weights
from ..mask_files import HALF, read_mask
from ..report import Report
from .masking import Clip, Found, FrameMasks, Mask
from .sam3_patches import without_speckles
from .sam_frames import DiskFrames
from .sam_memory import Reach, forget

_OBJECT = 1
"""The id of the one object of a session."""
_PREVIEW_FRAMES = 4
"""Whose features the live preview keeps."""


class SamTracker:
    """A PromptEngine. `name` is the model's in the table; `shot` holds the drawn masks."""

    def __init__(self, name: str, folder: Path, shot: Path) -> None:
        self.name = name
        self._folder, self._shot = folder, shot

    def track(self, clip: Clip, prompts: Prompts, report: Report) -> Iterator[FrameMasks]:
        """Raises ModelError, PlateError, MaskError, UsageError."""
        report.status("Loading the model")
        sam = _Sam(self.name, self._folder, clip, 1)
        objects = [_Tracked(sam, each, self._shot, report) for each in prompts.objects]
        report.status("Tracking")
        yield from _Tracking(sam, objects, report).run()


class Preview:
    """The masks of prompts in one frame, for drawing them while an artist points.

    Features of the last frames are kept: an answer then takes a fraction of a frame's time.
    """

    def __init__(self, name: str, folder: Path, clip: Clip, shot: Path) -> None:
        self._sam = _Sam(name, folder, clip, _PREVIEW_FRAMES)
        self._shot = shot

    def masks(self, frame: int, prompts: Sequence[Prompt]) -> list[Mask]:
        """One for each of the prompts; black for those that select nothing by themselves.

        Raises PlateError, MaskError, and UsageError for a frame that the plate has not.
        """
        if frame not in self._sam.places:
            raise UsageError(f"The plate has no frame {frame}.")
        place = self._sam.places[frame]
        return [self._mask(place, prompt) for prompt in prompts]

    def _mask(self, place: int, prompt: Prompt) -> Mask:
        width, height = self._sam.clip.size
        if not is_key(prompt):
            return np.zeros((height, width), np.uint8)
        session = self._sam.session()
        self._sam.add(session, place, prompt, self._shot)
        found: Mask = self._sam.mask(self._sam.step(session, place, reverse=False))
        return found


def is_key(prompt: Prompt) -> bool:
    """Whether an object can be found by this prompt alone."""
    has_point = any(point.inside for point in prompt.points)
    return has_point or prompt.box is not None or bool(prompt.mask)


class _Sam:
    """The loaded model and a clip. Frames are counted by their place in it."""

    def __init__(self, name: str, folder: Path, clip: Clip, kept_frames: int) -> None:
        model, processor = (
            (Sam3TrackerVideoModel, Sam3TrackerVideoProcessor)
            if name == "sam3"
            else (Sam2VideoModel, Sam2VideoProcessor)
        )
        self.device = weights.device()
        self._dtype = weights.precision(self.device)
        loaded = weights.load_pretrained(model, folder, dtype=self._dtype)
        self._model = loaded.to(self.device)
        self._processor = processor.from_pretrained(folder, local_files_only=True)
        self.reach = Reach.of(loaded.config)
        self.clip = clip
        self.numbers = list(clip.files)
        self.places = {number: place for place, number in enumerate(self.numbers)}
        prepare = self._processor.image_processor
        self._frames = DiskFrames(list(clip.files.values()), prepare, self._dtype)
        self._kept_frames = kept_frames
        self._features = self._new_session().cache

    def _new_session(self) -> Any:
        return self._processor.init_video_session(
            inference_device=self.device,
            dtype=self._dtype,
            max_vision_features_cache_size=self._kept_frames,
        )

    def session(self) -> Any:
        """A session without objects, with the features that all others have."""
        session = self._new_session()
        session.cache = self._features
        session.processed_frames = self._frames
        session.video_width, session.video_height = self.clip.size
        return session

    def add(self, session: Any, place: int, prompt: Prompt, shot: Path) -> None:
        """Says something of the object in a frame. A drawn mask counts alone. Raises MaskError."""
        inputs: dict[str, Any] = {}
        if prompt.mask:
            drawn = read_mask(_drawn(shot, prompt.mask), self.clip.size) >= HALF
            inputs["input_masks"] = [drawn]
        else:
            if prompt.box is not None:
                inputs["input_boxes"] = [[list(prompt.box)]]
            if prompt.points:
                inputs["input_points"] = [[[[point.x, point.y] for point in prompt.points]]]
                inputs["input_labels"] = [[[int(point.inside) for point in prompt.points]]]
        self._processor.add_inputs_to_inference_session(
            session, frame_idx=place, obj_ids=[_OBJECT], **inputs
        )

    def step(self, session: Any, place: int, reverse: bool) -> Any:
        """What the model sees of the session's object in a frame."""
        with torch.inference_mode():
            return self._model(session, frame_idx=place, reverse=reverse)

    def mask(self, output: Any) -> Mask:
        """At plate size."""
        with torch.inference_mode():
            logits = without_speckles(output.pred_masks.float())
            whole = torch.nn.functional.interpolate(
                logits, size=self.clip.size[::-1], mode="bilinear", align_corners=False
            )
            selected: Mask = (whole[0, 0] > 0).to(torch.uint8).mul(255).cpu().numpy()
        return selected


def _drawn(shot: Path, name: str) -> Path:
    """The file of a drawn mask. Raises MaskError for one that is not in the shot."""
    path = (shot / name).resolve()
    if not path.is_relative_to(shot.resolve()):
        raise MaskError(f"The mask '{name}' is not in the shot folder: draw it again.")
    return path


class _Tracked:
    """One object on its way. Raises UsageError when there is nothing to find it by."""

    def __init__(self, sam: _Sam, each: PromptedObject, shot: Path, report: Report) -> None:
        self.name = each.name
        self._sam, self._shot = sam, shot
        self._session = sam.session()
        known = {number: prompt for number, prompt in each.frames.items() if number in sam.places}
        strange = sorted(set(each.frames) - set(known))
        if strange:
            report.warning(
                f"'{each.name}' has prompts in frames that the plate has not, such as "
                f"{strange[0]}: they are left out."
            )
        by_place = {sam.places[number]: prompt for number, prompt in sorted(known.items())}
        self.keys = {place: prompt for place, prompt in by_place.items() if is_key(prompt)}
        self._corrections = {
            place: prompt
            for place, prompt in by_place.items()
            if place not in self.keys and not prompt.is_empty
        }
        if not self.keys:
            raise UsageError(f"Nothing is selected for '{each.name}': click inside it once.")
        self.first = min(self.keys)

    def set_key(self, place: int) -> None:
        self._sam.add(self._session, place, self.keys[place], self._shot)
        self._sam.step(self._session, place, reverse=False)

    def turn(self) -> None:
        """Forgets the way back: the way on begins at the earliest key like that."""
        for place, outputs in self._session.output_dict_per_obj.items():
            outputs["non_cond_frame_outputs"].clear()
            self._session.frames_tracked_per_obj[place].clear()

    def step(self, place: int, reverse: bool) -> Found | None:
        """The object in the frame that comes next, None where it is not seen."""
        output = self._sam.step(self._session, place, reverse)
        if place in self._corrections:
            output = self._corrected(place, reverse)
        forget(self._session, place, self._sam.reach, keep_conditioning=True)
        mask = self._sam.mask(output)
        if not mask.any():
            return None
        score = float(output.object_score_logits.float().sigmoid().max())
        return Found(self.name, 0, mask, score)

    def _corrected(self, place: int, reverse: bool) -> Any:
        """The frame again with what is not the object; later frames lean on it like on a key."""
        self._sam.add(self._session, place, self._corrections[place], self._shot)
        output = self._sam.step(self._session, place, reverse)
        for outputs in self._session.output_dict_per_obj.values():
            frame = outputs["non_cond_frame_outputs"].pop(place)
            outputs["cond_frame_outputs"][place] = frame
        return output


@dataclass
class _Tracking:
    """All objects through the clip: first back from the latest beginning, then on to the end.

    Between the earliest and the latest beginning some objects are found on the way back and others
    on the way on; the former wait for the latter, packed.
    """

    sam: _Sam
    objects: Sequence[_Tracked]
    report: Report
    _waiting: dict[int, list[tuple[int, bytes, float]]] = field(default_factory=dict)
    _done: int = 0

    def run(self) -> Iterator[FrameMasks]:
        self._set_keys()
        earliest = min(each.first for each in self.objects)
        latest = max(each.first for each in self.objects)
        self._total = latest + len(self.sam.numbers) - earliest
        for place in range(latest - 1, -1, -1):
            found = self._step(place, reverse=True)
            if place < earliest:
                yield self._frame(place, found)
            else:
                self._waiting[place] = [_packed(*entry) for entry in found.items()]
        for each in self.objects:
            each.turn()
        for place in range(earliest, len(self.sam.numbers)):
            found = self._step(place, reverse=False)
            height_width = self.sam.clip.size[::-1]
            for entry in self._waiting.pop(place, ()):
                found[entry[0]] = self._unpacked(entry, height_width)
            yield self._frame(place, found)

    def _set_keys(self) -> None:
        """Frame by frame, so that the features of each are made once."""
        for place in sorted({place for each in self.objects for place in each.keys}):
            self.report.check()
            for each in self.objects:
                if place in each.keys:
                    each.set_key(place)

    def _step(self, place: int, reverse: bool) -> dict[int, Found]:
        """By the objects' places; those that go this way and are seen."""
        self.report.progress(self._done, self._total, "frames")
        self._done += 1
        found: dict[int, Found] = {}
        for order, each in enumerate(self.objects):
            if (each.first > place) is reverse:
                seen = each.step(place, reverse)
                if seen is not None:
                    found[order] = seen
        return found

    def _frame(self, place: int, found: Mapping[int, Found]) -> FrameMasks:
        return FrameMasks(self.sam.numbers[place], tuple(found[order] for order in sorted(found)))

    def _unpacked(self, entry: tuple[int, bytes, float], shape: tuple[int, ...]) -> Found:
        order, packed, score = entry
        bits = np.frombuffer(zlib.decompress(packed), np.uint8)
        mask = np.unpackbits(bits, count=shape[0] * shape[1]).reshape(shape) * np.uint8(255)
        return Found(self.objects[order].name, 0, mask, score)


def _packed(order: int, found: Found) -> tuple[int, bytes, float]:
    return order, zlib.compress(np.packbits(found.mask > 0).tobytes(), 1), found.score
