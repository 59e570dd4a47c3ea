# SPDX-License-Identifier: GPL-3.0-or-later
"""Readers of the camera files written from each format's description alone.

Nothing here imports the code under test: each reader parses a file as the program that owns the
format would, builds that program's camera and projects points of the shot's world (Z up) to
pixels, (0, 0) at the upper left corner of the image, y down.
"""

from __future__ import annotations

import csv
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np


def turn(axis: str, degrees: float) -> np.ndarray:
    """The matrix that turns a right-handed space about one axis."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return {
        "x": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        "y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
        "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
    }[axis]


def with_y_up(points: np.ndarray) -> np.ndarray:
    """Z up to Y up: what was up (z) becomes y, what was forward (y) becomes -z."""
    x, y, z = points.T
    return np.stack([x, z, -y], axis=1)


def seen(points: np.ndarray, rotation: np.ndarray, position: np.ndarray) -> np.ndarray:
    """x / depth and y / depth of Y-up world points, for a camera that looks along its -Z."""
    local = (np.linalg.inv(rotation) @ (with_y_up(points) - position).T).T
    assert (local[:, 2] < 0).all(), "points behind the camera"
    return local[:, :2] / -local[:, 2:]


# .chan -------------------------------------------------------------------------------------------


def chan_lines(path: Path) -> dict[int, list[float]]:
    """By frame: tx ty tz rx ry rz vfov. As Nuke reads it: every line of four words is a key."""
    keys = {}
    for line in path.read_text().splitlines():
        words = line.split()
        if len(words) < 4:
            continue
        keys[int(words[0])] = [float(word) for word in words[1:]]
    return keys


def chan_pixels(
    values: list[float], points: np.ndarray, width: int, height: int, film: tuple[float, float]
) -> np.ndarray:
    """As Nuke does: the focal length comes from vfov and the film's height, ZXY is Ry Rx Rz.

    The picture is `film` wide, and both axes have that one scale.
    """
    tx, ty, tz, rx, ry, rz, vfov = values
    focal = film[1] / 2 / math.tan(math.radians(vfov) / 2)
    rays = seen(points, turn("y", ry) @ turn("x", rx) @ turn("z", rz), np.array([tx, ty, tz]))
    scale = focal / film[0] * width
    return np.stack([width / 2 + rays[:, 0] * scale, height / 2 - rays[:, 1] * scale], axis=1)


# .nk ---------------------------------------------------------------------------------------------


def tcl_words(text: str) -> list[str]:
    """Words of a Tcl list: braces nest and are taken off once, quotes hold blanks together."""
    words, at = [], 0
    while at < len(text):
        char = text[at]
        if char.isspace():
            at += 1
        elif char == "{":
            end, depth = at + 1, 1
            while depth:
                depth += {"{": 1, "}": -1}.get(text[end], 0)
                end += 1
            words.append(text[at + 1 : end - 1])
            at = end
        elif char == '"':
            end = text.index('"', at + 1)
            words.append(text[at + 1 : end])
            at = end + 1
        else:
            end = at
            while end < len(text) and not text[end].isspace():
                end += 1
            words.append(text[at:end])
            at = end
    return words


def nk_nodes(path: Path) -> dict[str, dict[str, str]]:
    """Knobs by node class; comment lines at the left margin are not part of the script."""
    text = "\n".join(
        line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")
    )
    words = tcl_words(text)
    nodes = {}
    for kind, body in zip(words[::2], words[1::2], strict=True):
        lines = [line.strip() for line in body.strip().splitlines()]
        nodes[kind] = {line.split(None, 1)[0]: line.split(None, 1)[1] for line in lines}
    return nodes


def nk_value(text: str, frame: int, step_repeats: bool = False) -> float:
    """One component: a number, or a curve `curve x1001 v v x1010 v` at one of its keys.

    `step_repeats` reads a key without a frame as far off as the one before was, instead of one.
    """
    words = text.split()
    if words[0] != "curve":
        return float(text)
    keys: dict[int, float] = {}
    at, step, jump = 0, 1, None
    for word in words[1:]:
        if word.startswith("x"):
            jump = int(word[1:])
            continue
        if jump is None:
            at += step
        else:
            step = jump - at if keys and step_repeats else 1
            at, jump = jump, None
        keys[at] = float(word)
    return keys[frame]


def nk_knob(text: str, frame: int, step_repeats: bool = False) -> list[float]:
    (value,) = tcl_words(text)
    parts = tcl_words(value) if text.startswith("{") else [value]
    return [nk_value(part, frame, step_repeats) for part in parts]


def nk_pixels(
    nodes: dict[str, dict[str, str]], frame: int, points: np.ndarray, step_repeats: bool = False
) -> np.ndarray:
    """Nuke's camera: half widths on the film, then win_translate, then win_scale."""
    knobs = {
        name: nk_knob(nodes["Camera2"][name], frame, step_repeats)
        for name in (
            "translate", "rotate", "focal", "haperture", "vaperture", "win_translate", "win_scale",
        )
    }  # fmt: skip
    assert nodes["Camera2"]["rot_order"] == "ZXY"
    rx, ry, rz = knobs["rotate"]
    rotation = turn("y", ry) @ turn("x", rx) @ turn("z", rz)
    rays = seen(points, rotation, np.array(knobs["translate"]))
    half_widths = rays * 2 * knobs["focal"][0] / knobs["haperture"][0]
    half_widths = (half_widths - knobs["win_translate"]) / knobs["win_scale"]
    width, height = nk_format(nodes)
    x, y = half_widths.T * width / 2
    return np.stack([width / 2 + x, height / 2 - y], axis=1)


