# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks that look at people, with random weights, and a camera that sees a plate of noise.

The classes are the real ones, and so is how their weights are written: the network that finds
motion has its real size, the others are small. What comes out means nothing, but the same goes in
twice alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from backend.camera import Array, rotations_from_vectors
from backend.worker.engines.body_motion import PlateCamera
from backend.worker.image_files import write_png

SIZE = (160, 96)
LAYERS = 1
"""Of HMR2's backbone."""


def randomized(network: Any) -> Any:
    """The network with weights that let everything through."""
    torch.set_num_threads(1)
    source = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if values.is_floating_point() and "init_" not in name:
                values.copy_(torch.randn(values.shape, generator=source) * 0.05)
    return network.eval()


class Settings:
    """What a checkpoint holds of the program that wrote it."""

    def __init__(self) -> None:
        self.lists, self.names = [1, 2], {"a": self}


def save_checkpoint(path: Path, values: dict[str, torch.Tensor], **more: Any) -> Path:
    """As PyTorch Lightning does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"epoch": 10, "state_dict": values, "hyper_parameters": Settings(), **more}, path)
    return path


def save_gvhmr(folder: Path) -> Path:
    from backend.worker.engines.gvhmr_package import motion_network

    values = randomized(motion_network()).state_dict()
    named = {f"pipeline.denoiser3d.{name}": value for name, value in values.items()}
    save_checkpoint(folder / "gvhmr_siga24_release.ckpt", named)
    return folder


def save_hmr2(folder: Path, layers: int = LAYERS) -> Path:
    from backend.worker.engines.gvhmr_package import feature_network

    values = randomized(feature_network(layers)).state_dict()
    other = {"discriminator.weight": torch.zeros(2)}
    save_checkpoint(folder / "epoch=10-step=25000.ckpt", values | other)
    return folder


def save_vit_pose(folder: Path, experts: int = 1, joints: int = 17) -> Path:
    from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation

    backbone = VitPoseBackboneConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, out_indices=[2],
        num_experts=experts, part_features=8 if experts > 1 else 0,
    )  # fmt: skip
    config = VitPoseConfig(
        backbone_config=backbone, use_simple_decoder=True, num_labels=joints,
        id2label={index: str(index) for index in range(joints)},
    )  # fmt: skip
    randomized(VitPoseForPoseEstimation(config)).save_pretrained(folder)
    return folder


def save_detector(folder: Path) -> Path:
    from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig

    backbone = RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 32, 64], depths=[1, 1, 1, 1],
        out_features=["stage2", "stage3", "stage4"], layer_type="basic",
    )  # fmt: skip
    config = RTDetrConfig(
        backbone_config=backbone, encoder_hidden_dim=32, encoder_in_channels=[16, 32, 64],
        encoder_layers=1, encoder_ffn_dim=32, encoder_attention_heads=2, d_model=32,
        decoder_in_channels=[32, 32, 32], decoder_layers=1, decoder_ffn_dim=32,
        decoder_attention_heads=2, num_queries=20, num_denoising=0,
        id2label={0: "person", 1: "bicycle"},
    )  # fmt: skip
    RTDetrForObjectDetection(config).eval().save_pretrained(folder)
    return folder


def plate_camera(folder: Path, count: int, aspect: float = 1.0, shift: float = 0.0) -> PlateCamera:
    """A camera that pans over a plate of noise, whose pixels are `aspect` times as wide as high;
    the plate as shot is `shift` pixels to the right of the pinhole's."""
    random = np.random.default_rng(3)
    numbers = np.arange(1001, 1001 + count)
    files = {int(number): folder / f"frame_{number}.png" for number in numbers}
    for file in files.values():
        write_png(file, random.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8))
    pan = np.outer(np.arange(count), [0.002, 0.02, 0.001])

    def straighten(points: Array) -> Array:
        return points - [shift, 0]

    return PlateCamera(
        frames=numbers,
        files=files,
        size=SIZE,
        matrix=np.array([[150.0, 0, 82], [0, 150 * aspect, 47], [0, 0, 1]]),
        rotations=rotations_from_vectors(pan),
        centers=np.zeros((count, 3)),
        straighten=straighten,
    )
