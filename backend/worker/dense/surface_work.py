# SPDX-License-Identifier: GPL-3.0-or-later
"""From depth maps to files: the cloud, the mesh, and the mesh with its texture.

Each step begins from the file of the one before, so that what an earlier run has made is read and
not made again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...dense_files import Cloud, Triangles, read_cloud, read_mesh, write_cloud, write_mesh
from ...errors import SolveError
from ...shot import DenseFolder
from ..image_files import write_png
from ..report import Report
from .fusion import Load, fuse
from .meshing import cleaned, simplified, surface, trusted
from .texture import Settings, Texture, project_texture
from .unwrap import unwrap
from .views import View


@dataclass(frozen=True, eq=False)
class SurfaceWork:
    """`sources` are the frames that each frame's depth is checked with, `load` gives a frame with
    its depth, `picture` a frame alone."""

    folder: DenseFolder
    sources: Mapping[int, Sequence[int]]
    load: Load
    picture: Callable[[int], View]
    report: Report

    def make_cloud(self) -> int:
        """Returns how many points there are. Raises SolveError for none, OutputError."""
        self.report.status("Fusing the depth maps")
        cloud = fuse(self.sources, self.load, progress=self._count)
        if not len(cloud.positions):
            raise SolveError(
                "No two frames agree on any depth: the plate may be too blurred or too plain."
            )
        write_cloud(self.folder.cloud, cloud)
        return len(cloud.positions)

    def make_mesh(self) -> None:
        """Raises SolveError where the points make no surface, OutputError, FormatError."""
        cloud: Cloud = read_cloud(self.folder.cloud)
        numbers = list(self.sources)
        self.report.status("Choosing the points that all frames bear out")
        cloud = trusted(cloud, numbers, self.load, progress=self._count)
        self.report.status("Laying a surface through the points")
        raw = surface(cloud)
        self.report.status("Taking away what no frame has seen")
        mesh = cleaned(raw, cloud, numbers, self.load, progress=self._count)
        write_mesh(self.folder.raw_mesh, mesh)

    def make_textured(self, faces: int, texture_size: int) -> tuple[int, Texture]:
        """How many faces there are, and the texture. Raises SolveError, OutputError."""
        raw = read_mesh(self.folder.raw_mesh)
        self.report.status("Simplifying the mesh")
        mesh = simplified(raw, faces)
        self.report.status("Unwrapping the mesh")
        uvs = unwrap(mesh.positions, mesh.faces, texture_size).uvs
        self.report.status("Projecting the texture")
        texture = project_texture(
            mesh.positions, mesh.faces, uvs, list(self.sources), self.picture,
            Settings(size=texture_size), self._count,
        )  # fmt: skip
        write_png(self.folder.texture, texture.colors)
        name = self.folder.texture.name
        write_mesh(self.folder.mesh, Triangles(mesh.positions, mesh.faces, uvs), name)
        return len(mesh.faces), texture

    def _count(self, done: int, total: int) -> None:
        self.report.progress(done, total, "frames")
