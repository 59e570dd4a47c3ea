# SPDX-License-Identifier: GPL-3.0-or-later
"""ComfyUI servers as they are seen from outside: which one is used, is it there, what it lacks.

Nothing is sent to a server here. Addresses of this machine are asked without any proxy, and no
answer that leads elsewhere is followed.
"""

from __future__ import annotations

import ipaddress
import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import locations, workflows
from .comfyui_graph import Classes
from .errors import ComfyError, FormatError, OutputError, UsageError, explain_os_error
from .shot import read_json, write_json
from .stages import STAGES

DEFAULT_URL = "http://127.0.0.1:8188"
OLDEST = (0, 3, 64)
"""Older servers name faults and keep jobs in other ways than this one was written for."""
_PATIENCE = 5.0
"""Seconds for a small answer; /object_info of a server with many nodes gets _LONGER."""
_LONGER = 60.0
_LARGEST = 64 << 20
"""Bytes; /object_info of a server with 1281 classes has 2 MB."""


@dataclass(frozen=True)
class ComfySettings:
    """`folder` is a ComfyUI on this machine to be started when no server answers, "" for none."""

    url: str = DEFAULT_URL
    folder: str = ""

    @classmethod
    def load(cls, home: Path) -> ComfySettings:
        """What was chosen on this machine; what was not, or cannot be read, is as it was made."""
        try:
            data = read_json(locations.comfyui_file(home))
            return cls(server_url(str(data["url"])), str(data["folder"]))
        except (FormatError, UsageError, KeyError):
            return cls()

    def save(self, home: Path) -> None:
        """Raises UsageError for an address that is none, OutputError."""
        checked = ComfySettings(server_url(self.url), self.folder)
        file = locations.comfyui_file(home)
        try:
            home.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part")
            write_json(part, asdict(checked))
            part.replace(file)
        except OSError as error:
            raise OutputError(explain_os_error(error)) from error


@dataclass(frozen=True)
class Server:
    """What a server says of itself. Bytes of memory are 0 where it does not say."""

    url: str
    version: str
    device: str
    memory_free: int
    graphics_memory: int

    def __str__(self) -> str:
        return f"ComfyUI {self.version} at {self.url} ({self.device or 'device not known'})"


@dataclass(frozen=True)
class Survey:
    """A server and what it lacks, sentences by the titles of the stages that it could do."""

    server: Server
    stages: Mapping[str, tuple[str, ...]]


def server_url(text: str) -> str:
    """An address as somebody typed it, whole. Raises UsageError."""
    text = text.strip() or DEFAULT_URL
    whole = text if "://" in text else f"http://{text}"
    if not _is_address(whole):
        raise UsageError(f"'{text}' is no address of a server: write it as {DEFAULT_URL}.")
    return whole.rstrip("/")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_right = parts.port != 0
    except ValueError:
        return False
    web = parts.scheme in ("http", "https")
    return web and port_is_right and bool(parts.hostname) and not (parts.query or parts.fragment)


def is_local(url: str) -> bool:
    """Whether an address is this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any) -> None:
        return None


def ask(url: str, path: str, seconds: float = _PATIENCE) -> Any:
    """The JSON that a server answers to GET. Raises ComfyError."""
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if is_local(url):
        handlers.append(urllib.request.ProxyHandler({}))
    opener = urllib.request.build_opener(*handlers)
    try:
        with opener.open(f"{url}{path}", timeout=seconds) as answer:
            return json.loads(answer.read(_LARGEST))
    except urllib.error.HTTPError as error:
        error.close()
        raise ComfyError(said_wrong(url, error.code)) from error
    except ValueError as error:
        raise ComfyError(not_comfyui(url)) from error
    except OSError as error:
        raise ComfyError(not_there(url)) from error


def not_there(url: str) -> str:
    return f"No ComfyUI answers at {url}. Start it, or set its address in the preferences."


def not_comfyui(url: str) -> str:
    return (
        f"What answers at {url} is not ComfyUI. Set ComfyUI's address in the preferences "
        "(ComfyUI Desktop uses port 8000)."
    )


def said_wrong(url: str, status: int) -> str:
    """The sentence for an answer that no ComfyUI gives to a question that all understand."""
    if status in (301, 302, 303, 307, 308):
        return f"{url} sends on to another address. Set the address it sends to in the preferences."
    if status in (401, 403):
        return f"{url} wants a password, which Shot Gopher cannot give it."
    return not_comfyui(url)


def check(url: str) -> Server:
    """The server at an address. Raises ComfyError when there is none or it is too old."""
    stats = ask(url, "/system_stats")
    try:
        system = stats["system"]
        version = str(system["comfyui_version"])
    except (KeyError, TypeError) as error:
        raise ComfyError(not_comfyui(url)) from error
    if _numbers(version) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ComfyError(f"The ComfyUI at {url} is {version}: update it to {oldest} or newer.")
    devices = stats.get("devices")
    device = devices[0] if isinstance(devices, list) and devices else {}
    return Server(
        url=url,
        version=version,
        device=str(device.get("name", "")),
        memory_free=_bytes(system, "ram_free"),
        graphics_memory=_bytes(device, "vram_total"),
    )


def _bytes(said: Mapping[str, Any], name: str) -> int:
    value = said.get(name)
    return int(value) if isinstance(value, int | float) else 0


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def node_classes(url: str) -> Classes:
    """What the server says of its nodes. Raises ComfyError."""
    found = ask(url, "/object_info", _LONGER)
    if not isinstance(found, dict) or "SaveImage" not in found:
        raise ComfyError(not_comfyui(url))
    return found


def survey(url: str) -> Survey:
    """Asks a server what it has. Raises ComfyError."""
    server, classes = check(url), node_classes(url)
    lacking = {
        STAGES[needed.stage].title: tuple(workflows.missing(needed, classes))
        for needed in workflows.needs().values()
        if needed.stage in STAGES
    }
    return Survey(server, lacking)


def why_not(url: str, stage: str) -> tuple[str, ...]:
    """Why a server cannot do a stage, a sentence each; () when it can."""
    needed = workflows.of_stage(stage)
    if needed is None:
        return (f"ComfyUI has no part in the stage '{stage}'.",)
    try:
        check(url)
        return tuple(workflows.missing(needed, node_classes(url)))
    except ComfyError as error:
        return (error.reason,)


def available(url: str, stage: str) -> bool:
    """Whether a server is there now and has all that a stage needs."""
    return not why_not(url, stage)
