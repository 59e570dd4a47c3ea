# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, each as one plain sentence and, where there is one, a remedy.

    ShotGopherError          anything a user is told; exit code 1
      UsageError             the request itself is wrong; exit code 2
      PlateError             the plate cannot be read or is not one
      SolveError             the camera cannot be solved from this plate
      FormatError            a file is damaged or not of the format it claims
      InstallError           the worker's environment cannot be made
      BlenderError           no Blender could be used, or it failed
      MaskError              masks or mattes are missing, damaged or cannot be made
      OutputError            a result cannot be written (disk full, read-only folder)
      ComfyError             a ComfyUI server is not there, lacks something, or failed
      JobError               a job cannot be started or read
      ModelError             a model's weights are missing, wrong or cannot be had
    Canceled                 the user asked to stop; not an error, so not an Exception

A remedy is what the user can do about it.
"""

from __future__ import annotations

import errno
from enum import Enum


class Remedy(str, Enum):
    """What the user can press to get on; the panel draws each as a button."""

    INSTALL_ENVIRONMENT = "install_environment"
    SET_UP_SHOT = "set_up_shot"
    TRACK_CAMERA = "track_camera"
    RUN_AGAIN = "run_again"
    ALLOW_ONLINE = "allow_online"
    OPEN_LOG = "open_log"
    GET_MODEL = "get_model"


class ShotGopherError(Exception):
    """A failure told in one sentence (`reason`), with an optional `remedy`."""

    exit_code = 1

    def __init__(self, reason: str, remedy: Remedy | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class UsageError(ShotGopherError):
    exit_code = 2


class PlateError(ShotGopherError):
    pass


class SolveError(ShotGopherError):
    pass


class FormatError(ShotGopherError):
    pass


class InstallError(ShotGopherError):
    pass


class BlenderError(ShotGopherError):
    pass


class MaskError(ShotGopherError):
    pass


class OutputError(ShotGopherError):
    pass


class ComfyError(ShotGopherError):
    pass


class JobError(ShotGopherError):
    pass


class ModelError(ShotGopherError):
    pass


class Canceled(BaseException):
    """Raised at a safe point after the user asked to stop. Passes through `except Exception`."""


_OS_SENTENCES = {
    errno.ENOSPC: "The disk is full: {what}",
    errno.EDQUOT: "The disk quota is used up: {what}",
    errno.EROFS: "The folder is read-only: {what}",
    errno.EACCES: "No permission: {what}",
    errno.EPERM: "No permission: {what}",
    errno.ENOENT: "Not found: {what}",
}


def explain_os_error(error: OSError) -> str:
    """The one sentence for an operating-system error, naming the file where it is known."""
    what = str(error.filename or error.strerror or error)
    template = _OS_SENTENCES.get(error.errno or 0)
    return template.format(what=what) if template else f"{error.strerror or error}: {what}"
