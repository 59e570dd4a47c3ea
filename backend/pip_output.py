# SPDX-License-Identifier: GPL-3.0-or-later
"""What pip and the packages say, read: what is going on, and why it failed, in one sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence

BIG_DOWNLOAD = 20_000_000
"""Bytes from which on a download is told of."""
STEPS = 10

_DOWNLOAD = re.compile(r"^\s*Downloading \S+ \((?P<number>[\d.]+) (?P<unit>[kMG]?B)\)")
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_RAW_PROGRESS = re.compile(r"^Progress (?P<done>\d+) of (?P<total>\d+)$")
_UNMET = re.compile(r"No matching distribution found for (?P<pin>\S+)")
_MISSING_LIBRARY = re.compile(r"(?P<library>lib[\w.+-]+\.so[.\d]*): cannot open shared object")

# Debian and Ubuntu's package, then Fedora's, for each system library a wheel may ask for.
SYSTEM_LIBRARIES = {
    "libEGL.so.1": ("libegl1", "libglvnd-egl"),
    "libGL.so.1": ("libgl1", "libglvnd-glx"),
    "libGLX.so.0": ("libglx0", "libglvnd-glx"),
    "libICE.so.6": ("libice6", "libICE"),
    "libOpenGL.so.0": ("libopengl0", "libglvnd-opengl"),
    "libSM.so.6": ("libsm6", "libSM"),
    "libX11.so.6": ("libx11-6", "libX11"),
    "libXext.so.6": ("libxext6", "libXext"),
    "libXfixes.so.3": ("libxfixes3", "libXfixes"),
    "libXi.so.6": ("libxi6", "libXi"),
    "libXrender.so.1": ("libxrender1", "libXrender"),
    "libXt.so.6": ("libxt6", "libXt"),
    "libXxf86vm.so.1": ("libxxf86vm1", "libXxf86vm"),
    "libgomp.so.1": ("libgomp1", "libgomp"),
    "libstdc++.so.6": ("libstdc++6", "libstdc++"),
    "libxkbcommon.so.0": ("libxkbcommon0", "libxkbcommon"),
    "libz.so.1": ("zlib1g", "zlib"),
}

_NO_SPACE = "The disk became full while {what} was installed. Free some space, then install again."
_NO_NETWORK = (
    "The package server cannot be reached. Check the network, and HTTPS_PROXY where a proxy is "
    "needed, then install again; what is there already is kept."
)
# The first pattern found in the output decides: what came first in the chain of causes stands
# first, since pip ends a failed connection with "No matching distribution" too.
_SENTENCES: tuple[tuple[str, str], ...] = (
    (r"No space left on device|Errno 28|WinError 112|not enough space on the disk", _NO_SPACE),
    (r"Disk quota exceeded|Errno 122", _NO_SPACE),
    (
        r"DO NOT MATCH THE HASHES|Wheel '.*' located at .* is invalid|BadZipFile",
        "The download of {what} arrived damaged. Install again; if that stays so, another program "
        "on the way (a proxy or a virus scanner) changes it.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerification",
        "The package server's certificate is not trusted. Behind a company's proxy, set PIP_CERT "
        "to the file of its certificate, then install again.",
    ),
    (
        r"ProxyError|Cannot connect to proxy|407 Proxy",
        "The proxy cannot be reached or refuses. Check HTTPS_PROXY, then install again.",
    ),
    (
        r"NewConnectionError|NameResolutionError|Failed to establish|getaddrinfo|"
        r"name resolution|Retrying \(Retry|[Rr]ead timed out|ConnectTimeout|"
        r"Network is unreachable|Connection (?:reset|refused|aborted)|ConnectionError|"
        r"IncompleteRead|IncompleteDownload|incomplete-download",
        _NO_NETWORK,
    ),
    (
        r"HTTP error (?:40[13]|5\d\d)|(?:40[13]|5\d\d) (?:Client|Server) Error",
        "The package server refused to give {what}. Try again later, or check PIP_INDEX_URL.",
    ),
    (
        r"No matching distribution found",
        "There is no build of {what} for this machine ({machine}). Shot Gopher's packages are made "
        "for 64-bit Linux (glibc 2.28 or newer) and Windows on Intel and AMD, and for macOS on "
        "Apple silicon.",
    ),
    (
        r"Permission denied|Errno 13|WinError 5\b|Access is denied|Read-only file system",
        "A file of the environment may not be written. Close other programs that use it and check "
        "the rights of {folder}, then install again.",
    ),
    (
        r"No module named (?:'?ensurepip|'?venv)|ensurepip is not available",
        "This Python cannot make environments. On Debian or Ubuntu: sudo apt install python3-venv",
    ),
)


def is_raw_progress(line: str) -> bool:
    """Whether a line is one of the many that only count bytes."""
    return _RAW_PROGRESS.match(line) is not None


class DownloadProgress:
    """Makes a few statuses of what pip says while it fetches one package."""

    def __init__(self, package: str) -> None:
        self._package = package
        self._step = 0

    def read(self, line: str) -> str:
        """A status when a big download begins or went on by a tenth, else ""."""
        begins, goes_on = _DOWNLOAD.match(line), _RAW_PROGRESS.match(line)
        if begins and float(begins["number"]) * _UNITS[begins["unit"]] >= BIG_DOWNLOAD:
            return f"Downloading {self._package} ({begins['number']} {begins['unit']})"
        if goes_on:
            return self._went_on(int(goes_on["done"]), int(goes_on["total"]))
        return ""

    def _went_on(self, done: int, total: int) -> str:
        if total < BIG_DOWNLOAD or done >= total or done * STEPS // total <= self._step:
            return ""
        self._step = done * STEPS // total
        return f"Downloading {self._package}: {done // 10**6} of {total // 10**6} MB"


def explain_install(lines: Sequence[str], what: str, machine: str, folder: str) -> str:
    """Why pip or venv failed. `what` is the package, `machine` its Python and platform."""
    text = "\n".join(lines)
    for pattern, sentence in _SENTENCES:
        if re.search(pattern, text):
            unmet = _UNMET.search(text)
            what = unmet["pin"].replace("==", " ") if unmet else what
            return sentence.format(what=what, machine=machine, folder=folder)
    return f"{what} could not be installed: {_last_error(lines)}"


def _last_error(lines: Sequence[str]) -> str:
    said = [line.strip() for line in lines if line.strip()]
    errors = [line for line in said if line.startswith(("ERROR:", "error:"))]
    last = (errors or said or ["it said nothing."])[-1]
    return last.removeprefix("ERROR:").strip()


def missing_library(lines: Sequence[str]) -> str:
    """The system library that the loader did not find, "" when that is not what went wrong."""
    found = _MISSING_LIBRARY.search("\n".join(lines))
    return found["library"] if found else ""


def explain_libraries(package: str, libraries: Sequence[str]) -> str:
    """How to get system libraries, on the two families of Linux that most artists have."""
    known = [SYSTEM_LIBRARIES[name] for name in libraries if name in SYSTEM_LIBRARIES]
    missing = ", ".join(libraries)
    noun = "system library" if len(libraries) == 1 else "system libraries"
    sentence = f"{package} needs the {noun} {missing}, missing on this machine."
    if len(known) < len(libraries):
        return f"{sentence} Install what provides it, then install again."
    debian = " ".join(dict.fromkeys(names[0] for names in known))
    fedora = " ".join(dict.fromkeys(names[1] for names in known))
    return (
        f"{sentence} On Debian or Ubuntu: sudo apt install {debian}; on Fedora: sudo dnf install "
        f"{fedora}. Then install again."
    )


def explain_import(lines: Sequence[str], package: str, status: int) -> str:
    """Why an installed package cannot be imported. `status` is what the Python ended with."""
    text = "\n".join(lines)
    if "DLL load failed" in text:
        return (
            f"{package} lacks a system library. Install Microsoft's Visual C++ Redistributable "
            "(x64), then install again."
        )
    if "GLIBC_" in text and "not found" in text:
        return f"{package} needs a newer Linux: the C library of this one is too old."
    if status < 0 or status > 255:
        return f"{package} crashes on this machine: its processor or system is not supported."
    return f"{package} was installed but cannot be used: {_last_error(lines)}"
