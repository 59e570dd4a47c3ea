# SPDX-License-Identifier: GPL-3.0-or-later
"""ProPainter: background along the optical flow, and a transformer that makes up the rest.

The networks are those of the package `pytorchcv` (MIT), which has written ProPainter (Zhou et al.,
ICCV 2023) anew, for shots of any length: each step looks at a window of the frames around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import cv2
import numpy as np
import torch
from pytorchcv.models.common.stream import BufferedSequencer
from pytorchcv.models.propainter import propainter
from pytorchcv.models.propainter_ip_stream import ProPainterIPSequencer
from pytorchcv.models.propainter_rfc import propainter_rfc
from pytorchcv.models.propainter_rfc_stream import ProPainterRFCSequencer
from pytorchcv.models.propainter_stream import ProPainterIMSequencer, ProPainterITSequencer
from pytorchcv.models.raft import raft_things
from pytorchcv.models.raft_stream import RAFTSequencer

from ...errors import ModelError, PlateError
from ..frame_files import read_colors
from ..masks import read_mask
from ..weights import device as best_device
from ..weights import fill, refused
from . import inpainting
from .deformable import stand_in
from .inpainting import InpaintSettings, Picture
from .memory import infer, release
from .room import OutOfRoomError

Sizes = tuple[int, int]

_MULTIPLE = 8
_SHORTEST = 128
"""Of the shorter side: on less, the coarsest correlation of RAFT is of a single pixel, which it
divides by the size of less one."""
_STEP = 10
"""Frames that are made at one time, at least."""
_WINDOW = 80
"""Frames within which background is carried along the flow, as its authors have it."""
_GROWN = 4
"""Pixels by which its authors grow masks: flow at their very edge is not to be trusted."""
_FLOWS, _FLOW_PIXELS = 12, 12 * 640 * 360
"""Frames whose flow is found at one time, at most, and pixels in them."""


@dataclass(frozen=True, eq=False)
class Networks:
    """In evaluation mode, all on one device: optical flow, its completion, and what paints."""

    flow: Any
    completion: Any
    painter: Any

    @classmethod
    def load(cls, folder: Path, iterations: int, device: torch.device) -> Networks:
        """`iterations` are those of the optical flow. Raises ModelError for other weights."""
        stand_in()
        flow = raft_things(in_normalize=False, iters=iterations)
        found = [
            _filled(network, folder, name)
            for network, name in (
                (flow, "raft_things"),
                (propainter_rfc(), "propainter_rfc"),
                (propainter(), "propainter"),
            )
        ]
        return cls(*(network.to(device).eval() for network in found))


class ProPainter:
    """Background by ProPainter, on an NVIDIA GPU or the processor (Inpainter).

    `refine_iterations` is how often RAFT refines the flow between two frames; its authors take 20.
    `flow_frames` is the length of the stretch around each frame whose features are carried along
    the flow, half of it to each side; its authors take 10. Each tenth frame of those further away
    is looked at, too.
    """

    name = "propainter"

    def __init__(self, networks: Networks, settings: InpaintSettings, device: torch.device) -> None:
        self._networks, self._settings, self._device = networks, settings, device

    @classmethod
    def load(cls, folder: Path, settings: InpaintSettings) -> ProPainter:
        """Raises ModelError when the weights are not right."""
        device = best_device()
        if device.type != "cuda":
            device = torch.device("cpu")
        return cls(Networks.load(folder, settings.refine_iterations, device), settings, device)

    def fill(
        self, files: Mapping[int, Path], masks: Mapping[int, Path], size: Sizes
    ) -> Iterator[tuple[int, Picture]]:
        """See Inpainter."""
        inpainting.require(files, masks)
        inner = inner_size(size, self._settings.scale)
        frames = _Frames([*files.values()], inner, self._device)
        holes = _Holes([masks[number] for number in files], inner, size, self._device)
        numbers = iter(files)
        for made in self._steps(frames, holes, inner):
            pictures = ((made.float() + 1) * 127.5).round().clamp(0, 255).byte()
            for picture in pictures.permute(0, 2, 3, 1).cpu().numpy():
                yield next(numbers), _resized(picture, size)

    def _steps(self, frames: _Frames, holes: _Holes, inner: Sizes) -> Iterator[torch.Tensor]:
        """All frames in their order, some at a time, (n, 3, h, w), -1 to 1."""
        chain = _Chain(self._networks, self._settings, frames, holes, inner)
        for start in range(0, len(frames), chain.step):
            step = partial(chain.made, start, min(start + chain.step, len(frames)))
            try:
                made = infer(step, partial(release, self._device))
            except OutOfRoomError as error:
                raise ModelError(
                    f"The GPU has no room for ProPainter at {inner[0]} x {inner[1]}: lower its "
                    "Internal Scale, or its Flow Frames."
                ) from error
            yield made


class _Chain:
    """The steps, each of which asks those before for what it needs, and keeps what it has made.

    `pytorchcv` has a chain of its own, which takes no other `flow_frames`. `step` is how many
    frames are to be asked for at one time; `_askers` are the steps that ask for what each part
    keeps, and in which of their slots.
    """

    def __init__(
        self,
        networks: Networks,
        settings: InpaintSettings,
        frames: _Frames,
        holes: _Holes,
        inner: Sizes,
    ) -> None:
        cuda, reach = frames.device.type == "cuda", max(1, settings.flow_frames // 2)
        window = max(_WINDOW, 2 * reach)
        # Stretches that are painted overlap by half. Each of two has to be painted before what they
        # share is handed out: it is, when as much as two of them is asked for.
        self.step = reach * max(2, -(-_STEP // reach))
        self._frames, self._holes = frames, holes
        self._flows = RAFTSequencer(
            frames=frames,
            raft_model=networks.flow,
            use_cuda=cuda,
            raft_iters=settings.refine_iterations,
            window_size=max(2, min(_FLOWS, _FLOW_PIXELS // (inner[0] * inner[1]))),
        )
        self._completed = ProPainterRFCSequencer(
            flows=self._flows,
            masks=holes,
            pprfc_model=networks.completion,
            use_cuda=cuda,
            window_size=window,
        )
        self._carried = ProPainterIPSequencer(
            frames=frames,
            masks=holes,
            comp_flows=self._completed,
            use_cuda=cuda,
            window_size=window,
        )
        self._painted = ProPainterITSequencer(
            prop_framemasks=self._carried,
            masks=holes,
            comp_flows=self._completed,
            pp_model=networks.painter,
            use_cuda=cuda,
            pp_stride=reach,
            pp_ref_window_size=window,
        )
        self._whole = ProPainterIMSequencer(trans_frames=self._painted, frames=frames, masks=holes)
        self._askers = (
            (self._painted, ()),
            (self._carried, ((self._painted, 0),)),
            (self._completed, ((self._carried, 2), (self._painted, 2))),
            (self._flows, ((self._completed, 0),)),
            (holes, ((self._completed, 1), (self._carried, 1), (self._painted, 1))),
            (frames, ((self._flows, 0), (self._carried, 0))),
        )

    def made(self, start: int, end: int) -> torch.Tensor:
        """These frames; what nothing will ask for any more is forgotten."""
        found: torch.Tensor = self._whole[start:end]
        for part, askers in self._askers:
            wanted = [_wanted(asker, slot) for asker, slot in askers]
            first = min([end, *wanted]) if part in self._whole.raw_data_list else min(wanted)
            part.trim_buffer_to(min(first, part.end_pos - 1))
        return found


def _wanted(asker: Any, slot: int) -> int:
    """The first that a step will ask for of what is in that slot of its sources."""
    following = asker.window_index[asker.window_pos + 1 :]
    return int(following[0].sources[slot].start) if following else int(asker.length)


class _Files(BufferedSequencer):  # type: ignore[misc]
    """What is read of files when it is asked for, on the device, (n, channels, h, w)."""

    def __init__(self, files: Sequence[Path], inner: Sizes, device: torch.device) -> None:
        super().__init__([files])
        self.buffer: torch.Tensor | None = None
        self._inner, self.device = inner, device

    def _calc_data_items(self, raw_data_chunk_list: Sequence[Sequence[Path]]) -> torch.Tensor:
        read = [self._read(file) for file in raw_data_chunk_list[0]]
        return torch.from_numpy(np.stack(read)).permute(0, 3, 1, 2).to(self.device).contiguous()

    def _expand_buffer_by(self, data_chunk: torch.Tensor) -> None:
        self.buffer = torch.cat([cast(torch.Tensor, self.buffer), data_chunk])

    def _read(self, file: Path) -> Any:
        raise NotImplementedError


class _Frames(_Files):
    """Colors, -1 to 1."""

    def _read(self, file: Path) -> Any:
        colors = read_colors(file)
        if colors is None:
            raise PlateError(f"{file} is missing or damaged.")
        return _resized(colors, self._inner).astype(np.float32) / 127.5 - 1


class _Holes(_Files):
    """1 where background is to be made, else 0."""

    def __init__(
        self, files: Sequence[Path], inner: Sizes, plate: Sizes, device: torch.device
    ) -> None:
        super().__init__(files, inner, device)
        self._plate = plate

    def _read(self, file: Path) -> Any:
        chosen = (read_mask(file, self._plate) > 0).astype(np.float32)
        holes = (_resized(chosen, self._inner) > 0).astype(np.uint8)
        cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
        return cv2.dilate(holes, cross, iterations=_GROWN).astype(np.float32)[:, :, None]


def inner_size(size: Sizes, scale: float) -> Sizes:
    """The size that is worked at for a plate of that width and height."""
    scale = max(scale, _SHORTEST / min(size))
    width, height = (max(1, round(side * scale / _MULTIPLE)) * _MULTIPLE for side in size)
    return width, height


def _resized(picture: Any, size: Sizes) -> Any:
    smaller = size[0] < picture.shape[1]
    way = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return cv2.resize(picture, size, interpolation=way)


def _filled(network: Any, folder: Path, name: str) -> Any:
    """The network with the weights of that name."""
    file = next(iter(sorted(folder.glob(f"{name}-*.pth"))), None)
    if file is None:
        raise refused(folder, f"{name} is missing")
    try:
        values: Any = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, UnpicklingError) as error:
        raise refused(folder, f"{file.name}: {error}") from error
    fill(network, values, folder)
    return network
