# SPDX-License-Identifier: GPL-3.0-or-later
"""VideoMaMa: a video diffusion network that turns masks into mattes in a single step.

It is Stable Video Diffusion's network, trained further (cvlab-kaist/VideoMaMa, CVPR 2026): the
latents of the plate and of its masks stand beside noise as 12 input channels, and what comes out in
one step are the latents of the mattes. There is no scheduler, and the image condition is zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel

from ..weights import device as best_device
from ..weights import load_pretrained
from .matting import Alpha, Fit, Seen
from .memory import free_memory, infer, release

PIXELS = 1024 * 576
"""What it was trained at."""
_GIB = 2**30


@dataclass(frozen=True)
class Plan:
    """How memory is used where `free` GiB are free: `frames` are refined at one time, and so many
    of them decoded; `in_turn`: only the network that works is on the device."""

    free: float
    frames: int
    decoded: int
    in_turn: bool

    def smaller(self) -> Plan:
        """For a device that was out of memory with this one."""
        return replace(self, decoded=max(1, self.decoded // 2), in_turn=True)


PLANS = (
    Plan(28.0, 16, 8, False),
    Plan(20.0, 14, 8, False),
    Plan(13.5, 12, 8, True),
    Plan(10.0, 10, 4, False),
    Plan(6.5, 8, 4, True),
    Plan(4.5, 4, 2, True),
    Plan(0.0, 1, 1, True),
)
"""The most generous first. On an H200, with networks of the real size in half precision and frames
of `PIXELS`, weights take 3.1 GiB and the peaks above them were 1.1 GiB for each frame that is
decoded at one time, 1.7 for each that is encoded, and 0.16 for each that the UNet refines. The UNet
was trained on 16 frames; its authors decode 8 at one time."""
_WITHOUT_GPU = Plan(0.0, 4, 8, False)
_ENCODED = 2
"""Frames that are encoded at one time: each by itself, so that more would change nothing."""
_CONDITIONS = (7.0, 127.0, 0.0)
"""Frame rate, motion bucket and noise added to the plate, as it was trained."""


class VideoMama:
    """Mattes by VideoMaMa. `unet` and `vae` are in evaluation mode, of one precision."""

    name = "VideoMaMa"

    def __init__(
        self, unet: Any, vae: Any, device: torch.device, seed: int, pixels: int = PIXELS
    ) -> None:
        self._unet, self._vae, self._device = unet, vae, device
        self._seed, self._pixels = seed, pixels
        self._multiple = 2 ** (len(vae.config.block_out_channels) - 1)
        self._dtype: torch.dtype = unet.dtype
        if self._dtype == torch.float16 and vae.config.force_upcast:
            # The encoder's values are too large for half precision: they become infinite.
            vae.encoder.float()
            vae.quant_conv.float()
        self._plan = plan_for(free_memory(device), pixels)

    @classmethod
    def load(cls, unet_folder: Path, vae_folder: Path, seed: int) -> VideoMama:
        """Raises ModelError when the weights are not right."""
        device = best_device()
        kinds = UNetSpatioTemporalConditionModel, AutoencoderKLTemporalDecoder
        unet, vae = (
            load_pretrained(kind, folder, torch_dtype=_precision(device))
            for kind, folder in zip(kinds, (unet_folder, vae_folder), strict=True)
        )
        return cls(unet, vae, device, seed)

    def fit(self, plate: tuple[int, int]) -> Fit:
        """See MatteEngine."""
        return Fit.of(plate, self._pixels, self._multiple)

    def room(self) -> int:
        """See MatteEngine."""
        return self._plan.frames

    def refine(self, frames: Sequence[Seen]) -> list[Alpha]:
        """See MatteEngine."""
        return infer(lambda: self._refined(frames), self._make_room)

    def _refined(self, frames: Sequence[Seen]) -> list[Alpha]:
        with self._placed(self._vae):
            plate = self._encoded([seen.image for seen in frames])
            masks = self._encoded([_painted(seen.mask) for seen in frames])
        noise = torch.stack([self._noise(seen.frame, plate.shape[1:]) for seen in frames])
        latents = torch.cat([noise.to(plate), plate, masks], dim=1)
        with self._placed(self._unet):
            mattes = self._one_step(latents[None])[0]
        with self._placed(self._vae):
            return self._decoded(mattes / self._vae.config.scaling_factor)

    def _encoded(self, pictures: Sequence[Any]) -> torch.Tensor:
        """Latents (f, 4, h / 8, w / 8) of pictures (h, w, 3), uint8; not scaled."""
        kind = next(self._vae.encoder.parameters()).dtype
        parts = []
        for start in range(0, len(pictures), _ENCODED):
            part = torch.from_numpy(np.stack(pictures[start : start + _ENCODED]))
            values = part.permute(0, 3, 1, 2).to(self._device, kind) / 127.5 - 1
            # The middle of the distribution, not a sample: the same every time.
            parts.append(self._vae.encode(values).latent_dist.mode().to(self._dtype))
        return torch.cat(parts)

    def _noise(self, frame: int, shape: Sequence[int]) -> torch.Tensor:
        """Of a frame by its number: what two chunks share starts from the same noise."""
        values = np.random.default_rng([self._seed, frame]).standard_normal(shape, np.float32)
        return torch.from_numpy(values)

    def _one_step(self, latents: torch.Tensor) -> torch.Tensor:
        nothing = latents.new_zeros(1, 1, self._unet.config.cross_attention_dim)
        conditions = latents.new_tensor([_CONDITIONS])
        step = torch.tensor([1], device=self._device)
        answer: torch.Tensor = self._unet(
            latents, step, encoder_hidden_states=nothing, added_time_ids=conditions
        ).sample
        return answer

    def _decoded(self, latents: torch.Tensor) -> list[Alpha]:
        alphas: list[Alpha] = []
        for part in latents.split(self._plan.decoded):
            pictures = self._vae.decode(part, num_frames=len(part)).sample
            gray = (pictures.float() / 2 + 0.5).clamp(0, 1).mean(dim=1)
            alphas.extend(gray.cpu().numpy())
        return alphas

    @contextmanager
    def _placed(self, network: Any) -> Iterator[None]:
        """Has a network on the device for a block; there it stays unless memory is short."""
        network.to(self._device)
        try:
            yield
        finally:
            if self._plan.in_turn:
                network.to("cpu")
                release(self._device)

    def _make_room(self) -> None:
        if self._device.type != "cpu":
            self._plan = self._plan.smaller()
            self._unet.to("cpu")
            self._vae.to("cpu")
        release(self._device)


def _precision(device: torch.device) -> torch.dtype:
    """What the weights are published in: bfloat16 has too few digits for 256 levels of gray."""
    return torch.float32 if device.type == "cpu" else torch.float16


def _painted(mask: Any) -> Any:
    """(h, w, 3) white where the mask is."""
    return np.repeat(np.where(mask, 255, 0).astype(np.uint8)[..., None], 3, axis=2)


def plan_for(free: int | None, pixels: int) -> Plan:
    """What so many free bytes, None without a GPU, have room for, with frames of so many pixels."""
    if free is None:
        return _WITHOUT_GPU
    gib = free / _GIB * PIXELS / max(pixels, PIXELS)
    return next(plan for plan in PLANS if gib >= plan.free)
