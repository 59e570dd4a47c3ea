# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks of what is picked in one frame, from a program of the worker that stays alive.

A thread of its own starts the program with the first question, asks and reads; it knows nothing of
Blender. Answers are drawn when they come; a question that is out of date is dropped.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import gpu
import numpy as np

from ..backend.errors import JobError, ShotGopherError
from ..backend.host import Host
from ..backend.processes import WINDOWS, clean_environment, group_options, terminate_group
from ..backend.prompts import Prompt, PromptedObject, Prompts
from ..backend.shot import Shot
from ..backend.verbs.programs import worker_command
from . import addon
from .scene import pick_view

_PROGRAM = "preview_masks.py"
_GROUPS = ("core", "ml")
_LOOK = 0.05
"""Seconds between two looks for an answer while one is awaited."""
_END = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Question:
    """What is picked of an object in a frame of a shot."""

    shot: Path
    frame: int
    name: str
    prompt: Prompt

    def to_json(self) -> str:
        only = Prompts((PromptedObject(self.name, {self.frame: self.prompt}),))
        return json.dumps({"frame": self.frame, **only.to_json()})


class MaskPreview:
    """`trouble` is why there are no masks, "" when all is well; `working` while one is made."""

    def __init__(self) -> None:
        self.trouble = ""
        self._asked: queue.SimpleQueue[Question | None] = queue.SimpleQueue()
        self._wanted: dict[tuple[str, int], Question] = {}
        self._masks: dict[tuple[str, int], tuple[Question, np.ndarray | None]] = {}
        self._textures: dict[tuple[str, int], tuple[Question, gpu.types.GPUTexture]] = {}
        self._thread: threading.Thread | None = None
        self._program: subprocess.Popen[str] | None = None
        self._arrived: Callable[[], None] = lambda: None

    @property
    def working(self) -> bool:
        return any(key not in self._masks or self._masks[key][0] != question
                   for key, question in self._wanted.items())  # fmt: skip

    def want(self, shot: Shot, prompts: Prompts, frame: int, arrived: Callable[[], None]) -> None:
        """Asks for the masks of a frame that are not known yet; `arrived` is called for each."""
        self._arrived = arrived
        self._wanted = {
            (each.name, frame): Question(shot.path, frame, each.name, each.frames[frame])
            for each in prompts.objects
            if frame in each.frames and not each.frames[frame].is_empty
        }
        new = [q for key, q in self._wanted.items() if self._masks.get(key, (None,))[0] != q]
        if not new:
            return
        if self._thread is None or not self._thread.is_alive():
            self._start(shot)
        for question in new:
            self._asked.put(question)
        if not bpy.app.timers.is_registered(self._look):
            bpy.app.timers.register(self._look, first_interval=_LOOK)

    def texture(self, name: str, frame: int) -> gpu.types.GPUTexture | None:
        """The mask of an object in a frame, None where there is none. Call it while drawing."""
        question, mask = self._masks.get((name, frame), (None, None))
        if question is None or mask is None:
            return None
        known = self._textures.get((name, frame))
        if known is None or known[0] is not question:
            known = (question, pick_view.texture_of(mask))
            self._textures[name, frame] = known
        return known[1]

    def stop(self) -> None:
        """Ends the program and forgets all masks."""
        self._asked.put(None)
        if self._program is not None and self._program.poll() is None:
            terminate_group(self._program.pid, force=True)
        if self._thread is not None:
            self._thread.join(_END)
        self.__init__()  # type: ignore[misc]

    def _start(self, shot: Shot) -> None:
        self.trouble, host = "", addon.host()
        self._thread = threading.Thread(
            target=self._run, args=(host, shot), name="shot_gopher masks", daemon=True
        )
        self._thread.start()

    def _look(self) -> float | None:
        self._arrived()
        alive = self._thread is not None and self._thread.is_alive()
        return _LOOK if alive and self.working else None

    def _run(self, host: Host, shot: Shot) -> None:
        """In the thread."""
        try:
            command = worker_command(host, _PROGRAM, str(shot.path), groups=_GROUPS)
            self._converse(command)
        except JobError:
            self.trouble = "Masks are drawn live when the worker's models are installed."
        except ShotGopherError as error:
            self.trouble = error.reason
        except Exception as error:
            _log.exception("The preview of masks ended")
            self.trouble = f"Masks cannot be shown: {error}."

    def _converse(self, command: list[str]) -> None:
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=clean_environment(),
            **group_options(WINDOWS),
        ) as program:
            self._program = program
            while (question := self._asked.get()) is not None:
                key = (question.name, question.frame)
                if self._wanted.get(key) == question:
                    self._masks[key] = (question, self._answer(program, question))
            with contextlib.suppress(OSError):
                program.stdin.close()

    def _answer(self, program: subprocess.Popen[str], question: Question) -> np.ndarray | None:
        program.stdin.write(question.to_json() + "\n")
        program.stdin.flush()
        line = program.stdout.readline()
        if not line:
            raise EOFError("the program of the worker has ended")
        told: dict[str, Any] = json.loads(line)
        if "error" in told:
            self.trouble = str(told["error"])
            return None
        self.trouble = ""
        file = Path(told["masks"][question.name])
        return np.load(file, allow_pickle=False)


preview = MaskPreview()
