# SPDX-License-Identifier: GPL-3.0-or-later
"""VideoMaMa's networks with tiny random weights, and shots with instances to refine.

The classes, the twelve channels and the single step are the real ones; what comes out is noise that
depends on the plate, the mask and the frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np

from backend import outputs
from backend.events import EventReader, EventWriter
from backend.options import from_mapping
from backend.shot import Shot
from backend.stages import STAGES, MamaOptions
from backend.worker import weights
from backend.worker.report import Context, Report
from backend.worker.stages import mama
from tests.backend import mask_shots
from tests.backend.mask_shots import SIZE, write_masks

PIXELS = SIZE[0] * SIZE[1]


def tiny_networks() -> tuple[Any, Any]:
    """UNet and image decoder, the same at every call."""
    import torch

    weights.prepare()
    from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel

    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        unet = UNetSpatioTemporalConditionModel(
            in_channels=12,
            block_out_channels=(32, 32),
            down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
            up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=24,
            layers_per_block=1,
            cross_attention_dim=16,
            num_attention_heads=2,
        )
        vae = AutoencoderKLTemporalDecoder(
            block_out_channels=(32, 32, 32, 32),
            down_block_types=("DownEncoderBlock2D",) * 4,
            layers_per_block=1,
        )
    return unet.eval(), vae.eval()


def make_shot(
    folder: Path, frames: Sequence[int], masks: Mapping[str, Mapping[int, np.ndarray]]
) -> Shot:
    """A shot of `SIZE` with a square that travels over noise, and masks in roto/."""
    shot = mask_shots.make_shot(folder, frames)
    ground = np.random.default_rng(3).integers(0, 255, (*SIZE[::-1], 3), np.uint8)
    for number in frames:
        picture = ground.copy()
        picture[square(number, frames)] = (250, 40 + number % 200, 30)
        cv2.imwrite(str(shot.frame_file(number)), picture)
    for label, found in masks.items():
        write_masks(shot.roto / label, found)
    return shot


def square(number: int, frames: Sequence[int]) -> np.ndarray:
    """(h, w) bool: where the thing is in a frame."""
    left = 2 + round(30 * (number - frames[0]) / max(1, len(frames) - 1))
    there = np.zeros(SIZE[::-1], bool)
    there[8:24, left : left + 14] = True
    return there


def square_masks(seen: Sequence[int], frames: Sequence[int]) -> dict[int, np.ndarray]:
    """Masks of all frames, black where it is not among `seen`."""
    return {
        number: np.where(square(number, frames) & (number in seen), 255, 0).astype(np.uint8)
        for number in frames
    }


def tiny_engine(hook: Any = None) -> Any:
    """VideoMaMa on these networks; `hook` is called before every forward of the UNet."""
    import torch

    from backend.worker.engines.videomama import VideoMama

    unet, vae = tiny_networks()
    if hook is not None:
        unet.register_forward_pre_hook(hook)
    return VideoMama(unet, vae, torch.device("cpu"), 42, PIXELS)


def run_mama(shot: Shot, engine: Any, **options: Any) -> list[dict[str, Any]]:
    """What the worker does for one run of the stage, with that engine. Returns the events."""
    log = shot.path.with_name(f"{shot.name}.jsonl")
    log.unlink(missing_ok=True)
    report = Report(EventWriter(log), shot.path.with_name("cancel"))
    chosen, stage = from_mapping(MamaOptions, options), STAGES["mama"]
    inputs = outputs.inputs_of(shot, stage, "")
    loading = patch.object(mama, "load_engine", lambda _seed: engine)
    writing = outputs.writing(shot, stage, chosen, inputs, report.uninterrupted())
    with loading, writing as (part, record):
        mama.run(Context(shot, chosen, "", "", part, report, record))
    return EventReader(log).poll()