def nk_format(nodes: dict[str, dict[str, str]]) -> tuple[int, int]:
    width, height = nodes["Root"]["format"].strip('"').split()[:2]
    return int(width), int(height)


# .clip -------------------------------------------------------------------------------------------


@dataclass
class Clip:
    rate: float
    first_frame: int
    channels: dict[str, list[float]]


def clip_of(path: Path) -> Clip:
    """`{ key = value ... { name = n data = v v v } ... }`, words apart by blanks."""
    words = path.read_text().split()
    assert words[0] == "{"
    assert words[-1] == "}"
    head, at = {}, 1
    while words[at] != "{":
        assert words[at + 1] == "="
        head[words[at]] = words[at + 2]
        at += 3
    length = int(head["tracklength"])
    channels = {}
    for _ in range(int(head["tracks"])):
        assert words[at : at + 3] == ["{", "name", "="]
        assert words[at + 4 : at + 6] == ["data", "="]
        channels[words[at + 3]] = [float(word) for word in words[at + 6 : at + 6 + length]]
        at += 6 + length
        assert words[at] == "}"
        at += 1
    assert at == len(words) - 1
    return Clip(float(head["rate"]), int(head["start"]) + 1, channels)


def clip_pixels(clip: Clip, frame: int, points: np.ndarray) -> np.ndarray:
    """Houdini's camera: order xyz is Rz Ry Rx; the window moves by shares of the picture.

    Film height: aperture * resy / (resx * aspect), from SideFX's page on cameras.
    """
    v = {name: values[frame - clip.first_frame] for name, values in clip.channels.items()}
    rotation = turn("z", v["rz"]) @ turn("y", v["ry"]) @ turn("x", v["rx"])
    rays = seen(points, rotation, np.array([v["tx"], v["ty"], v["tz"]]))
    film_height = v["aperture"] * v["resy"] / (v["resx"] * v["aspect"])
    x = rays[:, 0] * v["focal"] / v["aperture"] + 0.5 - v["winx"]
    y = rays[:, 1] * v["focal"] / film_height + 0.5 - v["winy"]
    return np.stack([x * v["resx"], (1 - y) * v["resy"]], axis=1)


# .csv --------------------------------------------------------------------------------------------


