# SPDX-License-Identifier: GPL-3.0-or-later
"""The models that stages use: where their weights are had, how big they are, what they allow.

A model is one entry. What is written here has been read somewhere: a revision, a size or a hash
that is not known is left open, and taken from the server at the first download (see models.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .errors import UsageError

HUB = "https://huggingface.co"
"""The server that repositories are on, unless another one is set."""
_MB = 10**6
_GB = 10**9


class Commercial(str, Enum):
    """Whether a licence allows paid work with the model."""

    YES = "yes"
    LIMITED = "limited"
    NO = "no"


@dataclass(frozen=True)
class Licence:
    """What an artist agrees to. `limits` is what it asks for, in a sentence or two."""

    name: str
    address: str
    commercial: Commercial
    limits: str


@dataclass(frozen=True)
class ModelFile:
    """A file by its path in the repository, its bytes and its SHA-256 ("": not known)."""

    path: str
    size: int
    sha256: str = ""


@dataclass(frozen=True)
class Model:
    """One entry of the table.

    `revision` is the commit of the repository, "" for the newest one at the first download.
    `patterns` are the files to download; `inside` is the folder of the repository with the weights,
    and `needs` are the files in there without which it cannot be used. `files` are those that are
    known byte by byte. `size` is bytes to download and `gpu_memory` bytes it takes to run, both
    about, to be shown and to look for space. `gated`: the server wants the artist's own token.
    """

    name: str
    title: str
    purpose: str
    repository: str
    licence: Licence
    patterns: tuple[str, ...]
    needs: tuple[str, ...]
    size: int
    gpu_memory: int
    revision: str = ""
    files: tuple[ModelFile, ...] = ()
    inside: str = ""
    gated: bool = False


_SAM_LICENCE = Licence(
    "SAM License",
    f"{HUB}/facebook/sam3/blob/main/LICENSE",
    Commercial.YES,
    "No military use, and whoever passes the weights on passes the license on with them.",
)
_APACHE = Licence(
    "Apache License 2.0",
    "https://www.apache.org/licenses/LICENSE-2.0",
    Commercial.YES,
    "None for the masks that it makes.",
)
_STABILITY = Licence(
    "Stability AI Community License",
    "https://stability.ai/community-license-agreement",
    Commercial.LIMITED,
    "Who earns more than it states in a year needs a license of Stability AI's.",
)

_SAM2_NEEDS = ("config.json", "model.safetensors")

MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(
            name="sam3",
            title="SAM 3",
            purpose="Finds what words name and tracks it; tracks points and boxes too",
            repository="facebook/sam3",
            licence=_SAM_LICENCE,
            patterns=("*.json", "model.safetensors", "merges.txt"),
            needs=("config.json", "model.safetensors", "tokenizer.json"),
            size=3440 * _MB,
            gpu_memory=8 * _GB,
            gated=True,
        ),
        Model(
            name="sam2-tiny",
            title="SAM 2.1 Tiny",
            purpose="Tracks points and boxes, without a GPU too",
            repository="facebook/sam2.1-hiera-tiny",
            licence=_APACHE,
            patterns=("*.json", "model.safetensors"),
            needs=_SAM2_NEEDS,
            size=156 * _MB,
            gpu_memory=1 * _GB,
        ),
        Model(
            name="sam2-base",
            title="SAM 2.1 Base+",
            purpose="Tracks points and boxes",
            repository="facebook/sam2.1-hiera-base-plus",
            licence=_APACHE,
            patterns=("*.json", "model.safetensors"),
            needs=_SAM2_NEEDS,
            size=324 * _MB,
            gpu_memory=2 * _GB,
        ),
        Model(
            name="sam2-large",
            title="SAM 2.1 Large",
            purpose="Tracks points and boxes, with the best edges of SAM 2.1",
            repository="facebook/sam2.1-hiera-large",
            licence=_APACHE,
            patterns=("*.json", "model.safetensors"),
            needs=_SAM2_NEEDS,
            size=898 * _MB,
            gpu_memory=3 * _GB,
        ),
        Model(
            name="videomama",
            title="VideoMaMa",
            purpose="Refines masks to mattes; needs the SVD image decoder too",
            repository="SammyLim/VideoMaMa",
            licence=_STABILITY,
            patterns=("unet/config.json", "unet/*.safetensors"),
            needs=("config.json", "diffusion_pytorch_model*.safetensors"),
            size=6100 * _MB,
            gpu_memory=12 * _GB,
            inside="unet",
        ),
        Model(
            name="svd-vae",
            title="SVD Image Decoder",
            purpose="Turns what VideoMaMa computes into pictures",
            repository="stabilityai/stable-video-diffusion-img2vid-xt",
            licence=_STABILITY,
            patterns=("vae/config.json", "vae/*fp16.safetensors"),
            needs=("config.json", "diffusion_pytorch_model*.safetensors"),
            size=196 * _MB,
            gpu_memory=4 * _GB,
            inside="vae",
        ),
    )
}


def model_named(name: str) -> Model:
    """The entry of that name. Raises UsageError."""
    if name not in MODELS:
        raise UsageError(f"There is no model '{name}'. Models: {', '.join(MODELS)}.")
    return MODELS[name]


def size_text(count: int) -> str:
    """Bytes as artists read them: "196 MB", "3.4 GB"."""
    return f"{count / _GB:.1f} GB" if count >= _GB else f"{round(count / _MB)} MB"
