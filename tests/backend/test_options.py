# SPDX-License-Identifier: GPL-3.0-or-later
"""Options: declared once, shown on the command line, checked in a request."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import pytest

from backend.errors import UsageError
from backend.options import add_arguments, from_mapping, orders, setting_specs, specs
from backend.outputs import fingerprint, inputs_of
from backend.shot import Shot
from backend.stages import STAGES, ColmapOptions
from backend.verbs import run


def parse(*arguments: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    add_arguments(parser, ColmapOptions)
    return vars(parser.parse_args(arguments))


def test_flags_fill_the_dataclass() -> None:
    given = parse("-q", "high", "-M", "--colmap-max-size", "1000")
    options = from_mapping(ColmapOptions, given)
    assert options == ColmapOptions(quality="high", use_masks=False, max_size=1000)
    assert asdict(options)["max_size"] == 1000


def test_absent_flags_leave_the_defaults() -> None:
    assert parse() == {}
    assert from_mapping(ColmapOptions, {}) == ColmapOptions()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"quality": "best"}, "none of the choices"),
        ({"max_size": -1}, "under 0"),
        ({"max_size": 99999}, "over 16384"),
        ({"max_size": "big"}, "not a int"),
        ({"use_masks": 1}, "not a bool"),
        ({"focal": 1.0}, "Unknown option: focal"),
    ],
)
def test_bad_values_are_refused(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        from_mapping(ColmapOptions, values)


def test_every_flag_belongs_to_one_option() -> None:
    flags = [
        flag for stage in STAGES.values() for spec in specs(stage.options) for flag in spec.flags
    ]
    assert len(flags) == len(set(flags))


def test_every_option_explains_itself() -> None:
    for stage in STAGES.values():
        for spec in specs(stage.options):
            assert spec.label
            assert len(spec.help) > 10
            assert not spec.help.endswith("."), f"{stage.name}.{spec.name}: Blender adds the period"


def test_an_order_for_one_run_is_no_setting(tmp_path: Path) -> None:
    """Refining is a flag of the command line; it neither shows nor makes an output stale."""
    assert parse("--refine") == {"refine": True}
    assert "refine" in {spec.name for spec in specs(ColmapOptions)}
    assert "refine" not in {spec.name for spec in setting_specs(ColmapOptions)}
    once, plain = ColmapOptions(refine=True), ColmapOptions()
    assert orders(once)
    assert not orders(plain)
    stage, inputs = STAGES["colmap"], inputs_of(Shot(tmp_path), STAGES["colmap"], "")
    assert fingerprint(stage, once, inputs) == fingerprint(stage, plain, inputs)
    low = ColmapOptions(quality="low")
    assert fingerprint(stage, low, inputs) != fingerprint(stage, plain, inputs)


def test_options_of_two_stages_may_have_one_name() -> None:
    """Each stage gets what its own flags say."""
    parser = argparse.ArgumentParser()
    run.add_parser(parser.add_subparsers())
    words = ("run", "shot", "-s", "roto,interactive,colmap", "--roto-engine", "comfyui")
    arguments = parser.parse_args([*words, "--colmap-engine", "sift", "--blend", "a.blend"])
    asked = {stage.name: dict(stage.options) for stage in run.asked_stages(arguments)}
    blend = asked.pop("scene")["blend"]
    assert Path(blend).name == "a.blend"
    assert Path(blend).is_absolute()
    assert asked == {
        "roto": {"engine": "comfyui"},
        "interactive": {},
        "colmap": {"engine": "sift"},
    }
