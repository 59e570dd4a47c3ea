# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxies as Blender's movie clips read them: where they lie, and what is there.

    <directory>/<name of the clip's first file>/proxy_50/00000001.jpg
    <directory>/<name of the clip's first file>/proxy_50_undistorted/00000001.jpg

`directory` is BL_proxy beside the frames unless the clip names another. Blender counts from 1 at
the clip's first frame, holes included.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from .errors import FormatError
from .shot import read_json, write_json

PROXY_PERCENTS = (25, 50, 100)
"""Sizes that proxies are written in, in percent of the plate's."""
PROXY_FOLDER = "BL_proxy"
"""Blender's own name, beside the frames."""
_RECORD = "proxies.json"
_QUICK_WIDTH = 1100
"""Px up to which a proxy is decoded well within 10 ms."""


@dataclass(frozen=True)
class Made:
    """What proxies were made from: digests of their images, and of the lens that was taken out.

    `lens` is "" where none was.
    """

    images: str
    lens: str

    def save(self, directory: Path) -> None:
        write_json(directory / _RECORD, asdict(self))

    @classmethod
    def load(cls, directory: Path) -> Made | None:
        """None where nobody noted it: then the proxies came with their images, or their lens."""
        try:
            data = read_json(directory / _RECORD)
        except FormatError:
            return None
        return cls(str(data.get("images", "")), str(data.get("lens", "")))


@dataclass(frozen=True)
class Proxies:
    """The proxies of one clip: the folder they lie in and the name of the clip's first file."""

    directory: Path
    first: str

    def folder(self, percent: int, undistorted: bool) -> Path:
        ending = "_undistorted" if undistorted else ""
        return self.directory / self.first / f"proxy_{percent}{ending}"

    def file(self, percent: int, undistorted: bool, place: int) -> Path:
        """`place` is 1 for the clip's first frame."""
        return self.folder(percent, undistorted) / f"{place:08d}.jpg"

    def sizes(self, undistorted: bool) -> tuple[int, ...]:
        """The percents that there are proxies of, ascending."""
        return tuple(
            percent for percent in PROXY_PERCENTS if self.folder(percent, undistorted).is_dir()
        )


def proxy_size(size: tuple[int, int], percent: int) -> tuple[int, int]:
    """Width and height of the proxies of images of that size."""
    width, height = (max(1, side * percent // 100) for side in size)
    return width, height


def quick_size(width: int, sizes: tuple[int, ...]) -> int | None:
    """The largest of the sizes that scrubs well, else the smallest; None where there is none."""
    quick = [percent for percent in sizes if width * percent / 100 <= _QUICK_WIDTH]
    return max(quick) if quick else min(sizes, default=None)
