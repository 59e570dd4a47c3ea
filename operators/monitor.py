# SPDX-License-Identifier: GPL-3.0-or-later
"""The one watcher of running jobs, and the views that panels draw.

It is a module-level object with a persistent timer, because a file load ends every modal operator
and every plain timer. The timer runs while a job does or while something has to be read, and is
gone when all is quiet. Disks are read in a thread, so that a slow network drive never holds up the
interface; jobs lie on a local disk and are polled in the timer, at some microseconds each.
"""

from __future__ import annotations

import logging
import threading
import time
import webbrowser
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import bpy
from bpy.app.handlers import persistent

from ..backend import locations
from ..backend.jobs import Job, JobState, JobStore
from ..backend.shot import folder_key
from ..backend.stages import STAGES
from . import addon
from .environment_view import EnvironmentView, compose_environment, read_environment
from .models_view import ModelsView, compose_models, read_models
from .previews import Previews
from .scene import stamp
from .scene.background import shown_name
from .view import (
    OnDisk,
    PlateFacts,
    Query,
    RecentView,
    ShotView,
    compose,
    jobs_of,
    look_at,
    read_recent,
    read_shot,
)

POLL_INTERVAL = 0.25
READ_INTERVAL = 0.05
"""Seconds between two looks at the thread that reads."""
AFTER_FAILURE = 2.0
SETTLING = (0.25, 1.0)
"""Seconds after which a change is drawn again. A panel that grew is drawn in its old height first,
and a slow machine takes a while for that."""

_IMPORTED = {"colmap", "dense", "depth", "cleanplate", "mocap", "undistort", "proxies"}
"""Stages after which the scene is brought up to date."""

_IMPORTERS = {"colmap": "camera_import", "dense": "dense_import", "mocap": "body_import"}
"""Their operators that are called for scenes that want results imported when they are done."""

_THREAD = "shot_gopher"
_LONGEST_WAIT = 2.0
"""Seconds that an artist waits for a look at a slow disk."""

_log = logging.getLogger(__name__)


class Reading:
    """One look at the disk in a thread of its own. `result` is set once it is `done`."""

    def __init__(self, read: Callable[[], Any]) -> None:
        self._read = read
        self.result: Any = None
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=_THREAD, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._read()
        except Exception as error:
            self.error = error

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()


