# SPDX-License-Identifier: GPL-3.0-or-later
"""The shot folder: the one place that knows every file name in it.

    source/shot.json                  the plate: where it came from, rate, size, frame map
    source/frames/frame_0001.png      the plate's frames, under the plate's own numbers
    source/frames/BL_proxy/...        proxies in Blender's own layout
    roto/mask/frame_0001.png          masks: white = selected by any label
    roto/<label>/, roto/<label>_00/   masks of a label, and of each of its instances, plate size
    roto/combined/                    all refined mattes in one
    roto/.prompts/car_frame_0001.png  the masks among these
    roto/prompts.json                 points, boxes and masks that an artist pointed at things with
    matte/<label>_00/                 refined mattes, plate size
    depth/frame_0001.png              depth to look at: 16 bits, near is bright, one range a shot
    depth/exr/frame_0001.exr          32-bit depth along the camera's view, distorted as the plate
    depth/depth.json                  its units, and the world that it stands in
    cleanplate/frame_0001.png         the plate without what the masks select, as deep as the plate
    cleanplate/mask/frame_0001.png    what was replaced: white, and gray where it fades
    cleanplate/holes/frame_0001.png   what of that no frame shows: white
    colmap/sparse/0/                  the solved model, as COLMAP stores it
    colmap/blockout.ply               a rough mesh over the sparse points, in the model's own world
    colmap/dense/dense.json           what dense points and mesh are made of, and their world
    colmap/dense/depth/frame_0001.exr 32-bit depth along the camera's view, in the world's units
    colmap/dense/normal/, confidence/ of the same frames
    colmap/dense/cloud.ply            dense points with normals, colors and confidence
    colmap/dense/mesh_raw.ply         the mesh before it was simplified
    colmap/dense/mesh.ply             the mesh with its place in texture.png
    colmap/dense/texture.png
    colmap/tracks.npz                 the 2-D tracks that the solve is made from
    mocap/mocap.json                  who was found, the scale, and the world as it would be upright
    mocap/camera.json                 the camera that people were placed by
    mocap/<person>/motion.npz         rotations, way, shape, contacts (motion.py); motion.pkl too
    mocap/<person>/body.npz           the body at rest, where there is a body model (body.py)
    mocap/<person>/mesh_sequence/     its mesh by frame: corrected.pc2 at rest, body.pc2 posed
    tracks/edits.json                 what the artist changed of them
    survey.json                       what the artist knows of the scene: ground, axes, a distance
    camera/solve.json                 the solve: quality, frame by frame; the world transform
    camera/{extrinsics,intrinsics}.json
    camera/BL_proxy/...               proxies with the solved lens distortion taken out
    camera/contact_sheet.png          plate frames with the solved points drawn on
    camera/solve_plot.png             error and tracks of each frame, drawn
    camera/camera.{abc,chan,clip,csv,jsx,nk,usd}    the camera that the scene in Blender has
    camera/camera_plate.*             the one for the plate as shot, with its lens distortion
    camera/camera_undistorted.*       the one for the undistorted plate
    camera/undistorted.json           the undistorted plate's size
    camera/stmap_{undistort,distort}.exr
    camera/undistorted/frame_0001.png the undistorted plate
    camera/undistorted/stmaps/...     maps for each frame, where the lens zooms
    proxies/<folder>/...              proxies of any other folder of images, in Blender's layout
    scene/shot.blend                  the scene that Blender built
    workflows/*.json                  ComfyUI graphs of this shot's own, which win over ours
    logs/                             one log a job
    <output>/stage.json               how that output was made (see outputs.py)

Frames, masks and everything per frame carry the plate's own frame number in their name.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from .errors import FormatError
from .plate_tags import PlateCamera, PlateColor
from .timecode import Timecode, parse_timecode

FRAME_PATTERN = "frame_{:04d}"
CAMERA, CAMERA_PLATE, CAMERA_UNDISTORTED = "camera", "camera_plate", "camera_undistorted"
CAMERAS = (CAMERA, CAMERA_PLATE, CAMERA_UNDISTORTED)
"""The cameras of a solve by the names of their files: the scene's, and one for either plate."""
UNDISTORT, DISTORT = "undistort", "distort"
"""The directions of an STMap: plate to undistorted plate, and back."""
_NUMBER = re.compile(r"(\d+)$")
_NO_COLOR, _NO_CAMERA = PlateColor(), PlateCamera()


