# SPDX-License-Identifier: GPL-3.0-or-later
"""The plate's proxies with the lens distortion taken out, in Blender's own layout.

They are what lies behind the solved pinhole camera while an artist scrubs: taking the distortion
out of full-size frames on the fly is far too slow for that.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import PlateError
from ..proxies import PROXY_PERCENTS, Proxies
from ..reconstruction import CameraModel
from ..shot import by_frame
from .image_files import write_sizes
from .proxies import Straightener, read_image
from .report import Report
from .threads import thread_count, threads


def write_undistorted_proxies(
    lens_at: Callable[[int], CameraModel], proxies: Path, output: Path, report: Report
) -> int:
    """Undistorts each clip's proxies, for any camera model; how many frames there were.

    Made from the largest that a clip has, in that size and all smaller ones. `lens_at` gives the
    lens of a proxy by its number, 1 for the clip's first frame. `proxies` and `output` are folders
    that Blender calls BL_proxy. What falls outside the lens's picture is black. A
    damaged proxy is left out with a warning. Raises OutputError.
    """
    clips = sorted(folder.name for folder in proxies.iterdir()) if proxies.is_dir() else []
    return sum(
        _undistort(lens_at, Proxies(proxies, clip), Proxies(output, clip), report) for clip in clips
    )


def _undistort(
    lens_at: Callable[[int], CameraModel], plain: Proxies, output: Proxies, report: Report
) -> int:
    largest = max(plain.sizes(undistorted=False), default=0)
    files = by_frame(plain.folder(largest, undistorted=False).glob("*.jpg"))
    percents = [percent for percent in PROXY_PERCENTS if percent <= largest]
    straightener = Straightener()
    for percent in percents if files else ():
        output.folder(percent, undistorted=True).mkdir(parents=True, exist_ok=True)

    damaged: list[str] = []

    def write(place: int) -> None:
        try:
            image = read_image(files[place])
        except PlateError as error:
            # A solve is worth more than a proxy.
            damaged.append(error.reason)
            return
        flat = straightener.straighten(image, lens_at(place))
        sizes = {percent * 100 // largest: percent for percent in percents}
        write_sizes({each: output.file(sizes[each], True, place) for each in sizes}, flat)

    with threads(write, files, most=thread_count()) as finished:
        for done, _ in enumerate(finished, 1):
            report.progress(done, len(files), "proxies")
    for reason in damaged:
        report.warning(f"{reason} Set the shot up again to see it behind the camera.")
    return len(files)
