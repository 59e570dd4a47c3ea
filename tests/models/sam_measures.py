# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures of the text engine that tests and the bench share: memory, and actors that cross."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.events import EventWriter
from backend.worker import weights
from backend.worker.engines import sam3_patches, sam3_text
from backend.worker.engines.masking import Clip, FrameMasks
from backend.worker.engines.sam_memory import state_bytes
from backend.worker.frame_files import read_colors
from backend.worker.report import Report

from . import tiny_sam

torch = tiny_sam.torch

STEADY: Mapping[str, Any] = {
    "new_det_thresh": 0.99,
    "assoc_iou_thresh": 0.99,
    "trk_assoc_iou_thresh": 0.0,
    "high_conf_thresh": 0.2,
    "high_iou_thresh": 0.0,
}
"""Random weights find the same things in the first frame only then, and lean on them anew every
16 frames as sure finds do."""
THRESHOLD = 0.1


@dataclass(frozen=True)
class Growth:
    """Bytes that the model's memory of the clip takes more for each object and frame, and masks
    (frame, track id) -> mask."""

    per_object_frame: float
    masks: Mapping[tuple[int, int], NDArray[np.uint8]]


def our_growth(folder: Path, clip: Clip, labels: list[str], report: Report, since: int) -> Growth:
    """Of the engine, from the frame `since` (counted from 0) to the last."""
    sizes: list[tuple[int, int]] = []
    engine = sam3_text.Sam3Text(folder)
    with _watched(lambda session: sizes.append(_size(session))):
        found = list(engine.find(clip, labels, THRESHOLD, report))
    return Growth(_slope(sizes, since), _masks(found))


def stock_growth(folder: Path, clip: Clip, labels: list[str], since: int) -> Growth:
    """Of transformers as its documentation uses it: the whole clip at once, nothing forgotten.

    NMS and hole filling are ours in both, since stock downloads them; `mask_iou` is its own.
    """
    sam3_patches.apply()
    module = sam3_patches.modeling_sam3_video
    module.mask_iou = _STOCK_IOU
    model = weights.load_pretrained(tiny_sam.Sam3VideoModel, folder)
    assert model.score_threshold_detection == THRESHOLD
    processor = tiny_sam.Sam3VideoProcessor.from_pretrained(folder, local_files_only=True)
    video = [read_colors(file) for file in clip.files.values()]
    session = processor.init_video_session(video=video, dtype=torch.float32)
    processor.add_text_prompt(session, labels)
    sizes: list[tuple[int, int]] = []
    found = []
    numbers = list(clip.files)
    with _watched(lambda session: sizes.append(_size(session))):
        for output in model.propagate_in_video_iterator(session):
            masks = sam3_text._found(processor.postprocess_outputs(session, output))
            found.append(FrameMasks(numbers[output.frame_idx], masks))
    return Growth(_slope(sizes, since), _masks(found))


_STOCK_IOU = sam3_patches.modeling_sam3_video.mask_iou


def _size(session: Any) -> tuple[int, int]:
    return state_bytes(session), len(session.obj_ids)


class _watched:  # noqa: N801
    """Calls `seen` with the session after each frame of any SAM 3 video model."""

    def __init__(self, seen: Callable[[Any], None]) -> None:
        self._seen = seen

    def __enter__(self) -> None:
        self._kept = tiny_sam.Sam3VideoModel._det_track_one_frame
        kept, seen = self._kept, self._seen

        def one_frame(model: Any, **how: Any) -> Any:
            result = kept(model, **how)
            seen(how["inference_session"])
            return result

        tiny_sam.Sam3VideoModel._det_track_one_frame = one_frame

    def __exit__(self, *_error: object) -> None:
        tiny_sam.Sam3VideoModel._det_track_one_frame = self._kept


def _slope(sizes: list[tuple[int, int]], since: int) -> float:
    """Bytes more from there to the end, over objects times frames."""
    objects = {count for _size, count in sizes[since:]}
    assert len(objects) == 1, "things that come and go would count as growth"
    (count,) = objects
    assert count > 0
    return (sizes[-1][0] - sizes[since][0]) / (count * (len(sizes) - 1 - since))


def _masks(found: list[FrameMasks]) -> dict[tuple[int, int], NDArray[np.uint8]]:
    return {(frame.frame, each.instance): each.mask for frame in found for each in frame.found}


def same_masks(one: Growth, other: Growth) -> bool:
    return one.masks.keys() == other.masks.keys() and all(
        np.array_equal(mask, other.masks[key]) for key, mask in one.masks.items()
    )


SIDE = 4 * tiny_sam.IMAGE // 14
"""Of the model's small masks."""


