# SPDX-License-Identifier: GPL-3.0-or-later
"""The models that stages use: where their weights are had, how big they are, what they allow.

A model is one entry. Revisions, sizes and hashes are those that independent public projects pin
for the same files; what nobody pins is left open, and taken from the server at the download.
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
    """A file by its path in the repository, its bytes (0: not known) and SHA-256 ("": the same)."""

    path: str
    size: int = 0
    sha256: str = ""


@dataclass(frozen=True)
class Archive:
    """A zip at an address of its own, and the one file in it: its name, and its SHA-1."""

    address: str
    file: str
    sha1: str


@dataclass(frozen=True)
class Model:
    """One entry of the table.

    `revision` is the commit of the repository, "" for the newest one at the first download.
    `patterns` are the files to download; `inside` is the folder of the repository with the weights,
    and `needs` are the files in there without which it cannot be used. `files` are those that are
    known byte by byte. `size` is about how many bytes are downloaded; `gpu_memory` what the weights
    alone take of a GPU in the precision that they are used in, frames come on top. `gated`: the
    server wants to know who asks, by the artist's own token. `archives` are what is downloaded of a
    model that no Hub has; its `repository` is where they were published, at the tag `revision`.
    `registration` is the page of a model that is given to those alone who register there by
    themselves: it is never downloaded, from nowhere, but taken from the artist's own folder, and
    `ask` says how it gets there. `installs`: the license is that of the program too, which is
    installed for it.
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
    archives: tuple[Archive, ...] = ()
    registration: str = ""
    ask: str = ""
    installs: bool = False


_SAM_LICENCE = Licence(
    "SAM License",
    f"{HUB}/facebook/sam3/blob/main/LICENSE",
    Commercial.YES,
    "No military use; who passes the weights on passes the license on with them.",
)
_APACHE = Licence(
    "Apache License 2.0",
    "https://www.apache.org/licenses/LICENSE-2.0",
    Commercial.YES,
    "No limits on what is made with it.",
)
_STABILITY = Licence(
    "Stability AI Community License",
    "https://stability.ai/community-license-agreement",
    Commercial.LIMITED,
    "Paid work only below the yearly revenue that it names; above, Stability AI wants a contract.",
)
_NONCOMMERCIAL = Licence(
    "CC BY-NC 4.0",
    "https://creativecommons.org/licenses/by-nc/4.0/",
    Commercial.NO,
    "Name its authors where you show what was made with it.",
)
_S_LAB = Licence(
    "S-Lab License 1.0",
    "https://github.com/sczhou/ProPainter/blob/main/LICENSE",
    Commercial.NO,
    "For paid work its authors want to be asked.",
)
_MIT = Licence(
    "MIT License",
    "https://github.com/shubham-goel/4D-Humans/blob/main/LICENSE.md",
    Commercial.YES,
    "Who passes the weights on passes the notice of copyright on with them.",
)
_GVHMR_LICENCE = Licence(
    "GVHMR License (Zhejiang University)",
    "https://github.com/zju3dv/GVHMR/blob/main/LICENSE",
    Commercial.NO,
    "For education, research and work without profit; its authors sell other licenses. It is that "
    "of the program too, whatever its package says.",
)
_SMPLX_LICENCE = Licence(
    "SMPL-X Model License",
    "https://smpl-x.is.tue.mpg.de/modellicense.html",
    Commercial.NO,
    "For research without profit; Meshcapade sells other licenses.",
)
_SAM2_PATTERNS = ("config.json", "*processor_config.json", "model.safetensors", "LICENSE*")


def _sam2(name: str, title: str, purpose: str, size: str, revision: str, sha256: str) -> Model:
    weights = ModelFile("model.safetensors", _SAM2_BYTES[name], sha256)
    return Model(
        name=name,
        title=title,
        purpose=purpose,
        repository=f"facebook/sam2.1-hiera-{size}",
        licence=_APACHE,
        patterns=_SAM2_PATTERNS,
        needs=("config.json", "model.safetensors", "preprocessor_config.json"),
        size=weights.size,
        gpu_memory=weights.size // 2,
        revision=revision,
        files=(weights,),
    )


