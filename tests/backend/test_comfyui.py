# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ComfyUI is used, whether it is there, and the verb that says so."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from backend import comfyui
from backend.cli import main
from backend.comfyui import DEFAULT_URL, ComfySettings, available, check, server_url, why_not
from backend.errors import ComfyError, UsageError
from backend.host import Host
from backend.locations import comfyui_file

from .comfy_server import ComfyServer, object_info


@pytest.fixture
def server():
    made = ComfyServer()
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("", DEFAULT_URL),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        (" https://farm.example/comfy/ ", "https://farm.example/comfy"),
        ("http://[::1]:8188", "http://[::1]:8188"),
    ],
)
def test_addresses_are_completed(typed, url):
    assert server_url(typed) == url


@pytest.mark.parametrize(
    "typed", ["ftp://a", "http://", "http://a:port", "file:///etc/passwd", "a?b"]
)
def test_what_is_no_address_is_refused(typed):
    with pytest.raises(UsageError):
        server_url(typed)


def test_this_machine_is_known_by_each_of_its_names():
    assert all(map(comfyui.is_local, ("http://localhost:1", "http://127.0.0.9", "http://[::1]:2")))
    assert not comfyui.is_local("http://192.168.0.4:8188")


def test_settings_are_kept_and_a_damaged_file_is_none(tmp_path: Path):
    assert ComfySettings.load(tmp_path) == ComfySettings(DEFAULT_URL, "")
    ComfySettings("farm:8188", "/opt/ComfyUI").save(tmp_path)
    assert ComfySettings.load(tmp_path) == ComfySettings("http://farm:8188", "/opt/ComfyUI")
    comfyui_file(tmp_path).write_text("{", encoding="utf-8")
    assert ComfySettings.load(tmp_path) == ComfySettings()


def test_a_server_says_what_it_is(server):
    found = check(server.url)
    assert (found.version, found.device) == ("0.33.0", "cpu")
    assert found.memory_free == 23067721728


def test_too_old_a_server_is_told(server):
    server.stats["system"]["comfyui_version"] = "0.3.40"
    with pytest.raises(ComfyError, match=r"is 0\.3\.40: update it to 0\.3\.64"):
        check(server.url)


def test_stages_are_available_or_a_sentence_says_why(server):
    assert available(server.url, "roto")
    assert available(server.url, "interactive")
    assert not available(server.url, "colmap")
    server.classes = object_info(weights=False)
    assert not available(server.url, "roto")
    assert "models/checkpoints" in why_not(server.url, "roto")[0]
    server.stop()
    (sentence,) = why_not(server.url, "roto")
    assert sentence.startswith("No ComfyUI answers")


def run(home: Path, *words: str) -> int:
    return main(["comfyui", *words], Host(python=Path(sys.executable), home=home))


def test_the_verb_tells_stage_by_stage(server, tmp_path, capsys):
    assert run(tmp_path, "use", server.url) == 0
    assert run(tmp_path, "check") == 0
    out = capsys.readouterr().out
    assert "ComfyUI 0.33.0" in out
    assert out.count("ready") == 4
    del server.classes["ProPainterInpaint"]
    assert run(tmp_path, "check", server.url) == 1
    out = capsys.readouterr().out
    assert out.count("ready") == 3
    assert "Install ComfyUI_ProPainter_Nodes" in out
    assert run(tmp_path, "check", "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert {stage for stage, lacking in said["missing"].items() if lacking} == {"cleanplate"}


def test_the_verb_fails_plainly(tmp_path, capsys, server):
    server.stop()
    assert run(tmp_path, "check", server.url) == 1
    assert "No ComfyUI answers" in capsys.readouterr().err
    assert run(tmp_path, "use", "ftp://x") == 2


def test_the_verb_copies_workflows(tmp_path, capsys):
    shot = tmp_path / "shot"
    shot.mkdir()
    assert run(tmp_path, "workflows", str(shot)) == 0
    assert run(tmp_path, "workflows", str(shot)) == 0
    assert capsys.readouterr().out.count("yours, left as it is") == 4
    assert len(list((shot / "workflows").iterdir())) == 4
