# SPDX-License-Identifier: GPL-3.0-or-later
"""`python3 -m tests.comfyui_live URL`: the tests of the ComfyUI engine against a real server.

What can be asked of any server is asked: the check, uploads, a graph of core nodes, the cache and
counter traps, cancel, refusals; and, where it has the weights, each of our workflows.
"""

from __future__ import annotations

import os
import subprocess
import sys

from backend.comfyui import check, server_url
from backend.errors import ShotGopherError
from backend.processes import clean_environment
from tests.environments import DEFAULT_BPY, ROOT, test_python


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    try:
        server = check(server_url(sys.argv[1]))
    except ShotGopherError as error:
        print(error.reason)
        return 1
    print(f"ComfyUI {server.version} at {server.url}, {server.device}", flush=True)
    command = [str(test_python(DEFAULT_BPY)), "-B", "-m", "pytest", "-rs"]
    environment = clean_environment() | {"SHOT_GOPHER_COMFYUI": server.url}
    tests = os.path.join("tests", "backend", "test_comfy_live.py")
    return subprocess.run([*command, tests], cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
