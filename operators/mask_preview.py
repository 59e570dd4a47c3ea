# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks of what is picked in a frame, from a program of the worker that stays alive.

A thread of its own starts the program with the first question, asks and reads; it knows nothing of
Blender. While an answer is awaited only the newest question is kept.
"""

from __future__ import annotations

import json
import logging
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import bpy
import gpu
import numpy as np

from ..backend.errors import JobError, ShotGopherError
from ..backend.groups import BASE, MODELS_GROUP
from ..backend.host import Host
from ..backend.processes import WINDOWS, clean_environment, group_options, terminate_group
from ..backend.prompts import Prompt, Prompts, prompt_json
from ..backend.shot import Shot
from ..backend.verbs.programs import worker_command
from . import addon
from .scene import pick_view

_PROGRAM = "preview_masks.py"
_LOOK = 0.05
"""Seconds between two looks for an answer while one is awaited."""
_END = 2.0
_NOT_INSTALLED = "Masks are drawn live when a model and what runs it are installed."

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Question:
    """What is picked in one frame: a prompt for each object by its name."""

    shot: Path
    model: str
    frame: int
    prompts: tuple[tuple[str, Prompt], ...]

    @classmethod
    def of(cls, shot: Shot, model: str, frame: int, prompts: Prompts) -> Question:
        said = ((each.name, each.frames.get(frame, Prompt())) for each in prompts.objects)
        return cls(shot.path, model, frame, tuple(pair for pair in said if not pair[1].is_empty))

    def to_json(self, number: int) -> str:
        objects = [prompt_json(prompt) for _name, prompt in self.prompts]
        return json.dumps({"id": number, "frame": self.frame, "objects": objects})


@dataclass(frozen=True, eq=False)
class Answer:
    """The masks (h, w) of a question's objects by name."""

    question: Question
    masks: dict[str, np.ndarray]


class _Conversation:
    """One run of the program, for one shot and model. `trouble` is why there are no masks."""

    def __init__(self, host: Host, question: Question) -> None:
        self.about = question.shot, question.model
        self.trouble = ""
        self.answer: Answer | None = None
        self._wanted = question
        self._ended = False
        self._changed = threading.Condition()
        self._program: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(
            target=self._run, args=(host,), name="masks while picking", daemon=True
        )
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def working(self) -> bool:
        """An answer is awaited."""
        return self.alive and (self.answer is None or self.answer.question != self._wanted)

    def want(self, question: Question) -> None:
        with self._changed:
            self._wanted = question
            self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()
            if self._program is not None and self._program.poll() is None:
                terminate_group(self._program.pid, force=True)
        self._thread.join(_END)

    # In the thread

    def _run(self, host: Host) -> None:
        groups = BASE, MODELS_GROUP
        try:
            with tempfile.TemporaryDirectory() as folder:
                words = (*map(str, self.about), folder)
                self._converse(worker_command(host, _PROGRAM, *words, groups=groups))
        except JobError:
            self.trouble = _NOT_INSTALLED
        except ShotGopherError as error:
            self.trouble = error.reason
        except Exception as error:
            if not self._ended:
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
            with self._changed:
                self._program = program
            said = _read(program.stdout)
            if "error" in said:
                raise ShotGopherError(str(said["error"]))
            asked, number = None, 0
            while (question := self._next(asked)) is not None:
                asked, number = question, number + 1
                program.stdin.write(question.to_json(number) + "\n")
                program.stdin.flush()
                self._take(question, _read(program.stdout))

    def _next(self, asked: Question | None) -> Question | None:
        """The newest question once there is one that was not asked; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._wanted != asked)
            return None if self._ended else self._wanted

    def _take(self, question: Question, said: dict[str, Any]) -> None:
        self.trouble = str(said.get("error", ""))
        masks: dict[str, np.ndarray] = {}
        if not self.trouble:
            for (name, _prompt), file in zip(question.prompts, said["masks"], strict=True):
                masks[name] = np.load(file, allow_pickle=False)
        self.answer = Answer(question, masks)


def _read(output: IO[str] | None) -> dict[str, Any]:
    """The next line. Raises EOFError when the program has ended."""
    line = output.readline() if output else ""
    if not line:
        raise EOFError("the program of the worker has ended")
    said: dict[str, Any] = json.loads(line)
    return said


class MaskPreview:
    """The masks that are drawn over the plate; it asks for them as picks change."""

    def __init__(self) -> None:
        self._now: _Conversation | None = None
        self._textures: tuple[Answer, dict[str, gpu.types.GPUTexture]] | None = None
        self._arrived: Callable[[], None] = lambda: None
        self._told: tuple[Answer | None, str] = (None, "")

    @property
    def running(self) -> bool:
        """The model is loaded, or is being loaded."""
        return self._now is not None and self._now.alive

    @property
    def trouble(self) -> str:
        """Why there are no masks, "" when all is well."""
        return self._now.trouble if self._now else ""

    def want(self, question: Question, arrived: Callable[[], None]) -> None:
        """Asks, unless the answer is known; `arrived` is called when there is something new."""
        if not question.prompts:
            return
        now = self._now
        if now is not None and now.alive and now.about == (question.shot, question.model):
            now.want(question)
        else:
            self.stop()
            self._now = _Conversation(addon.host(), question)
        self._arrived = arrived
        if not bpy.app.timers.is_registered(self._look):
            bpy.app.timers.register(self._look, first_interval=_LOOK)

    def texture(self, name: str, frame: int) -> gpu.types.GPUTexture | None:
        """The mask of an object in a frame, None where there is none. Call it while drawing."""
        answer = self._now.answer if self._now else None
        if answer is None or answer.question.frame != frame or name not in answer.masks:
            return None
        if self._textures is None or self._textures[0] is not answer:
            made = {each: pick_view.texture_of(mask) for each, mask in answer.masks.items()}
            self._textures = (answer, made)
        return self._textures[1][name]

    def stop(self) -> None:
        """Ends the program and forgets all masks."""
        if self._now is not None:
            self._now.stop()
        if bpy.app.timers.is_registered(self._look):
            bpy.app.timers.unregister(self._look)
        self._now, self._textures, self._told = None, None, (None, "")

    def _look(self) -> float | None:
        now = self._now
        if now is None:
            return None
        working, told = now.working, (now.answer, now.trouble)
        if told != self._told:
            self._told = told
            self._arrived()
        return _LOOK if working else None


preview = MaskPreview()
