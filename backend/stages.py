# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage table: what each stage needs, makes and runs on, and its options.

Adding a stage is one entry in `STAGES`, one options dataclass, one module of the same name in
`worker/stages/` and, when it lands in the scene, one builder in `operators/scene/`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .color_spaces import COLOR_SPACES
from .errors import UsageError
from .frame_range import check_point
from .frame_size import check_size
from .options import Choice, option
from .plates import parse_rate


@dataclass(frozen=True)
class IngestOptions:
    """How a plate becomes frames."""

    fps: str = option(
        "",
        "Frame rate to convert the plate to, such as 24, 23.976 or 24000/1001. Left empty, every "
        "frame of the plate is kept exactly once, at the plate's own rate",
        label="Frame Rate",
        flags=("-f", "--fps"),
        unit="rate",
        check=parse_rate,
    )
    first: str = option(
        "",
        "In point: the first frame of the cut, as the plate numbers it, or its timecode. A movie's "
        "frames are numbered from 1. Left empty, the plate's first frame",
        label="In",
        flags=("--in",),
        unit="frame",
        group="Range",
        check=check_point,
    )
    last: str = option(
        "",
        "Out point: the last frame of the cut, as the plate numbers it, or its timecode. Left "
        "empty, the plate's last frame",
        label="Out",
        flags=("--out",),
        unit="frame",
        group="Range",
        check=check_point,
    )
    handles: int = option(
        0,
        "Frames to take before the in point and after the out point as well, where the plate has "
        "them. They are tracked too; the scene's range is the cut",
        label="Handles",
        flags=("--handles",),
        minimum=0,
        maximum=100000,
        group="Range",
        unit="frames",
    )
    every: int = option(
        1,
        "Take every Nth frame only, for a quick look at a long plate. Frames keep their numbers",
        label="Every Nth",
        flags=("--every",),
        unit="n",
        minimum=1,
        maximum=1000,
        group="Range",
    )
    resize: str = option(
        "",
        "Size of the frames: 50%, a width such as 1920, or 1920x1080. Left empty, the plate's own",
        label="Resize",
        flags=("--resize",),
        unit="size",
        group="Picture",
        check=check_size,
    )
    deinterlace: str = option(
        "off",
        "What to do with a plate whose lines are of two moments",
        label="Deinterlace",
        flags=("--deinterlace",),
        group="Picture",
        choices=(
            Choice("off", "Keep the frames as they are", "Off"),
            Choice("frames", "One whole frame of each, at the same rate", "Frames"),
            Choice("fields", "A whole frame of each field, at twice the rate", "Fields"),
        ),
    )
    space: str = option(
        "auto",
        "What the plate's values mean. Log, HLG and PQ movies keep them, and are shown as a screen "
        "would; linear images become sRGB",
        label="Color Space",
        flags=("--color-space",),
        group="Picture",
        choices=(
            Choice("auto", "As the plate's files say", "Automatic"),
            *(Choice(name, space.label, space.label) for name, space in COLOR_SPACES.items()),
        ),
    )
    exposure: float = option(
        0.0,
        "Stops by which linear images are made brighter when they become sRGB",
        label="Exposure",
        flags=("--exposure",),
        group="Picture",
        minimum=-20.0,
        maximum=20.0,
        unit="stops",
    )
    proxies: bool = option(
        True,
        "Write small copies of the frames, from which the plate plays and scrubs smoothly",
        label="Proxies",
        flags=("--no-proxies",),
    )
    accept_damage: bool = option(
        False,
        "Go on with the frames that can be read, when the plate is truncated or damaged",
        label="Accept Damage",
        flags=("--accept-damage",),
    )


