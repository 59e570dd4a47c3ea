# SPDX-License-Identifier: GPL-3.0-or-later
"""roto/prompts.json: what is picked is read back as it was, and nonsense is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import FormatError, UsageError
from backend.prompts import Point, Prompt, PromptedObject, Prompts

places = st.floats(0, 8192, allow_nan=False)
points = st.builds(Point, places, places, st.booleans())
boxes = st.tuples(places, places, places, places).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)
said = st.builds(
    Prompt, st.lists(points, max_size=4).map(tuple), st.none() | boxes, st.just("") | st.text()
).filter(lambda prompt: not prompt.is_empty)
objects = st.builds(
    PromptedObject, st.text(min_size=1), st.dictionaries(st.integers(0, 99999), said, max_size=4)
)


@given(st.lists(objects, max_size=4).map(tuple).map(Prompts))
def test_read_back_as_it_was(prompts: Prompts) -> None:
    told = json.loads(json.dumps(prompts.to_json()))
    assert Prompts.from_json(told) == prompts


def test_a_file_and_its_folder(tmp_path: Path) -> None:
    prompts = Prompts((PromptedObject("Auto №1", {1001: Prompt((Point(3, 4, False),))}),))
    prompts.save(tmp_path / "roto" / "prompts.json")
    assert Prompts.load(tmp_path / "roto" / "prompts.json") == prompts


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"version": 1},
        {"version": 2, "objects": []},
        {"version": 1, "objects": [{"name": "a"}]},
        {"version": 1, "objects": [{"name": "a", "frames": {"x": {}}}]},
        {"version": 1, "objects": [{"name": "a", "frames": {"1": {"points": [[1]]}}}]},
        {"version": 1, "objects": [{"name": "a", "frames": {"1": {"box": [1, 2]}}}]},
    ],
)
def test_nonsense_is_named(tmp_path: Path, data: dict[str, Any]) -> None:
    file = tmp_path / "prompts.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(FormatError):
        Prompts.load(file)


def test_what_cannot_be_tracked() -> None:
    clicked = {1: Prompt((Point(1, 1),))}
    with pytest.raises(UsageError, match="share one folder"):
        Prompts((PromptedObject("a b", clicked), PromptedObject("a_b", clicked))).check()
    with pytest.raises(UsageError, match="'b'"):
        Prompts((PromptedObject("a", clicked), PromptedObject("b"))).check()
    Prompts((PromptedObject("a", clicked), PromptedObject("b", clicked))).check()


def test_folders_that_are_made_of_the_others_are_not_taken() -> None:
    assert PromptedObject("mask").folder == "mask_"
    assert PromptedObject("Combined").folder == "Combined_"
