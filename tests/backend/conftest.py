# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker does before it imports transformers, done before tests import it."""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("torch") is not None:
    from backend.worker.weights import prepare

    prepare()