class Monitor:
    """Follows the jobs of the open scenes' shots. Everything here runs in Blender's main thread."""

    def __init__(self) -> None:
        self.environment = EnvironmentView()
        self._environment_on_disk = EnvironmentView()
        self.models = ModelsView()
        self._models_on_disk = ModelsView()
        self.trouble = ""
        self.import_waits = False
        self.recent: tuple[RecentView, ...] = ()
        self.previews = Previews()
        self._views: dict[int, ShotView] = {}
        self._on_disk: dict[int, OnDisk] = {}
        self._jobs: dict[str, Job] = {}
        self._canceling: set[str] = set()
        self._to_import: list[Job] = []
        self._to_show: set[str] = set()
        self.when_ended: list[Callable[[Job], None]] = []
        self._import_troubles: dict[int, str] = {}
        self._dirty = False
        self._settling: list[float] = []
        self._reading: Reading | None = None
        self._look: tuple[tuple[str, str], Reading] | None = None
        self._looked: dict[tuple[str, str], PlateFacts] = {}

    # What panels and operators ask

    def view(self, scene: bpy.types.Scene) -> ShotView:
        """What is known of the scene's shot. Of a scene never seen before it will be read soon."""
        known = self._views.get(scene.session_uid)
        if known is None:
            self.refresh_soon()
            return ShotView()
        return known

    @property
    def active_jobs(self) -> list[Job]:
        return [job for job in self._jobs.values() if job.snapshot.state.active]

    # What operators and handlers tell

    def refresh_soon(self) -> None:
        """Something may have changed on disk or in the scene's settings."""
        self._dirty = True
        self._wake()

    def follow(self, job: Job) -> None:
        """Watches a job that was just started."""
        self._jobs[job.folder.name] = job
        self._compose()
        self.refresh_soon()

    def show_again(self, folder: str) -> None:
        """Images of the shot in that folder have changed: what shows them reads them again."""
        self._to_show.add(folder_key(folder))
        self.refresh_soon()

    def cancel(self, job_id: str) -> None:
        """Asks a job to stop; the timer presses on when it does not."""
        job = self._jobs[job_id]
        self._canceling.add(job_id)
        job.cancel()
        self._compose()
        self._wake()

    def forget(self) -> None:
        """Another file is open: what was known of the scenes is void; running jobs are not."""
        self._views.clear()
        self._on_disk.clear()
        self.refresh_soon()

    def stop(self) -> None:
        """The add-on goes away. Jobs run on."""
        if bpy.app.timers.is_registered(_tick):
            bpy.app.timers.unregister(_tick)
        self.previews.free()

    # The timer

    def _wake(self) -> None:
        if not bpy.app.background and not bpy.app.timers.is_registered(_tick):
            bpy.app.timers.register(_tick, first_interval=READ_INTERVAL, persistent=True)

    def tick(self) -> float | None:
        """One step. Returns the seconds until the next, None when there is nothing to watch."""
        if self._settling and time.monotonic() >= self._settling[0]:
            del self._settling[0]
            _redraw()
        changed = self._take_reading() | self._poll_jobs() | self._look_into_plates()
        # The time that is left runs down while nothing else changes.
        if changed or self.active_jobs:
            self._compose()
        self._import_finished()
        if self._dirty and self._reading is None:
            self._dirty = False
            self._reading = Reading(self._read_all())
        if self._reading or self._look or self._dirty or self._settling:
            return READ_INTERVAL
        waiting = self.active_jobs or self._to_import or self._to_show
        return POLL_INTERVAL if waiting else None

    def _read_all(self) -> Callable[[], Any]:
        """The work for the thread: it is given plain values, because it may not touch Blender."""
        host = addon.host()
        queries = {scene.session_uid: _query(scene) for scene in bpy.data.scenes}
        store = JobStore(locations.jobs_folder(host.home))

        def read() -> Any:
            jobs = store.jobs()
            shots = {uid: read_shot(query, jobs) for uid, query in queries.items()}
            installed, recent = read_environment(host, jobs), read_recent(host.home)
            return shots, installed, read_models(host, jobs), recent

        return read

    def _take_reading(self) -> bool:
        reading = self._reading
        if reading is None or not reading.done:
            return False
        self._reading = None
        if reading.error:
            raise reading.error
        self._on_disk, installed, models, self.recent = reading.result
        self._environment_on_disk, installs = installed
        self._models_on_disk, downloads = models
        found = [job for disk in self._on_disk.values() for job in disk.jobs]
        # A job that is followed already has been read further than the copy from the disk.
        self._jobs = {
            job.folder.name: self._jobs.get(job.folder.name, job)
            for job in (*found, *installs, *downloads)
        } | {job.folder.name: job for job in self.active_jobs}
        self.trouble = ""
        return True

    def _look_into_plates(self) -> bool:
        """Lets the worker's environment look into plates that are not set up, one at a time, each
        once. Returns whether something has been found out."""
        found = self._look is not None and self._look[1].done
        if self._look is not None and found:
            plate, reading = self._look
            self._look, self._looked[plate] = None, reading.result or PlateFacts()
        unknown = (disk.unknown_plate for disk in self._on_disk.values())
        todo = next((plate for plate in unknown if plate and plate not in self._looked), None)
        python = self._environment_on_disk.python
        if self._look is None and todo and python:
            self._look = (todo, Reading(lambda: look_at(todo[0], python)))
        return found

    def _poll_jobs(self) -> bool:
        """Polls every running job. Returns whether anything has changed."""
        changed = False
        for job in self.active_jobs:
            before = job.snapshot
            job.poll()
            job.press_cancel()
            waiting = job.snapshot.waiting
            if waiting is not None and before.waiting is None and job.request.attended:
                webbrowser.open(waiting.link)
            changed |= job.snapshot != before
            if job.snapshot.stage != before.stage or not job.snapshot.state.active:
                self._dirty = True
            if job.snapshot.state is JobState.FINISHED and _IMPORTED & {*job.snapshot.stages}:
                self._to_import.append(job)
            if not job.snapshot.state.active:
                self._canceling.discard(job.folder.name)
                for tell in self.when_ended:
                    tell(job)
        return changed

    def _compose(self) -> None:
        """Makes the views anew and redraws what shows them, if they differ."""
        jobs = sorted(self._jobs.values(), key=lambda job: job.folder.name)
        views = {uid: self._compose_shot(uid, disk, jobs) for uid, disk in self._on_disk.items()}
        environment = compose_environment(self._environment_on_disk, jobs, self._canceling)
        models = compose_models(self._models_on_disk, jobs, self._canceling)
        if (views, environment, models) != (self._views, self.environment, self.models):
            self._views, self.environment, self.models = views, environment, models
            stages = [stage for view in views.values() for stage in view.stages.values()]
            self.previews.keep({stage.preview for stage in stages if stage.preview is not None})
            _redraw()
            self._settling = [time.monotonic() + wait for wait in SETTLING]

    def _compose_shot(self, uid: int, disk: OnDisk, jobs: list[Job]) -> ShotView:
        mine = jobs_of(disk.folder, jobs)
        view = compose(disk, mine, self._canceling)
        facts = self._looked.get(disk.unknown_plate or ("", ""), PlateFacts())
        return replace(
            view,
            trouble=self._import_troubles.get(uid, ""),
            plate_lines=(*view.plate_lines, *facts.lines),
            plate_fault=facts.fault,
        )

    # Importing what has finished

    def _import_finished(self) -> None:
        """Imports what jobs that ended well have made, where a scene asked for it."""
        waits = bool(self._to_import or self._to_show) and _artist_is_busy()
        if (waits and bool(self._to_import)) != self.import_waits:
            self.import_waits = waits and bool(self._to_import)
            _redraw()
        if waits or _threads():
            return
        for job in self._to_import:
            for scene in _scenes_waiting_for(job):
                self._import_into(scene, job)
            for scene in _scenes_showing(job):
                self._call(scene, "background_refresh")
        self._to_import.clear()
        for scene in _scenes_of(self._to_show):
            self._call(scene, "background_refresh")
        self._to_show.clear()

    def _import_into(self, scene: bpy.types.Scene, job: Job) -> None:
        self._import_troubles.pop(scene.session_uid, None)
        for stage, operator in _IMPORTERS.items():
            if stage in job.snapshot.stages:
                self._call(scene, operator)

    def _call(self, scene: bpy.types.Scene, operator: str) -> None:
        """Calls an operator for a scene; what it reports as an error is shown in the panel."""
        window = _window_showing(scene)
        try:
            with bpy.context.temp_override(
                window=window, scene=scene, view_layer=_view_layer(window, scene)
            ):
                getattr(bpy.ops.shot_gopher, operator)("EXEC_DEFAULT", True)
        except RuntimeError as error:
            # What the operator reported; Blender shows no popup for one that a timer has called.
            text = str(error).removeprefix("Error: ").strip()
            self._import_troubles[scene.session_uid] = text
        self._compose()


