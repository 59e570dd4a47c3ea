# SPDX-License-Identifier: GPL-3.0-or-later
""".jsx: a script for After Effects that makes a composition with the camera.

After Effects has x right, y down, z forward, in pixels, the world's origin at the middle of the
composition; a camera turns by R = Rx Ry Rz and looks along +Z. It has square pixels and the
principal point in the middle, nothing else: other lenses are said in the comment, and fit a plate
undistorted to such a pinhole. `NO_AUTO_ORIENT` keeps a camera from turning to its point of
interest.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ..atomic import write_text
from ..camera import Array, CameraTrack, euler_degrees, with_opencv_axes
from .text import check_writable, fits_text, is_constant, numbers, rows

AE_FROM_SHOT: Array = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""The shot's world (Z up) turned so that y points down: (x, y, z) -> (x, -z, y)."""

SCALE = 100.0
"""Pixels for one unit of the shot: with meters, a centimeter is a pixel."""

_SCRIPT = """\
// {comment}
(function () {{
    app.beginUndoGroup("Shot Gopher camera");
    var fps = {fps};
    var comp = app.project.items.addComp({name}, {width}, {height}, 1, {length} / fps, fps);
    comp.displayStartTime = {first} / fps;
    comp.comment = {quoted};
    var camera = comp.layers.addCamera({name}, [{middle}]);
    camera.autoOrient = AutoOrientType.NO_AUTO_ORIENT;
    camera.comment = {quoted};
    var frames = [{frames}];
    var times = [];
    for (var i = 0; i < frames.length; i++) {{
        times.push((frames[i] - {first}) / fps);
    }}
    function animate(group, property, values) {{
        camera.property(group).property(property).setValuesAtTimes(times, values);
    }}
{properties}    comp.openInViewer();
    app.endUndoGroup();
}})();
"""

_TRANSFORM, _OPTIONS = "ADBE Transform Group", "ADBE Camera Options Group"


def write(track: CameraTrack, path: Path, scale: float = SCALE) -> None:
    """`scale` is how many pixels one unit of the shot takes. Raises OutputError."""
    check_writable(track)
    comment = _comment(track, scale)
    script = _SCRIPT.format(
        comment=comment,
        quoted=json.dumps(comment),
        name=json.dumps(track.name),
        fps=f"{track.fps.numerator} / {track.fps.denominator}",
        width=track.width,
        height=track.height,
        length=track.frames[-1] - track.frames[0] + 1,
        first=track.frames[0],
        middle=numbers(np.array([track.width, track.height]) / 2, ", "),
        frames=", ".join(map(str, track.frames.tolist())),
        properties="".join(_properties(track, scale)),
    )
    write_text(path, script)


def _comment(track: CameraTrack, scale: float) -> str:
    """One line: what the camera fits and what the format could not hold."""
    parts = [
        fits_text(track).capitalize(),
        f"{scale:g} px are one unit of the shot",
    ]
    middle = np.array([track.width, track.height]) / 2
    shift = track.center - middle
    if np.abs(shift).max() > 1e-6:
        worst = shift[np.argmax(np.abs(shift).max(axis=1))]
        parts.append(
            f"the principal point lies {numbers(worst, ', ')} px off the middle, "
            "which After Effects cannot hold"
        )
    ratio = track.focal[:, 1] / track.focal[:, 0]
    if np.abs(ratio - 1).max() > 1e-9:
        parts.append(
            f"the focal length is {ratio.max():.6g} times as long upright as across, "
            "which After Effects cannot hold"
        )
    return "; ".join(parts) + "."


def _properties(track: CameraTrack, scale: float) -> list[str]:
    middle = np.array([track.width / 2, track.height / 2, 0])
    positions = track.matrices[:, :3, 3] @ AE_FROM_SHOT.T * scale + middle
    rotations = AE_FROM_SHOT @ with_opencv_axes(track.matrices)[:, :3, :3]
    angles = euler_degrees(rotations, "ZYX")
    triples = ", ".join([f"[{row}]" for row in rows(positions, ", ")])
    lines = [f'    animate("{_TRANSFORM}", "ADBE Position", [{triples}]);\n']
    for axis, column in zip("XYZ", angles.T, strict=True):
        keys = numbers(column, ", ")
        lines.append(f'    animate("{_TRANSFORM}", "ADBE Rotate {axis}", [{keys}]);\n')
    return [*lines, _zoom(track.focal[:, 0])]


def _zoom(focal: Array) -> str:
    if is_constant(focal):
        zoom = f'camera.property("{_OPTIONS}").property("ADBE Camera Zoom")'
        return f"    {zoom}.setValue({numbers(focal[:1])});\n"
    return f'    animate("{_OPTIONS}", "ADBE Camera Zoom", [{numbers(focal, ", ")}]);\n'