@dataclass(frozen=True)
class ColmapOptions:
    """How the camera is solved."""

    quality: str = option(
        "medium",
        "How much work goes into the solve",
        label="Quality",
        flags=("-q", "--colmap-quality"),
        choices=(
            Choice("low", "Fast preview: fewer tracks on a smaller image"),
            Choice("medium", "Good for most shots"),
            Choice("high", "More tracks, checked more often: for blurred, noisy or busy plates"),
            Choice("slow", "For a camera that hardly moves: long tracks, small baselines allowed"),
        ),
    )
    move: str = option(
        "auto",
        "How the camera moves",
        label="Camera Move",
        flags=("--camera-move",),
        choices=(
            Choice("auto", "Found out from the plate; the solve says why"),
            Choice("free", "The camera travels"),
            Choice("tripod", "The camera only turns, on a tripod or about its lens"),
        ),
    )
    focal_length: float = option(
        0.0,
        "Focal length in mm, when it is known; 0 solves it",
        label="Focal Length",
        flags=("--focal-length",),
        minimum=0.0,
        maximum=5000.0,
        unit="mm",
        subtype="DISTANCE_CAMERA",
        group="Lens",
    )
    sensor_width: float = option(
        36.0,
        "Width of the part of the sensor that the plate shows, in mm",
        label="Sensor Width",
        flags=("--sensor-width",),
        minimum=1.0,
        maximum=200.0,
        unit="mm",
        subtype="DISTANCE_CAMERA",
        group="Lens",
        needs="focal_length",
    )
    zoom: str = option(
        "auto",
        "Whether the focal length changes during the shot",
        label="Zoom",
        flags=("--zoom",),
        choices=(
            Choice("auto", "Found out from the plate"),
            Choice("fixed", "One focal length for the whole shot"),
            Choice("zoom", "A focal length for each frame"),
        ),
        group="Lens",
    )
    distortion: str = option(
        "auto",
        "How the lens bends straight lines",
        label="Lens Distortion",
        flags=("--distortion",),
        choices=(
            Choice("auto", "As many coefficients as the plate can tell"),
            Choice("none", "No distortion: an undistorted plate or a computer's picture"),
            Choice("k1", "One radial coefficient", "1 Coefficient"),
            Choice("k2", "Two radial coefficients", "2 Coefficients"),
            Choice("anamorphic", "Width and height of a pixel solved apart, two coefficients"),
        ),
        advanced=True,
    )
    squeeze: float = option(
        0.0,
        "Width over height of a pixel, such as 2 for a squeezed anamorphic plate; 0 takes the "
        "plate's own",
        label="Squeeze",
        flags=("--squeeze",),
        minimum=0.0,
        maximum=4.0,
        unit="factor",
        advanced=True,
    )
    use_masks: bool = option(
        True,
        "Ignore what the masks in roto/mask select (moving people and things)",
        label="Use Masks",
        flags=("-M", "--colmap-no-masks"),
    )
    engine: str = option(
        "tracks",
        "What solves the camera",
        label="Engine",
        flags=("--colmap-engine",),
        choices=(
            Choice("tracks", "Long point tracks: for every shot that is a video"),
            Choice(
                "sift",
                "Feature matching between stills: for photos and unordered frames",
                "Features",
            ),
        ),
        advanced=True,
    )
    max_size: int = option(
        0,
        "Longest side of the image that is tracked, in pixels; 0 leaves it to the quality",
        label="Max Size",
        flags=("--colmap-max-size",),
        minimum=0,
        maximum=16384,
        unit="pixels",
        subtype="PIXEL",
        advanced=True,
    )
    refine: bool = option(
        False,
        "Adjust the last solve to the edited tracks instead of tracking anew",
        label="Refine",
        flags=("--refine",),
        once=True,
    )


def _check_frame(text: str) -> None:
    if not text.strip().isdigit():
        raise UsageError(f"'{text}' is no frame number.")


_ENGINES = (
    Choice("auto", "The worker when its model is there, else a ComfyUI server that answers"),
    Choice("embedded", "The model in the worker", "Worker"),
    Choice("comfyui", "A ComfyUI server", "ComfyUI"),
)


