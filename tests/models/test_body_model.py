# SPDX-License-Identifier: GPL-3.0-or-later
"""The body as the package smplx itself makes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import smplx
import torch

from backend.body_model import BodyModel, model_file
from backend.kinematics import joint_places
from tests.body_model import write_model

_PARTS = {
    "global_orient": (0, 1),
    "body_pose": (1, 22),
    "jaw_pose": (22, 23),
    "leye_pose": (23, 24),
    "reye_pose": (24, 25),
    "left_hand_pose": (25, 40),
    "right_hand_pose": (40, 55),
}


def test_vertices_and_joints_are_those_of_smplx(tmp_path: Path) -> None:
    write_model(tmp_path)
    frames, random = 6, np.random.default_rng(1)
    rotations = random.normal(0, 0.5, (frames, 55, 3))
    translation, betas = random.normal(0, 2, (frames, 3)), random.normal(size=10)
    theirs = smplx.create(
        str(tmp_path), model_type="smplx", use_pca=False, flat_hand_mean=True, batch_size=frames
    )

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.tensor(values.reshape(frames, -1), dtype=torch.float32)

    parts = {name: tensor(rotations[:, a:b]) for name, (a, b) in _PARTS.items()}
    with torch.no_grad():
        out = theirs(betas=tensor(np.tile(betas, (frames, 1))), transl=tensor(translation), **parts)
    ours = BodyModel.load(model_file(tmp_path, "neutral"), betas)
    posed = np.concatenate(list(ours.posed(rotations, translation)))
    assert np.linalg.norm(posed - out.vertices.numpy(), axis=2).max() < 1e-5
    joints = joint_places(rotations, ours.joints, translation)
    assert np.abs(joints - out.joints.numpy()[:, :55]).max() < 1e-5
