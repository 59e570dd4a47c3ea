# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands behind the camera: a movie clip for each thing a shot has to show, one shown at once.

The plate's clip is the one with the markers. Clips that are not shown are kept, so that switching
takes no time; one background image of the camera shows them all in turn, with what the artist set
of it. Blender uses proxies where the clip and whoever shows it say so; without the files it would
then show nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import bpy

from ...backend.backgrounds import PLATE, Background
from ...backend.errors import FormatError
from ...backend.proxies import PROXY_FOLDER, PROXY_PERCENTS, Proxies, quick_size
from . import parts
from .lens import blender_distortion, copy_lens

NAME = "shot_gopher_background"
"""Custom property: of a clip, which background it shows; of a camera, which the artist chose."""
_ROLES = (parts.Role.PLATE.value, parts.Role.BACKGROUND.value)
_BUILT = tuple(f"build{end}_{size}" for end in ("", "_undistorted") for size in PROXY_PERCENTS)
"""What Blender would build again when the artist asks for it: what is there."""
AUTO, FULL = "AUTO", "FULL"
"""Proxy sizes beside the percents: one that scrubs well, and no proxies."""


def find_clip(source: str, name: str) -> bpy.types.MovieClip | None:
    """The clip of a background of the shot at `source`."""
    if name == PLATE:
        return parts.find(bpy.data.movieclips, parts.Role.PLATE, source)
    named = (clip for clip in bpy.data.movieclips if clip.get(NAME) == name)
    return parts.find(named, parts.Role.BACKGROUND, source)


def clip_of(
    source: str, title: str, background: Background, read_again: bool = False
) -> bpy.types.MovieClip:
    """The clip of a background with its proxies, and with the lens of the plate's clip.

    It is made if it is not there. `read_again` drops what Blender remembers of its images. Raises
    FormatError when it cannot read them.
    """
    clip = find_clip(source, background.name)
    if clip is None:
        clip = _new_clip(source, title, background)
    elif read_again or bpy.path.abspath(clip.filepath) != str(background.first):
        clip.filepath = str(background.first)
    clip.frame_start = background.first_frame
    _use_proxies(clip, background)
    plate = find_clip(source, PLATE)
    if plate is not None and plate != clip and background.placement is None:
        copy_lens(plate, clip)
    return clip


def _new_clip(source: str, title: str, background: Background) -> bpy.types.MovieClip:
    try:
        clip = bpy.data.movieclips.load(str(background.first))
    except RuntimeError as error:
        raise FormatError(f"The image {background.first} cannot be read.") from error
    is_plate = background.name == PLATE
    clip.name = title if is_plate else f"{title} {background.label}"
    parts.tag(clip, parts.Role.PLATE if is_plate else parts.Role.BACKGROUND, source)
    clip[NAME] = background.name
    # Nothing else may hold it while another is shown, and its markers would not be saved.
    clip.use_fake_user = True
    return clip


def _use_proxies(clip: bpy.types.MovieClip, background: Background) -> None:
    """Leaves alone what is right already: Blender reads the images again after each change."""
    custom, folder = background.proxies is not None, str(background.proxies or "")
    if clip.use_proxy_custom_directory != custom:
        clip.use_proxy_custom_directory = custom
    if bpy.path.abspath(clip.proxy.directory) != folder:
        clip.proxy.directory = folder
    ending = "_undistorted" if background.lens is not None else ""
    there = {f"build{ending}_{percent}" for percent in background.sizes}
    for name in _BUILT:
        setattr(clip.proxy, name, name in there)
    if clip.use_proxy != bool(background.sizes):
        clip.use_proxy = bool(background.sizes)


def is_straightened(background: Background) -> bool:
    """Whether Blender shows it with its distortion taken out, to fit the pinhole camera.

    It can where it has the same lens model, or where proxies were written that way.
    """
    lens = background.lens
    return lens is not None and (bool(background.sizes) or blender_distortion(lens) is not None)


def default_of(backgrounds: Sequence[Background]) -> Background:
    """What fits the camera best: the plate with its distortion taken out, where that can be."""
    return next((each for each in backgrounds[:2] if is_straightened(each)), backgrounds[0])


def chosen(data: bpy.types.Camera, backgrounds: Sequence[Background]) -> Background:
    """The artist's choice for a camera as long as it is there, else the default."""
    name = data.get(NAME)
    return next((each for each in backgrounds if each.name == name), default_of(backgrounds))


def choose(data: bpy.types.Camera, background: Background) -> None:
    """The artist wants to see it, now and after the next import."""
    data[NAME] = background.name
    data.show_background_images = True
    for image in data.background_images:
        if image.clip is not None and image.clip.get(parts.ROLE) in _ROLES:
            image.show_background_image = True


def shown_name(scene: bpy.types.Scene) -> str:
    """The name of what stands behind the scene's camera, "" where that is not ours."""
    camera = scene.camera
    images = camera.data.background_images if camera and camera.type == "CAMERA" else ()
    names = (str(image.clip.get(NAME, "")) for image in images if image.clip is not None)
    return next((name for name in names if name), "")


def shown_in(data: bpy.types.Camera, source: str) -> bpy.types.CameraBackgroundImage | None:
    """The camera's background image that shows the shot at `source`."""
    return next(
        (each for each in data.background_images if each.clip and _is_of(each.clip, source)), None
    )


# Masks over the plate

_OVER_ALPHA = 0.5


def _ours(data: bpy.types.Camera) -> list[bpy.types.CameraBackgroundImage]:
    """The first shows what is behind the camera, the second the masks over it."""
    images = (each for each in data.background_images if each.clip is not None)
    return [each for each in images if each.clip.get(parts.ROLE) in _ROLES]