class CrossingSam3(tiny_sam.Sam3VideoModel):  # type: ignore[misc]
    """SAM 3 whose detector and tracker see two actors that cross, as the real ones are known to.

    Everything that follows is the model's own: matching finds to tracks, new ids, the clean-up of
    the first frames, the one that is kept of two on the same place. The actor behind is not found
    while little of it shows; its track takes the one in front instead, and then shows nothing.
    """

    length = 48

    def run_detection(self, **_what: Any) -> Any:
        step = self._step = getattr(self, "_step", -1) + 1
        seen = [mask for mask in visible(step) if mask.sum() > 12]
        logits = torch.stack([_logits(mask) for mask in seen])
        boxes = torch.zeros(len(seen), 4)
        scores = torch.full((len(seen),), 0.9)
        return {0: {"bbox": boxes, "mask": logits, "scores": scores}}

    def run_tracker_propagation(self, inference_session: Any, frame_idx: int, **_how: Any) -> Any:
        masks = [self._tracked(inference_session, track) for track in inference_session.obj_ids]
        if not masks:
            return torch.zeros(0, SIDE, SIDE), torch.zeros(0)
        logits = torch.stack([_logits(mask) for mask in masks])
        for track in inference_session.obj_ids:
            place = inference_session.obj_id_to_idx(track)
            memory = {"object_pointer": torch.zeros(1), "pred_masks": logits[:1, None]}
            inference_session.store_output(
                place, frame_idx, output_value=memory, is_conditioning_frame=False
            )
        return logits, torch.full((len(masks),), 3.0)

    def _tracked(self, session: Any, track: int) -> NDArray[np.bool_]:
        actor = self._actors(session)[track]
        now = visible(self._step)
        if now[actor].sum() > 12:
            return now[actor]
        hidden = sum(visible(step)[actor].sum() <= 12 for step in range(self._step + 1))
        return now[0] if hidden <= 2 else np.zeros((SIDE, SIDE), bool)

    def _actors(self, session: Any) -> dict[int, int]:
        """Whom a track has followed since it began."""
        known = self.__dict__.setdefault("_known", {})
        for track in session.obj_ids:
            if track not in known:
                inputs = session.mask_inputs_per_obj[session.obj_id_to_idx(track)]
                (began,) = inputs.values()
                shape = torch.nn.functional.interpolate(began.float(), (SIDE, SIDE))[0, 0] > 0.5
                overlaps = [(mask & shape.numpy()).sum() for mask in visible(self._step - 1)]
                known[track] = int(np.argmax(overlaps))
        return known


def visible(step: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What shows of both actors: the first goes right, in front; the second left, behind."""
    front, behind = np.zeros((SIDE, SIDE), bool), np.zeros((SIDE, SIDE), bool)
    left, right = step // 2, SIDE - 6 - step // 2
    front[8:28, max(0, left) : left + 9] = True
    behind[10:26, max(0, right) : right + 6] = True
    return front, behind & ~front


def _logits(mask: NDArray[np.bool_]) -> Any:
    return torch.from_numpy(np.where(mask, 8.0, -8.0).astype(np.float32))


def crossing(folder: Path, clip: Clip, report: Report) -> Iterator[FrameMasks]:
    """The engine's masks of the actors that cross. `folder` has any SAM 3 with usual settings."""
    kept = sam3_text.Sam3VideoModel
    sam3_text.Sam3VideoModel = CrossingSam3
    try:
        yield from sam3_text.Sam3Text(folder).find(clip, ["person"], 0.5, report)
    finally:
        sam3_text.Sam3VideoModel = kept


def swaps(folders: list[Path], steps: int, first: int) -> tuple[int, int]:
    """Frames in which a folder's masks are not of the actor that it began with, and all frames
    with one."""
    wrong = total = 0
    for folder in folders:
        began: int | None = None
        for step in range(steps):
            mask = read_colors(folder / f"frame_{first + step:04d}.png")
            assert mask is not None
            actor = _actor_in(mask[..., 0] > 0, step)
            if actor is not None:
                began = actor if began is None else began
                wrong += actor != began
                total += 1
    return wrong, total


def _actor_in(mask: NDArray[np.bool_], step: int) -> int | None:
    if not mask.any():
        return None
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    small = np.zeros((SIDE, SIDE), bool)
    small[rows * SIDE // height, columns * SIDE // width] = True
    likeness = [(small & each).sum() / (small | each).sum() for each in visible(step)]
    return int(np.argmax(likeness))


def tracker_growths(name: str, folder: Path, clip: Clip, since: int) -> tuple[Growth, Growth]:
    """Of the prompt engine and of transformers' own propagation, for one point on one object."""
    from backend.prompts import Point, Prompt, PromptedObject
    from backend.worker.engines import sam_tracker

    prompt = Prompt((Point(20.0, 50.0),))
    first = next(iter(clip.files))
    sam = sam_tracker._Sam(name, folder, clip, 1)
    nowhere = Path()
    with tempfile.TemporaryDirectory() as place:
        report = Report(EventWriter(Path(place) / "events.jsonl"), Path(place) / "cancel")
        tracked = sam_tracker._Tracked(
            sam, PromptedObject("actor", {first: prompt}), nowhere, report
        )
    tracked.set_key(0)
    ours: dict[tuple[int, int], NDArray[np.uint8]] = {}
    sizes = []
    for step in range(len(clip.files)):
        seen = tracked.step(step, reverse=False)
        if seen is not None:
            ours[step, 0] = seen.mask
        sizes.append((state_bytes(tracked._session), 1))
    session = sam.session()
    session.cache.clear_all()
    sam.add(session, 0, prompt, nowhere)
    theirs: dict[tuple[int, int], NDArray[np.uint8]] = {}
    stock = []
    for output in sam._model.propagate_in_video_iterator(session, start_frame_idx=0):
        mask = sam.mask(output)
        if mask.any():
            theirs[output.frame_idx, 0] = mask
        stock.append((state_bytes(session), 1))
    return Growth(_slope(sizes, since), ours), Growth(_slope(stock, since), theirs)
