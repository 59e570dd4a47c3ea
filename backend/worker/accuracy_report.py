# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures a shot's solve against a known camera: `accuracy_report.py SHOT TRUTH.json`.

Writes one JSON object: slip_rms, slip_max and jitter in px, focal_error as a share.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from backend.accuracy import load_truth, slip
from backend.shot import Shot
from backend.solve import Solve


def main(shot: Path, truth: Path) -> dict[str, float]:
    """The figures of one shot. Raises FormatError."""
    true_track, points = load_truth(truth)
    found = slip(true_track, Solve.load(Shot(shot).camera).track, points)
    return {
        "slip_rms": found.rms,
        "slip_max": found.max,
        "jitter": found.jitter,
        "focal_error": found.focal_error,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
