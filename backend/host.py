# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that the verbs run in: a bare Python, or a Blender."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Host:
    """`python` starts workers and makes environments; `blender` is the program the verbs run in,
    "" outside Blender; `online` says whether the network may be used; `command` is what a user
    types before a verb.
    """

    python: Path
    home: Path
    blender: str = ""
    online: bool = True
    command: str = "python3 -m backend"
