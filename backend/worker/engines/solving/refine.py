# SPDX-License-Identifier: GPL-3.0-or-later
"""An earlier solve taken up again: its scene from the records, adjusted to edited tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ....camera import Array, Integers, rotations_from_quaternions
from ....errors import SolveError
from ....reconstruction import Reconstruction
from ....shot import frame_number
from ....tracks import Tracks
from .bundle import Check
from .finish import Clock, Finished, finished
from .lens import Lens
from .linear import Freedom
from .marks import Flags, Marks
from .moving import SMOOTH, LensWish
from .placing import triangulated
from .presets import Preset
from .scene import Scene, unit
from .whole import placed_everywhere


def scene_of(
    prior: Reconstruction, tracks: Tracks, marks: Marks, numbers: Sequence[int], aspect: float
) -> Scene:
    """The prior solve on the frames and tracks of `marks`; tracks it has no point for get none.

    Raises SolveError when it holds no frame of the plate.
    """
    place = {number: index for index, number in enumerate(numbers)}
    rows = [
        (index, place[number])
        for index, name in enumerate(prior.names)
        if (number := frame_number(name)) in place
    ]
    if not rows:
        raise SolveError("The last solve has no frame of this plate: track the camera anew.")
    source, target = np.array(rows).T
    lenses = [prior.cameras[id_] for id_ in prior.camera_ids[source].tolist()]
    focal = np.array([lens.focal[0] * aspect for lens in lenses])
    scene = Scene.empty(marks, _lens(lenses[0].distortion(), focal, target, marks.frames))
    scene = replace(scene, lens=replace(scene.lens, ratio=lenses[0].focal[1] / focal[0]))
    scene.rotation[target] = rotations_from_quaternions(prior.quaternions[source])
    scene.translation[target] = prior.translations[source]
    scene.placed[target] = True
    return _with_points(scene, prior, tracks)


def _lens(bend: dict[str, float], focal: Array, target: Integers, frames: int) -> Lens:
    every = np.interp(np.arange(frames), target, focal)
    return Lens(every, k1=bend.get("k", bend.get("k1", 0.0)), k2=bend.get("k2", 0.0))


def _with_points(scene: Scene, prior: Reconstruction, tracks: Tracks) -> Scene:
    ids = prior.points.ids.astype(np.int64) - 1
    order = np.argsort(ids)
    if not len(order):
        return scene
    found = np.searchsorted(ids[order], tracks.ids).clip(max=len(order) - 1)
    same = (ids[order[found]] == tracks.ids) & ~tracks.manual
    homogeneous = np.concatenate(
        [prior.points.positions, np.ones((len(prior.points.positions), 1))], axis=1
    )
    scene.points[same] = unit(homogeneous[order[found[same]]])
    scene.known[same] = True
    return scene


def refined(
    marks: Marks,
    scene: Scene,
    wish: LensWish,
    preset: Preset,
    check: Check,
    always: Flags,
    clock: Clock,
) -> Finished:
    """The scene adjusted to the marks, in the lens mode it has unless the wish says otherwise."""
    scene = triangulated(marks, scene, ~scene.known, 1.0)
    scene = placed_everywhere(marks, scene, check)
    if wish.known:
        scene = replace(scene, lens=replace(scene.lens, focal=np.full(marks.frames, wish.known)))
    return finished(marks, scene, freedom_of(scene.lens, wish), preset, check, always, clock)


def freedom_of(lens: Lens, wish: LensWish) -> Freedom:
    """What the lens of an earlier solve left free."""
    radial = 2 if lens.k2 else 1 if lens.k1 else 0
    chosen = wish.distortion != "auto"
    zoom = wish.zoom == "zoom" or (wish.zoom == "auto" and lens.zooms)
    return Freedom(
        focal=wish.known is None,
        ratio=wish.distortion == "anamorphic" or (not chosen and abs(lens.ratio - 1) > 1e-9),
        radial=wish.freedom.radial if chosen else radial,
        zoom=zoom and wish.known is None,
        smooth=SMOOTH,
    )
