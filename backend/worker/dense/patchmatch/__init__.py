# SPDX-License-Identifier: GPL-3.0-or-later
"""Multi-view stereo by PatchMatch: a plane for each pixel, found by propagation and refinement.

After Xu and Tao, "Multi-Scale Geometric Consistency Guided Multi-View Stereo", CVPR 2019, and
Schoenberger et al., "Pixelwise View Selection for Unstructured Multi-View Stereo", ECCV 2016.

`planes`, `matching` and `propagation` hold what happens at one pixel, in the part of Python that
numba compiles; `programs` compiles them for processors and for NVIDIA GPUs; `engine` is the entry.
"""