def _query(scene: bpy.types.Scene) -> Query:
    settings = scene.shot_gopher
    return Query(
        folder=addon.absolute(settings.shot),
        plate=addon.absolute(settings.plate),
        options={name: addon.stage_options(scene, name) for name in STAGES},
        shown=stamp.all_in(scene),
    )


def _scenes_waiting_for(job: Job) -> list[bpy.types.Scene]:
    return [
        scene
        for scene in bpy.data.scenes
        if {*_IMPORTERS} & {*job.snapshot.stages}
        and scene.shot_gopher.import_when_done
        and jobs_of(addon.absolute(scene.shot_gopher.shot), [job])
    ]


def _scenes_showing(job: Job) -> list[bpy.types.Scene]:
    """Those that show what other images or proxies have just been written of."""
    return [
        scene
        for scene in bpy.data.scenes
        if "colmap" not in job.snapshot.stages
        and shown_name(scene)
        and jobs_of(addon.absolute(scene.shot_gopher.shot), [job])
    ]


def _scenes_of(folders: set[str]) -> list[bpy.types.Scene]:
    """Those that show something of one of these shots."""
    return [
        scene
        for scene in bpy.data.scenes
        if shown_name(scene) and folder_key(addon.absolute(scene.shot_gopher.shot)) in folders
    ]


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == _THREAD]


def let_threads_end() -> None:
    """To be called before an operator is called in an overridden context: Blender 4.2 looks into
    that, which is a Python dictionary, without holding Python's lock while the operator ends."""
    for thread in _threads():
        thread.join(_LONGEST_WAIT)


def _artist_is_busy() -> bool:
    """In the middle of a drag, or in a mode whose undo steps an import would break."""
    windows = bpy.context.window_manager.windows
    modal = any(
        # Not those that only watch, such as one that shows the keys that are pressed.
        operator.bl_options & {"UNDO", "BLOCKING", "GRAB_CURSOR"}
        for window in windows
        for operator in window.modal_operators
    )
    return modal or any(
        layer.objects.active is not None and layer.objects.active.mode != "OBJECT"
        for layer in (window.view_layer for window in windows)
    )


def _window_showing(scene: bpy.types.Scene) -> bpy.types.Window:
    windows = bpy.context.window_manager.windows
    return next((window for window in windows if window.scene == scene), windows[0])


def _view_layer(window: bpy.types.Window, scene: bpy.types.Scene) -> bpy.types.ViewLayer:
    return window.view_layer if window.scene == scene else scene.view_layers[0]


_SHOWN_IN = {
    "VIEW_3D": "UI",
    "CLIP_EDITOR": "UI",
    "IMAGE_EDITOR": "UI",
    "PREFERENCES": "WINDOW",
}
"""The regions that show what the monitor knows, by their areas."""


def _redraw() -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            for region in area.regions if area.type in _SHOWN_IN else ():
                if region.type == _SHOWN_IN[area.type]:
                    region.tag_redraw()


def redraw_panels() -> None:
    """Draws what shows the monitor's views again."""
    _redraw()


monitor = Monitor()


def _tick() -> float | None:
    try:
        return monitor.tick()
    except Exception as error:
        # An exception would make Blender drop the timer, and with it the news of every job.
        _log.exception("Shot Gopher could not look after its jobs")
        monitor.trouble = f"Jobs cannot be watched: {error}."
        _redraw()
        return AFTER_FAILURE


@persistent
def _file_loaded(*_arguments: Any) -> None:
    monitor.forget()


@persistent
def _undone(*_arguments: Any) -> None:
    # An undo brings old settings back without telling their update callbacks.
    monitor.refresh_soon()


_HANDLERS = (("load_post", _file_loaded), ("undo_post", _undone), ("redo_post", _undone))


def register() -> None:
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)
    monitor.refresh_soon()


def unregister() -> None:
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).remove(handler)
    monitor.stop()
