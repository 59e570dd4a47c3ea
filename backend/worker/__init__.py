# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that runs a job; the only code that imports pycolmap, cv2, av and the like."""
