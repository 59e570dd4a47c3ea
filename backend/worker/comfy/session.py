# SPDX-License-Identifier: GPL-3.0-or-later
"""A server at work for a stage: checked first, given jobs one by one, its memory freed at the end.

Every job has an id of its own and writes below a folder of that name, so that no cache answers
with old files and nobody's files are met.
"""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ... import locations
from ...comfyui import ComfySettings, Server, check, node_classes
from ...comfyui_graph import Classes, faults
from ...errors import Canceled, ComfyError
from ...workflows import Workflow, missing, needs, weights_choice
from ..report import Report
from .client import Client, Clock, Image
from .fill import Filled, fill, put_clip
from .footage import longest_job, parts, write_movie
from .local import served
from .watch import Progress, Stream, stop, wait

PREFIX = "shotgopher"
"""The folder for our files in the server's input and output."""


class Session:
    """A server that was found fit to be used."""

    def __init__(self, client: Client, server: Server, classes: Classes, report: Report) -> None:
        self.client = client
        self.server = server
        self.classes = classes
        self.report = report
        self._id = str(uuid.uuid4())
        self._largest = client.largest_upload()
        self._uploads = 0

    def require(self, name: str, workflow: Workflow) -> None:
        """Raises ComfyError when the server lacks what a workflow that is ours needs.

        One of the shot's own is checked when it is filled in.
        """
        lacking = [] if workflow.own else missing(needs()[name], self.classes)
        if lacking:
            raise ComfyError(f"ComfyUI is not ready. {' '.join(lacking)}")

    def longest(self, files: Sequence[Path], size: tuple[int, int]) -> int:
        """How many of these frames a job may have."""
        return longest_job(files, size, self.server.memory_free, self._largest)

    def send(self, files: Sequence[Path]) -> list[str]:
        """Uploads frames in this order; the names of the movies that they make."""
        names: list[str] = []
        self.report.status("Sending frames to ComfyUI")
        sent = 0
        with tempfile.TemporaryDirectory() as folder:
            for part in parts(files, self._largest):
                movie = Path(folder) / "frames.mov"
                write_movie(part, movie)
                names.append(self.send_file(movie))
                sent += len(part)
                self.report.progress(sent, len(files), "frames")
        return names

    def send_file(self, file: Path) -> str:
        """Uploads one file; its name for a node that loads it."""
        self._uploads += 1
        name = f"{file.stem}_{self._uploads:04d}{file.suffix}"
        return self.client.upload(file, f"{PREFIX}/{self._id}", name)

    def send_bytes(self, data: bytes, name: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.write_bytes(data)
            return self.send_file(file)

    def run(self, filled: Filled, frames: int) -> dict[str, list[Image]]:
        """Runs a graph of so many frames to its end; the files of each node that saves some.

        Raises ComfyError, and Canceled after the job has been stopped on the server.
        """
        job = str(uuid.uuid4())
        graph = fill(filled, {"<job>": f"{PREFIX}/{job}"}).graph
        wrong = faults(graph, self.classes)
        if wrong:
            raise ComfyError(f"ComfyUI cannot run the workflow. {'; '.join(map(str, wrong[:3]))}")
        stream = Stream(self.client)
        try:
            self.client.submit(graph, job)
            progress = Progress(job, graph, frames, self.report)
            entry = wait(self.client, job, progress, self.report, stream)
        except Canceled:
            with self.report.uninterrupted(), contextlib.suppress(ComfyError):
                stop(self.client, job)
            raise
        finally:
            stream.close()
        return _images(entry, graph, self.server)

    def named(self, name: str, filled: Filled, workflow: Workflow) -> Filled:
        """The graph of a workflow of ours with the weights as the server has them."""
        for weights in () if workflow.own else needs()[name].weights:
            for node in filled.of_class(weights.loader) if weights.folder else ():
                choice = weights_choice(weights, self.classes)
                filled.graph[node]["inputs"][weights.input] = choice
        return filled

    def put(self, filled: Filled, mark: str, files: Sequence[Path]) -> Filled:
        """The graph with frames for a mark, uploaded."""
        return put_clip(filled, mark, self.send(files))


@contextmanager
def session(
    report: Report, settings: ComfySettings | None = None, clock: Clock | None = None
) -> Iterator[Session]:
    """The chosen server for a block, started if it is to be. Raises ComfyError."""
    chosen = settings or ComfySettings.load(locations.home())
    with served(chosen, report, clock):
        server = check(chosen.url)
        client = Client(chosen.url, clock)
        try:
            yield Session(client, server, node_classes(chosen.url), report)
        finally:
            with contextlib.suppress(ComfyError):
                client.free()
            client.close()


def _images(
    entry: Mapping[str, Any], graph: Mapping[str, Any], server: Server
) -> dict[str, list[Image]]:
    status = entry.get("status") or {}
    if status.get("status_str") != "success":
        raise ComfyError(_why_failed(status.get("messages") or (), graph, server))
    outputs = entry.get("outputs") or {}
    return {
        node: [Image.of(said) for said in output.get("images", ())]
        for node, output in outputs.items()
    }


def _why_failed(messages: Sequence[Any], graph: Mapping[str, Any], server: Server) -> str:
    kind, said = messages[-1] if messages else ("", {})
    if kind == "execution_interrupted":
        return "The job was stopped in ComfyUI."
    node = graph.get(str(said.get("node_id")), {}).get("_meta", {}).get("title")
    place = node or said.get("node_type") or "a node"
    exception = str(said.get("exception_type", ""))
    if exception.endswith(("OutOfMemoryError", "MemoryError")):
        return (
            f"ComfyUI ran out of memory in '{place}' ({server.device}). Take fewer frames or a "
            "smaller plate, fewer objects, or a ComfyUI on a machine with more memory."
        )
    words = " ".join(str(said.get("exception_message", "it does not say why")).split())
    return f"ComfyUI failed in '{place}': {words[:300]}"


def saved(
    images: Mapping[str, list[Image]], filled: Filled, frames: int, nodes: Sequence[str] = ()
) -> dict[tuple[int, ...], list[Image]]:
    """The files by what their nodes were copied for, as many as frames each: those of `nodes`, or
    of all that save some. Raises ComfyError."""
    found = {}
    for node, trail in filled.saving().items():
        if nodes and node not in nodes:
            continue
        files = [image for image in images.get(node, ()) if image.type == "output"]
        if not files:
            raise ComfyError(
                "ComfyUI says it is done but made no images, as it does when it answers from its "
                "cache. Run the stage again."
            )
        if len(files) != frames:
            raise ComfyError(
                f"ComfyUI made {len(files)} images of {frames} frames. If the workflow is the "
                "shot's own, see that no node in it leaves frames out."
            )
        found[trail] = files
    return found
