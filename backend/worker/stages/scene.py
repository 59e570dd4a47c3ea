# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a Blender in the background build the scene: shot.blend, and the camera as .abc and .usd.

The Blender runs operators/headless.py, which imports the shot as the button in Blender does.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from ... import processes
from ...blender import BlenderProgram, find
from ...errors import BlenderError, Remedy
from ...shot import CAMERAS
from ...stages import SceneOptions
from ..report import Context, Report

SCRIPT = Path(__file__).resolve().parents[3] / "operators" / "headless.py"
STATUS_MARK = "[shot gopher] "
"""What the script begins its status lines with."""
FORMATS = ("abc", "usd")
"""Camera files that only Blender writes."""
_WORK = "work"


def run(context: Context[SceneOptions]) -> None:
    """Writes the shot's `scene` folder, camera.abc and camera.usd. Raises BlenderError.

    A Blender without Alembic or USD leaves that file out, with a warning.
    """
    report = context.report
    report.status("Starting Blender")
    plate = context.shot.load_plate()
    program = find(context.blender, Path(sys.executable))
    folder = context.part.folder("scene")
    work = folder / _WORK
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    blend = _blend_file(context.options.blend)
    answer = _ask_blender(program, work, report, {
        "shot": str(context.shot.path.resolve()),
        "scene": str(folder / context.shot.blend.name),
        "blend": blend,
        "exports": str(work),
        "formats": FORMATS,
        "frames": [plate.first_frame, plate.last_frame],
        "status_mark": STATUS_MARK,
    })  # fmt: skip
    for text in answer["warnings"]:
        report.warning(text)
    with report.uninterrupted():
        _put_in_place(context, work)
    report.result(f"scene/{context.shot.blend.name}", "blend")
    if blend:
        report.result(blend, "blend")
    context.record["blender"] = answer["blender"]


def _blend_file(named: str) -> str:
    """The copy's absolute path, "" without one."""
    if not named:
        return ""
    path = Path(named).expanduser().absolute()
    return str(path if path.suffix == ".blend" else path.with_name(f"{path.name}.blend"))


def _ask_blender(
    program: BlenderProgram, work: Path, report: Report, request: dict[str, Any]
) -> dict[str, Any]:
    """Runs the script; its answer. Raises BlenderError with what it says went wrong."""
    question, reply = work / "request.json", work / "answer.json"
    question.write_text(json.dumps(request), encoding="utf-8")

    def on_line(line: str) -> None:
        if line.startswith(STATUS_MARK):
            report.status(line.removeprefix(STATUS_MARK))
        else:
            sys.stdout.write(line + "\n")
            report.check()

    command = program.command(SCRIPT, [str(question), str(reply)])
    status = processes.run_child(command, on_line, while_silent=report.check)
    try:
        answer: dict[str, Any] = json.loads(reply.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BlenderError(
            f"{program.path} stopped before the scene was built (exit status {status}): "
            "the log says more.",
            Remedy.OPEN_LOG,
        ) from error
    if answer["error"]:
        raise BlenderError(str(answer["error"]), Remedy.OPEN_LOG)
    return answer


def _put_in_place(context: Context[SceneOptions], work: Path) -> None:
    """Moves the camera files that Blender wrote beside the others of the shot."""
    names = [(extension, stem) for extension in FORMATS for stem in CAMERAS]
    for target in (context.shot.camera_file(extension, stem) for extension, stem in names):
        written = work / target.name
        if written.is_file():
            os.replace(written, target)
            context.report.result(f"camera/{target.name}", "camera")
        else:
            # One of an older solve would be taken for this one's.
            target.unlink(missing_ok=True)
    shutil.rmtree(work)
