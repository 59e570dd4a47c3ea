# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits a shot's masks from the command line: `edit_masks.py JOB.json`.

JOB is the JSON text of a MaskJob. Writes JSON Lines: `done` and `total` frames as it goes, `note`
for what is worth knowing, `error` when it fails. Exit status 0, 1 on failure, 130 when it was
interrupted.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from backend.errors import JobError, ShotGopherError
from backend.jobs import shot_lock_name
from backend.locations import home, locks_folder
from backend.mask_edits import MaskJob
from backend.processes import INTERRUPT_SIGNALS, FileLock
from backend.shot import Shot
from backend.worker.mask_edits import run


def _tell(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def main(text: str) -> int:
    for number in INTERRUPT_SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        for note in _run_alone(MaskJob.from_json(text)):
            _tell(note=note)
    except ShotGopherError as error:
        _tell(error=error.reason)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run_alone(job: MaskJob) -> list[str]:
    lock = FileLock(locks_folder(home()) / shot_lock_name(Shot(job.shot)))
    if not lock.acquire():
        raise JobError("A job of this shot is running: wait for its end, then edit the masks.")
    try:
        return run(job, lambda done, total: _tell(done=done, total=total))
    finally:
        lock.release()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