@dataclass(frozen=True)
class RotoOptions:
    """What text roto looks for."""

    prompt: str = option(
        "person",
        "What to look for, in a word or two each: person, bag, ball. Names are separated by commas",
        label="Prompt",
        flags=("--prompt",),
        unit="words",
        prominent=True,
    )
    separate_instances: bool = option(
        True,
        "Write a folder of mattes for each person or thing that is found",
        label="Separate Instances",
        flags=("--no-separate-instances",),
        default_flags=("--separate-instances",),
    )
    start: str = option(
        "",
        "Frame to begin at, from which it is tracked both ways: one that shows everything well. "
        "Left empty, the first frame",
        label="Start Frame",
        flags=("--start-frame",),
        unit="frame",
        check=_check_frame,
    )
    threshold: float = option(
        0.5,
        "How sure the model must be of what it finds",
        label="Threshold",
        flags=("--roto-threshold",),
        minimum=0.0,
        maximum=1.0,
        advanced=True,
        unit="share",
    )
    engine: str = option(
        "auto",
        "What finds and tracks the masks",
        label="Engine",
        flags=("--roto-engine",),
        choices=_ENGINES,
        advanced=True,
    )


@dataclass(frozen=True)
class InteractiveOptions:
    """How the points, boxes and masks in roto/prompts.json are tracked."""

    model: str = option(
        "auto",
        "Which model tracks",
        label="Model",
        flags=("--interactive-model",),
        choices=(
            Choice("auto", "The best that is here; without a GPU the smallest"),
            Choice("sam3", "SAM 3: the best edges, needs a GPU", "SAM 3"),
            Choice("sam2-tiny", "SAM 2.1 tiny: runs without a GPU", "SAM 2.1 Tiny"),
            Choice("sam2-base", "SAM 2.1 base: free weights, in between", "SAM 2.1 Base"),
            Choice("sam2-large", "SAM 2.1 large: free weights, wants a GPU", "SAM 2.1 Large"),
        ),
    )
    engine: str = option(
        "auto",
        "What tracks the masks",
        label="Engine",
        flags=("--interactive-engine",),
        choices=_ENGINES,
        advanced=True,
    )
    objects: str = option(
        "",
        "What is selected on the ComfyUI server's page when nothing is pointed at here: names, "
        "separated by commas",
        label="Objects",
        flags=("--interactive-objects",),
        advanced=True,
        unit="words",
    )
    wait: float = option(
        600.0,
        "Seconds to wait for masks from the ComfyUI server's page when nobody is there to say that "
        "they are good",
        label="Wait",
        flags=("--interactive-wait",),
        minimum=1.0,
        maximum=86400.0,
        unit="seconds",
        advanced=True,
    )


@dataclass(frozen=True)
class MamaOptions:
    """How mattes are refined."""

    chunk: int = option(
        0,
        "Frames that are refined at one time; 0 takes what the GPU has room for",
        label="Chunk",
        flags=("--mama-chunk",),
        minimum=0,
        maximum=200,
        unit="frames",
        advanced=True,
    )
    overlap: int = option(
        3,
        "Frames that two chunks share and are faded over",
        label="Overlap",
        flags=("--mama-overlap",),
        minimum=0,
        maximum=16,
        unit="frames",
        advanced=True,
    )
    seed: int = option(
        42,
        "Where the noise begins that the model starts from",
        label="Seed",
        flags=("--mama-seed",),
        minimum=0,
        maximum=2**31 - 1,
        unit="n",
        advanced=True,
    )


