# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes over what an earlier output has into the one that replaces it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def carry_over(old: Path, new: Path) -> None:
    """Gives `new` what the file or folder `old` has, without copying where the disk can do that;
    files that are there already stay."""
    if old.is_dir():
        shutil.copytree(old, new, copy_function=link, dirs_exist_ok=True)
    else:
        link(old, new)


def link(old: str | Path, new: str | Path) -> None:
    """The same file under another name, a copy where the disk has no such thing."""
    if os.path.exists(new):
        return
    try:
        os.link(old, new)
    except OSError:
        shutil.copy2(old, new)
