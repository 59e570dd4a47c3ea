# SPDX-License-Identifier: GPL-3.0-or-later
"""Dense reconstruction: depth maps of keyframes, a cloud, a mesh with a texture."""
