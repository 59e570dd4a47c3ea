# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws masks while an artist points: `preview_masks.py SHOT MODEL FOLDER`, alive until stdin ends.

MODEL is a name of the table or "auto", FOLDER takes the masks. Reads JSON Lines:

    {"id": 7, "frame": 1001, "objects": [{"points": [[x, y, 1]], "box": [l, t, r, b], "mask": ""}]}

an object being a prompt as roto/prompts.json has it. Of several that wait only the last is
answered. Writes JSON Lines: `ready` with the model's name once it is loaded, then for each answer

    {"id": 7, "frame": 1001, "masks": ["<FOLDER>/7_0.npy"]}     (h, w) uint8 of the plate's size
    {"id": 7, "error": "..."}                                   nothing could be drawn of that

and `error` alone, with exit status 1, when it cannot go on. The masks of an answer stay until the
second answer after it. Exit status 130 when it was interrupted.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from backend.errors import ShotGopherError, UsageError
from backend.locations import home
from backend.models import ModelStore
from backend.prompts import Prompt, read_prompt
from backend.shot import Shot
from backend.worker.engines.choice import prompt_model
from backend.worker.engines.masking import Clip
from backend.worker.json_lines import run_program, tell
from backend.worker.weights import prepare

if TYPE_CHECKING:
    from backend.worker.engines.sam_tracker import Preview

_KEPT = 2
"""Answers whose masks stay."""


def main(shot: str, model: str, folder: str) -> int:
    def work() -> None:
        name, preview = _load(Shot(Path(shot)), model)
        tell(ready=True, model=name)
        _answer_all(preview, Path(folder))

    return run_program(work)


def _load(shot: Shot, asked: str) -> tuple[str, Preview]:
    store = ModelStore(home())
    name = prompt_model(asked, store)
    plate = shot.load_plate()
    files = {number: shot.frame_file(number) for number in plate.frames}
    clip = Clip(files, (plate.width, plate.height), plate.first_frame)
    folder = store.folder(name)
    prepare()
    from backend.worker.engines.sam_tracker import Preview

    return name, Preview(name, folder, clip, shot.path)


def _answer_all(preview: Preview, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    written: list[list[Path]] = []
    for request in _newest():
        try:
            place, frame, prompts = _read(request)
            masks = preview.masks(frame, prompts)
        except ShotGopherError as error:
            tell(id=request.get("id"), error=error.reason)
            continue
        files = [folder / f"{place}_{order}.npy" for order in range(len(masks))]
        for file, mask in zip(files, masks, strict=True):
            np.save(file, mask)
        tell(id=place, frame=frame, masks=[str(file) for file in files])
        written.append(files)
        while len(written) > _KEPT:
            for old in set(written.pop(0)) - {file for kept in written for file in kept}:
                old.unlink(missing_ok=True)


def _read(request: Mapping[str, Any]) -> tuple[int, int, list[Prompt]]:
    """Raises UsageError."""
    try:
        prompts = [read_prompt(each) for each in request["objects"]]
        return int(request["id"]), int(request["frame"]), prompts
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"This is no request for masks: {error!r}.") from error


def _newest() -> Iterator[dict[str, Any]]:
    """Requests as they come, the last of those that wait; until stdin ends."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_feed, args=(lines,), daemon=True).start()
    ended = False
    while not ended:
        line = lines.get()
        ended = not line
        while not lines.empty():
            following = lines.get()
            ended = not following
            line = following or line
        if line:
            yield _object(line)


def _feed(lines: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    lines.put("")


def _object(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