_SAM2_BYTES = {"sam2-tiny": 155_908_064, "sam2-base": 323_476_296, "sam2-large": 897_897_416}

_DA3_PATTERNS = ("config.json", "model.safetensors", "LICENSE*")


def _da3(
    name: str,
    title: str,
    purpose: str,
    repository: str,
    size: int,
    *,
    revision: str,
    sha256: str = "",
    licence: Licence = _APACHE,
) -> Model:
    """One of Depth Anything 3, whose backbone computes in half precision from whole weights.
    `size` is that of the weights, about so where their hash is not known."""
    known = (ModelFile("model.safetensors", size, sha256),) if sha256 else ()
    return Model(
        name=name,
        title=title,
        purpose=purpose,
        repository=f"depth-anything/{repository}",
        licence=licence,
        patterns=_DA3_PATTERNS,
        needs=("config.json", "model.safetensors"),
        size=size,
        gpu_memory=size,
        revision=revision,
        files=known,
    )


_POSE_PATTERNS = ("config.json", "preprocessor_config.json", "model.safetensors", "LICENSE*")
_POSE_NEEDS = ("config.json", "model.safetensors")


def _gvhmr(
    name: str, title: str, purpose: str, path: str, size: int, sha256: str, licence: Licence
) -> Model:
    """One of the checkpoints that GVHMR's authors give out, at the Hub's copy of them."""
    inside, _slash, file = path.partition("/")
    return Model(
        name=name,
        title=title,
        purpose=purpose,
        repository="camenduru/GVHMR",
        licence=licence,
        patterns=(path,),
        needs=(file,),
        size=size,
        gpu_memory=size,
        revision="21b32d5389e2e59c0737d4c4095bbc0b8c23f66b",
        files=(ModelFile(path, size, sha256),),
        inside=inside,
        installs=licence is _GVHMR_LICENCE,
    )


_RELEASE = "https://github.com/osmr/imgclsmob/releases/download"


