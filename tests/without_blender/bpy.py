# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets the repository's root be imported where there is no Blender (see tests/environments.py)."""

from types import SimpleNamespace

utils = SimpleNamespace(register_submodule_factory=lambda *_: (None, None))
