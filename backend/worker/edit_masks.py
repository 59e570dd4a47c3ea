# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits a shot's masks from the command line: `edit_masks.py JOB.json`.

JOB is the JSON text of a MaskJob. Writes JSON Lines: `done` and `total` frames as it goes, `note`
for what is worth knowing, `error` when it fails. Exit status 0, 1 on failure, 130 when it was
interrupted.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from backend.errors import JobError
from backend.jobs import shot_lock_name
from backend.locations import home, locks_folder
from backend.mask_edits import MaskJob
from backend.processes import FileLock
from backend.shot import Shot
from backend.worker.json_lines import run_program, tell
from backend.worker.mask_edits import run


def main(text: str) -> int:
    def work() -> None:
        for note in _run_alone(MaskJob.from_json(text)):
            tell(note=note)

    return run_program(work)


def _run_alone(job: MaskJob) -> list[str]:
    lock = FileLock(locks_folder(home()) / shot_lock_name(Shot(job.shot)))
    if not lock.acquire():
        raise JobError("A job of this shot is running: wait for its end, then edit the masks.")
    try:
        return run(job, lambda done, total: tell(done=done, total=total))
    finally:
        lock.release()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
