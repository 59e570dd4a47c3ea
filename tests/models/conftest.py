# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker does before it imports transformers, done before tests import it."""

from backend.worker.weights import prepare

prepare()
