# SPDX-License-Identifier: GPL-3.0-or-later
"""`models`: list, get, check and remove the models of stages, or use a folder of one's own."""

from __future__ import annotations

import argparse
import getpass
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..console import Console
from ..errors import ModelError, Remedy, UsageError
from ..host import Host
from ..jobs import JobState, Request
from ..model_table import MODELS, Model, size_text
from ..models import HUB, ModelState, ModelStore, not_downloaded
from ..table import table
from .run import EXIT_STATUS, follow, start

_MB = 10**6
_HEAD = ("NAME", "STATE", "SIZE", "PAID WORK", "LICENSE", "WHERE")
_LICENCES = (
    "Each model has a license of its own, which you accept once: read it at the address that is "
    "named, then say --accept-licence. Some want to be asked for on their page first; the access "
    "token from there is set with `models server --token`."
)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "models",
        help="list, get, check or remove the models that stages use",
        description="Roto, mattes, depth and body motion need models, which are downloaded once "
        f"and then used without any network. Without more words: what is there. {_LICENCES}",
    )
    parser.set_defaults(run=_list)
    parser.add_argument("--json", action="store_true", help="print JSON Lines")
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    _add(actions, "list", "show what is there", _list)
    getting = _add(actions, "get", "download models, going on where it was stopped", _get)
    getting.add_argument("names", nargs="+", metavar="NAME", choices=tuple(MODELS), help=_names())
    getting.add_argument(
        "--accept-licence",
        "--accept-license",
        action="store_true",
        help="you have read the license and accept it",
    )
    getting.add_argument(
        "--repository",
        metavar="OWNER/NAME",
        help='take it from this repository, also later; with @REVISION a commit; "" the usual one',
    )
    checking = _add(actions, "check", "read a model again and compare every byte", _check)
    removing = _add(actions, "remove", "delete what was downloaded; your own folders stay", _remove)
    using = _add(actions, "use", "take a model from a folder of your own", _use)
    for one in (checking, removing, using):
        one.add_argument("name", metavar="NAME", choices=tuple(MODELS), help=_names())
    using.add_argument("folder", metavar="FOLDER", help='the folder with the weights; "" for none')
    server = _add(actions, "server", "set where models come from, and who asks", _server)
    server.add_argument("--endpoint", metavar="URL", help='a mirror of the Hub; "" the usual one')
    server.add_argument(
        "--token", action="store_true", help="read your access token from standard input"
    )


def _add(actions: Any, name: str, text: str, run: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}. {_LICENCES}"
    )
    # Suppressed, so that a flag before the action is not forgotten.
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="JSON Lines")
    parser.set_defaults(run=run)
    return parser


def _names() -> str:
    return ", ".join(MODELS)


def _list(arguments: argparse.Namespace, host: Host) -> int:
    console, store = Console(arguments.json), ModelStore(host.home)
    for model in MODELS.values():
        console.event(_record(store, model))
    rows = [
        (
            model.name,
            store.state(model.name).value,
            size_text(model.size),
            model.licence.commercial.value,
            model.licence.name + ("" if store.accepted(model.name) else " (not accepted)"),
            _where(store, model),
        )
        for model in MODELS.values()
    ]
    console.line(table(_HEAD, rows))
    return 0


def _where(store: ModelStore, model: Model) -> str:
    if store.state(model.name) is ModelState.READY:
        return str(store.folder(model.name))
    if model.registration:
        return f"{model.registration} (your own folder)"
    repository, _revision = store.source(model.name)
    return f"{repository} (on request)" if model.gated else repository


def _record(store: ModelStore, model: Model) -> dict[str, Any]:
    """What is known of a model, for programs."""
    state = store.state(model.name)
    found = {key: value for key, value in asdict(model).items() if key not in ("files", "patterns")}
    return found | {
        "state": state.value,
        "accepted": store.accepted(model.name),
        "folder": str(store.folder(model.name)) if state is ModelState.READY else "",
    }


def _get(arguments: argparse.Namespace, host: Host) -> int:
    console, store = Console(arguments.json), ModelStore(host.home)
    if arguments.repository is not None and len(arguments.names) > 1:
        raise UsageError("--repository is of one model: get them one by one.")
    for name in arguments.names:
        if arguments.repository is not None:
            store.use_repository(name, arguments.repository)
        _accept(store, MODELS[name], arguments.accept_licence)
    missing = [name for name in arguments.names if store.state(name) is not ModelState.READY]
    if missing:
        status = _download(missing, host, console)
        if status:
            return status
    for name in arguments.names:
        console.line(f"{name}: {store.folder(name)}")
        console.event(_record(store, MODELS[name]))
    return 0


def _accept(store: ModelStore, model: Model, accepts: bool) -> None:
    if store.accepted(model.name):
        return
    if not accepts and store.state(model.name) is ModelState.READY:
        return
    if model.registration:
        raise ModelError(not_downloaded(model), Remedy.GET_MODEL)
    if not accepts:
        licence = model.licence
        raise ModelError(
            f"{model.title} is under the {licence.name}: {licence.limits} Read it at "
            f"{licence.address}, then say --accept-licence."
        )
    store.accept(model.name)


def _download(names: list[str], host: Host, console: Console) -> int:
    request = Request(shot="", plate="", stages=(), models=tuple(names), online=host.online)
    job = start(request, host)
    follow(job, console)
    if job.snapshot.state is JobState.LOST:
        console.error(job.snapshot.reason)
    return EXIT_STATUS.get(job.snapshot.state, 1)


def _check(arguments: argparse.Namespace, host: Host) -> int:
    console, store, model = Console(arguments.json), ModelStore(host.home), MODELS[arguments.name]

    def on_progress(done: int, total: int) -> None:
        console.progress("check", done // _MB, max(1, total // _MB), "MB")

    count = store.check(model.name, on_progress)
    said = f"{count} files are as they were" if count else "no hash is known to compare with"
    console.line(f"{model.name}: {said}")
    console.event({"name": model.name, "compared": count})
    return 0


def _remove(arguments: argparse.Namespace, host: Host) -> int:
    ModelStore(host.home).remove(arguments.name)
    Console(arguments.json).line("removed")
    return 0


def _use(arguments: argparse.Namespace, host: Host) -> int:
    console, store = Console(arguments.json), ModelStore(host.home)
    store.choose(arguments.name, Path(arguments.folder).absolute() if arguments.folder else None)
    console.line(f"{arguments.name}: {arguments.folder or 'no folder of your own'}")
    return 0


def _read_token() -> str:
    """From a pipe, or typed without being shown."""
    if sys.stdin.isatty():
        return getpass.getpass("Access token: ").strip()
    return sys.stdin.readline().strip()


def _server(arguments: argparse.Namespace, host: Host) -> int:
    console, store = Console(arguments.json), ModelStore(host.home)
    token = _read_token() if arguments.token else None
    store.use_server(arguments.endpoint, token)
    now = store.settings()
    console.line(f"server: {now.endpoint or HUB}")
    console.line(f"token: {'set' if now.token else 'none'}")
    return 0