@dataclass(frozen=True)
class DepthOptions:
    """How depth is estimated, and in what units it is written."""

    model: str = option(
        "auto",
        "Which model estimates depth",
        label="Model",
        flags=("--depth-model",),
        choices=(
            Choice("auto", "The best that is here; without a GPU the smallest"),
            Choice("da3-small", "Depth Anything 3 small: runs without a GPU", "DA3 Small"),
            Choice("da3-base", "Depth Anything 3 base: free weights, in between", "DA3 Base"),
            Choice(
                "da3-metric",
                "Depth Anything 3 metric: each frame by itself, in meters before there is a solve",
                "DA3 Metric",
            ),
            Choice(
                "da3-mono", "Depth Anything 3 mono: each frame by itself, finest edges", "DA3 Mono"
            ),
            Choice("da3-large", "Depth Anything 3 large: no commercial use", "DA3 Large"),
            Choice("da3-giant", "Depth Anything 3 giant: no commercial use", "DA3 Giant"),
        ),
    )
    scale: str = option(
        "auto",
        "Units of the depth",
        label="Units",
        flags=("--depth-scale",),
        choices=(
            Choice("auto", "Those of the solved camera where there is one"),
            Choice("relative", "The model's own, steady over the shot, whatever is solved"),
        ),
    )
    resolution: int = option(
        504,
        "Longest side of the picture that the model sees, in pixels",
        label="Resolution",
        flags=("--depth-resolution",),
        minimum=140,
        maximum=2520,
        unit="pixels",
        subtype="PIXEL",
        advanced=True,
    )
    chunk: int = option(
        0,
        "Frames that the model sees at one time; 0 takes what the GPU has room for",
        label="Chunk",
        flags=("--depth-chunk",),
        minimum=0,
        maximum=500,
        unit="frames",
        advanced=True,
    )
    overlap: int = option(
        8,
        "Frames that two chunks share, by which they are brought into agreement",
        label="Overlap",
        flags=("--depth-overlap",),
        minimum=1,
        maximum=60,
        unit="frames",
        advanced=True,
    )
    engine: str = option(
        "auto",
        "What estimates depth",
        label="Engine",
        flags=("--depth-engine",),
        choices=_ENGINES,
        advanced=True,
    )


@dataclass(frozen=True)
class DenseOptions:
    """How dense points and a mesh are made. What `quality` stands for says `dense.settings`."""

    quality: str = option(
        "default",
        "How fine the points and the mesh are",
        label="Quality",
        flags=("--dense-quality",),
        choices=(
            Choice("preview", "A quick look: images of 1000 pixels, 50 000 faces"),
            Choice("default", "Images of 2000 pixels, 500 000 faces"),
            Choice("high", "Images of full size, a million faces"),
        ),
    )
    mesh: bool = option(
        True,
        "Make a textured mesh from the points",
        label="Mesh",
        flags=("--dense-no-mesh",),
        default_flags=("--dense-mesh",),
    )
    faces: int = option(
        0,
        "Faces that the mesh may have; 0 leaves it to the quality",
        label="Faces",
        flags=("--dense-faces",),
        minimum=0,
        maximum=20_000_000,
        unit="n",
        needs="mesh",
    )
    texture_size: int = option(
        0,
        "Side of the texture in pixels; 0 leaves it to the quality",
        label="Texture Size",
        flags=("--dense-texture-size",),
        minimum=0,
        maximum=16384,
        unit="pixels",
        subtype="PIXEL",
        needs="mesh",
    )
    use_masks: bool = option(
        True,
        "Leave out what the masks in roto/mask select (moving people and things)",
        label="Use Masks",
        flags=("--dense-no-masks",),
    )
    max_frames: int = option(
        0,
        "Frames whose depth is found at most; 0 takes as many as the camera's travel asks for",
        label="Max Frames",
        flags=("--dense-frames",),
        minimum=0,
        maximum=100000,
        unit="frames",
        advanced=True,
    )
    engine: str = option(
        "auto",
        "What finds the depth",
        label="Engine",
        flags=("--dense-engine",),
        choices=(
            Choice("auto", "The GPU where it can be used, else all processor cores"),
            Choice("cpu", "All processor cores", "CPU"),
            Choice("cuda", "An NVIDIA GPU", "CUDA"),
            Choice("colmap-cuda", "COLMAP's own stereo on an NVIDIA GPU", "COLMAP (CUDA)"),
        ),
        advanced=True,
    )


