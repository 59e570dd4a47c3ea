# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that a Blender without a window, or the bpy wheel, runs to build a shot's scene.

    blender -b --factory-startup --python operators/headless.py -- REQUEST.json ANSWER.json

REQUEST   shot: the shot's folder; scene: the .blend to write; blend: a copy of it, or "";
          exports: the folder for the camera's files; formats: which of them; frames: [first, last],
          or null for the scene's range; status_mark: what status lines begin with
ANSWER    files: what was written; warnings: sentences; error: a sentence, "" when all went well;
          blender: its version

Status lines on standard output tell what is being done. The exit status is 1 when there is an
error. bpy and the package are imported late: this file is a script.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGE = "shot_gopher"
ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str]) -> int:
    """Builds what the request file asks for and writes the answer file; the exit status."""
    request = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    answer = answer_to(request)
    Path(arguments[1]).write_text(json.dumps(answer), encoding="utf-8")
    return 1 if answer["error"] else 0


def answer_to(request: dict[str, Any]) -> dict[str, Any]:
    """Does what was asked; failures become the answer's `error`."""
    import bpy

    load_package()
    from shot_gopher.backend.errors import ShotGopherError

    answer = {"files": [], "warnings": [], "error": "", "blender": bpy.app.version_string}
    try:
        _build(request, answer)
    except ShotGopherError as error:
        answer["error"] = error.reason
    except Exception as error:
        traceback.print_exc()
        answer["error"] = f"Blender could not build the scene: {error}"
    return answer


def load_package() -> None:
    """Makes this repository importable under the name it has here; its own name in Blender is
    longer and not known outside."""
    if PACKAGE in sys.modules:
        return
    # The folder may be an installed extension, which must not be written to.
    sys.dont_write_bytecode = True
    spec = importlib.util.spec_from_file_location(
        PACKAGE, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)


def _build(request: dict[str, Any], answer: dict[str, Any]) -> None:
    import bpy
    from shot_gopher.backend.dense import find_parts
    from shot_gopher.backend.shot import Shot
    from shot_gopher.operators.scene.dense import import_dense
    from shot_gopher.operators.scene.shot import import_shot

    _status(request, "Building the scene")
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    shot = Shot(Path(request["shot"]))
    result = import_shot(bpy.context, shot)
    answer["warnings"] += result.warnings
    there = find_parts(shot)
    if there.cloud or there.mesh:
        _status(request, "Importing the dense mesh")
        import_dense(bpy.context, shot)
    _import_bodies(shot, request, answer)
    _look_through_camera()
    for place in (request["scene"], request["blend"]):
        if place:
            _status(request, f"Saving {Path(place).name}")
            _save(Path(place))
            answer["files"].append(place)
    _export(result.camera, request, answer)


def _import_bodies(shot: Any, request: dict[str, Any], answer: dict[str, Any]) -> None:
    """People whose motion is of this solve; what is left out is a warning."""
    import bpy
    from shot_gopher.backend.errors import ShotGopherError
    from shot_gopher.operators.scene.body import import_body, people_of

    if not shot.mocap.record.is_file():
        return
    try:
        for person in people_of(shot):
            _status(request, f"Importing {person}")
            answer["warnings"] += import_body(bpy.context, shot, person).notes
    except ShotGopherError as error:
        answer["warnings"].append(error.reason)


def _export(camera: Any, request: dict[str, Any], answer: dict[str, Any]) -> None:
    """Writes each format that this Blender can; what it cannot is a warning."""
    import bpy
    from shot_gopher.backend.errors import BlenderError
    from shot_gopher.operators.scene.exports import export

    scene = bpy.context.scene
    first, last = request["frames"] or (scene.frame_start, scene.frame_end)
    for name in request["formats"]:
        _status(request, f"Writing camera.{name}")
        try:
            files = export(
                bpy.context,
                camera,
                Path(request["exports"]),
                [name],
                range(first, last + 1),
                every_plate=True,
            )
        except BlenderError as error:
            answer["warnings"].append(error.reason)
        else:
            answer["files"] += [str(file) for file in files]


def _look_through_camera() -> None:
    """Who opens the file sees the plate through the camera."""
    import bpy

    views = (
        space
        for screen in bpy.data.screens
        for area in screen.areas
        for space in area.spaces
        if space.type == "VIEW_3D" and space.region_3d is not None
    )
    for view in views:
        view.region_3d.view_perspective = "CAMERA"


def _save(path: Path) -> None:
    """Saves a .blend whose plate is named relative to it: shot and file may move together.

    The file is saved twice, because a clip looks for its images as soon as it is given a relative
    name, and finds none before the .blend has a place.
    """
    import bpy
    from shot_gopher.backend.errors import OutputError

    bpy.context.preferences.filepaths.save_version = 0
    restore: list[Callable[[], None]] = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        bpy.ops.wm.save_as_mainfile(filepath=str(path), check_existing=False, relative_remap=False)
        restore = [_relative(clip, path.parent) for clip in bpy.data.movieclips]
        restore += [_relative_file(each, path.parent) for each in (*bpy.data.images, *_caches())]
        bpy.ops.wm.save_mainfile(relative_remap=False)
    except (OSError, RuntimeError) as error:
        raise OutputError(f"{path} cannot be written: {error}") from error
    finally:
        for back in restore:
            back()


def _relative(clip: Any, folder: Path) -> Callable[[], None]:
    """Names a clip's files relative to a folder; what is returned names them as before."""
    plate, proxies = clip.filepath, clip.proxy.directory

    def back() -> None:
        clip.filepath, clip.proxy.directory = plate, proxies

    clip.filepath = _relative_path(plate, folder)
    clip.proxy.directory = _relative_path(proxies, folder)
    return back


def _caches() -> list[Any]:
    """The modifiers that play point caches."""
    import bpy

    found = (each for holder in bpy.data.objects for each in holder.modifiers)
    return [each for each in found if each.type == "MESH_CACHE"]


def _relative_file(part: Any, folder: Path) -> Callable[[], None]:
    """The same for an image, or a modifier with a file."""
    whole = part.filepath
    part.filepath = _relative_path(whole, folder)

    def back() -> None:
        part.filepath = whole

    return back


def _relative_path(path: str, folder: Path) -> str:
    """In Blender's spelling; as it is where there is no relative path (another drive)."""
    if not path:
        return ""
    try:
        return "//" + os.path.relpath(path, folder.resolve()).replace(os.sep, "/")
    except ValueError:
        return path


def _status(request: dict[str, Any], text: str) -> None:
    sys.stdout.write(f"{request['status_mark']}{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    status = 1
    try:
        status = main(sys.argv[sys.argv.index("--") + 1 :])
    except Exception:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    # bpy has been seen to hang when its interpreter ends.
    os._exit(status)
