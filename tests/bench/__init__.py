# SPDX-License-Identifier: GPL-3.0-or-later
"""Benches: `python3 -m tests.bench NAME` prints one JSON line a figure.

A figure has name, value, unit, goal, holds and how (how it was measured). The exit status is 0 only
when every figure holds.
"""
