# SPDX-License-Identifier: GPL-3.0-or-later
"""A moving camera from long point tracks: its parts, each on plain arrays."""
