# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is of NVIDIA on this machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from .processes import output_of

_PATIENCE = 15.0
_LINUX = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/usr/lib/wsl/lib/libcuda.so.1")


def has_driver(platform: str = sys.platform) -> bool:
    """Whether a driver is installed, told at once by its files."""
    if platform == "win32":
        system = Path(os.environ.get("SYSTEMROOT", "C:/Windows")) / "System32"
        return (system / "nvcuda.dll").exists()
    return any(Path(file).exists() for file in _LINUX)


def driver_cuda() -> tuple[int, int]:
    """The CUDA version of the NVIDIA driver, (0, 0) without one."""
    try:
        said = output_of(["nvidia-smi"], _PATIENCE)
    except (OSError, subprocess.SubprocessError):
        return 0, 0
    return read_driver_cuda(said)


def read_driver_cuda(said: str) -> tuple[int, int]:
    """The version from what nvidia-smi prints."""
    found = re.search(r"CUDA Version:\s*(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)
