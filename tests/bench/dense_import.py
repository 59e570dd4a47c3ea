# SPDX-License-Identifier: GPL-3.0-or-later
"""How long it takes to bring a million points, and a mesh with its texture, into the scene.

Runs in a Python that has bpy; everything is made up in a folder of its own.

    python -m tests.bench.dense_import FOLDER         one JSON line a figure
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.figure import at_most
from tests.environments import DEFAULT_BPY, test_python

ROOT = Path(__file__).resolve().parents[2]
POINTS, SIDE, TEXTURE = 1_000_000, 500, 4096
"""Points of the cloud; quads along a side of the mesh, which has 500 000 triangles; pixels."""
ROUNDS = 3


def import_figures(folder: Path) -> list[dict[str, Any]]:
    """Figures of both imports, each measured in a process that does nothing else."""
    how = (
        "time of import_dense with reading the files and one evaluation of the scene, "
        f"median of {ROUNDS} in empty scenes"
    )
    cloud, mesh = (_ask(folder, what) for what in ("cloud", "mesh"))
    return [
        at_most("import of 1 M dense points", cloud["seconds"], "s", 1.0, how),
        at_most(
            f"import of {2 * SIDE * SIDE} faces with a {TEXTURE} px texture",
            mesh["seconds"], "s", 2.0, f"{how}; the texture is decoded, too",
        ),
        at_most("that import again, in place", mesh["again"], "s", 2.0, how),
    ]  # fmt: skip


def _ask(folder: Path, what: str) -> dict[str, float]:
    python = str(test_python(DEFAULT_BPY))
    command = [python, "-B", "-m", "tests.bench.dense_import", "--measure", what]
    answer = subprocess.run(
        [*command, str(folder / what)], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(answer.stdout.splitlines()[-1])


def _measured(what: str, folder: Path) -> dict[str, float]:
    import bpy
    from shot_gopher.operators.scene.dense import import_dense

    shot = _made_up(folder, what)

    def once(empty: bool) -> float:
        if empty:
            bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        began = time.perf_counter()
        result = import_dense(bpy.context, shot)
        if result.mesh is not None:
            (image,) = (each for each in bpy.data.images if each.filepath)
            assert image.pixels[0] >= 0  # Blender decodes an image when its pixels are asked for.
        bpy.context.view_layer.update()
        return time.perf_counter() - began

    seconds = [once(empty=True) for _ in range(ROUNDS)]
    again = [once(empty=False) for _ in range(ROUNDS)]
    return {"seconds": statistics.median(seconds), "again": statistics.median(again)}


def _made_up(folder: Path, what: str) -> Any:
    """A tracked shot that has a cloud or a mesh of the full size."""
    from shot_gopher.backend.dense import DenseRecord, place_of
    from shot_gopher.backend.dense_files import write_cloud, write_mesh

    from tests.scene.shots import make_shot

    shot = make_shot(folder)
    dense = shot.dense
    dense.path.mkdir(parents=True)
    if what == "cloud":
        write_cloud(dense.cloud, _cloud())
    else:
        write_mesh(dense.mesh, _mesh(), dense.texture.name)
        _write_texture(dense.texture)
    DenseRecord("made up", place_of(shot), (1001,), POINTS).save(dense.record)
    return shot


def _cloud() -> Any:
    from shot_gopher.backend.dense_files import Cloud

    rng = np.random.default_rng(1)
    normals = np.tile(np.array([0, 0, 1], dtype=np.float32), (POINTS, 1))
    return Cloud(
        rng.normal(0, 2, (POINTS, 3)).astype(np.float32),
        normals,
        rng.integers(0, 256, (POINTS, 3)).astype(np.uint8),
        rng.uniform(0, 1, POINTS).astype(np.float32),
    )


def _mesh() -> Any:
    """A wavy sheet whose texture is cut into patches of ten quads by ten, with seams all about."""
    from shot_gopher.backend.dense_files import Triangles

    ticks = np.linspace(-2, 2, SIDE + 1)
    y, x = np.meshgrid(ticks, ticks, indexing="ij")
    positions = np.stack([x, y, 0.2 * np.sin(9 * x) * np.cos(7 * y)], axis=-1).reshape(-1, 3)
    row, column = np.divmod(np.arange(SIDE * SIDE), SIDE)
    a = row * (SIDE + 1) + column
    quads = np.stack([a, a + 1, a + SIDE + 2, a, a + SIDE + 2, a + SIDE + 1], axis=1)
    patch = np.stack([column // 10, row // 10], axis=1) / (SIDE // 10)
    uvs = 0.98 * (positions[quads][..., :2] + 2) / 4 + 0.01 * patch[:, None]
    return Triangles(
        positions.astype(np.float32),
        quads.reshape(-1, 3).astype(np.int32),
        uvs.reshape(-1, 3, 2).astype(np.float32),
    )


def _write_texture(path: Path) -> None:
    """Smooth colors with some noise, as a plate has them."""
    from tests.scene.shots import write_png

    rng = np.random.default_rng(2)
    ramp = np.linspace(20, 220, TEXTURE)
    image = np.stack(np.broadcast_arrays(ramp[:, None], ramp, 128.0), axis=-1)
    noisy = image + rng.integers(-6, 7, image.shape)
    write_png(path, noisy.astype(np.uint8))


def _load_package() -> None:
    import importlib.util

    headless = ROOT / "operators" / "headless.py"
    spec = importlib.util.spec_from_file_location("headless", headless)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.load_package()


if __name__ == "__main__":
    if sys.argv[1] == "--measure":
        _load_package()
        print(json.dumps(_measured(sys.argv[2], Path(sys.argv[3]))))
        sys.stdout.flush()
        # bpy has been seen to hang when its interpreter ends.
        os._exit(0)
    for figure in import_figures(Path(sys.argv[1])):
        print(json.dumps(figure))
