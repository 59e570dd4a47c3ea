# SPDX-License-Identifier: GPL-3.0-or-later
"""SAM 3's text prompts through transformers: all labels in one pass, a few frames in memory.

The model tracks forward only, so what lies before the start frame is a second pass over those
frames in reverse order. Both begin with the same detections in the start frame; there the things of
the second get the track ids of those of the first that they overlap.

Masks come as many frames late as the model takes to see that a find was none
(`hotstart_delay`): a thing that is dropped by then is in no frame at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Sam3VideoModel, Sam3VideoProcessor

from .. import weights
from ..report import Report
from . import sam3_patches
from .masking import Clip, Found, FrameMasks
from .sam_frames import DiskFrames
from .sam_memory import Reach, forget, forget_notes

_CPU_SECONDS = 157
"""For a frame at SAM 3's full size on two processors, measured."""
_SAME = 0.5
"""Overlap over union from which two masks of one frame are of one thing."""


class Sam3Text:
    """A TextEngine. `folder` has the weights of facebook/sam3."""

    name = "sam3"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(
        self, clip: Clip, labels: Sequence[str], threshold: float, report: Report
    ) -> Iterator[FrameMasks]:
        """Raises ModelError, PlateError."""
        report.status("Loading SAM 3")
        sam = _Sam3(self._folder, threshold)
        if sam.device.type == "cpu":
            report.warning(_slow(len(clip.files)))
        report.status(f"Looking for {', '.join(labels)}")
        numbers = list(clip.files)
        place = numbers.index(clip.start)
        begun: FrameMasks | None = None
        last = -1
        for masks in sam.follow(clip, numbers[place:], labels, report):
            begun = begun or masks
            last = max([last, *(found.instance for found in masks.found)])
            yield masks
        if place and begun is not None:
            report.status("Looking at the frames before")
            back = sam.follow(clip, numbers[place::-1], labels, report)
            yield from _renamed(back, begun, last)


def _slow(frames: int) -> str:
    minutes = frames * _CPU_SECONDS / 60
    time = f"{minutes / 60:.1f} hours" if minutes > 90 else f"{minutes:.0f} minutes"
    return (
        "SAM 3 has no GPU here and takes two to three minutes for each frame: about "
        f"{time} for this shot. Pointing at things (interactive) works without a GPU."
    )


class _Sam3:
    """The loaded model."""

    def __init__(self, folder: Path, threshold: float) -> None:
        sam3_patches.apply()
        self.device = weights.device()
        self._dtype = weights.precision(self.device)
        model = weights.load_pretrained(Sam3VideoModel, folder, dtype=self._dtype)
        self._model = model.to(self.device)
        # What begins a track has to be surer than what goes on with one, by as much as usual.
        margin = model.config.new_det_thresh - model.config.score_threshold_detection
        model.score_threshold_detection = threshold
        model.new_det_thresh = threshold + margin
        self._processor = Sam3VideoProcessor.from_pretrained(folder, local_files_only=True)
        self._reach = Reach.of(model.config.tracker_config)

    def follow(
        self, clip: Clip, numbers: Sequence[int], labels: Sequence[str], report: Report
    ) -> Iterator[FrameMasks]:
        """The masks of those frames, in their order."""
        session = self._session([clip.files[number] for number in numbers], clip.size, report)
        self._processor.add_text_prompt(session, list(labels))
        for output in self._model.propagate_in_video_iterator(session):
            found = self._processor.postprocess_outputs(session, output)
            yield FrameMasks(numbers[output.frame_idx], _found(found))

    def _session(self, files: Sequence[Path], size: tuple[int, int], report: Report) -> Any:
        session = self._processor.init_video_session(
            inference_device=self.device, dtype=self._dtype
        )
        session.video_width, session.video_height = size

        def before(place: int) -> None:
            report.progress(place, len(files), "frames")
            forget(session, place - 1, self._reach, keep_conditioning=False)
            forget_notes(session, place - 1)

        prepare = self._processor.image_processor
        session.processed_frames = DiskFrames(files, prepare, self._dtype, before)
        return session


def _found(outputs: Mapping[str, Any]) -> tuple[Found, ...]:
    labels = {
        track: label for label, tracks in outputs["prompt_to_obj_ids"].items() for track in tracks
    }
    masks = outputs["masks"].to(torch.uint8).mul(255).cpu().numpy()
    listed = zip(outputs["object_ids"].tolist(), masks, outputs["scores"].tolist(), strict=True)
    # Of things that overlap, one may be left with nothing.
    return tuple(
        Found(labels[track], track, mask, score) for track, mask, score in listed if mask.any()
    )


def _renamed(masks: Iterator[FrameMasks], begun: FrameMasks, last: int) -> Iterator[FrameMasks]:
    """Those of the second pass without the start frame, under the first pass's track ids.

    `begun` is the start frame in the first pass, `last` the highest id there.
    """
    names: dict[int, int] = {}
    for frame in masks:
        if frame.frame == begun.frame:
            names = _same_things(frame.found, begun.found)
            continue
        for found in frame.found:
            if found.instance not in names:
                last += 1
                names[found.instance] = last
        renamed = (replace(found, instance=names[found.instance]) for found in frame.found)
        yield FrameMasks(frame.frame, tuple(renamed))


def _same_things(these: Sequence[Found], those: Sequence[Found]) -> dict[int, int]:
    """The ids in `those` of the things in `these`: the best overlaps first, each once."""
    pairs = sorted(
        (
            (_overlap(one.mask, other.mask), one.instance, other.instance)
            for one in these
            for other in those
            if one.label == other.label
        ),
        reverse=True,
    )
    same: dict[int, int] = {}
    for overlap, one, other in pairs:
        if overlap >= _SAME and one not in same and other not in same.values():
            same[one] = other
    return same


def _overlap(one: Any, other: Any) -> float:
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 0.0
