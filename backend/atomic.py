# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are whole or not there: written beside their place, then renamed into it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputError, explain_os_error


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """The name to write a file under; it becomes `path` when the block ends well.

    Raises OutputError; the file that was there stays then.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        try:
            yield part
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(explain_os_error(error)) from error


def write_bytes(path: Path, data: bytes | bytearray | memoryview) -> None:
    """Raises OutputError; the file that was there stays then."""
    with written_beside(path) as part:
        part.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """UTF-8 with plain line feeds. Raises OutputError; the file that was there stays then."""
    write_bytes(path, text.encode("utf-8"))
