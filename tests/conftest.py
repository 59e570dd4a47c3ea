# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the repository's root on the path, so that tests import `backend` as the worker does."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
