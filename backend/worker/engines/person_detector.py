# SPDX-License-Identifier: GPL-3.0-or-later
"""RT-DETR (Zhao et al. 2024) of transformers: where people are in a shot that has no masks of them.

Boxes of neighboring frames are of the same person where they share the most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from ...camera import Array
from ...errors import PlateError
from ..frame_files import read_colors
from ..weights import device as best_device
from ..weights import load_pretrained, nms, prepare, refused
from .body_motion import Person, PlateCamera, Progress
from .person_crops import in_room

_SIDE = 640
"""Width and height of what it sees, however the plate is shaped."""
_PERSON = "person"
_SURE, _MAYBE = 0.6, 0.3
"""What a person begins with, and what goes on with one."""
_ONE = 0.7
"""Shared part of boxes from which on they are one person's."""
_SAME = 0.3
"""Shared part of a box with the one that is expected, from which on it is the same person's."""
_LOST, _STEADY = 24, 5
"""Frames for which somebody may not be seen, and those that tell where they are until then."""
_SHORTEST, _SMALLEST = 12, 0.08
"""Frames, and height over the plate's, below which nobody is told of."""
_PEOPLE = 8


@dataclass
class Track:
    """Somebody: boxes by frames."""

    boxes: dict[int, Array] = field(default_factory=dict)

    @property
    def last(self) -> int:
        return next(reversed(self.boxes))

    def expected(self, frame: int) -> Array:
        """Its box where it goes on as it went in its last frames."""
        frames = list(self.boxes)[-_STEADY:]
        first, last = frames[0], frames[-1]
        speed = (self.boxes[last] - self.boxes[first]) / max(1, last - first)
        return self.boxes[last] + speed * (frame - last)


class PersonDetector:
    """Finds people."""

    def __init__(self, network: Any, person: int, device: torch.device) -> None:
        self._network, self._person, self._device = network.to(device), person, device

    @classmethod
    def load(cls, folder: Path) -> PersonDetector:
        """Raises ModelError when the weights are not right."""
        prepare()
        from transformers import RTDetrForObjectDetection

        network = load_pretrained(RTDetrForObjectDetection, folder)
        known = {str(name): int(index) for index, name in network.config.id2label.items()}
        if _PERSON not in known:
            raise refused(folder, "they find no people")
        return cls(network, known[_PERSON], best_device())

    def people(self, camera: PlateCamera, progress: Progress) -> Sequence[Person]:
        """See MotionEngine: those that are seen longest first."""
        tracks: list[Track] = []
        for done, number in enumerate(camera.frames, 1):
            picture = read_colors(camera.files[int(number)])
            if picture is None:
                raise PlateError(f"Frame {number} of the plate is missing or damaged.")
            join(tracks, int(number), *self.boxes(picture))
            progress(done, len(camera.frames), "frames")
        return named(tracks, camera.size[1])

    def boxes(self, picture: Any) -> tuple[Array, Array]:
        """Boxes (n, 4) left, top, right, bottom, and how sure they are (n,), the surest first."""
        height, width = picture.shape[:2]
        small = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        seen = torch.from_numpy(np.ascontiguousarray(small.transpose(2, 0, 1)))[None].float() / 255

        def work() -> tuple[torch.Tensor, torch.Tensor]:
            found = self._network(seen.to(self._device))
            sure = found.logits[0].float().sigmoid()[:, self._person]
            return found.pred_boxes[0].float().cpu(), sure.cpu()

        places, sure = in_room(work, self._device)
        corners = torch.cat(
            [places[:, :2] - places[:, 2:] / 2, places[:, :2] + places[:, 2:] / 2], 1
        )
        corners = corners.clamp(0, 1) * torch.tensor([width, height, width, height])
        corners, sure = corners[sure > _MAYBE], sure[sure > _MAYBE]
        kept = nms(corners, sure, _ONE)
        return corners[kept].double().numpy(), sure[kept].double().numpy()


def join(tracks: list[Track], frame: int, boxes: Array, sure: Array) -> None:
    """Adds a frame's boxes to those that they share the most with, each to one; what is left and
    sure enough begins a track."""
    alive = [track for track in tracks if frame - track.last <= _LOST]
    shared = np.array([[overlap(track.expected(frame), box) for box in boxes] for track in alive])
    free = set(range(len(boxes)))
    while shared.size and shared.max() > _SAME:
        row, column = np.unravel_index(int(shared.argmax()), shared.shape)
        alive[row].boxes[frame] = boxes[column]
        free.discard(int(column))
        shared[row], shared[:, column] = 0, 0
    tracks.extend(Track({frame: boxes[index]}) for index in sorted(free) if sure[index] > _SURE)


def overlap(one: Array, other: Array) -> float:
    """Of two boxes, what they share over what they cover together."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    inter = float(np.prod(np.maximum(sides, 0)))
    both = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - inter
    return inter / both if both > 0 else 0.0


def named(tracks: Sequence[Track], height: int) -> list[Person]:
    """The people of tracks, the one that is seen longest first."""
    long = [track for track in tracks if len(track.boxes) >= _SHORTEST]
    tall = [
        track
        for track in long
        if np.median([box[3] - box[1] for box in track.boxes.values()]) >= _SMALLEST * height
    ]
    ordered = sorted(tall, key=lambda track: -len(track.boxes))[:_PEOPLE]
    return [
        Person(
            name=f"person_{index:02d}",
            frames=np.array(list(track.boxes), np.int64),
            boxes=np.array(list(track.boxes.values())),
        )
        for index, track in enumerate(ordered)
    ]
