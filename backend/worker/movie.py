# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes pictures as an H.264 movie that every player takes, one after another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np

from ..errors import OutputError, explain_os_error
from ..overlay import part_of
from .drawing import Picture

_QUALITY = {"crf": "18", "preset": "veryfast"}
_SECONDS_A_KEY = Fraction(1, 2)
"""Between two frames that can be jumped to: reviews are scrubbed."""
_BT709 = 1
_LIMITED_RANGE = 1
_FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}


class MovieWriter:
    """An open movie. Every picture is shown for one frame of its rate."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._container = container
        self._stream = stream
        self._count = 0

    def add(self, picture: Picture) -> None:
        """A picture (height, width, 3), blue first, of the movie's size. Raises OSError."""
        frame: Any = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
        frame = frame.reformat(
            format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED_RANGE
        )
        frame.pts, frame.time_base = self._count, self._stream.codec_context.time_base
        self._count += 1
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))


@contextmanager
def writing_movie(
    path: Path, size: tuple[int, int], fps: Fraction, pixel_aspect: Fraction
) -> Iterator[MovieWriter]:
    """A movie that takes its place when the block ends well; else nothing is left of it.

    `size` is width and height, both even. Raises OutputError.
    """
    part = part_of(path)
    if path.is_dir():
        raise OutputError(f"{path} is a folder: give the movie another name.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(part), "w", format=_FORMATS[path.suffix.lower()]) as container:
            movie = MovieWriter(container, _stream(container, size, fps, pixel_aspect))
            yield movie
            movie.finish()
        os.replace(part, path)
    except (OSError, av.error.FFmpegError) as error:
        raise OutputError(_explained(error, path)) from error
    finally:
        with suppress(OSError):
            part.unlink()


def _stream(container: Any, size: tuple[int, int], fps: Fraction, pixel_aspect: Fraction) -> Any:
    stream = container.add_stream("libx264", rate=fps, options=_QUALITY)
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = 1 / fps
    context.gop_size = max(1, round(fps * _SECONDS_A_KEY))
    context.sample_aspect_ratio = pixel_aspect
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = _LIMITED_RANGE
    return stream


def _explained(error: Exception, path: Path) -> str:
    if isinstance(error, OSError) and error.errno:
        what = str(error.filename or path).removesuffix(".part")
        return explain_os_error(OSError(error.errno, os.strerror(error.errno), what))
    return f"{path} cannot be written: {error}."