def over_name(scene: bpy.types.Scene) -> str:
    """The name of the masks that are shown over the plate, "" for none."""
    camera = scene.camera
    images = _ours(camera.data) if camera and camera.type == "CAMERA" else []
    return str(images[1].clip.get(NAME, "")) if len(images) > 1 else ""


def show_over(
    camera: bpy.types.Object, source: str, title: str, masks: Background, size: str = AUTO
) -> None:
    """Shows masks half transparent over what stands behind the camera, in the place of others that
    were shown so. Raises FormatError when Blender cannot read the images."""
    clip, images = clip_of(source, title, masks), _ours(camera.data)
    over = images[1] if len(images) > 1 else _new_image(camera.data)
    if len(images) < 2:
        over.alpha, over.display_depth = _OVER_ALPHA, "FRONT"
    over.clip = clip
    over.clip_user.use_render_undistorted = is_straightened(masks)
    use_size(clip, over.clip_user, size)


def hide_over(scene: bpy.types.Scene) -> None:
    for over in _ours(scene.camera.data)[1:]:
        scene.camera.data.background_images.remove(over)


def _is_of(clip: bpy.types.MovieClip, source: str) -> bool:
    return clip.get(parts.ROLE) in _ROLES and parts.same_source(clip.get(parts.SOURCE), source)


def show(
    camera: bpy.types.Object, source: str, title: str, background: Background, size: str = AUTO
) -> bpy.types.MovieClip:
    """Shows a background behind the camera, in the place of the one that was shown.

    What the artist set of the camera's background image stays. `title` is what new clips are
    called. Returns the clip. Raises FormatError when Blender cannot read the images.
    """
    clip = clip_of(source, title, background)
    shown = shown_in(camera.data, source) or _new_image(camera.data)
    if shown.clip != clip:
        shown.clip = clip
    shown.clip_user.use_render_undistorted = is_straightened(background)
    use_size(clip, shown.clip_user, size)
    _place(shown, background)
    return clip


def refresh(source: str, title: str, backgrounds: Sequence[Background]) -> None:
    """Brings the clips that there are of a shot up to date with its files and its lens."""
    for background in backgrounds:
        if find_clip(source, background.name) is not None:
            clip_of(source, title, background, read_again=True)


def _new_image(data: bpy.types.Camera) -> bpy.types.CameraBackgroundImage:
    data.show_background_images = True
    shown = data.background_images.new()
    shown.source = "MOVIE_CLIP"
    shown.alpha = 1.0
    shown.display_depth = "BACK"
    shown.frame_method = "FIT"
    return shown


_PLACED = "shot_gopher_placed"
"""Custom property of a camera whose background image was not put as a plate is."""


def _place(shown: bpy.types.CameraBackgroundImage, background: Background) -> None:
    """An undistorted plate with overscan reaches past the camera's frame."""
    data = shown.id_data
    if background.placement is not None:
        shown.scale, *shown.offset = background.placement
        data[_PLACED] = True
    elif data.get(_PLACED):
        shown.scale, shown.offset = 1.0, (0.0, 0.0)
        del data[_PLACED]


def use_size(clip: bpy.types.MovieClip, user: bpy.types.MovieClipUser, size: str) -> None:
    """Has a user of a clip show it in a proxy size: "AUTO", "FULL" or percents.

    One that is not there becomes one that is.
    """
    sizes = _sizes_of(clip, user.use_render_undistorted) if size != FULL else ()
    percent = next((each for each in sizes if str(each) == size), quick_size(clip.size[0], sizes))
    wanted = f"PROXY_{percent}" if percent is not None else FULL
    if user.proxy_render_size != wanted:
        user.proxy_render_size = wanted


def _sizes_of(clip: bpy.types.MovieClip, undistorted: bool) -> tuple[int, ...]:
    """The percents of the proxies that the clip uses."""
    if not clip.use_proxy:
        return ()
    first = Path(bpy.path.abspath(clip.filepath))
    custom = clip.use_proxy_custom_directory
    folder = Path(bpy.path.abspath(clip.proxy.directory)) if custom else first.parent / PROXY_FOLDER
    return Proxies(folder, first.name).sizes(undistorted)


# The movie clip editors


def editors() -> Iterator[bpy.types.SpaceClipEditor]:
    for screen in bpy.data.screens:
        for area in screen.areas:
            for space in area.spaces:
                if space.type == "CLIP_EDITOR":
                    yield space


def show_in_editors(
    clip: bpy.types.MovieClip, source: str, straightened: bool, size: str, follow: bool
) -> None:
    """Shows a clip in the movie clip editors that show nothing; with `follow` also in those that
    show something of the same shot. All that show this shot use its proxies.
    """
    for space in editors():
        mine = space.clip is not None and _is_of(space.clip, source)
        if space.clip is None or (follow and mine):
            space.clip = clip
            space.clip_user.use_render_undistorted = straightened
        if space.clip == clip or mine:
            use_size(space.clip, space.clip_user, size)


def use_size_everywhere(size: str) -> None:
    """Has every camera and clip editor show the clips of shots in a proxy size."""
    for data in bpy.data.cameras:
        for image in data.background_images:
            if image.clip is not None and image.clip.get(parts.ROLE) in _ROLES:
                use_size(image.clip, image.clip_user, size)
    for space in editors():
        if space.clip is not None and space.clip.get(parts.ROLE) in _ROLES:
            use_size(space.clip, space.clip_user, size)
