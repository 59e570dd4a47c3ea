# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that tries out the packages for models, in the Python of these tests."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from backend.groups import GROUPS
from backend.installation import WORKER
from backend.worker import check_models, weights

weights.prepare()


def test_the_packages_of_these_tests_run_models() -> None:
    """An odd pair of torch and torchvision is named and is no error."""
    command = [sys.executable, "-I", "-B", str(WORKER / GROUPS["ml"].check)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(answer.stdout.splitlines()[-1])
    assert found["error"] == ""
    import torchvision

    if not torchvision.extension._has_ops():
        assert torch.__version__ in found["warnings"][0]
        assert torchvision.__version__ in found["warnings"][0]
    else:
        assert found["warnings"] == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_every_precision_is_taken_for_right(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "precision", lambda _device: dtype)
    assert check_models.computes(weights.device())
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda one, _other: one)
    assert not check_models.computes(weights.device())
