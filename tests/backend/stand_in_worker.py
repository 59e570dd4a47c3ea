# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker whose stages only count: for what jobs promise whatever the stage is.

Run as a program it is the worker; imported it adds the same stages to the table of the test.
`count` runs anywhere, `gpucount` on the GPU. Each writes one file a step and notes when it ran.
"""

from __future__ import annotations

import sys
import time
import types
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from backend import processes, stages
from backend.options import option
from backend.worker.report import Context


@dataclass(frozen=True)
class CountOptions:
    steps: int = option(3, "Files to write", label="Steps", flags=("--steps",), minimum=1)
    delay: float = option(0.0, "Seconds a step", label="Delay", flags=("--delay",), unit="s")
    kilobytes: int = option(1, "Size of a file", label="Size", flags=("--kilobytes",))
    child: bool = option(False, "Start a child program", label="Child", flags=("--child",))
    ask: bool = option(False, "Wait for a button first", label="Ask", flags=("--ask",))


def add_stages() -> None:
    for name, uses_gpu in (("count", False), ("gpucount", True)):
        stages.STAGES[name] = stages.Stage(
            name=name,
            title=name.title(),
            summary="Counts",
            options=CountOptions,
            needs=(),
            makes=(name,),
            groups=(),
            uses_gpu=uses_gpu,
        )


def run(context: Context[CountOptions]) -> None:
    options, report = context.options, context.report
    context.record["began"] = time.time()
    folder = next(
        context.part.folder(name) for name in ("count", "gpucount") if _makes(context, name)
    )
    have = {file.name for file in folder.glob("*.bin")}
    context.record["resumed"] = len(have)
    if options.ask:
        report.waiting("Do what is to be done", "Done", "http://127.0.0.1:1/page")
        while not report.has_pressed():
            report.check()
            time.sleep(0.01)
        report.status("Counting")
    if options.child:
        program = "import time; print('up', flush=True); time.sleep(600)"
        command = [sys.executable, "-c", program, str(context.shot.path)]
        processes.run_child(command, lambda _line: report.result("child", "up"))
    for step in range(options.steps):
        name = f"{step:04d}.bin"
        if name not in have:
            (folder / name).write_bytes(b"x" * 1024 * options.kilobytes)
            time.sleep(options.delay)
        report.progress(step + 1, options.steps, "files")
    context.record["ended"] = time.time()


def _makes(context: Context[CountOptions], name: str) -> bool:
    try:
        context.part.folder(name)
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    from backend.worker.runner import main

    add_stages()
    for stage_name in ("count", "gpucount"):
        module = types.ModuleType(f"backend.worker.stages.{stage_name}")
        module.run = run  # type: ignore[attr-defined]
        sys.modules[module.__name__] = module
    sys.exit(main(sys.argv[1:]))