@dataclass(frozen=True)
class CleanPlateOptions:
    """How what masks select is taken out of the plate."""

    method: str = option(
        "auto",
        "Where the background comes from",
        label="Method",
        flags=("--cleanplate-method",),
        choices=(
            Choice("auto", "Projection where the camera is solved, else the median of a still one"),
            Choice(
                "project",
                "Other frames, projected through the solved camera. For cameras that move",
            ),
            Choice(
                "median",
                "The median of all frames. For a camera that stands still",
                flags=("--cleanplate-median",),
            ),
            Choice("propainter", "ProPainter makes it up. No commercial use", "ProPainter"),
        ),
    )
    labels: str = option(
        "",
        "Masks to remove, by their labels: actor, bag. Names are separated by commas. Left empty, "
        "all",
        label="Labels",
        flags=("--cleanplate-labels",),
        unit="words",
    )
    dilate: float = option(
        6.0,
        "Pixels by which masks are grown, so that no rim of what is removed stays",
        label="Dilate",
        flags=("--cleanplate-dilate",),
        minimum=0.0,
        maximum=200.0,
        unit="pixels",
        subtype="PIXEL",
    )
    feather: float = option(
        4.0,
        "Pixels over which the filling fades into the plate, outside of the grown masks",
        label="Feather",
        flags=("--cleanplate-feather",),
        minimum=0.0,
        maximum=200.0,
        unit="pixels",
        subtype="PIXEL",
    )
    grain: bool = option(
        True,
        "Give what is filled in the grain that the plate has",
        label="Grain",
        flags=("--cleanplate-no-grain",),
    )
    match_exposure: bool = option(
        True,
        "Match the brightness and color of other frames to the frame they are put into",
        label="Match Exposure",
        flags=("--cleanplate-no-exposure",),
    )
    unseen: str = option(
        "auto",
        "What becomes of background that no frame shows",
        label="Unseen",
        flags=("--cleanplate-unseen",),
        choices=(
            Choice("auto", "ProPainter where its model is here, else what is around it"),
            Choice("around", "Filled smoothly from what is around it"),
            Choice("propainter", "ProPainter makes it up. No commercial use", "ProPainter"),
            Choice("alpha", "Left transparent"),
        ),
    )
    scale: float = option(
        0.5,
        "Size that ProPainter works at, over the plate's",
        label="Internal Scale",
        flags=("--propainter-scale",),
        minimum=0.1,
        maximum=1.0,
        unit="factor",
        group="ProPainter",
        advanced=True,
        variable="PROPAINTER_INTERNAL_SCALE",
    )
    refine_iterations: int = option(
        16,
        "Times that ProPainter refines the optical flow",
        label="Refine Iterations",
        flags=("--propainter-iterations",),
        minimum=1,
        maximum=100,
        unit="n",
        group="ProPainter",
        advanced=True,
        variable="PROPAINTER_REFINE_ITERS",
    )
    flow_frames: int = option(
        20,
        "Frames around each from which ProPainter takes the background along the optical flow",
        label="Flow Frames",
        flags=("--propainter-flows",),
        minimum=2,
        maximum=200,
        unit="frames",
        group="ProPainter",
        advanced=True,
        variable="PROPAINTER_NUM_FLOWS",
    )
    engine: str = option(
        "auto",
        "What runs ProPainter",
        label="Engine",
        flags=("--cleanplate-engine",),
        choices=_ENGINES,
        group="ProPainter",
        advanced=True,
    )