def _archive(tag: str, name: str, sha1: str) -> Archive:
    file = f"{name}-0000-{sha1[:8]}.pth"
    return Archive(f"{_RELEASE}/{tag}/{file}.zip", file, sha1)


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(
            name="sam3",
            title="SAM 3",
            purpose="Finds what words name and tracks it; tracks points and boxes too",
            repository="facebook/sam3",
            licence=_SAM_LICENCE,
            patterns=("*.json", "model.safetensors", "merges.txt", "LICENSE*"),
            needs=("config.json", "model.safetensors", "tokenizer.json", "processor_config.json"),
            size=3_444 * _MB,
            gpu_memory=1_720 * _MB,
            revision="3c879f39826c281e95690f02c7821c4de09afae7",
            files=(
                ModelFile(
                    "model.safetensors",
                    3_439_938_512,
                    "6d06f0a5f84e435071fe6603e61d0b4cc7b40e0d39d487cfd4d67d8cc11cc14a",
                ),
            ),
            gated=True,
        ),
        _sam2(
            "sam2-tiny",
            "SAM 2.1 Tiny",
            "Tracks points and boxes, without a GPU too",
            "tiny",
            "de431c4043854a71d8101e17995dfe596bf101a5",
            "48c14467e5cf9e51870511feb72c89688e82dd74523142c0538b663e193ac2a7",
        ),
        _sam2(
            "sam2-base",
            "SAM 2.1 Base+",
            "Tracks points and boxes",
            "base-plus",
            "b7320756a13354e7530a63935656d35b2f91a290",
            "2012733a0de5d03efd1bba550a2847c4551be9ef2e0d497c83074df66189f780",
        ),
        _sam2(
            "sam2-large",
            "SAM 2.1 Large",
            "Tracks points and boxes, with the best edges of SAM 2.1",
            "large",
            "665f8e2ad61cf5f53d65644ff27c8ee525124610",
            "dc407dce21301fd94abb395c5099b4f2c455fdc8a8f261ac3d0ea6d4cd197230",
        ),
        Model(
            name="videomama",
            title="VideoMaMa",
            purpose="Refines masks to mattes, together with the SVD image decoder",
            repository="SammyLim/VideoMaMa",
            licence=_STABILITY,
            patterns=("unet/config.json", "unet/*.safetensors", "LICENSE*"),
            needs=("config.json", "diffusion_pytorch_model*.safetensors"),
            size=6_100 * _MB,
            gpu_memory=3_050 * _MB,
            revision="e289a7acc8403c4fbe4dea2a1de5a9749ebc9bf5",
            files=(
                ModelFile(
                    "unet/diffusion_pytorch_model.safetensors",
                    sha256="f2442bf16ededad25c1c272ae7535b6411c43cee5c27b012bb6f7fda72d07b8c",
                ),
            ),
            inside="unet",
        ),
        Model(
            name="svd-vae",
            title="SVD Image Decoder",
            purpose="Turns what VideoMaMa computes into pictures",
            repository="stabilityai/stable-video-diffusion-img2vid-xt",
            licence=_STABILITY,
            patterns=("vae/config.json", "vae/*.fp16.safetensors", "LICENSE*"),
            needs=("config.json", "diffusion_pytorch_model*.safetensors"),
            size=196 * _MB,
            gpu_memory=196 * _MB,
            revision="9e43909513c6714f1bc78bcb44d96e733cd242aa",
            files=(
                ModelFile(
                    "vae/diffusion_pytorch_model.fp16.safetensors",
                    195_531_910,
                    "af602cd0eb4ad6086ec94fbf1438dfb1be5ec9ac03fd0215640854e90d6463a3",
                ),
            ),
            inside="vae",
        ),
        _da3(
            "da3-small",
            "Depth Anything 3 Small",
            "Estimates depth, without a GPU too",
            "DA3-SMALL",
            137_248_940,
            revision="e08cab65ca0ec38e7826075418411ab90cab4da3",
            sha256="364492e38a3a06d221ac75da7f6621ada3f2361cd24fde11ba79091e9f40efcf",
        ),
        _da3(
            "da3-base",
            "Depth Anything 3 Base",
            "Estimates depth of frames that see each other",
            "DA3-BASE",
            541_518_028,
            revision="f4a6c9b3c95e41c82048423d3493a81ec3fa810e",
            sha256="e01067dc1659613083d9145a9a2547ccdbe6ccbbf83c4fe7b3e8a4e2bdae78b5",
        ),
        _da3(
            "da3-metric",
            "Depth Anything 3 Metric",
            "Estimates depth in meters, each frame by itself",
            "DA3METRIC-LARGE",
            1_336_734_448,
            revision="4010e39f3634a45bc60553321fb49fb760bd594e",
            sha256="bbea5b0b3ee389849cffa7ddae89de064a90abd2b055fc5aa99aac68db324776",
        ),
        _da3(
            "da3-mono",
            "Depth Anything 3 Mono",
            "Estimates depth with the finest edges, each frame by itself",
            "DA3MONO-LARGE",
            1_337 * _MB,
            revision="f465978e618db8cc79c83b8bbf24964857db1875",
        ),
        _da3(
            "da3-large",
            "Depth Anything 3 Large",
            "Estimates depth of frames that see each other, better than Base",
            "DA3-LARGE-1.1",
            1_643_843_860,
            revision="0e109ae307c5982f319a67cf6f9f99ccdc0ec97c",
            sha256="739905c423cf0d6ccaf9e61a8401d82ba1ac32d7f4d3ee6dca8f92b377633f64",
            licence=_NONCOMMERCIAL,
        ),
        _da3(
            "da3-giant",
            "Depth Anything 3 Giant",
            "Estimates depth of frames that see each other, the best",
            "DA3-GIANT-1.1",
            5_400 * _MB,
            revision="72ee9f89ce4e50d704e9d55ee9c646ec8dc25a19",
            licence=_NONCOMMERCIAL,
        ),
        Model(
            name="propainter",
            title="ProPainter",
            purpose="Makes up the background of a clean plate that no frame shows",
            repository="osmr/imgclsmob",
            licence=_S_LAB,
            patterns=(),
            needs=("raft_things-*.pth", "propainter_rfc-*.pth", "propainter-*.pth"),
            size=200 * _MB,
            gpu_memory=199 * _MB,
            revision="v0.0.570",
            archives=(
                _archive("v0.0.570", "raft_things", "d74fed4b7511a95ca9713b69ff19a132210a1016"),
                _archive("v0.0.570", "propainter_rfc", "a865ddc0281f27ff0814939a8c0101e936678312"),
                _archive("v0.0.570", "propainter", "5f3cc1e7083fb5c49a7e5c574a06d41c763550a5"),
            ),
        ),
        _gvhmr(
            "gvhmr",
            "GVHMR",
            "Finds how people move, together with HMR2 and ViTPose",
            "gvhmr/gvhmr_siga24_release.ckpt",
            163_508_011,
            "4fae7da2de388d5da3514cb27a2d003f364dacb280e9cf88972b710e589c6b91",
            _GVHMR_LICENCE,
        ),
        _gvhmr(
            "hmr2",
            "HMR2",
            "Sees a person's pose in a frame, for GVHMR",
            "hmr2/epoch=10-step=25000.ckpt",
            2_709_494_041,
            "2dcf79638109781d1ae5f5c44fee5f55bc83291c210653feead9b7f04fa6f20e",
            _MIT,
        ),
        Model(
            name="vitpose-base",
            title="ViTPose Base",
            purpose="Finds a person's joints in a frame, for GVHMR",
            repository="usyd-community/vitpose-base-simple",
            licence=_APACHE,
            patterns=_POSE_PATTERNS,
            needs=_POSE_NEEDS,
            size=344 * _MB,
            gpu_memory=344 * _MB,
            revision="a93ac0c67e0b7e2c55287d21d4c460c8f3c54d45",
            files=(
                ModelFile(
                    "model.safetensors",
                    sha256="85375373893ddd3641f3912821073e53f5435f9e966e1dca59d004454bfe4fdf",
                ),
            ),
        ),
        Model(
            name="vitpose-huge",
            title="ViTPose+ Huge",
            purpose="The same, better; for a GPU",
            repository="usyd-community/vitpose-plus-huge",
            licence=_APACHE,
            patterns=_POSE_PATTERNS,
            needs=_POSE_NEEDS,
            size=3_600 * _MB,
            gpu_memory=3_600 * _MB,
            revision="9f36d7aec1800d23e97f10c2e74393aee92aa53f",
        ),
        Model(
            name="rt-detr",
            title="RT-DETR",
            purpose="Finds people in a shot that has no masks of them",
            repository="PekingU/rtdetr_r50vd_coco_o365",
            licence=_APACHE,
            patterns=_POSE_PATTERNS,
            needs=_POSE_NEEDS,
            size=172 * _MB,
            gpu_memory=172 * _MB,
            revision="457857cec8ac28ddede40ecee9eed2beca321af8",
        ),
        Model(
            name="smplx",
            title="SMPL-X",
            purpose="The body that moves: its mesh, its shapes and its skeleton",
            repository="",
            licence=_SMPLX_LICENCE,
            patterns=(),
            needs=("SMPLX_NEUTRAL.npz",),
            size=830 * _MB,
            gpu_memory=0,
            inside="smplx",
            registration="https://smpl-x.is.tue.mpg.de",
            ask="Register at https://smpl-x.is.tue.mpg.de, download 'SMPL-X v1.1 (NPZ+PKL)' "
            "there, unpack it and choose its folder models/smplx.",
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
