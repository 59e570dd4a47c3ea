# SPDX-License-Identifier: GPL-3.0-or-later
"""Saves the preferences of a clean profile: no splash screen, no network unless a test asks."""

import bpy

preferences = bpy.context.preferences
preferences.view.show_splash = False
preferences.use_preferences_save = False
preferences.system.use_online_access = False
bpy.ops.wm.save_userpref()
