# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one job folder: `python -I -B -u backend/worker/__main__.py JOB_FOLDER`.

Started by whatever Python there is. When the worker's environment is ready this process runs the
stages itself; otherwise it installs the environment first and hands the job to that Python, staying
as the one who holds the lock.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # -I leaves the folder of this file out of the path; the project's root is what is wanted.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    # Numpy's threads cost twice the processor time of one on the small matrices of a solve.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from backend.worker.runner import main

    sys.exit(main(sys.argv[1:]))
