# SPDX-License-Identifier: GPL-3.0-or-later
"""What the preferences draw of the models: there, missing, being downloaded, failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..backend.host import Host
from ..backend.jobs import Job, JobState
from ..backend.model_table import HUB, MODELS, Commercial, Model, size_text
from ..backend.models import ModelState, ModelStore
from .view import progress_text

_PAID_WORK = {
    Commercial.YES: "Paid work is allowed.",
    Commercial.LIMITED: "Paid work is limited.",
    Commercial.NO: "Not for paid work.",
}


@dataclass(frozen=True)
class ModelView:
    """One model. `page` is where it is asked for when it is given out on request, else "".
    `ask` says how the artist gets one that is never downloaded, "" for all others. `installs`: a
    program is installed for it, whose license is the same.

    `own` says that it is taken from a folder of the artist's; while `getting`, the fields after
    it tell of the job that downloads it, and `reason` says why the last one failed.
    """

    name: str
    title: str
    purpose: str
    size: str
    state: ModelState
    where: str
    own: bool
    licence: str
    limits: str
    address: str
    accepted: bool
    page: str
    ask: str = ""
    installs: bool = False
    getting: bool = False
    text: str = ""
    count: str = ""
    canceling: bool = False
    fraction: float = 0.0
    job: str = ""
    reason: str = ""

    @property
    def ready(self) -> bool:
        return self.state is ModelState.READY


@dataclass(frozen=True)
class ModelsView:
    """All models; `known` is False until the disk has been looked at."""

    known: bool = False
    models: tuple[ModelView, ...] = ()
    server: str = ""
    has_token: bool = False


def read_models(host: Host, jobs: Iterable[Job]) -> tuple[ModelsView, list[Job]]:
    """Looks at the disk. Returns what is there and the jobs that download models, polled."""
    store = ModelStore(host.home)
    settings = store.settings()
    models = tuple(_view(store, model) for model in MODELS.values())
    downloads = [job for job in jobs if job.request.models]
    for job in downloads:
        job.poll()
    server = settings.endpoint or HUB
    return ModelsView(True, models, server, bool(settings.token)), downloads


def _view(store: ModelStore, model: Model) -> ModelView:
    state = store.state(model.name)
    ready = state is ModelState.READY
    repository, _revision = store.source(model.name)
    return ModelView(
        name=model.name,
        title=model.title,
        purpose=model.purpose,
        size=size_text(model.size),
        state=state,
        where=str(store.folder(model.name)) if ready else repository or model.registration,
        own=store.chosen(model.name) is not None,
        licence=model.licence.name,
        limits=f"{_PAID_WORK[model.licence.commercial]} {model.licence.limits}",
        address=model.licence.address,
        accepted=store.accepted(model.name),
        page="" if ready else _page(model, repository),
        ask="" if ready else model.ask,
        installs=model.installs,
    )


def _page(model: Model, repository: str) -> str:
    return f"{HUB}/{repository}" if model.gated else model.registration


def compose_models(disk: ModelsView, jobs: Sequence[Job], canceling: set[str]) -> ModelsView:
    """The view with the newest download of each model as it is now; `jobs` are oldest first."""
    newest = {name: job for job in jobs for name in job.request.models}
    models = tuple(_with_job(view, newest.get(view.name), canceling) for view in disk.models)
    return replace(disk, models=models)


def _with_job(view: ModelView, job: Job | None, canceling: set[str]) -> ModelView:
    if job is None or view.ready:
        return view
    now = job.snapshot
    if now.state.active:
        text, count = progress_text(now)
        stopping = now.id in canceling
        text = "Canceling..." if stopping else text
        busy = replace(view, getting=True, text=text, count=count, canceling=stopping)
        return replace(busy, fraction=now.fraction, job=now.id)
    return replace(view, reason=now.reason if now.state in _FAILURES else "")


_FAILURES = (JobState.FAILED, JobState.LOST)
