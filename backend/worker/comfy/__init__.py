# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that a ComfyUI server does for the worker."""
