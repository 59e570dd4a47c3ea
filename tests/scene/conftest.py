# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the Blender side, in a bpy wheel: the repository loaded as the package that Blender has.

Each test starts in an empty factory scene.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HAS_BPY = importlib.util.find_spec("bpy") is not None
collect_ignore_glob = [] if HAS_BPY else ["test_*.py"]


def _load_package() -> None:
    spec = importlib.util.spec_from_file_location(
        "shot_gopher", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["shot_gopher"] = package
    spec.loader.exec_module(package)


if HAS_BPY:
    import bpy

    _load_package()

    @pytest.fixture(autouse=True)
    def scene() -> Iterator[bpy.types.Scene]:
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        return bpy.context.scene

    @pytest.fixture
    def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        """`scene.shot_gopher` of the registered add-on, with an empty home."""
        monkeypatch.setenv("SHOT_GOPHER_HOME", str(tmp_path / "home"))
        package = sys.modules["shot_gopher"]
        package.register()
        yield bpy.context.scene.shot_gopher
        package.unregister()

    _status = 0

    def pytest_sessionfinish(exitstatus: int) -> None:
        global _status
        _status = int(exitstatus)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure() -> None:
        # bpy has been seen to hang when its interpreter ends.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_status)
