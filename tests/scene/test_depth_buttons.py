# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons of depth and clean plate, what panels are told, and what another run changes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from shot_gopher.backend.clean_plate import clean_plate_facts
from shot_gopher.backend.dense import place_of
from shot_gopher.backend.depth import METERS, DepthRecord, depth_facts
from shot_gopher.backend.outputs import stage_file
from shot_gopher.backend.previews import Preview, find_previews
from shot_gopher.backend.shot import Shot, write_json
from shot_gopher.backend.stages import STAGES
from shot_gopher.operators.previews import squares
from shot_gopher.operators.view import Query, compose, read_shot

from .depth_shot import FIRST, depth_shot, move_world
from .exr import write_exr
from .shots import WORLD, write_png


@pytest.fixture
def addon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shot]:
    """A shot with depth whose camera is in the scene of the registered add-on."""
    monkeypatch.setenv("SHOT_GOPHER_HOME", str(tmp_path / "home"))
    package = sys.modules["shot_gopher"]
    package.register()
    shot = depth_shot(tmp_path / "shot")
    bpy.context.scene.shot_gopher.shot = str(shot.path)
    bpy.ops.shot_gopher.camera_import()
    bpy.context.scene.frame_set(FIRST)
    yield shot
    package.unregister()


def made(role: str) -> bpy.types.Object:
    (found,) = (each for each in bpy.data.objects if each.get("shot_gopher_role") == role)
    return found


def test_each_button_makes_its_part_once(addon: Shot) -> None:
    for _ in range(2):
        assert bpy.ops.shot_gopher.depth_card(faces=500) == {"FINISHED"}
        assert bpy.ops.shot_gopher.depth_points(most=500) == {"FINISHED"}
        assert bpy.ops.shot_gopher.depth_compositing() == {"FINISHED"}
    card, points = made("card"), made("depth points")
    assert card.parent == bpy.context.scene.camera
    assert 300 < len(card.data.polygons) < 800
    assert 100 < len(points.data.vertices) < 800
    (track,) = bpy.context.scene.collection.children
    assert [each.name for each in track.children] == ["shot Depth"]
    groups = [each for each in bpy.data.node_groups if "Compositing" in each.name]
    assert "shot Depth Compositing" in [each.name for each in groups]
    addon.depth.record.unlink()
    with pytest.raises(RuntimeError, match="run Estimate Depth"):
        bpy.ops.shot_gopher.depth_card()


def test_another_run_is_shown(addon: Shot) -> None:
    """New maps of the same names, in another world: the card shows them without a press."""
    bpy.ops.shot_gopher.depth_card(faces=500)
    bpy.ops.shot_gopher.depth_compositing()
    card = made("card")
    # Blender remembers the map that it has shown.
    bpy.context.scene.frame_set(FIRST + 1)
    world = move_world(addon)
    bpy.ops.shot_gopher.camera_import()
    factor = world.scale / WORLD.scale
    assert card.scale[0] == pytest.approx(factor)
    record = DepthRecord.load(addon.depth.record)
    replace(record, place=place_of(addon)).save(addon.depth.record)
    for number in record.frames:
        write_exr(addon.depth.map(number), np.full((90, 160), 5.0))
    assert bpy.ops.shot_gopher.background_refresh() == {"FINISHED"}
    assert card.scale[0] == pytest.approx(1.0)
    (nodes,) = (each for each in bpy.data.node_groups if each.name == "shot Depth Compositing")
    assert nodes.nodes["Depth Scale"].inputs[1].default_value == pytest.approx(1.0)
    bpy.context.view_layer.update()
    now = card.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    np.testing.assert_allclose([vertex.co.z for vertex in now.vertices], -5.0, rtol=1e-5)


def test_panels_are_told_what_depth_is(addon: Shot) -> None:
    record = DepthRecord.load(addon.depth.record)
    assert record.facts == ("6 frames with depth", "In the units of the solved camera")
    replace(record, units=METERS, place=None, flicker=0.0123).save(addon.depth.record)
    facts = depth_facts(addon.depth.record)
    assert facts[1:] == (
        "In meters, as the model guesses", "Flicker 1.2% of depth",
    )  # fmt: skip
    options = {name: {} for name in STAGES}
    disk = read_shot(Query(str(addon.path), "", options), [])
    assert disk.facts["depth"] == facts
    assert [each.name for each in disk.backgrounds][2:] == ["depth"]
    addon.depth.record.write_text("{")
    assert depth_facts(addon.depth.record) == ()


def test_panels_are_told_what_a_clean_plate_is_made_of(addon: Shot) -> None:
    record = {"method": "project", "changed_frames": 12, "seen": 0.976, "made_up_by": "ProPainter"}
    assert clean_plate_facts(record) == (
        "From other frames, projected",
        "12 frames changed",
        "98% of it is seen in other frames",
        "The rest is made up by ProPainter",
    )
    assert clean_plate_facts({}) == ()
    write_png(addon.clean_frame(FIRST), np.zeros((90, 160, 3), dtype=np.uint8))
    write_json(stage_file(addon, STAGES["cleanplate"]), record)
    options = {name: {} for name in STAGES}
    disk = read_shot(Query(str(addon.path), "", options), [])
    assert disk.facts["cleanplate"] == clean_plate_facts(record)
    assert "cleanplate" in [each.name for each in disk.backgrounds]
    assert bpy.ops.shot_gopher.background_show(source="cleanplate") == {"FINISHED"}
    assert bpy.ops.shot_gopher.background_show(source="depth") == {"FINISHED"}


def test_previews_are_found_and_told_from_older_ones(addon: Shot) -> None:
    assert find_previews(addon) == {}
    file = addon.depth.path / "preview.jpg"
    file.write_bytes(b"picture")
    found = find_previews(addon)
    assert found == {"depth": Preview(str(file), file.stat().st_mtime_ns)}
    options = {name: {} for name in STAGES}
    view = compose(read_shot(Query(str(addon.path), "", options), []), [], set())
    assert view.stages["depth"].preview == found["depth"]
    assert view.stages["cleanplate"].preview is None


@pytest.mark.parametrize(
    ("width", "height", "count", "side"),
    [(960, 270, 3, 320), (960, 405, 2, 480), (90, 160, 1, 160)],
)
def test_a_preview_is_cut_into_squares(width: int, height: int, count: int, side: int) -> None:
    picture = np.random.default_rng(1).random((height, width, 4)).astype(np.float32) + 0.1
    cut = squares(picture)
    assert [each.shape for each in cut] == count * [(side, side, 4)]
    whole = np.concatenate(cut, axis=1)
    kept = whole[(whole > 0).all(axis=2)]
    np.testing.assert_array_equal(kept.reshape(picture.shape), picture)
