# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Blender program with a clean user profile, driven from the outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.ctrl_c import heeding_ctrl_c

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(__file__).resolve().parent / "in_blender"
TOOL = Path(
    os.environ.get("SHOT_GOPHER_REAL_BLENDER", ROOT.parent / "shared" / "tools" / "real-blender")
)
VERSIONS = ("4.3", "5.2")


@dataclass(frozen=True)
class RealBlender:
    """One Blender. `resources` is its user profile, `home` where its workers live."""

    version: str
    resources: Path
    home: Path

    def run(self, *arguments: str | Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Runs Blender without a window; its output is in `stdout`, both streams."""
        return subprocess.run(
            [str(TOOL), "run", self.version, *map(str, arguments)],
            cwd=ROOT,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )

    def sees(self, program: Path) -> bool:
        """Whether Blender can run that program: the tool may have a root folder of its own."""
        asks = f"import os, sys; sys.exit(0 if os.access({str(program)!r}, os.X_OK) else 3)"
        return self.run("-b", "--factory-startup", "--python-expr", asks).returncode == 0

    def script(self, name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Runs one of the programs in `in_blender` without a window. Exit code 1 when it raises."""
        program = SCRIPTS / name
        return self.run("-b", "--python-exit-code", "1", "--python", program, "--", *arguments)

    def interrupt(self, word: str, *arguments: str | Path) -> tuple[int, str]:
        """Presses Ctrl-C once `word` was printed. Returns the exit status and the output."""
        with (
            heeding_ctrl_c(),
            subprocess.Popen(
                [str(TOOL), "run", self.version, *map(str, arguments)],
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            ) as program,
        ):
            assert program.stdout is not None
            seen = ""
            for line in program.stdout:
                seen += line
                if word in line:
                    os.killpg(program.pid, signal.SIGINT)
                    break
            seen += program.stdout.read()
        return program.returncode, seen

    def play(
        self,
        name: str,
        folder: Path,
        *arguments: str | Path,
        seconds: int,
        flags: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Plays a scenario of `in_blender` in a window. Returns the report that it left.

        `flags` are for Blender itself.
        """
        report, log = folder / "report.json", folder / "blender.log"
        command = [str(TOOL), "window", self.version, folder / "end.png", seconds]
        command += [*flags, "--python", SCRIPTS / name, "--", folder, *arguments]
        with log.open("w") as output:
            session = subprocess.Popen(
                list(map(str, command)),
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                _wait(session, report, log, seconds)
            finally:
                # The tool would keep its virtual screen until the seconds are over.
                os.killpg(session.pid, signal.SIGTERM)
                session.wait()
        assert report.is_file(), log.read_text(errors="replace")[-3000:]
        told: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return told | {"log": log.read_text(errors="replace")}

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "BLENDER_USER_RESOURCES": str(self.resources),
            "SHOT_GOPHER_HOME": str(self.home),
            "PYTHONDONTWRITEBYTECODE": "1",
        }


def _wait(session: subprocess.Popen[bytes], report: Path, log: Path, seconds: float) -> None:
    """Until the report is there, Blender has crashed or the time is over."""
    give_up = time.monotonic() + seconds
    while session.poll() is None and not report.exists() and time.monotonic() < give_up:
        if ".crash.txt" in log.read_text(errors="replace"):
            return
        time.sleep(0.2)
