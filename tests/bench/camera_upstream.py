# SPDX-License-Identifier: GPL-3.0-or-later
"""The upstream pipeline's camera solve, as a child of the camera bench.

COLMAP as it is used for photos, through pycolmap: one OPENCV camera, 8192 SIFT features, sequential
matching with an overlap of 10, incremental mapping, everything else at its defaults.
"""

from __future__ import annotations

from pathlib import Path

import pycolmap

from backend.worker.engines.records import from_pycolmap
from tests.bench.camera_child import Answer, Job, answer, measured
from tests.bench.camera_judge import camera_track, judge, solved_lens


def solve(job: Job, folder: Path) -> Answer:
    """Solves the plate and judges the model with the most frames."""
    told = Answer()
    with measured(told):
        models = _models([Path(path) for path in job["frames"].values()], folder)
    if not models:
        return told | {"named": "COLMAP made no model"}
    best = max(models.values(), key=lambda model: model.num_reg_images())
    model = from_pycolmap(best)
    judged = judge(job["truth"], camera_track(model), solved_lens(model))
    return told | judged | {"registered": len(model.names), "models": len(models)}


def _models(frames: list[Path], folder: Path) -> dict[int, pycolmap.Reconstruction]:
    database, images = folder / "database.db", frames[0].parent
    reader = pycolmap.ImageReaderOptions(camera_model="OPENCV")
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.sift.max_num_features = 8192
    pairing = pycolmap.SequentialPairingOptions(overlap=10)
    pycolmap.extract_features(
        database,
        images,
        [frame.name for frame in frames],
        camera_mode=pycolmap.CameraMode.SINGLE,
        reader_options=reader,
        extraction_options=extraction,
        device=pycolmap.Device.cpu,
    )
    pycolmap.match_sequential(database, pairing_options=pairing, device=pycolmap.Device.cpu)
    (folder / "sparse").mkdir()
    return pycolmap.incremental_mapping(database, images, folder / "sparse")


if __name__ == "__main__":
    answer(solve)