def csv_rows(path: Path) -> dict[int, dict[str, str]]:
    with path.open(newline="") as file:
        return {int(row["frame"]): row for row in csv.DictReader(file)}


def csv_pixels(row: dict[str, str], points: np.ndarray) -> np.ndarray:
    w, x, y, z = (float(row[name]) for name in ("qw", "qx", "qy", "qz"))
    rotation = np.array(
        [
            [w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z],
        ]
    )
    rays = seen(points, rotation, np.array([float(row[name]) for name in ("tx", "ty", "tz")]))
    fx, fy, cx, cy = (float(row[name]) for name in ("fx", "fy", "cx", "cy"))
    return np.stack([cx + rays[:, 0] * fx, cy - rays[:, 1] * fy], axis=1)


# .jsx --------------------------------------------------------------------------------------------


@dataclass
class Composition:
    """What After Effects holds after it ran the script."""

    name: str
    width: int
    height: int
    pixel_aspect: float
    duration: float
    fps: float
    start: float
    comment: str
    auto_orient: str
    times: list[float]
    keys: dict[str, list[object]]


def composition_of(path: Path) -> Composition:
    """Runs the little of the script that counts; a statement it does not know is an error."""
    text = path.read_text()
    name, width, height, aspect, length = re.search(
        r'addComp\(("[^"]*"), (\d+), (\d+), (\d+), (\d+) / fps, fps\);', text
    ).groups()
    upper, lower = re.search(r"var fps = (\d+) / (\d+);", text).groups()
    fps = int(upper) / int(lower)
    start = int(re.search(r"comp\.displayStartTime = (-?\d+) / fps;", text).group(1))
    zero = int(re.search(r"times\.push\(\(frames\[i\] - (-?\d+)\) / fps\);", text).group(1))
    frames = json.loads(re.search(r"var frames = (\[.*\]);", text).group(1))
    keys = {
        prop: json.loads(values)
        for _, prop, values in re.findall(r'animate\("([^"]*)", "([^"]*)", (\[.*\])\);', text)
    }
    for _, prop, value in re.findall(
        r'camera\.property\("([^"]*)"\)\.property\("([^"]*)"\)\.setValue\((.*)\);', text
    ):
        keys[prop] = [float(value)] * len(frames)
    return Composition(
        name=json.loads(name),
        width=int(width),
        height=int(height),
        pixel_aspect=float(aspect),
        duration=int(length) / fps,
        fps=fps,
        start=start / fps,
        comment=json.loads(re.search(r'comp\.comment = (".*");', text).group(1)),
        auto_orient=re.search(r"camera\.autoOrient = AutoOrientType\.(\w+);", text).group(1),
        times=[(frame - zero) / fps for frame in frames],
        keys=keys,
    )


def composition_pixels(comp: Composition, frame: int, points: np.ndarray) -> np.ndarray:
    """After Effects' camera: x right, y down, z forward, Rx Ry Rz, the middle is the origin."""
    time = frame / comp.fps - comp.start
    index = int(np.argmin(np.abs(np.array(comp.times) - time)))
    assert abs(comp.times[index] - time) < 1e-6
    scale = float(re.search(r"([\d.]+) px are one unit", comp.comment).group(1))
    middle = np.array([comp.width / 2, comp.height / 2, 0])
    x, y, z = points.T
    placed = np.stack([x, -z, y], axis=1) * scale + middle
    rx, ry, rz = (comp.keys[f"ADBE Rotate {axis}"][index] for axis in "XYZ")
    rotation = turn("x", rx) @ turn("y", ry) @ turn("z", rz)
    position = np.array(comp.keys["ADBE Position"][index])
    local = (rotation.T @ (placed - position).T).T
    assert (local[:, 2] > 0).all(), "points behind the camera"
    zoom = comp.keys["ADBE Camera Zoom"][index]
    return middle[:2] + zoom * local[:, :2] / local[:, 2:]
