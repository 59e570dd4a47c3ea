# SPDX-License-Identifier: GPL-3.0-or-later
"""The joints of the SMPL-X body (Pavlakos et al. 2019): their names, in its order, and parents.

y is up in a rest pose, z goes out of the chest and x to the body's left, in meters.
"""

from __future__ import annotations

_FINGERS = ("index", "middle", "pinky", "ring", "thumb")


def _hand(side: str) -> tuple[str, ...]:
    return tuple(f"{side}_{finger}{place}" for finger in _FINGERS for place in (1, 2, 3))


BODY_JOINTS = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2",
    "left_ankle", "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar",
    "right_collar", "head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_wrist", "right_wrist",
)  # fmt: skip
"""Those that motion capture without hands moves; SMPL has the same, and two hands."""
JOINTS = (
    *BODY_JOINTS, "jaw", "left_eye_smplhf", "right_eye_smplhf", *_hand("left"), *_hand("right")
)  # fmt: skip
PARENTS = (
    -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15,
    *(parent for start in (25, 28, 31, 34, 37) for parent in (20, start, start + 1)),
    *(parent for start in (40, 43, 46, 49, 52) for parent in (21, start, start + 1)),
)  # fmt: skip
"""Each joint's parent by its place in `JOINTS`; -1 for the pelvis."""
FEET = tuple(
    JOINTS.index(name) for name in ("left_ankle", "right_ankle", "left_foot", "right_foot")
)
"""The joints that stand on the ground, in the order of a motion's `contact`."""
KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip",
    "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
"""What 2-D pose estimators find in a picture, in the order of the COCO data set."""
GENDERS = ("neutral", "male", "female")
