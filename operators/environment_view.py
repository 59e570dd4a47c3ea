# SPDX-License-Identifier: GPL-3.0-or-later
"""What panels draw of the worker's environment: there, missing, being installed, failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..backend import environment
from ..backend.errors import Remedy
from ..backend.groups import BASE, GROUPS
from ..backend.host import Host
from ..backend.jobs import Job, JobState
from .view import progress_text

NEEDED = (BASE,)
"""The environment groups that an artist is asked to install; a job brings what else it needs."""
MEGABYTES = sum(GROUPS[name].megabytes for name in NEEDED)
"""The disk space that installing them takes."""


@dataclass(frozen=True)
class EnvironmentView:
    """`known` is False until the disk has been looked at; `home` is the folder it lies in.

    `python` is the environment's Python, "" while it is not ready.
    """

    known: bool = False
    python: str = ""
    home: str = ""
    installing: bool = False
    text: str = ""
    count: str = ""
    canceling: bool = False
    fraction: float = 0.0
    reason: str = ""
    remedy: Remedy | None = None
    job: str = ""
    log: str = ""

    @property
    def ready(self) -> bool:
        return bool(self.python)


def read_environment(host: Host, jobs: Iterable[Job]) -> tuple[EnvironmentView, list[Job]]:
    """Looks at the disk. Returns what is there and the jobs that only install, polled."""
    python = environment.find(host.home, NEEDED)
    installs = [job for job in jobs if _only_installs(job)]
    for job in installs:
        job.poll()
    return EnvironmentView(known=True, python=str(python or ""), home=str(host.home)), installs


def _only_installs(job: Job) -> bool:
    return not job.request.stages and not job.request.models


def compose_environment(
    disk: EnvironmentView, jobs: Sequence[Job], canceling: set[str]
) -> EnvironmentView:
    """The view with the newest installation as it is now; `jobs` are oldest first."""
    plain = EnvironmentView(known=disk.known, python=disk.python, home=disk.home)
    job = next((job for job in reversed(jobs) if _only_installs(job)), None)
    if job is None:
        return plain
    now = job.snapshot
    plain = replace(plain, job=now.id, log=str(job.log))
    if now.state.active:
        stopping = now.id in canceling
        text, count = progress_text(now)
        text = "Canceling..." if stopping else text
        busy = replace(plain, installing=True, text=text, count=count, canceling=stopping)
        return replace(busy, fraction=now.fraction)
    if now.state in (JobState.FAILED, JobState.LOST) and not plain.ready:
        return replace(plain, reason=now.reason, remedy=now.remedy)
    return plain
