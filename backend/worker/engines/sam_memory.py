# SPDX-License-Identifier: GPL-3.0-or-later
"""What a SAM session may forget after each frame without a change of any later mask.

A session of transformers keeps everything of every object and frame: 6.4 MB at full size, measured,
so a thousand frames of five people would take 32 GB. The next frame looks at few of them: the
memories of the last `num_maskmem` - 1 frames, the pointers of the last
`max_object_pointers_in_encoder` - 1, all pointers of conditioning frames, and the memories of the
`max_cond_frame_num` conditioning frames that are closest to it in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_MEMORIES = ("maskmem_features", "maskmem_pos_enc")
_MASKS = ("pred_masks", "high_res_masks")

Outputs = dict[int, dict[str, Any]]
"""What a session keeps of one object, by frame."""


@dataclass(frozen=True)
class Reach:
    """How many frames back a tracker looks; `conditioning` is -1 when it looks at all of them."""

    memories: int
    pointers: int
    conditioning: int

    @classmethod
    def of(cls, config: Any) -> Reach:
        """Of a tracker's configuration."""
        return cls(
            memories=config.num_maskmem - 1,
            pointers=config.max_object_pointers_in_encoder - 1,
            conditioning=config.max_cond_frame_num,
        )


def forget(session: Any, frame: int, reach: Reach, keep_conditioning: bool) -> None:
    """Drops what no frame after `frame` looks at, whichever way the session goes.

    `keep_conditioning` is for sessions whose conditioning frames are still ahead, as an artist's
    prompts may be; otherwise the session goes forward and they lie behind.
    """
    for outputs in session.output_dict_per_obj.values():
        _forget_tracked(outputs["non_cond_frame_outputs"], frame, reach)
        conditioning = outputs["cond_frame_outputs"]
        if keep_conditioning:
            _drop(conditioning.values(), ("high_res_masks",))
        else:
            _forget_conditioning(conditioning, frame, reach)
        _own_memories(conditioning.values())


def forget_notes(session: Any, frame: int) -> None:
    """Drops SAM 3's notes on earlier frames, all of which it copies in each."""
    for notes in (session.obj_id_to_tracker_score_frame_wise, session.suppressed_obj_ids):
        for old in [number for number in notes if number < frame]:
            del notes[old]


def _forget_tracked(outputs: Outputs, frame: int, reach: Reach) -> None:
    for number in list(outputs):
        next_distance = abs(frame - number) + 1
        if next_distance > max(reach.pointers, reach.memories):
            del outputs[number]
            continue
        _drop([outputs[number]], _MASKS)
        if next_distance > reach.memories:
            _drop([outputs[number]], _MEMORIES)


def _forget_conditioning(outputs: Outputs, frame: int, reach: Reach) -> None:
    _drop(outputs.values(), _MASKS)
    if reach.conditioning < 0:
        return
    for number in sorted(outputs)[: -reach.conditioning or None]:
        if frame - number + 1 > reach.memories:
            _drop([outputs[number]], _MEMORIES)


def _drop(outputs: Iterable[dict[str, Any]], names: Iterable[str]) -> None:
    for output in outputs:
        for name in names:
            output.pop(name, None)


def _own_memories(outputs: Iterable[dict[str, Any]]) -> None:
    """Copies memories that are a part of those of all objects, which they would keep alive."""
    for output in outputs:
        for name in _MEMORIES:
            memory = output.get(name)
            if memory is not None and memory.untyped_storage().nbytes() > memory.nbytes:
                output[name] = memory.clone()


def state_bytes(session: Any) -> int:
    """What the tensors in a session's outputs take, each counted once."""
    storages: dict[int, int] = {}
    for outputs in session.output_dict_per_obj.values():
        for by_frame in outputs.values():
            for output in by_frame.values():
                storages.update(_storages(output))
    return sum(storages.values())


def _storages(output: Mapping[str, Any]) -> dict[int, int]:
    tensors = (value for value in output.values() if hasattr(value, "untyped_storage"))
    return {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in tensors}
