# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of the command line, one module each.

`add_parser(subparsers)` declares a verb and sets `run(arguments, host) -> exit status` as default.
"""
