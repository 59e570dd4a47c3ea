# SPDX-License-Identifier: GPL-3.0-or-later
"""`python3 -m backend VERB ...`: needs Python 3.11 or newer and nothing else."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  told before a newer syntax is met
    sys.exit(f"Shot Gopher needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
# The folder may be read-only or a git checkout: leave no caches in it.
sys.dont_write_bytecode = True

from pathlib import Path  # noqa: E402

from . import locations  # noqa: E402
from .cli import main  # noqa: E402
from .host import Host  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Host(python=Path(sys.executable), home=locations.home())))
