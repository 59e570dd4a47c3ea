# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the depth of a solved shot's keyframes and makes points and a textured mesh of it.

What is made is in the shot's world. What an earlier run made stays where nothing of what it was
made of has changed but the world.
"""

from __future__ import annotations

import time
from typing import Any

from ...atomic import write_text
from ...dense import DenseRecord, Place, Settings, place_of, settings
from ...engines import COLMAP_CUDA
from ...outputs import depth_digest, masks_digest
from ...shot import DenseFolder
from ...stages import DenseOptions
from ..dense import colmap_stereo
from ..dense.choice import choose_stereo
from ..dense.depth_work import DepthWork
from ..dense.keyframes import widest_angle
from ..dense.reuse import CLOUD, DEPTH, MESH, TEXTURE, Earlier, key_of
from ..dense.shot_views import ShotViews
from ..dense.surface_work import SurfaceWork
from ..report import Context

MOST_FRAMES = 300
LITTLE_ANGLE = 3.0
"""Degrees under which an error of a tenth of a pixel is one of some percent of depth."""
_FOLDER = "colmap/dense"
_METHOD = 1
"""Goes up when the same frames would now have other depth, points or meshes."""


def run(context: Context[DenseOptions]) -> None:
    """Raises SolveError, PlateError, FormatError, OutputError, JobError."""
    _Run(context).run()


class _Run:
    def __init__(self, context: Context[DenseOptions]) -> None:
        self._context, self._report = context, context.report
        self._options: DenseOptions = context.options
        self._settings: Settings = settings(context.options)
        self._folder = DenseFolder(context.part.folder(_FOLDER))
        self._place: Place = place_of(context.shot)
        self._details: dict[str, Any] = {"seconds": {}}
        self._engine_note = self._folder.path / ".engine"
        """What found the depth, for a run that goes on when all of it is there."""

    def run(self) -> None:
        self._report.status("Choosing frames")
        views = self._views()
        keys = self._keys(views)
        earlier = Earlier.of(self._context.shot.dense, self._place)
        engine, work = self._find_depth(views, keys, earlier)
        surface = SurfaceWork(self._folder, work.sources, work.seen, views.load, self._report)
        points = self._make_cloud(surface, keys, earlier)
        faces = self._make_mesh(surface, keys, earlier) if self._options.mesh else 0
        self._details["made_of"] = keys
        self._engine_note.unlink(missing_ok=True)
        DenseRecord(
            engine=engine,
            place=self._place,
            frames=views.numbers,
            points=points,
            faces=faces,
            texture_size=self._settings.texture_size if faces else 0,
            details=self._details,
        ).save(self._folder.record)
        self._tell(faces)
        self._context.record.update(
            engine=engine, keyframes=len(views.numbers), points=points, faces=faces, **self._details
        )

    def _views(self) -> ShotViews:
        most = self._options.max_frames or MOST_FRAMES
        views = ShotViews.of(
            self._context.shot, self._settings.image_size, most, self._options.use_masks
        )
        angle = widest_angle(views.camera, views.points)
        if angle < LITTLE_ANGLE:
            self._report.warning(
                f"The camera travels little ({angle:.1f} degrees around what it sees): depth is "
                "rough, and much of the mesh will be missing."
            )
        self._details |= {"image": [views.camera.width, views.camera.height], "angle": angle}
        return views

    def _keys(self, views: ShotViews) -> dict[str, str]:
        shot, options = self._context.shot, self._options
        depth = key_of(
            method=_METHOD,
            solve=self._place.solve,
            frames=views.numbers,
            size=self._settings.image_size,
            masks=masks_digest(shot) if options.use_masks else "",
            guess=depth_digest(shot),
            colmap=options.engine == COLMAP_CUDA,
        )
        mesh = key_of(cloud=depth)
        texture = key_of(mesh=mesh, faces=self._settings.faces, texture=self._settings.texture_size)
        return {DEPTH: depth, CLOUD: depth, MESH: mesh, TEXTURE: texture}

    def _find_depth(
        self, views: ShotViews, keys: dict[str, str], earlier: Earlier | None
    ) -> tuple[str, DepthWork]:
        if earlier is not None and earlier.holds(DEPTH, keys):
            self._report.status("Taking over the depth of the last run")
            earlier.take_maps(views.numbers, self._folder)
        began = time.monotonic()
        work = DepthWork(views, self._folder, self._report)
        if work.missing():
            self._match(work)
        self._took("depth", began)
        if self._engine_note.is_file():
            return self._engine_note.read_text(encoding="utf-8"), work
        return earlier.record.engine if earlier else "", work

    def _match(self, work: DepthWork) -> None:
        if not work.unmatched():
            pass
        elif self._options.engine == COLMAP_CUDA:
            write_text(self._engine_note, COLMAP_CUDA)
            missing = work.unmatched()
            colmap_stereo.find_depth(work.views, work.sources, missing, work.matched, self._report)
        else:
            engine, matcher = choose_stereo(self._options.engine, self._report)
            write_text(self._engine_note, engine)
            work.match(matcher)
        work.fill()

    def _make_cloud(
        self, surface: SurfaceWork, keys: dict[str, str], earlier: Earlier | None
    ) -> int:
        began = time.monotonic()
        if earlier and earlier.holds(CLOUD, keys) and earlier.take_cloud(self._folder):
            return earlier.record.points
        points = surface.make_cloud()
        self._took("cloud", began)
        return points

    def _make_mesh(
        self, surface: SurfaceWork, keys: dict[str, str], earlier: Earlier | None
    ) -> int:
        """How many faces the mesh has."""
        began = time.monotonic()
        same = earlier is not None and earlier.holds(TEXTURE, keys)
        kept = earlier is not None and earlier.holds(MESH, keys)
        if earlier and kept and earlier.take_mesh(self._folder, textured=same):
            if same:
                return earlier.record.faces
        else:
            surface.make_mesh()
        self._took("mesh", began)
        began = time.monotonic()
        faces, texture = surface.make_textured(self._settings.faces, self._settings.texture_size)
        self._details["texture_seen"] = round(texture.coverage, 4)
        self._took("texture", began)
        return faces

    def _took(self, part: str, began: float) -> None:
        self._details["seconds"][part] = round(time.monotonic() - began, 2)

    def _tell(self, faces: int) -> None:
        names = ["cloud.ply"] + (["mesh_raw.ply", "mesh.ply", "texture.png"] if faces else [])
        for name in names:
            self._report.result(f"{_FOLDER}/{name}", "dense")
        self._report.result(f"{_FOLDER}/dense.json", "dense")
