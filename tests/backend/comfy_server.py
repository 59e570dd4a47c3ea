# SPDX-License-Identifier: GPL-3.0-or-later
"""A ComfyUI for tests, on 127.0.0.1: it answers as a real 0.33.0 was recorded to answer.

Graphs are checked against the recorded /object_info and computed by `comfy_nodes`. What a job
becomes can be chosen: `play` is the name of a recording ("node exception", "oom"), or one of
"cached", "emptied", "partial", "pending", "endless", "deaf", "vanish", "die", "short".
"""

from __future__ import annotations

import base64
import contextlib
import copy
import email.parser
import email.policy
import hashlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from backend.comfyui_graph import Fault, faults

from .comfy_nodes import Nodes

DATA = Path(__file__).resolve().parents[1] / "data" / "comfyui"
WIRE: dict[str, Any] = json.loads((DATA / "wire.v0330.json").read_text(encoding="utf-8"))
WEIGHTS = {
    ("CheckpointLoaderSimple", "ckpt_name"): "sam3.1_multiplex_fp16.safetensors",
    ("LoadDA3Model", "model_name"): "depth_anything_3_mono_large.safetensors",
}
_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def object_info(weights: bool = True) -> dict[str, Any]:
    """The recorded /object_info, as a server with the published weights says it."""
    found: dict[str, Any] = json.loads(
        (DATA / "object_info.v0330.json").read_text(encoding="utf-8")
    )
    for (class_type, name), file in WEIGHTS.items():
        said = found[class_type]["input"]["required"][name]
        choices = said[0] if isinstance(said[0], list) else said[1]["options"]
        choices[:] = [file] if weights else choices
    return found


