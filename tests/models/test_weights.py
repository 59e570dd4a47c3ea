# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading weights with the real libraries: small random models of real classes, no network."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch

from backend.errors import ModelError, Remedy
from backend.worker import weights

weights.prepare()

ROOT = Path(__file__).resolve().parents[2]


def clip() -> tuple[Any, Any]:
    """A small text model of transformers and its class."""
    import transformers

    config = transformers.CLIPTextConfig(
        vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=8,
    )  # fmt: skip
    return transformers.CLIPTextModel, transformers.CLIPTextModel(config)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    clip()[1].save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def change(folder: Path, edit: Any) -> None:
    """Writes the weights anew after `edit` has changed the table of tensors."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_named: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("no_network")
def test_weights_are_loaded_as_they_were_saved(folder: Path) -> None:
    model = weights.load_pretrained(clip()[0], folder, dtype=torch.float32)
    again = weights.load_pretrained(clip()[0], folder)
    assert not model.training
    assert all(
        torch.equal(one, other)
        for one, other in zip(model.parameters(), again.parameters(), strict=True)
    )


def drop_one(tensors: dict[str, Any]) -> None:
    del tensors[next(name for name in tensors if "mlp" in name)]


def rename_all(tensors: dict[str, Any]) -> None:
    for name in list(tensors):
        tensors[f"detector.{name}"] = tensors.pop(name)


def add_one(tensors: dict[str, Any]) -> None:
    tensors["tracker.weight"] = torch.zeros(2)


def resize_one(tensors: dict[str, Any]) -> None:
    name = next(name for name in tensors if "fc1.weight" in name)
    tensors[name] = torch.zeros(3, 3)


@pytest.mark.parametrize("edit", [drop_one, rename_all, add_one, resize_one])
def test_weights_that_do_not_fit_are_refused(folder: Path, edit: Any) -> None:
    change(folder, edit)
    with pytest.raises(ModelError, match="are not those of this model") as caught:
        weights.load_pretrained(clip()[0], folder)
    assert caught.value.remedy is Remedy.GET_MODEL
    assert "\n" not in caught.value.reason


def test_truncated_weights_are_refused(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelError, match="are not those of this model"):
        weights.load_pretrained(clip()[0], folder)


def test_a_folder_without_weights_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError):
        weights.load_pretrained(clip()[0], folder)


def test_a_pickle_is_never_loaded(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(clip()[1].state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(ModelError):
        weights.load_pretrained(clip()[0], folder)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("variant", [None, "fp16"])
def test_diffusers_weights_are_found_by_either_name(tmp_path: Path, variant: str | None) -> None:
    import diffusers

    model = diffusers.AutoencoderKLTemporalDecoder(
        block_out_channels=(32,), down_block_types=("DownEncoderBlock2D",), layers_per_block=1
    )  # fmt: skip
    model.save_pretrained(tmp_path, variant=variant)
    kind = diffusers.AutoencoderKLTemporalDecoder
    loaded = weights.load_pretrained(kind, tmp_path, torch_dtype=torch.float32)
    expected = model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.state_dict().items())

    other = json.loads((tmp_path / "config.json").read_text())
    other["layers_per_block"] = 2
    (tmp_path / "config.json").write_text(json.dumps(other))
    with pytest.raises(ModelError, match="are not those of this model"):
        weights.load_pretrained(kind, tmp_path)


def test_transformers_imports_beside_any_torchvision() -> None:
    """In a process of its own: what a worker does first."""
    program = """
        import sys
        sys.path.insert(0, sys.argv[1])
        from backend.worker import weights
        weights.prepare()
        import transformers
        print(transformers.Sam3VideoModel.__name__, transformers.Sam2VideoModel.__name__)
        import huggingface_hub.constants
        assert huggingface_hub.constants.HF_HUB_OFFLINE
    """
    answer = subprocess.run(
        [sys.executable, "-I", "-B", "-c", textwrap.dedent(program), str(ROOT)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.stdout.split() == ["Sam3VideoModel", "Sam2VideoModel"], answer.stderr


def test_suppression_keeps_the_best_of_what_overlaps() -> None:
    boxes = torch.tensor(
        [[0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30], [0, 0, 10, 5], [20, 20, 30, 30]],
        dtype=torch.float32,
    )
    scores = torch.tensor([0.8, 0.9, 0.5, 0.7, 0.6])
    # The first two share 81 of 119, the fourth and the second 36 of 114.
    assert weights.nms(boxes, scores, 0.5).tolist() == [1, 3, 4]
    assert weights.nms(boxes, scores, 0.7).tolist() == [1, 0, 3, 4]
    assert weights.nms(boxes[:0], scores[:0], 0.5).tolist() == []


def test_the_device_has_a_precision() -> None:
    device = weights.device()
    assert device.type in ("cpu", "cuda", "mps")
    assert weights.precision(torch.device("cpu")) is torch.float32
