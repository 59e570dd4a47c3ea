# SPDX-License-Identifier: GPL-3.0-or-later
"""Before anything imports torchvision: see torchvision_operations."""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("torch") is not None:
    from tests.backend.torchvision_operations import stand_in_operations

    MISSING_OPERATIONS = stand_in_operations()
