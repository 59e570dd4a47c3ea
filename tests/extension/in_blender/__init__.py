# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that run inside Blender, started by the tests of this folder's parent."""
