# SPDX-License-Identifier: GPL-3.0-or-later
"""The button that asks a ComfyUI server what it has."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import bpy
import pytest

from tests.backend.comfy_server import ComfyServer, object_info


@pytest.fixture
def server() -> Iterator[ComfyServer]:
    made = ComfyServer()
    yield made
    made.stop()


def checked(url: str) -> Any:
    """What the preferences draw after the button was pressed."""
    addon = sys.modules["shot_gopher.operators.addon"]
    addon.use_comfyui(url, "")
    bpy.ops.shot_gopher.comfyui_check()
    return sys.modules["shot_gopher.operators.comfyui"].checking.view


@pytest.mark.usefixtures("settings")
def test_a_server_says_what_it_can_do(server: ComfyServer) -> None:
    view = checked(server.url)
    assert view.server.startswith("ComfyUI 0.33.0 at http://127.0.0.1")
    assert set(view.stages) == {
        ("Roto by Text", True),
        ("Track Masks", True),
        ("Estimate Depth", True),
        ("Clean Plate", True),
    }
    assert (view.missing, view.trouble) == ((), "")


@pytest.mark.usefixtures("settings")
def test_what_a_server_lacks_is_said_once(server: ComfyServer) -> None:
    server.classes = object_info(weights=False)
    view = checked(server.url)
    assert set(view.stages) == {
        ("Roto by Text", False),
        ("Track Masks", False),
        ("Estimate Depth", False),
        ("Clean Plate", True),
    }
    depth, masks = sorted(view.missing)
    assert "depth_anything_3_mono_large.safetensors" in depth
    assert "sam3.1_multiplex_fp16.safetensors" in masks


@pytest.mark.usefixtures("settings")
def test_no_server_is_trouble(server: ComfyServer) -> None:
    url = server.url
    server.stop()
    view = checked(url)
    assert (view.server, view.stages) == ("", ())
    assert view.trouble.startswith(f"No ComfyUI answers at {url}")
