# SPDX-License-Identifier: GPL-3.0-or-later
"""The events file: what a reader makes of whole, half and damaged lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.events import Event, EventReader, EventWriter


def test_records_come_once_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    writer, reader = EventWriter(path), EventReader(path)
    writer.write(Event.STATUS, text="Größe 一")
    writer.stage = "ingest"
    writer.write(Event.PROGRESS, done=1, total=2, unit="frames")
    first, second = reader.poll()
    assert (first["seq"], first["text"], first["stage"]) == (1, "Größe 一", "")
    assert (second["seq"], second["done"], second["stage"]) == (2, 1, "ingest")
    assert reader.poll() == []


def test_a_half_line_waits(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    reader = EventReader(path)
    path.write_bytes(b'{"seq": 1, "event": "sta')
    assert reader.poll() == []
    with path.open("ab") as file:
        file.write(b'tus", "text": "x"}\n')
    assert [record["text"] for record in reader.poll()] == ["x"]


def test_damage_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(
        b'\xff\xfe\n[1]\n{"seq": 1, "event": "dance"}\n{"seq": 2, "event": "finished"}\n'
    )
    assert [record["seq"] for record in EventReader(path).poll()] == [2]


def test_nothing_follows_the_last_event(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "events.jsonl")
    writer.write(Event.FINISHED)
    with pytest.raises(ValueError, match="after the job's last event"):
        writer.write(Event.STATUS, text="late")
    assert EventWriter(writer.path).closed


def test_a_second_writer_goes_on_counting(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    EventWriter(path).write(Event.STARTED, pid=1, versions={})
    EventWriter(path).write(Event.STATUS, text="x")
    assert [record["seq"] for record in EventReader(path).poll()] == [1, 2]
