# SPDX-License-Identifier: GPL-3.0-or-later
"""Real plates and camera files beside the project, for tests that use them when they are there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("SHOT_GOPHER_TEST_DATA", ROOT.parent / "shared" / "data"))


def shared_data(path: str) -> Path:
    """A file or folder of the shared test data; skips the test on a machine without it."""
    found = SHARED / path
    if not found.exists():
        pytest.skip(f"{path} is not beside the project")
    return found
