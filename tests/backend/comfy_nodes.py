# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for ComfyUI's nodes, small enough to be right: a thing is one color of the plate.

A label is a letter of red, green, blue: everything of a pure color of that channel is such a thing,
and its value is what tells it from others. A mask or point means the color that it lies on.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import OpenImageIO as oiio

CHANNELS = {"r": 0, "g": 1, "b": 2}


def color_mask(frame: Any, color: Any) -> Any:
    return (frame == np.asarray(color)).all(axis=2)


def things(frame: Any, label: str) -> list[tuple[int, ...]]:
    """The colors of a label's things in a frame, the brightest first."""
    channel = CHANNELS[label[0]]
    colors = {
        tuple(int(value) for value in color) for color in np.unique(frame.reshape(-1, 3), axis=0)
    }
    pure = [c for c in colors if c[channel] and not any(c[:channel] + c[channel + 1 :])]
    return sorted(pure, reverse=True)


class Nodes:
    """Computes a graph. `files` are uploads by name; `save` takes a finished image."""

    def __init__(self, graph: Mapping[str, Any], files: Mapping[str, bytes], save: Any) -> None:
        self._graph, self._files, self._save = graph, files, save
        self._made: dict[str, Any] = {}

    def value(self, node: str) -> Any:
        if node not in self._made:
            said = self._graph[node]
            inputs = {
                name: self._output(value) if isinstance(value, list) else value
                for name, value in said["inputs"].items()
            }
            run: Callable[..., Any] = getattr(self, f"_{said['class_type']}")
            self._made[node] = run(inputs)
        return self._made[node]

    def _output(self, link: list[Any]) -> Any:
        made = self.value(link[0])
        return made[link[1]] if isinstance(made, tuple) else made

    def _LoadVideo(self, inputs: Any) -> Any:  # noqa: N802
        with av.open(io.BytesIO(self._files[inputs["file"]])) as movie:
            return [frame.to_ndarray(format="rgb24") for frame in movie.decode(video=0)]

    def _GetVideoComponents(self, inputs: Any) -> Any:  # noqa: N802
        return (inputs["video"], None, 25.0, 8, "sRGB")

    def _BatchImagesNode(self, inputs: Any) -> Any:  # noqa: N802
        names = sorted(inputs, key=lambda name: int(name.removeprefix("images.image")))
        return [frame for name in names for frame in inputs[name]]

    def _CheckpointLoaderSimple(self, _inputs: Any) -> Any:  # noqa: N802
        return ("model", "clip", "vae")

    def _CLIPTextEncode(self, inputs: Any) -> Any:  # noqa: N802
        return inputs["text"]

    def _ImageFromBatch(self, inputs: Any) -> Any:  # noqa: N802
        return inputs["image"][inputs["batch_index"] :][: inputs["length"]]

    def _LoadImageMask(self, inputs: Any) -> Any:  # noqa: N802
        data = np.frombuffer(self._files[inputs["image"]], np.uint8)
        return [cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) > 127]

    def _SAM3_Detect(self, inputs: Any) -> Any:  # noqa: N802
        (frame,) = inputs["image"]
        found = np.zeros(frame.shape[:2], bool)
        for point in json.loads(inputs.get("positive_coords", "[]")):
            found |= color_mask(frame, frame[point["y"], point["x"]])
        box = inputs.get("bboxes")
        if box:
            rows, columns = box["y"] + box["height"] // 2, box["x"] + box["width"] // 2
            found |= color_mask(frame, frame[rows, columns])
        for point in json.loads(inputs.get("negative_coords", "[]")):
            found &= ~color_mask(frame, frame[point["y"], point["x"]])
        return ([found], [])

    def _PrimitiveBoundingBox(self, inputs: Any) -> Any:  # noqa: N802
        return dict(inputs)

    def _BatchMasksNode(self, inputs: Any) -> Any:  # noqa: N802
        names = sorted(inputs, key=lambda name: int(name.removeprefix("masks.mask")))
        return [mask for name in names for mask in inputs[name]]

    def _SAM3_VideoTrack(self, inputs: Any) -> Any:  # noqa: N802
        frames = inputs["images"]
        colors = [_color_under(frames[0], mask) for mask in inputs.get("initial_mask", ())]
        for frame in frames if "conditioning" in inputs else ():
            colors += [c for c in things(frame, inputs["conditioning"]) if c not in colors]
        kept = colors[: inputs["max_objects"] or 64]
        return [[color_mask(frame, color) for frame in frames] for color in kept], len(frames)

    def _SAM3_TrackToMask(self, inputs: Any) -> Any:  # noqa: N802
        tracks, index = inputs["track_data"], inputs["object_indices"]
        if isinstance(tracks, tuple):
            tracks = tracks[0]
        count = self._frames
        black = [np.zeros(self._shape, bool)] * count
        return tracks[int(index)] if int(index) < len(tracks) else black

    def _MaskToImage(self, inputs: Any) -> Any:  # noqa: N802
        return [np.repeat(mask[:, :, None], 3, 2).astype(np.uint8) * 255 for mask in inputs["mask"]]

    def _ImageToMask(self, inputs: Any) -> Any:  # noqa: N802
        return [frame[:, :, CHANNELS[inputs["channel"][0]]] > 127 for frame in inputs["image"]]

    def _ProPainterInpaint(self, inputs: Any) -> Any:  # noqa: N802
        assert len(inputs["image"]) == len(inputs["mask"])
        size = inputs["width"], inputs["height"]
        made = []
        for frame, mask in zip(inputs["image"], inputs["mask"], strict=True):
            painted = np.where(mask[:, :, None], np.uint8(128), frame)
            made.append(cv2.resize(painted, size, interpolation=cv2.INTER_NEAREST))
        return made, None, None

    def _LoadDA3Model(self, _inputs: Any) -> Any:  # noqa: N802
        return "model"

    def _DA3Inference(self, inputs: Any) -> Any:  # noqa: N802
        return [frame[:, :, 0].astype(np.float32) / 16 for frame in inputs["image"]]

    def _DA3Render(self, inputs: Any) -> Any:  # noqa: N802
        maps = inputs["da3_geometry"]
        if inputs["output.normalization"] != "raw":
            maps = [depth / max(float(depth.max()), 1e-6) for depth in maps]
        return [np.repeat(depth[:, :, None], 3, 2) for depth in maps]

    def _SaveImage(self, inputs: Any) -> Any:  # noqa: N802
        return self._saved(inputs, [_png(frame) for frame in inputs["images"]], "_.png")

    def _SaveImageAdvanced(self, inputs: Any) -> Any:  # noqa: N802
        if inputs["format"] == "exr":
            return self._saved(inputs, [_exr(frame) for frame in inputs["images"]], ".exr")
        frames = [np.rint(frame * 65535).astype(np.uint16) for frame in inputs["images"]]
        return self._saved(inputs, [_png(frame) for frame in frames], ".png")

    def _saved(self, inputs: Any, images: list[bytes], ending: str) -> Any:
        folder, _slash, prefix = inputs["filename_prefix"].rpartition("/")
        names = [f"{prefix}_{index:05d}{ending}" for index in range(1, len(images) + 1)]
        for name, image in zip(names, images, strict=True):
            self._save(folder, name, image)
        return [{"filename": name, "subfolder": folder, "type": "output"} for name in names]

    @property
    def _clip(self) -> Any:
        node = next(n for n, s in self._graph.items() if s["class_type"] == "SAM3_VideoTrack")
        return self._output(self._graph[node]["inputs"]["images"])

    @property
    def _frames(self) -> int:
        return len(self._clip)

    @property
    def _shape(self) -> Any:
        return self._clip[0].shape[:2]


def _color_under(frame: Any, mask: Any) -> tuple[int, ...]:
    colors, counts = np.unique(frame[mask], axis=0, return_counts=True)
    return tuple(int(v) for v in colors[counts.argmax()]) if len(colors) else (-1, -1, -1)


def _png(frame: Any) -> bytes:
    return cv2.imencode(".png", np.ascontiguousarray(frame[:, :, ::-1]))[1].tobytes()


def _exr(frame: Any) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "image.exr"
        spec = oiio.ImageSpec(frame.shape[1], frame.shape[0], 3, "float")
        output = oiio.ImageOutput.create("exr")
        assert output.open(str(file), spec)
        assert output.write_image(np.ascontiguousarray(frame, np.float32))
        output.close()
        return file.read_bytes()
