# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes proxies of every folder of images that a shot has beside its plate.

    proxies/roto/actor/frame_1001.png/proxy_50/00000001.jpg
    proxies/roto/actor/frame_1001.png/proxy_50_undistorted/00000001.jpg    where the lens bends
    proxies/roto/actor/proxies.json                                        what they were made from

Folders that have not changed since the last run are taken over from it. The plate is among them
when its own proxies are not there in every size.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...pictures import Pictures, find_pictures, plate_pictures
from ...proxies import PROXY_PERCENTS, Made, Proxies
from ...shot import Shot
from ...stages import ProxiesOptions
from ..carrying import carry_over
from ..proxies import bending_lens, made_from, write_proxies
from ..report import Context


def run(context: Context[ProxiesOptions]) -> None:
    """Raises PlateError for images that are missing or damaged, FormatError, OutputError."""
    shot, report = context.shot, context.report
    part = context.part.folder("proxies")
    written = {}
    for pictures in _wanted(shot):
        report.status(f"Writing proxies of {pictures.name}")
        _take_over(shot.written_proxies / pictures.name, part / pictures.name, shot, pictures)
        write_proxies(shot, pictures, part / pictures.name, report)
        report.result(f"proxies/{pictures.name}", "proxies")
        written[pictures.name] = len(pictures.files)
    context.record.update(images=written, percents=list(PROXY_PERCENTS))


def _wanted(shot: Shot) -> Iterator[Pictures]:
    plate = plate_pictures(shot)
    own = Proxies(shot.proxies, plate.first.name)
    flat = Proxies(shot.undistorted_proxies, plate.first.name)
    if own.sizes(undistorted=False) != PROXY_PERCENTS or (
        bending_lens(shot) is not None and flat.sizes(undistorted=True) != PROXY_PERCENTS
    ):
        yield plate
    yield from find_pictures(shot)


def _take_over(old: Path, new: Path, shot: Shot, pictures: Pictures) -> None:
    """Gives the new output what the last one has, where that is still right."""
    if not new.exists() and Made.load(old) == made_from(shot, pictures):
        carry_over(old, new)
