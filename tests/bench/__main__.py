# SPDX-License-Identifier: GPL-3.0-or-later
"""`python3 -m tests.bench NAME [OPTION ...]`: runs a bench in the test environment."""

from __future__ import annotations

import sys

from tests.environments import DEFAULT_BPY, ROOT, call, test_python, worker_python

BENCHES = ("spine", "camera", "plates", "roto", "dense", "cleanplate", "mocap")
IN_WORKER = ("roto", "dense", "cleanplate", "mocap")

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in BENCHES:
        sys.exit(f"usage: python3 -m tests.bench {{{','.join(BENCHES)}}} [OPTION ...]")
    module = f"tests.bench.{sys.argv[1]}"
    python = worker_python() if sys.argv[1] in IN_WORKER else test_python(DEFAULT_BPY)
    command = [str(python), "-B", "-m", module, *sys.argv[2:]]
    sys.exit(call(command, ROOT))