@dataclass(frozen=True)
class MocapOptions:
    """How people's motion is found and placed."""

    engine: str = option(
        "auto",
        "What finds the motion",
        label="Engine",
        flags=("--mocap-engine",),
        choices=(
            Choice("auto", "The worker's own GVHMR, else the installation that is named"),
            Choice("embedded", "GVHMR inside of the worker"),
            Choice("external", "A GVHMR installation of your own, run as it is"),
        ),
        advanced=True,
    )
    source: str = option(
        "",
        "A motion that is ready: hmr4d_results.pt of GVHMR, an .npz of WHAM or AMASS, or a "
        "motion.npz. Left empty, it is found in the plate",
        label="Ready Motion",
        flags=("--mocap-from",),
        unit="file",
        subtype="FILE_PATH",
    )
    gvhmr: str = option(
        "",
        "Folder of a GVHMR installation of your own",
        label="GVHMR Folder",
        flags=("--mocap-gvhmr",),
        unit="folder",
        subtype="DIR_PATH",
        advanced=True,
    )
    people: str = option(
        "",
        "Masks of the people in roto/, by their labels; left empty, each person that has masks or, "
        "without masks, that is detected",
        label="People",
        flags=("--mocap-people",),
        unit="words",
    )
    gender: str = option(
        "neutral",
        "The body model that is used",
        label="Body",
        flags=("--mocap-gender",),
        choices=(
            Choice("neutral", "Of no gender"),
            Choice("male", "A man's"),
            Choice("female", "A woman's"),
        ),
    )
    first: str = option(
        "",
        "The first frame that is looked at; left empty, the shot's first one",
        label="From",
        flags=("--mocap-in",),
        unit="frame",
        check=check_point,
        advanced=True,
    )
    last: str = option(
        "",
        "The last frame that is looked at; left empty, the shot's last one",
        label="To",
        flags=("--mocap-out",),
        unit="frame",
        check=check_point,
        advanced=True,
    )
    scale: str = option(
        "auto",
        "How far away the body stands, and with it how large it is in the shot's world",
        label="Scale",
        flags=("--mocap-scale",),
        choices=(
            Choice("auto", "From feet that stand still, else from the shot's floor", "Automatic"),
            Choice("floor", "So that the feet stand on the shot's floor, at height 0"),
            Choice("meters", "The shot's world is in meters already"),
        ),
    )
    lock_feet: bool = option(
        False,
        "Hold feet still while they stand on the ground",
        label="Lock Feet",
        flags=("--mocap-lock-feet",),
    )
    smooth: float = option(
        0.0,
        "Take out jitter, over so many frames; 0 leaves the motion as it was found",
        label="Smooth",
        flags=("--mocap-smooth",),
        minimum=0.0,
        maximum=30.0,
        unit="frames",
    )
    most_off: float = option(
        2.0,
        "The most that locking feet and smoothing may move a joint in the picture, in pixels",
        label="Most Off",
        flags=("--mocap-most-off",),
        minimum=0.0,
        maximum=100.0,
        unit="pixels",
        subtype="PIXEL",
        advanced=True,
    )
    meshes: str = option(
        "pc2",
        "Files of the body's mesh for other programs, frame by frame",
        label="Meshes",
        flags=("--mocap-meshes",),
        choices=(
            Choice("pc2", "A point cache of all frames", "PC2"),
            Choice("obj", "And a mesh a frame", "OBJ"),
            Choice("abc", "And an Alembic file", "Alembic"),
        ),
        advanced=True,
    )


@dataclass(frozen=True)
class UndistortOptions:
    """How the plate is undistorted: there is nothing to choose."""


@dataclass(frozen=True)
class ProxiesOptions:
    """How proxies are written: there is nothing to choose."""


@dataclass(frozen=True)
class SceneOptions:
    """What Blender writes from the results."""

    blend: str = option(
        "",
        "Save the scene with camera, plate and points as this .blend file",
        label="Blend File",
        flags=("--blend",),
        unit="file",
        subtype="FILE_PATH",
    )