@dataclass(frozen=True)
class Plate:
    """A plate as it was taken in.

    `frames` are the plate frame numbers that exist, ascending; `source_indices` (0-based position
    in the movie or sequence) and `times` (seconds from the first frame) run along with them.
    `fps` is exact. `pixel_aspect` is width over height of a pixel. `focal_hint` is the focal length
    in px that the source's metadata names, 0 when it names none.

    source_names  the frames' own files, beside `source`, of a sequence
    timecode      of the first frame, "" where the plate has none
    cut           the first and last frame without handles, None where there are none
    source_size   width and height of the plate before it was resized
    every         frames from one taken frame to the next
    """

    source: str
    kind: str
    width: int
    height: int
    fps: Fraction
    frames: tuple[int, ...]
    source_indices: tuple[int, ...]
    times: tuple[float, ...]
    pixel_aspect: Fraction = Fraction(1)
    missing: tuple[int, ...] = ()
    focal_hint: float = 0.0
    source_names: tuple[str, ...] = ()
    timecode: str = ""
    cut: tuple[int, int] | None = None
    source_size: tuple[int, int] | None = None
    every: int = 1
    color: PlateColor = _NO_COLOR
    camera: PlateCamera = _NO_CAMERA

    @property
    def cut_range(self) -> tuple[int, int]:
        """The first and last frame without handles."""
        return self.cut or (self.first_frame, self.last_frame)

    def timecodes(self) -> tuple[Timecode, ...]:
        """The timecode of each frame by its time, () where the plate has none."""
        start = parse_timecode(self.timecode, self.fps) if self.timecode else None
        if start is None:
            return ()
        return tuple(start.plus(round(time * self.fps)) for time in self.times)

    @property
    def first_frame(self) -> int:
        return self.frames[0]

    @property
    def last_frame(self) -> int:
        return self.frames[-1]

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        data |= {"fps": str(self.fps), "pixel_aspect": str(self.pixel_aspect)}
        return data | {"timecodes": [str(label) for label in self.timecodes()]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plate:
        """Raises FormatError when a key is missing or of the wrong kind."""
        try:
            return cls(
                source=str(data["source"]),
                kind=str(data["kind"]),
                width=int(data["width"]),
                height=int(data["height"]),
                fps=Fraction(data["fps"]),
                frames=tuple(int(number) for number in data["frames"]),
                source_indices=tuple(int(index) for index in data["source_indices"]),
                times=tuple(float(time) for time in data["times"]),
                pixel_aspect=Fraction(data["pixel_aspect"]),
                missing=tuple(int(number) for number in data["missing"]),
                focal_hint=float(data.get("focal_hint", 0.0)),
                source_names=tuple(str(name) for name in data.get("source_names", ())),
                timecode=str(data.get("timecode", "")),
                cut=_pair(data.get("cut")),
                source_size=_pair(data.get("source_size")),
                every=int(data.get("every", 1)),
                color=PlateColor.from_json(data.get("color", {})),
                camera=PlateCamera.from_json(data.get("camera", {})),
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError, AttributeError) as error:
            raise FormatError(f"shot.json is damaged: {error!r}.") from error


def _pair(data: Any) -> tuple[int, int] | None:
    if data is None:
        return None
    first, second = data
    return int(first), int(second)


@dataclass(frozen=True)
class DenseFolder:
    """The files of dense points and mesh, in a shot or where they are being written."""

    path: Path

    @property
    def record(self) -> Path:
        return self.path / "dense.json"

    @property
    def cloud(self) -> Path:
        return self.path / "cloud.ply"

    @property
    def raw_mesh(self) -> Path:
        return self.path / "mesh_raw.ply"

    @property
    def mesh(self) -> Path:
        return self.path / "mesh.ply"

    @property
    def texture(self) -> Path:
        return self.path / "texture.png"

    def depth(self, number: int) -> Path:
        return self._map("depth", number)

    def normal(self, number: int) -> Path:
        return self._map("normal", number)

    def confidence(self, number: int) -> Path:
        return self._map("confidence", number)

    def _map(self, kind: str, number: int) -> Path:
        return self.path / kind / f"{FRAME_PATTERN.format(number)}.exr"


@dataclass(frozen=True)
class DepthFolder:
    """The files of the depth stage, in a shot or where they are being written."""

    path: Path

    @property
    def record(self) -> Path:
        return self.path / "depth.json"

    def image(self, number: int) -> Path:
        """16-bit gray, to be looked at."""
        return self.path / f"{FRAME_PATTERN.format(number)}.png"

    def map(self, number: int) -> Path:
        """32-bit depth along the camera's view, distorted as the plate is."""
        return self.path / "exr" / f"{FRAME_PATTERN.format(number)}.exr"


@dataclass(frozen=True)
class PersonFolder:
    """The files of one person's motion, in a shot or where they are being written."""

    path: Path

    @property
    def motion(self) -> Path:
        return self.path / "motion.npz"

    @property
    def pickle(self) -> Path:
        """The same for other programs."""
        return self.path / "motion.pkl"

    @property
    def body(self) -> Path:
        """The body at rest, where there was a body model."""
        return self.path / "body.npz"

    @property
    def corrected(self) -> Path:
        """The body at rest, corrected for the pose of each frame: what an armature deforms."""
        return self.path / "mesh_sequence" / "corrected.pc2"

    @property
    def posed(self) -> Path:
        """The body in the shot's world, frame by frame."""
        return self.path / "mesh_sequence" / "body.pc2"

    @property
    def alembic(self) -> Path:
        return self.path / "mesh_sequence" / "body.abc"

    @property
    def seen(self) -> Path:
        """What a model has found, before it was placed: the stage's own."""
        return self.path / "seen.npz"

    def mesh(self, number: int) -> Path:
        return self.path / "mesh_sequence" / f"{FRAME_PATTERN.format(number)}.obj"


@dataclass(frozen=True)
class MocapFolder:
    """The files of the mocap stage, in a shot or where they are being written."""

    path: Path

    @property
    def record(self) -> Path:
        return self.path / "mocap.json"

    @property
    def cameras(self) -> Path:
        """The camera that the motion was placed by, as camera/extrinsics.json has it."""
        return self.path / "camera.json"

    def person(self, name: str) -> PersonFolder:
        return PersonFolder(self.path / name)


@dataclass(frozen=True)
class Shot:
    """A shot folder. Knows names, creates nothing by itself."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    def output(self, folder: str) -> Path:
        """The folder of a stage's output, by its name in the stage table."""
        return self.path / folder

    @property
    def plate_file(self) -> Path:
        return self.path / "source" / "shot.json"

    @property
    def frames(self) -> Path:
        return self.path / "source" / "frames"

    @property
    def roto(self) -> Path:
        """Holds a folder of mattes for each label."""
        return self.path / "roto"

    @property
    def masks(self) -> Path:
        return self.roto / "mask"

    @property
    def combined(self) -> Path:
        return self.roto / "combined"

    @property
    def prompts(self) -> Path:
        return self.roto / "prompts.json"

    def prompt_mask(self, name: str, number: int) -> Path:
        """A mask that an artist has an object tracked from."""
        return self.roto / ".prompts" / f"{name}_{FRAME_PATTERN.format(number)}.png"

    @property
    def mattes(self) -> Path:
        """Holds a folder of refined mattes for each label."""
        return self.path / "matte"

    @property
    def clean_plate(self) -> Path:
        return self.path / "cleanplate"

    def clean_frame(self, number: int) -> Path:
        return self.clean_plate / f"{FRAME_PATTERN.format(number)}.png"

    @property
    def sparse(self) -> Path:
        return self.path / "colmap" / "sparse" / "0"

    @property
    def blockout(self) -> Path:
        return self.path / "colmap" / "blockout.ply"

    @property
    def depth(self) -> DepthFolder:
        return DepthFolder(self.path / "depth")

    @property
    def mocap(self) -> MocapFolder:
        return MocapFolder(self.path / "mocap")

    @property
    def dense(self) -> DenseFolder:
        return DenseFolder(self.path / "colmap" / "dense")

    @property
    def tracks(self) -> Path:
        return self.path / "colmap" / "tracks.npz"

    @property
    def track_edits(self) -> Path:
        return self.path / "tracks" / "edits.json"

    @property
    def survey(self) -> Path:
        return self.path / "survey.json"

    @property
    def camera(self) -> Path:
        return self.path / "camera"

    @property
    def solve_file(self) -> Path:
        return self.camera / "solve.json"

    @property
    def proxies(self) -> Path:
        return self.frames / "BL_proxy"

    @property
    def undistorted_proxies(self) -> Path:
        return self.camera / "BL_proxy"

    @property
    def undistorted_file(self) -> Path:
        return self.camera / "undistorted.json"

    @property
    def undistorted(self) -> Path:
        return self.camera / "undistorted"

    @property
    def contact_sheet(self) -> Path:
        return self.camera / "contact_sheet.png"

    @property
    def solve_plot(self) -> Path:
        return self.camera / "solve_plot.png"

    @property
    def blend(self) -> Path:
        return self.path / "scene" / "shot.blend"

    @property
    def written_proxies(self) -> Path:
        """Proxies of image folders, each under its folder's path in the shot."""
        return self.path / "proxies"

    @property
    def workflows(self) -> Path:
        return self.path / "workflows"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def frame_file(self, number: int) -> Path:
        return self.frames / f"{FRAME_PATTERN.format(number)}.png"

    def camera_file(self, extension: str, stem: str = CAMERA) -> Path:
        """`camera/<stem>.<extension>`, for abc chan clip csv jsx nk usd."""
        return self.camera / f"{stem}.{extension}"

    def undistorted_frame(self, number: int) -> Path:
        return self.undistorted / f"{FRAME_PATTERN.format(number)}.png"

    def stmap(self, direction: str, number: int | None = None) -> Path:
        """The STMap of a direction, or that of one frame where the lens zooms."""
        if number is None:
            return self.camera / f"stmap_{direction}.exr"
        return self.undistorted / "stmaps" / f"stmap_{direction}_{number:04d}.exr"

    def has_plate(self) -> bool:
        return self.plate_file.is_file()

    def load_plate(self) -> Plate:
        """Raises FormatError when shot.json is missing or damaged."""
        return Plate.from_json(read_json(self.plate_file))


def folder_key(path: str) -> str:
    """The same for every spelling of one folder's path on this system; "" stays ""."""
    return os.path.normcase(os.path.abspath(path)) if path else ""


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object. Raises FormatError, naming the file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FormatError(f"{path} is missing.") from error
    except (OSError, ValueError) as error:
        raise FormatError(f"{path} cannot be read: {error}.") from error
    if not isinstance(data, dict):
        raise FormatError(f"{path} does not hold what it should.")
    return data


def write_json(path: Path, data: dict[str, Any]) -> None:
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def rate_text(fps: Fraction) -> str:
    """A frame rate as artists write it: 24, 23.976."""
    return f"{float(fps):.3f}".rstrip("0").rstrip(".")


def frame_number(name: str) -> int | None:
    """The number at the end of a file's stem (`frame_0012.png` -> 12), None when it has none."""
    found = _NUMBER.search(Path(name).stem)
    return int(found.group(1)) if found else None


def by_frame(files: Iterable[Path]) -> dict[int, Path]:
    """Files by the frame number in their name, ascending; files without a number are left out."""
    numbered = {number: file for file in files if (number := frame_number(file.name)) is not None}
    return dict(sorted(numbered.items()))


UNIONS = ("mask", "combined")
"""Folders in roto/ that are made of the labels' folders."""


def label_folders(parent: Path) -> list[Path]:
    """The folders of labels in roto/ or matte/, by name: not unions, parts or earlier ones."""
    if not parent.is_dir():
        return []
    entries = [Path(entry) for entry in os.scandir(parent) if entry.is_dir()]
    return sorted(each for each in entries if "." not in each.name and each.name not in UNIONS)


_INSTANCE = re.compile(r".+_\d{2,}")


def instance_folders(roto: Path) -> list[Path]:
    """The folders of numbered instances (`person_00`) among those of labels, by name."""
    if not roto.is_dir():
        return []
    folders = (Path(entry) for entry in os.scandir(roto) if entry.is_dir())
    return sorted(folder for folder in folders if is_instance(folder.name))


def is_instance(name: str) -> bool:
    """Whether a folder's name is that of a numbered instance."""
    return _INSTANCE.fullmatch(name) is not None


def instance_name(label: str, number: int) -> str:
    """The folder of an instance of a label."""
    return f"{label}_{number:02d}"


_RESERVED = {"con", "prn", "aux", "nul"} | {f"{d}{i}" for d in ("com", "lpt") for i in range(1, 10)}


def folder_name(label: str) -> str:
    """A label that somebody typed, as one safe folder name in any file system; never empty.

    Letters and digits of every script stay; everything else becomes `_`.
    """
    text = unicodedata.normalize("NFC", label).strip()
    safe = re.sub(r"[^\w-]+", "_", text).strip("_")
    # File systems count bytes (255 at most), not letters; a cut letter is dropped whole.
    safe = safe.encode()[:160].decode(errors="ignore") or "unnamed"
    return f"{safe}_" if safe.casefold() in _RESERVED else safe
