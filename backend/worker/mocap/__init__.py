# SPDX-License-Identifier: GPL-3.0-or-later
"""People's motion: placed in the shot's world, made to stand there, written for others."""
