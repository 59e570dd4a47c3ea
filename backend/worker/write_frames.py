# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the frames and proxies of a plate: `write_frames.py WORK.json`, see frame_program.py.

Says `frame=7` when so many are written, and when pictures change their size; libav's own words
come between. Exit status 0, 1 on failure, 130 when it was interrupted.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import av
import av.error
import av.filter
import av.logging
import numpy as np
from av.sidedata.sidedata import Type

from backend.errors import ShotGopherError
from backend.processes import INTERRUPT_SIGNALS
from backend.worker.encoding import Filter
from backend.worker.frame_files import pixels_of
from backend.worker.frame_program import CONCAT, FAILED, RESIZED, WRITTEN, Reading, Writing, read
from backend.worker.image_files import write_png, write_sizes
from backend.worker.media import video_stream
from backend.worker.threads import thread_count

_HELD_IN_DECODER, _HELD = 10**8, 10**9
"""Bytes of the frames that are decoded, and encoded, at one time, at most."""
_ANY_NAME = {"safe": "0"}
"""Lets a list of images name any files."""
_EIGHT_BITS: Filter = ("format", {"pix_fmts": "bgr24"})
_END: Filter = ("buffersink", {})
_TURNS = {
    (0, 1, -1, 0): "clock",
    (0, 1, 1, 0): "cclock_flip",
    (0, -1, -1, 0): "clock_flip",
    (0, -1, 1, 0): "cclock",
}
"""Transpositions that bring a picture upright, by the signs of the four numbers of rotation in its
display matrix (a, b, c, d of ISO/IEC 14496-12)."""
_UNTOLD = (2, 0)
"""Matrix and range of a frame that says nothing of them, as libav counts them."""

Picture = tuple[int, list[Any]]
"""A frame's number and its views: in RGB and, with proxies, as it is seen in 8 bits, blue first. A
view is taken out of the list to be written, so that nobody holds it any longer than that."""


def main(told: str) -> int:
    for number in INTERRUPT_SIGNALS:
        signal.signal(number, signal.default_int_handler)
    # PyAV's own way to tell needs Python's lock: a decoder that is closed while one of its threads
    # has something to tell would wait for ever.
    av.logging.restore_default_callback()
    av.logging.set_libav_level(av.logging.WARNING)
    try:
        _write(*read(Path(told)))
    except ShotGopherError as error:
        _say(f"{FAILED}{error.reason}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _write(reading: Reading, writing: Writing) -> None:
    pictures: _Pictures | None = None
    with _Writer(writing) as writer:
        for frame in _stretch(reading, _threading(writing)):
            pictures = pictures or _Pictures(writing, frame)
            for picture in pictures.after(frame):
                writer.put(picture)
        for picture in pictures.after(None) if pictures else ():
            writer.put(picture)


def _threading(writing: Writing) -> str:
    """A thread for each frame is the fastest, but all their frames are held at a time."""
    few = writing.bytes_held * thread_count() < _HELD_IN_DECODER
    return "AUTO" if few else "SLICE"


def _stretch(reading: Reading, thread_type: str) -> Iterator[Any]:
    """The frames that are wanted, their times being listed; none after one of another size."""
    with contextlib.ExitStack() as stack:
        format_, options = reading.format or None, _ANY_NAME if reading.format == CONCAT else {}
        container = stack.enter_context(av.open(reading.source, format=format_, options=options))
        stream = video_stream(container, Path(reading.source))
        stream.thread_type, stream.thread_count = thread_type, thread_count()
        if reading.seek:
            start = Fraction(container.start_time or 0, av.time_base)
            container.seek(int((start + Fraction(reading.seek)) * av.time_base))
        listing = stack.enter_context(open(reading.times or os.devnull, "w"))
        size: tuple[int, int] | None = None
        for frame in _within(reading, _decoded(container, stream)):
            size = size or (frame.width, frame.height)
            if (frame.width, frame.height) != size:
                _say(f"{RESIZED}{frame.width}x{frame.height}")
                return
            listing.write(f"{frame.pts or 0}\n")
            yield frame


def _within(reading: Reading, frames: Iterator[Any]) -> Iterator[Any]:
    for place, frame in enumerate(frames):
        time = frame.pts or 0 if reading.by_ticks else place
        if reading.last is not None and time > reading.last:
            return
        if time >= reading.first:
            yield frame


def _decoded(container: Any, stream: Any) -> Iterator[Any]:
    """All frames that can be decoded; what cannot is told in the log."""
    try:
        for packet in container.demux(stream):
            yield from _frames(packet.decode)
    except av.error.FFmpegError as error:
        _say(str(error))
        # The file ends here, and what the decoder still holds is all there is.
        yield from _frames(stream.codec_context.decode)


def _frames(decode: Callable[[], list[Any]]) -> list[Any]:
    try:
        return decode()
    except av.error.FFmpegError as error:
        _say(str(error))
        return []


class _Pictures:
    """Makes the pictures that are written from decoded frames."""

    def __init__(self, writing: Writing, frame: Any) -> None:
        self._graph = av.filter.Graph()
        self._source = self._graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base,
        )
        self._format = frame.format.name
        self._told = writing.has_matrix
        views = [[], [*writing.seen, _EIGHT_BITS]] if writing.percents else [[]]
        steps = [*_upright(frame), *writing.rgb]
        rgb = self._chain(self._source, [*steps, ("split", {"outputs": len(views)})])
        self._sinks = [self._chain(rgb, [*view, _END], place) for place, view in enumerate(views)]
        self._graph.configure()

    def _chain(self, last: Any, steps: list[Filter], output: int = 0) -> Any:
        for name, options in steps:
            step = self._graph.add(name, **{key: str(value) for key, value in options.items()})
            last.link_to(step, output, 0)
            last, output = step, 0
        return last

    def after(self, frame: Any | None) -> Iterator[Picture]:
        """Those that are ready after a frame; None says that there are no more."""
        if frame is not None and frame.format.name != self._format:
            frame = frame.reformat(format=self._format)
        if frame is not None and self._told:
            # The filters are told what the pictures are; some frames of a movie may say otherwise.
            frame.colorspace, frame.color_range = _UNTOLD
        self._source.push(frame)
        while True:
            try:
                views = [sink.pull() for sink in self._sinks]
                yield round(views[0].pts), views
            except (av.error.BlockingIOError, av.error.EOFError):
                return


