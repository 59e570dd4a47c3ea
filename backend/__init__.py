# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that needs no Blender: shots, stages, jobs, the worker and file formats."""
