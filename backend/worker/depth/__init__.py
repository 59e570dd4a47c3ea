# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth of every frame: what a model guesses, made to agree with the solve and from frame to frame.

Maps are at the model's size here, (h, w) float32, depth along the camera's view, 0 where nothing.
"""
