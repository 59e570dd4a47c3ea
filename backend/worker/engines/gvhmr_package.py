# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of the package `gvhmr` (Shen et al. 2024; zju3dv/GVHMR), and the figures they need.

Of the package only the networks are used. Its own way from a picture to a motion reads movies,
guesses cameras and downloads what it lacks. What its files import besides, for training and for
its own settings, is not installed: it is stood in for while they are imported.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import sys
import types
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...camera import Array
from ..weights import prepare

HMR_LAYERS = 32
"""Layers of HMR2's backbone."""


class FeatureNetwork(torch.nn.Module):  # type: ignore[misc]
    """HMR2's backbone and head (Goel et al. 2023), up to the token that GVHMR takes."""

    def __init__(self, backbone: torch.nn.Module, head: torch.nn.Module) -> None:
        super().__init__()
        self.backbone, self.smpl_head = backbone, head

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """(n, 1024) of pictures (n, 3, 256, 256), whose sides it does not look at."""
        seen: torch.Tensor = self.smpl_head(
            self.backbone(pictures[:, :, :, 32:-32]), only_return_token_out=True
        )
        return seen


@dataclass(frozen=True, eq=False)
class Statistics:
    """What the network's values are to be multiplied with and added to: (151,) of its answer, (6,)
    of the camera's turns."""

    spread: Array
    middle: Array
    turn_spread: Array
    turn_middle: Array


def motion_network(**sizes: Any) -> Any:
    """The network that finds motion, in evaluation mode, without weights."""
    with _importing():
        module = importlib.import_module("gvhmr.network.gvhmr.relative_transformer")
    return module.NetworkEncoderRoPE(**sizes).eval()


def feature_network(layers: int) -> FeatureNetwork:
    """The network that sees poses, in evaluation mode; its weights are whatever was in memory."""
    with _importing():
        vit = importlib.import_module("gvhmr.network.hmr2.vit")
        head = importlib.import_module("gvhmr.network.hmr2.smpl_head")
        configs = importlib.import_module("gvhmr.network.hmr2.configs")
        tools = importlib.import_module("gvhmr.utils.net_utils")
    with tools.skip_torch_init():
        file = Path(str(configs.__file__)).with_name("model_config.yaml")
        settings = configs.get_config(str(file))
        backbone = vit.ViT(
            img_size=(256, 192), patch_size=16, embed_dim=1280, depth=layers, num_heads=16,
            ratio=1, mlp_ratio=4, qkv_bias=True, drop_path_rate=0.55,
        )  # fmt: skip
        network = FeatureNetwork(backbone, head.SMPLTransformerDecoderHead(settings))
    network.eval()
    return network


@functools.cache
def statistics() -> Statistics:
    """Those of the released weights."""
    with _importing():
        found = importlib.import_module("gvhmr.model.gvhmr.utils.stats_compose")
    answer, turns = found.MM_V1_AMASS_LOCAL_BEDLAM_CAM, found.cam_angvel["manual"]
    values = (answer["std"], answer["mean"], turns["std"], turns["mean"])
    return Statistics(*(np.array(each, np.float64) for each in values))


@contextlib.contextmanager
def _importing() -> Iterator[None]:
    """A block in which the package's networks can be imported."""
    prepare()
    made = {
        name: module
        for name, module in _stand_ins().items()
        if name not in sys.modules and (name.startswith("gvhmr.") or not _installed(name))
    }
    sys.modules.update(made)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name in made:
            if not name.startswith("gvhmr."):
                del sys.modules[name]


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name.partition(".")[0]) is not None


def _stand_ins() -> dict[str, types.ModuleType]:
    """Modules by their names, with what the files of networks take from them: the package's
    registry of settings, a base class for training, and two functions that only training and
    the package's own smoothing call."""
    values: dict[str, dict[str, Any]] = {
        "gvhmr.configs": {"MainStore": _Registry(), "builds": _nothing},
        "pytorch_lightning": {"LightningModule": torch.nn.Module},
        "pytorch_lightning.utilities": {},
        "pytorch_lightning.utilities.memory": {"recursive_detach": _nothing},
        "scipy": {},
        "scipy.ndimage": {},
        "scipy.ndimage._filters": {"_gaussian_kernel1d": _nothing},
    }
    made = {}
    for name, attributes in values.items():
        made[name] = module = types.ModuleType(name)
        module.__dict__.update(attributes, __path__=[])
    return made


class _Registry:
    def store(self, *_given: Any, **_named: Any) -> None:
        """Forgets what it is given: nothing here is made from settings."""


def _nothing(*_given: Any, **_named: Any) -> None:
    """Never called by a network that only looks."""