class ComfyServer:
    """One server. `requests` are (seconds, method, path); `jobs` what was queued, by its id."""

    def __init__(self, port: int = 0) -> None:
        self.play = "ok"
        self.classes = object_info()
        self.checked = self.classes
        self.stats = copy.deepcopy(WIRE["GET /system_stats"])
        self.max_upload = 100 << 20
        self.says_max_upload = True
        self.has_websocket = True
        self.drops_websocket = False
        self.has_job_routes = True
        self.node_seconds = 0.0
        self.requests: list[tuple[float, str, str]] = []
        self.uploads: dict[str, bytes] = {}
        self.outputs: dict[tuple[str, str], bytes] = {}
        self.jobs: dict[str, Any] = {}
        self.history: dict[str, Any] = {}
        self.pending: list[str] = []
        self.running: str = ""
        self.interrupted: set[str] = set()
        self.freed = 0
        self.on_request: Callable[[], object] = lambda: None
        self.userdata: dict[str, bytes] = {}
        self.redirect = ""
        self.answers_html = False
        self.connections: set[Any] = set()
        self._sockets: dict[str, Any] = {}
        handler = type("Handler", (_Handler,), {"server_state": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def note(self, method: str, path: str) -> None:
        self.requests.append((time.monotonic(), method, path))
        self.on_request()

    def asked(self, path: str) -> int:
        return sum(where.startswith(path) for _when, _method, where in self.requests)

    # What a job becomes.

    def submit(self, body: dict[str, Any]) -> tuple[int, Any]:
        graph, job = body["prompt"], body["prompt_id"]
        found = faults(graph, self.checked)
        if found and found[0].kind == "missing_node_type":
            return 400, _missing_node(found[0])
        if found:
            answer = copy.deepcopy(WIRE["missing input: POST /prompt"]["json"])
            return 400, answer | {"node_errors": _node_errors(found)}
        errors = {}
        if self.play == "partial":
            errors = WIRE["partial 200: POST /prompt"]["json"]["node_errors"]
        self.jobs[job] = body
        self.pending.append(job)
        threading.Thread(target=self._run, args=(job, body), daemon=True).start()
        return 200, {"prompt_id": job, "number": len(self.jobs), "node_errors": errors}

    def _run(self, job: str, body: dict[str, Any]) -> None:
        client = body["client_id"]
        self.tell(client, "status", {"status": {"exec_info": {"queue_remaining": 1}}})
        if self.play == "pending":
            return
        if self.play == "vanish":
            time.sleep(0.1)
            self.pending.remove(job)
            return
        if self.play == "die":
            self.stop()
            return
        self.pending.remove(job)
        self.running = job
        self.tell(client, "execution_start", {"prompt_id": job})
        if self.drops_websocket:
            self._sockets.pop(client).shutdown(socket.SHUT_RDWR)
        if self.play in ("endless", "deaf"):
            self._work_endlessly(job, client)
        elif f"{self.play}: GET /history/id" in WIRE and self.play != "ok":
            self._replay(job, client)
        else:
            self._compute(job, body)
        self.running = ""
        self.tell(client, "executing", {"node": None, "prompt_id": job})

    def _work_endlessly(self, job: str, client: str) -> None:
        for step in range(1, 1000):
            if job in self.interrupted and (self.play == "endless" or step > 40):
                break
            self.tell(
                client, "progress", {"value": step, "max": 1000, "prompt_id": job, "node": "2"}
            )
            time.sleep(0.02)
        self._replay(job, client, "cancelled")

    def _replay(self, job: str, client: str, recording: str = "") -> None:
        """Ends a job as one of the recordings did."""
        (entry,) = copy.deepcopy(WIRE[f"{recording or self.play}: GET /history/id"]).values()
        for kind, said in entry["status"]["messages"]:
            said["prompt_id"] = job
            if kind.startswith("execution_") and kind not in ("execution_start",):
                self.tell(client, kind, said)
        self.history[job] = entry

    def _compute(self, job: str, body: dict[str, Any]) -> None:
        graph, client = body["prompt"], body["client_id"]
        nodes, outputs = Nodes(graph, self.uploads, self._save), {}
        for node, said in graph.items():
            if job in self.interrupted:
                return self._replay(job, client, "cancelled")
            self.tell(client, "executing", {"node": node, "prompt_id": job})
            time.sleep(self.node_seconds)
            made = nodes.value(node)
            if said["class_type"] == "SAM3_VideoTrack":
                for done in range(1, made[1] + 1):
                    told = {"value": done, "max": made[1], "prompt_id": job, "node": node}
                    self.tell(client, "progress", told)
            if self.classes[said["class_type"]]["output_node"]:
                outputs[node] = {"images": made}
        if self.play == "cached":
            outputs = {}
        if self.play == "emptied":
            self.outputs.clear()
        if self.play == "short":
            outputs = {node: {"images": made["images"][:-1]} for node, made in outputs.items()}
        (entry,) = copy.deepcopy(WIRE["ok: GET /history/id"]).values()
        entry["outputs"] = outputs
        self.tell(client, "execution_success", {"prompt_id": job})
        self.history[job] = entry
        return None

    def _save(self, folder: str, name: str, image: bytes) -> None:
        self.outputs[folder, name] = image

    def cancel(self, job: str) -> None:
        if job in self.pending:
            self.pending.remove(job)
        elif job == self.running:
            self.interrupted.add(job)

    def queue(self) -> dict[str, Any]:
        entries = {"queue_running": [[0, self.running, {}, {}, []]] if self.running else []}
        return entries | {"queue_pending": [[1, job, {}, {}, []] for job in self.pending]}

    # Websockets.

    def join(self, client: str, connection: Any) -> None:
        self._sockets[client] = connection

    def tell(self, client: str, kind: str, data: dict[str, Any]) -> None:
        connection = self._sockets.get(client)
        if connection is None:
            return
        text = json.dumps({"type": kind, "data": data}).encode()
        size = (
            struct.pack("!B", len(text)) if len(text) < 126 else struct.pack("!BH", 126, len(text))
        )
        try:
            connection.sendall(b"\x81" + size + text)
        except OSError:
            self._sockets.pop(client, None)


def _missing_node(fault: Fault) -> dict[str, Any]:
    answer: dict[str, Any] = copy.deepcopy(WIRE["missing node type: POST /prompt"]["json"])
    answer["error"]["message"] = (
        f"Node '{fault.class_type}' not found. The custom node may not be installed."
    )
    answer["error"]["details"] = f"Node ID '#{fault.node}'"
    return answer


def _node_errors(found: list[Fault]) -> dict[str, Any]:
    errors: dict[str, Any] = {}
    for fault in found:
        node = errors.setdefault(
            fault.node, {"errors": [], "dependent_outputs": [], "class_type": fault.class_type}
        )
        node["errors"].append(
            {
                "type": fault.kind,
                "message": fault.kind.replace("_", " ").capitalize(),
                "details": fault.details,
                "extra_info": {"input_name": fault.input},
            }
        )
    return errors


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server_state: ComfyServer

    def setup(self) -> None:
        super().setup()
        self.server_state.connections.add(self.connection)

    def finish(self) -> None:
        self.server_state.connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, *_arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        state, parts = self.server_state, urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        state.note("GET", parts.path)
        if state.redirect:
            self._answer(302, b"", {"Location": state.redirect})
        elif state.answers_html:
            self._answer(404, b"<html>nothing here</html>")
        elif parts.path == "/ws" and state.has_websocket:
            self._websocket(query["clientId"])
        elif parts.path == "/system_stats":
            self._json(200, state.stats)
        elif parts.path == "/object_info":
            self._json(200, state.classes)
        elif parts.path == "/features" and state.says_max_upload:
            self._json(200, {"max_upload_size": state.max_upload})
        elif parts.path == "/queue":
            self._json(200, state.queue())
        elif parts.path == "/history":
            self._json(200, dict(list(state.history.items())[-int(query["max_items"]) :]))
        elif parts.path.startswith("/history/"):
            job = parts.path.rsplit("/", 1)[1]
            self._json(200, {job: state.history[job]} if job in state.history else {})
        elif parts.path == "/view":
            found = state.outputs.get((query.get("subfolder", ""), query["filename"]))
            self._answer(200 if found is not None else 404, found or b"")
        else:
            self._answer(404, b"404: Not Found")

    def do_POST(self) -> None:
        state, path = self.server_state, urlsplit(self.path).path
        state.note("POST", path)
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if state.redirect:
            self._answer(302, b"", {"Location": state.redirect})
        elif path == "/prompt":
            self._json(*state.submit(json.loads(data)))
        elif path == "/upload/image":
            self._upload(data)
        elif path.startswith("/api/jobs/") and state.has_job_routes:
            state.cancel(path.split("/")[3])
            self._json(200, {"cancelled": True})
        elif path == "/queue":
            for job in json.loads(data)["delete"]:
                if job in state.pending:
                    state.pending.remove(job)
            self._answer(200, b"")
        elif path == "/interrupt":
            job = json.loads(data)["prompt_id"]
            if job == state.running:
                state.interrupted.add(job)
            self._answer(200, b"")
        elif path == "/free":
            state.freed += 1
            self._answer(200, b"")
        elif path.startswith("/userdata/"):
            state.userdata[unquote(path.removeprefix("/userdata/"))] = data
            self._json(200, {})
        else:
            self._answer(404, b"404: Not Found")

    def _upload(self, data: bytes) -> None:
        state = self.server_state
        if len(data) > state.max_upload:
            self._answer(413, b"Maximum request body size exceeded")
            return
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + data)
        fields = {
            part.get_param("name", header="content-disposition"): part
            for part in message.iter_parts()
        }
        folder = fields["subfolder"].get_payload(decode=True).decode().strip()
        name = fields["image"].get_filename()
        assert fields["type"].get_payload(decode=True).decode().strip() == "input"
        state.uploads[f"{folder}/{name}"] = fields["image"].get_payload(decode=True)
        self._json(200, {"name": name, "subfolder": folder, "type": "input"})

    def _websocket(self, client: str) -> None:
        key = self.headers["Sec-WebSocket-Key"] + _MAGIC
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_response(101)
        for name, value in (
            ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept),
        ):  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()
        self.server_state.join(client, self.connection)
        self.server_state.tell(client, "status", {"status": {"exec_info": {"queue_remaining": 0}}})
        try:
            while self.connection.recv(4096):
                pass
        except OSError:
            pass
        self.close_connection = True

    def _json(self, status: int, said: Any) -> None:
        self._answer(status, json.dumps(said).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def main() -> None:
    """Serves at the port that `--port` names until it is killed, as ComfyUI's main.py does."""
    import sys

    ComfyServer(int(sys.argv[sys.argv.index("--port") + 1]))
    print("To see the GUI go to the address above", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
