# SPDX-License-Identifier: GPL-3.0-or-later
"""Clean plates: what is to be removed, and the ways to find what is behind it."""
