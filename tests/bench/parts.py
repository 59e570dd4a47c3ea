# SPDX-License-Identifier: GPL-3.0-or-later
"""A bench of parts that can be run one by one."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

Part = Callable[[Path], list[dict[str, Any]]]
"""Measures something in a folder of its own; its figures."""


def run_parts(
    bench: str, parts: Mapping[str, Part], special: Mapping[str, Part] = MappingProxyType({})
) -> int:
    """Runs the parts named on the command line, by default all but the `special` ones. Exit status
    1 when one of their figures does not hold."""
    known = {**parts, **special}
    parser = argparse.ArgumentParser(prog=f"python3 -m tests.bench {bench}")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join([*parts, *special])}"
    )
    names = parser.parse_args().names or list(parts)
    held = True
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            place = Path(folder) / name
            place.mkdir()
            # What programs say on the way is no figure.
            with contextlib.redirect_stdout(sys.stderr):
                figures = known[name](place)
            for figure in figures:
                print(json.dumps(figure, ensure_ascii=False), flush=True)
                held &= bool(figure["holds"])
    return 0 if held else 1
