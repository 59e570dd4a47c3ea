# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the Hub on this machine: lists, redirects, ranges, gates, and cut connections.

It answers as the Hub does, as far as huggingface_hub asks: the list of a repository with hashes,
then each file by a redirect to another server, which the access token must not reach. Below
/releases/ each file is at a plain address, which redirects too.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlparse

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_known"


@dataclass
class Hub:
    """What the server has and how it behaves; `asked` are the requests that came in.

    `gated` wants TOKEN; `cut` bytes of a file are sent, then the connection ends, `cuts` times;
    `spoiled` files arrive with another content, `status` is answered to everything when it is set.
    """

    files: Mapping[str, bytes]
    repository: str = "owner/model"
    gated: bool = False
    cut: int = 0
    cuts: int = 0
    spoiled: tuple[str, ...] = ()
    status: int = 0
    address: str = ""
    content_address: str = ""
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def fetched(self) -> list[str]:
        """The ranges that files were asked for, "" for a whole one."""
        return [header for method, path, header in self.asked if "/content/" in path]

    def listing(self) -> bytes:
        siblings = [
            {
                "rfilename": name,
                "size": len(data),
                "blobId": git_hash(data),
                **({"lfs": _lfs(data)} if is_big(name) else {}),
            }
            for name, data in self.files.items()
        ]
        return json.dumps({"id": self.repository, "sha": COMMIT, "siblings": siblings}).encode()


def is_big(name: str) -> bool:
    return name.endswith((".safetensors", ".zip"))


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _lfs(data: bytes) -> dict[str, object]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = urlparse(self.path).path
        self.hub.asked.append((self.command, path, self.headers.get("Range", "")))
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if path.startswith("/content/"):
            return self._content(path.removeprefix("/content/"), token)
        if self.hub.status:
            return self._send(self.hub.status)
        if path.startswith("/releases/"):
            where = f"{self.hub.content_address}/content/{path.removeprefix('/releases/')}"
            return self._send(302, Location=where)
        if token not in ("", TOKEN):
            why = "Invalid credentials in Authorization header"
            return self._send(401, **{"X-Error-Message": why})
        repository = self.hub.repository
        if re.fullmatch(rf"/api/models/{repository}(/revision/(main|{COMMIT}))?", path):
            return self._send(200, self.hub.listing(), **{"Content-Type": "application/json"})
        if path.startswith(f"/api/models/{repository}/revision/"):
            return self._send(404, **{"X-Error-Code": "RevisionNotFound"})
        resolve = f"/{repository}/resolve/{COMMIT}/"
        if path.startswith(resolve):
            return self._resolve(path.removeprefix(resolve), token)
        return self._send(401 if not token else 404, **{"X-Error-Code": "RepoNotFound"})

    def _resolve(self, name: str, token: str) -> None:
        if self.hub.gated and token != TOKEN:
            self._send(401 if not token else 403, **{"X-Error-Code": "GatedRepo"})
            return
        data = self.hub.files[name]
        etag = hashlib.sha256(data).hexdigest() if is_big(name) else git_hash(data)
        self._send(
            302,
            **{
                "Location": f"{self.hub.content_address}/content/{name}",
                "X-Repo-Commit": COMMIT,
                "X-Linked-Size": str(len(data)),
                "X-Linked-Etag": f'"{etag}"',
            },
        )

    def _content(self, name: str, token: str) -> None:
        if token:
            self._send(400)
            return
        data = self.hub.files[name]
        if name in self.hub.spoiled:
            data = bytes(len(data))
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, whole = int(wanted[1]) if wanted else 0, len(data)
        data = data[: int(wanted[2]) + 1] if wanted and wanted[2] else data
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{whole}")
        self.end_headers()
        if self.command == "HEAD":
            return
        if is_big(name) and self.hub.cuts:
            self.hub.cuts -= 1
            self.wfile.write(data[start : start + self.hub.cut])
            self.close_connection = True
            return
        self.wfile.write(data[start:])

    def _send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub and its content server, each at an address of its own, for a block."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2)]
    hub.address, hub.content_address = (
        f"http://127.0.0.1:{server.server_address[1]}" for server in servers
    )
    for server in servers:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