@dataclass(frozen=True)
class Stage:
    """One entry of the table.

    `needs` are stages that must have run before, `reads` ("camera", "masks" ...) is what counts by
    its content as well (see `outputs.inputs_of`). `groups` are what it needs of the environment;
    models come on top (see `engines.groups_of`). `makes` are folders of the shot that the stage
    replaces as one, the first of which holds its `record`. `version` goes up when the same
    options on the same input would now give another result. `resumes`: what a canceled or failed
    run has made stays for the next one. `files` are options that name a file which is read.
    """

    name: str
    title: str
    summary: str
    options: type
    needs: tuple[str, ...]
    makes: tuple[str, ...]
    groups: tuple[str, ...] = ("core",)
    uses_gpu: bool = False
    version: int = 1
    reads: tuple[str, ...] = ()
    record: str = "stage.json"
    resumes: bool = False
    files: tuple[str, ...] = ()


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            name="ingest",
            title="Set Up",
            summary="Extract the plate's frames and write proxies",
            options=IngestOptions,
            needs=(),
            makes=("source",),
            version=3,
        ),
        Stage(
            name="roto",
            title="Roto by Text",
            summary="Find what a few words name and track its masks through the shot",
            options=RotoOptions,
            needs=("ingest",),
            makes=("roto",),
            uses_gpu=True,
            record="roto.json",
        ),
        Stage(
            name="interactive",
            title="Track Masks",
            summary="Track what points, boxes and drawn masks select through the shot",
            options=InteractiveOptions,
            needs=("ingest",),
            makes=("roto",),
            uses_gpu=True,
            reads=("prompts",),
            record="interactive.json",
        ),
        Stage(
            name="mama",
            title="Refine Mattes",
            summary="Turn the masks of each person and thing into soft mattes",
            options=MamaOptions,
            needs=("ingest",),
            makes=("matte", "roto/combined"),
            uses_gpu=True,
            reads=("instances",),
        ),
        Stage(
            name="colmap",
            title="Track Camera",
            summary="Solve the camera and a sparse point cloud from the frames",
            options=ColmapOptions,
            needs=("ingest",),
            makes=("colmap", "camera"),
            version=2,
            reads=("masks",),
        ),
        Stage(
            name="depth",
            title="Estimate Depth",
            summary="Estimate the depth of every frame with a model, in the units of the solve",
            options=DepthOptions,
            needs=("ingest",),
            makes=("depth",),
            uses_gpu=True,
            reads=("camera", "masks"),
            resumes=True,
        ),
        Stage(
            name="dense",
            title="Dense Mesh",
            summary="Find the depth of every pixel; make dense points and a textured mesh of it",
            options=DenseOptions,
            needs=("colmap",),
            makes=("colmap/dense",),
            groups=("core", "dense"),
            uses_gpu=True,
            reads=("camera", "masks", "depth"),
            resumes=True,
        ),
        Stage(
            name="cleanplate",
            title="Clean Plate",
            summary="Take what masks select out of the plate: the background from other frames",
            options=CleanPlateOptions,
            needs=("ingest",),
            makes=("cleanplate",),
            groups=("core", "dense"),
            uses_gpu=True,
            reads=("camera", "mattes", "dense", "depth"),
            resumes=True,
        ),
        Stage(
            name="mocap",
            title="Body Motion",
            summary="Find how people move, and stand their bodies in the shot",
            options=MocapOptions,
            needs=("colmap",),
            makes=("mocap",),
            uses_gpu=True,
            reads=("camera", "mattes", "bodies"),
            files=("source",),
            resumes=True,
        ),
        Stage(
            name="undistort",
            title="Undistort Plate",
            summary="Write the plate with its lens distortion taken out, at full size",
            options=UndistortOptions,
            needs=("colmap",),
            makes=("camera/undistorted",),
        ),
        Stage(
            name="proxies",
            title="Write Proxies",
            summary="Write proxies of mattes, clean plate and undistorted plate for scrubbing",
            options=ProxiesOptions,
            needs=("ingest",),
            makes=("proxies",),
            reads=("lens", "pictures"),
        ),
        Stage(
            name="scene",
            title="Build Scene",
            summary="Build the scene in a background Blender; write .abc, .usd and the .blend",
            options=SceneOptions,
            needs=("colmap",),
            makes=("scene",),
            reads=("camera", "dense", "motion"),
        ),
    )
}

# Names that the Shot-Gopher documentation has and this version has not, so that asking for one
# is answered with that and not with "unknown".
PLANNED = ("gsir",)


def get(name: str) -> Stage:
    """The stage of that name. Raises UsageError."""
    if name in STAGES:
        return STAGES[name]
    if name in PLANNED:
        raise UsageError(f"The stage '{name}' is not part of this version yet.")
    raise UsageError(f"There is no stage '{name}'. Stages: {', '.join(STAGES)}.")


def in_order(names: Iterable[str]) -> list[Stage]:
    """The named stages in the table's order, each once. Raises UsageError."""
    wanted = {get(name).name for name in names}
    return [stage for stage in STAGES.values() if stage.name in wanted]


def prerequisites(stage: Stage) -> list[Stage]:
    """Every stage that must have run before this one, in order."""
    found: set[str] = set()
    open_names = list(stage.needs)
    while open_names:
        name = open_names.pop()
        if name not in found:
            found.add(name)
            open_names.extend(STAGES[name].needs)
    return in_order(found)