def _upright(frame: Any) -> list[Filter]:
    """What turns a picture as its display matrix says."""
    signs = _orientation(frame)
    if signs in _TURNS:
        return [("transpose", {"dir": _TURNS[signs]})]
    flips: list[Filter] = [("hflip", {})] if signs[0] < 0 else []
    return flips + ([("vflip", {})] if signs[3] < 0 else [])


def _orientation(frame: Any) -> tuple[int, ...]:
    """The signs of the four numbers of rotation in the display matrix."""
    try:
        matrix = frame.side_data.get(Type.DISPLAYMATRIX)
    except ValueError:
        # PyAV stumbles over kinds of data that it does not know; the angle it always tells.
        angle = -math.radians(frame.rotation)
        turn = (math.cos(angle), math.sin(angle), -math.sin(angle), math.cos(angle))
        return tuple(round(number) for number in turn)
    if matrix is None:
        return (1, 0, 0, 1)
    a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix))
    return tuple(int(sign) for sign in np.sign((a, b, c, d)))


class _Writer:
    """Encodes pictures with all processors, as many at a time as may be held."""

    def __init__(self, writing: Writing) -> None:
        self._writing, self._left = writing, writing.count
        most = max(1, min(thread_count(), _HELD // writing.bytes_held))
        self._pool = ThreadPoolExecutor(most)
        self._free = threading.Semaphore(most)
        self._running: list[Future[None]] = []
        self._done = 0
        for file in writing.proxies(writing.first_frame).values():
            file.parent.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None:
            self._look()

    def put(self, picture: Picture) -> None:
        """Waits until there is room for another picture. Raises OutputError."""
        if self._left == 0:
            return
        self._left -= 1
        self._free.acquire()
        self._look()
        future = self._pool.submit(_write_picture, self._writing, picture)
        future.add_done_callback(lambda _: self._free.release())
        self._running.append(future)

    def _look(self) -> None:
        """Tells of what has become whole."""
        finished = [future for future in self._running if future.done()]
        self._running = [future for future in self._running if future not in finished]
        for future in finished:
            future.result()
        self._done += len(finished)
        _say(f"{WRITTEN}{self._done}")


def _write_picture(writing: Writing, picture: Picture) -> None:
    number, views = picture
    # The frame comes last: one that is there has its proxies.
    if writing.percents:
        write_sizes(writing.proxies(number), pixels_of(views.pop()))
    write_png(writing.frame(number), pixels_of(views.pop()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
