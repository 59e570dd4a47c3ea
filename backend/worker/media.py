# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a movie or an image: exact rate, frame times, size, depth, color. Nothing is
decoded but the first frame."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import imageio_ffmpeg

from ..errors import PlateError
from ..processes import run_child

STANDARD_RATES = tuple(
    sorted(
        {Fraction(n) for n in (8, 10, 12, 15, 16, 18, 20, 24, 25, 30, 48, 50, 60, 90, 96, 100)}
        | {Fraction(n) for n in (120, 144, 200, 240, 300)}
        | {Fraction(n * 1000, 1001) for n in (12, 15, 24, 30, 48, 60, 120, 240)}
    )
)
_CLOSE = Fraction(1, 4000)
"""Rates nearer than this part are one rate: 24 and 24000/1001 are 1/1001 apart."""
_JITTER = 0.001
"""Seconds by which a constant rate's times may be off: Matroska stores milliseconds."""
VIDEO, HLG, PQ = "video", "hlg", "pq"
"""Transfer functions: what a screen shows as it is, and those of BT.2100."""
TOP_FIRST, BOTTOM_FIRST = "top", "bottom"
"""Which field of an interlaced frame is the earlier one."""
_HD_HEIGHT = 720
# AVColorSpace (ITU-T H.273 matrix coefficients) as the scale filter of ffmpeg calls it.
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt470", 6: "smpte170m", 7: "smpte240m"}
_MATRICES |= {9: "bt2020", 10: "bt2020"}
_MATRIX_NAMES = {0: "rgb", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m"}
_MATRIX_NAMES |= {8: "ycgco", 9: "bt2020nc", 10: "bt2020c", 14: "ictcp"}
_PRIMARIES = {1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film"}
_PRIMARIES |= {9: "bt2020", 10: "xyz", 11: "p3-dci", 12: "p3-d65", 22: "ebu3213"}
# AVColorTransferCharacteristic; those left out say no more than "video".
_TRANSFERS = {8: "linear", 9: "log", 10: "log", 16: PQ, 18: HLG}
_UNSUPPORTED_MATRICES = {8, 10, 14, 15}
_FULL_RANGE = 2
_TOP_FIRST, _BOTTOM_FIRST = (2, 4), (3, 5)  # AVFieldOrder
_TIMECODES = ("timecode", "com.apple.quicktime.timecode", "tmcd")
_UNTIMED = ("avi", "h264", "hevc", "m4v", "mpegvideo")
"""Formats, as ffmpeg calls them, whose frames have no times, or only those of decoding."""
_LEAST_SHORT, _SHORT = 0.2, 0.02
"""Seconds, and share of its length, by which a movie may end sooner than it says."""
_DAMAGED = "{} is damaged or no movie or image that can be read."


@dataclass(frozen=True)
class Picture:
    """How the pixels are stored.

    `width` and `height` are as shown, after rotation; `pixel_aspect` is width over height of a
    pixel as shown. `depth` is bits a channel. `matrix` is the name ffmpeg's scale filter has for
    the YCbCr matrix, "" for RGB and gray; `tagged_matrix`, `primaries` and `transfer` are what the
    file says, "" where it does not. `fields` is the field order of interlaced pictures, "" of
    others, as the file says.
    """

    codec: str
    pixel_format: str
    width: int
    height: int
    stored_size: tuple[int, int]
    depth: int
    matrix: str
    full_range: bool
    pixel_aspect: Fraction
    rotation: int
    tagged_matrix: str = ""
    primaries: str = ""
    transfer: str = ""
    fields: str = ""
    alpha: bool = False

    @property
    def odd_matrix(self) -> bool:
        """Whether the colors are coded in a way that only comes out nearly right."""
        return self.tagged_matrix in {_MATRIX_NAMES.get(code) for code in _UNSUPPORTED_MATRICES}


@dataclass(frozen=True)
class Movie:
    """A movie's video stream.

    `ticks` are the times of its frames in units of `time_base` seconds, ascending, one each frame
    that the container holds; `rate` is exact, or the average when `constant` is false. `metadata`
    are the container's and the stream's tags, `timecode` the first frame's, "" without one.
    `cut_short` are the seconds by which everything in it ends sooner than it says.
    `untimed`: the container does not say when its frames are shown; they follow each other.
    """

    path: Path
    picture: Picture
    rate: Fraction
    constant: bool
    time_base: Fraction
    ticks: tuple[int, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    timecode: str = ""
    cut_short: float = 0.0
    untimed: bool = False

    @property
    def frame_count(self) -> int:
        return len(self.ticks)


def probe_movie(path: Path) -> Movie:
    """Reads a movie's packets. Raises PlateError when it is none or has no frames."""
    with _open(path, str(path)) as container:
        stream = video_stream(container, path)
        time_base = Fraction(stream.time_base or Fraction(1, 1000))
        ticks = _ticks(container, stream, path)
        if not ticks:
            raise PlateError(f"{path} holds no frames.")
        hints = [stream.average_rate, stream.base_rate, stream.guessed_rate]
        untimed = container.format.name in _UNTIMED
        if untimed:
            hints.insert(0, stream.codec_context.framerate)
        rates = [Fraction(hint) for hint in hints if hint]
        if untimed:
            period = 1 / (nearest_standard(rates[0] if rates else Fraction(24)) * time_base)
            ticks = tuple(round(i * period) for i in range(len(ticks)))
        rate, constant = frame_rate(ticks, time_base, rates)
        picture = _picture(container, stream, path)
        metadata = dict(container.metadata) | dict(stream.metadata)
        timecode = _timecode(container)
        end = float((ticks[-1] + 1 / (rate * time_base)) * time_base)
        short = _cut_short(container, end)
    return Movie(
        path, picture, rate, constant, time_base, ticks, metadata, timecode, short, untimed
    )


def probe_image(path: Path) -> Picture:
    """Reads one image. Raises PlateError when it cannot be decoded."""
    # Opened as a file: ffmpeg would take a % in the name for a number.
    with path.open("rb") as file, _open(path, file) as container:
        stream = video_stream(container, path)
        return _picture(container, stream, path)


def _open(path: Path, source: Any) -> Any:
    try:
        return av.open(source)
    except (av.error.FFmpegError, ValueError) as error:
        raise PlateError(_DAMAGED.format(path)) from error


def video_stream(container: Any, path: Path) -> Any:
    """The first that is no cover picture. Raises PlateError when it cannot be decoded."""
    cover = av.stream.Disposition.attached_pic
    streams = [s for s in container.streams.video if not s.disposition & cover]
    if not streams:
        raise PlateError(f"{path} has no video stream.")
    context = streams[0].codec_context
    if context is None:
        raise PlateError(_not_decodable(path))
    if not context.width or not context.height:
        raise PlateError(f"The {context.name} video in {path} is damaged: it has no frame size.")
    return streams[0]


def _not_decodable(path: Path) -> str:
    """The sentence for a stream without a decoder; ffmpeg lists its name, PyAV does not."""
    found: list[str] = []

    def on_line(line: str) -> None:
        found.extend(re.findall(r"Video: (?:none \()?(\w+)", line))

    run_child([imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)], on_line)
    if not found or found[0] == "none":
        return _DAMAGED.format(path)
    return (
        f"The video in {path} is coded as '{found[0]}', which cannot be decoded here. "
        "Convert it to H.264, ProRes or DNxHR."
    )


def _ticks(container: Any, stream: Any, path: Path) -> tuple[int, ...]:
    """The time of every frame that is shown, ascending; decode times where there are no others."""
    found: list[int] = []
    try:
        for packet in container.demux(stream):
            time = packet.pts if packet.pts is not None else packet.dts
            if packet.size and not packet.is_discard:
                found.append(time if time is not None else len(found))
    except av.error.FFmpegError as error:
        if not found:
            raise PlateError(f"{path} is damaged: its frames cannot be read.") from error
    return tuple(sorted(found))


def _cut_short(container: Any, end: float) -> float:
    """Seconds by which the last packet of all ends before the container says, 0 for hardly any;
    `end` is where the frames end. Sound may well be longer than the picture."""
    told = float((container.start_time or 0) + (container.duration or 0)) / av.time_base
    if told - end <= max(_LEAST_SHORT, _SHORT * told):
        return 0.0
    with contextlib.suppress(av.error.FFmpegError):
        container.seek(0)
        for packet in container.demux():
            if packet.size and packet.pts is not None and packet.time_base is not None:
                last = packet.pts + (packet.duration or 0)
                end = max(end, float(last * packet.time_base))
    return told - end if told - end > max(_LEAST_SHORT, _SHORT * told) else 0.0


def frame_rate(
    ticks: Sequence[int], time_base: Fraction, hints: Sequence[Fraction]
) -> tuple[Fraction, bool]:
    """The rate of frames at those times, and whether it is constant.

    `hints` are what the container says, the likeliest first; one that every frame's time agrees
    with wins, so that 24000/1001 stays what it is in milliseconds too. A variable rate is the
    average, to a thousandth.
    """
    if len(ticks) < 2 or ticks[-1] == ticks[0]:
        return nearest_standard(hints[0] if hints else Fraction(24)), True
    measured = Fraction(len(ticks) - 1) / ((ticks[-1] - ticks[0]) * time_base)
    for rate in map(nearest_standard, [*hints, measured]):
        if _agrees(ticks, time_base, rate):
            return rate, True
    # What the container says counts the last frame's duration too, which its time does not tell.
    likely = (hint for hint in hints if abs(hint - measured) < measured / 50)
    average = next(likely, measured)
    return nearest_standard(Fraction(round(average * 1000), 1000)), False


def nearest_standard(rate: Fraction) -> Fraction:
    """A rate in common use when one is that near, else the rate itself, simplified."""
    nearest = min(STANDARD_RATES, key=lambda standard: abs(standard - rate))
    if abs(nearest - rate) <= _CLOSE * nearest:
        return nearest
    return rate.limit_denominator(1001)


def _agrees(ticks: Sequence[int], time_base: Fraction, rate: Fraction) -> bool:
    period = float(1 / (rate * time_base))
    tolerance = max(1.0, _JITTER / float(time_base))
    first = ticks[0]
    return all(abs(tick - first - i * period) <= tolerance for i, tick in enumerate(ticks))


def _picture(container: Any, stream: Any, path: Path) -> Picture:
    context = stream.codec_context
    frame = _first_frame(container, stream)
    if frame is None and not context.pix_fmt:
        raise PlateError(f"The {context.name} video in {path} cannot be decoded.")
    name = frame.format.name if frame is not None else context.pix_fmt
    format_ = av.VideoFormat(name)
    width, height = (frame or context).width, (frame or context).height
    rotation = frame.rotation if frame is not None else 0
    aspect = Fraction(stream.sample_aspect_ratio or context.sample_aspect_ratio or 1)
    turned = rotation % 180 != 0
    matrix = "" if format_.is_rgb or _is_gray(name) else _matrix(frame or context, height)
    return Picture(
        codec=context.name,
        pixel_format=name,
        width=height if turned else width,
        height=width if turned else height,
        stored_size=(width, height),
        depth=_depth(format_),
        matrix=matrix,
        full_range=name.startswith("yuvj") or int((frame or context).color_range) == _FULL_RANGE,
        pixel_aspect=(1 / aspect if turned else aspect) if aspect > 0 else Fraction(1),
        rotation=rotation,
        tagged_matrix=_MATRIX_NAMES.get(int((frame or context).colorspace), ""),
        primaries=_PRIMARIES.get(int((frame or context).color_primaries), ""),
        transfer=_TRANSFERS.get(int((frame or context).color_trc), ""),
        fields=_fields(context, frame),
        alpha=_has_alpha(name),
    )


def _fields(context: Any, frame: Any) -> str:
    order = int(getattr(context, "field_order", 0))
    if order in _BOTTOM_FIRST:
        return BOTTOM_FIRST
    interlaced = frame is not None and frame.interlaced_frame
    return TOP_FIRST if order in _TOP_FIRST or interlaced else ""


def _has_alpha(name: str) -> bool:
    return re.match(r"ya\d|yuva|gbrap|rgba|argb|abgr|bgra|ayuv|vuya|pal8", name) is not None


def _timecode(container: Any) -> str:
    """The timecode that the container or one of its streams starts with."""
    for tags in (container.metadata, *(stream.metadata for stream in container.streams)):
        for name in _TIMECODES:
            if tags.get(name):
                return str(tags[name])
    return ""


def _first_frame(container: Any, stream: Any) -> Any:
    """The first frame that can be decoded, None when none of the first packets gives one."""
    try:
        container.seek(0)
    except av.error.FFmpegError:
        return None
    for packet, _ in zip(container.demux(stream), range(100), strict=False):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        if frames:
            return frames[0]
    return None


def _depth(format_: Any) -> int:
    if format_.has_palette:
        return 8
    return max((component.bits for component in format_.components), default=8)


def _is_gray(name: str) -> bool:
    return re.match(r"gray|ya\d|mono", name) is not None


def _matrix(tagged: Any, height: int) -> str:
    """The matrix as tagged; where it is not, BT.709 for HD and BT.601 below, as players do."""
    return _MATRICES.get(int(tagged.colorspace)) or ("bt709" if height >= _HD_HEIGHT else "bt601")
