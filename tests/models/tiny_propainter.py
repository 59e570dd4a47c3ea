# SPDX-License-Identifier: GPL-3.0-or-later
"""ProPainter's three networks with random weights, and shots for them.

Weights are saved of the networks that are published; what runs are smaller ones of the same
classes. Frames are as small as RAFT can do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from backend.worker.image_files import write_png
from backend.worker.mask_files import write_mask

SIZE = (160, 128)
HOLE = np.s_[40:80, 60:110]


def save_networks(folder: Path) -> Path:
    """The files as the download leaves them, with weights that mean nothing."""
    import torch

    folder.mkdir()
    for name, network in _networks().items():
        torch.save(network.state_dict(), folder / f"{name}-0000-00000000.pth")
    return folder


def tiny_networks(iterations: int = 1) -> Any:
    """The same at every call."""
    import torch
    from pytorchcv.models.propainter import ProPainter
    from pytorchcv.models.propainter_rfc import propainter_rfc
    from pytorchcv.models.raft import raft_small

    from backend.worker.engines.deformable import stand_in
    from backend.worker.engines.propainter import Networks

    stand_in()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(6)
        flow = raft_small(in_normalize=False, iters=iterations)
        painter = ProPainter(hidden_dim=64, num_heads=1, depth=2)
        return Networks(flow.eval(), propainter_rfc().eval(), painter.eval())


def still_networks() -> Any:
    """What says at once that nothing moves, and paints what it is given: for long shots."""
    import torch

    from backend.worker.engines.propainter import Networks

    class Flow(torch.nn.Module):
        iters = 1

        def forward(self, first: Any, _second: Any) -> Any:
            return None, first[:, :2] * 0

    class Completion(torch.nn.Module):
        def forward(self, masked_flows: Any, masks: Any) -> Any:
            return masked_flows * (1 - masks), None

    class Painter(torch.nn.Module):
        def forward(self, masked_frames: Any, num_local_frames: int, **_rest: Any) -> Any:
            return masked_frames[:, :num_local_frames]

    return Networks(Flow(), Completion(), Painter())


def _networks() -> dict[str, Any]:
    import torch
    from pytorchcv.models.propainter import propainter
    from pytorchcv.models.propainter_rfc import propainter_rfc
    from pytorchcv.models.raft import raft_things

    with torch.random.fork_rng():
        torch.manual_seed(6)
        made = (raft_things(in_normalize=False), propainter_rfc(), propainter())
    return dict(zip(("raft_things", "propainter_rfc", "propainter"), made, strict=True))


def make_shot(
    folder: Path, count: int, size: tuple[int, int] = SIZE
) -> tuple[dict[int, Path], dict[int, Path]]:
    """Frames of a pattern that moves, and masks of the same place in each."""
    random = np.random.default_rng(8)
    ground = random.integers(60, 200, (size[1] // 8, size[0] // 8 + count, 3), np.uint8)
    wide = np.kron(ground, np.ones((8, 8, 1), np.uint8))
    mask = np.zeros((size[1], size[0]), np.uint8)
    mask[HOLE] = 255
    files, masks = {}, {}
    for index in range(count):
        number = 1001 + index
        files[number] = folder / "frames" / f"frame_{number}.png"
        masks[number] = folder / "masks" / f"frame_{number}.png"
        for file in (files[number], masks[number]):
            file.parent.mkdir(exist_ok=True, parents=True)
        write_png(files[number], np.ascontiguousarray(wide[:, index : index + size[0]]))
        write_mask(masks[number], mask)
    return files, masks
