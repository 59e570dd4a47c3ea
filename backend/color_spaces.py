# SPDX-License-Identifier: GPL-3.0-or-later
"""The color spaces that a plate can have, by the names that options and shot.json use."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """How code values relate to light.

    SCREEN  what a screen shows as it is
    HDR     BT.2100, for screens brighter than that
    LOG     a camera's or a film scanner's logarithmic curve
    LINEAR  in proportion to the light of the scene
    """

    SCREEN = "screen"
    HDR = "hdr"
    LOG = "log"
    LINEAR = "linear"


@dataclass(frozen=True)
class ColorSpace:
    """`label` is for menus, `ocio` the name in OpenColorIO's own studio configuration, "" where it
    is none of that."""

    label: str
    kind: Kind
    ocio: str = ""

    @property
    def needs_view(self) -> bool:
        """Whether it looks wrong on a screen as it is."""
        return self.kind is not Kind.SCREEN


COLOR_SPACES = {
    "video": ColorSpace("Video, sRGB", Kind.SCREEN),
    "hlg": ColorSpace("HLG (BT.2100)", Kind.HDR),
    "pq": ColorSpace("PQ (BT.2100)", Kind.HDR),
    "logc3": ColorSpace("ARRI LogC3", Kind.LOG, "ARRI LogC3 (EI800)"),
    "logc4": ColorSpace("ARRI LogC4", Kind.LOG, "ARRI LogC4"),
    "slog3": ColorSpace("Sony S-Log3, S-Gamut3", Kind.LOG, "S-Log3 S-Gamut3"),
    "slog3cine": ColorSpace("Sony S-Log3, S-Gamut3.Cine", Kind.LOG, "S-Log3 S-Gamut3.Cine"),
    "vlog": ColorSpace("Panasonic V-Log", Kind.LOG, "V-Log V-Gamut"),
    "clog2": ColorSpace("Canon Log 2", Kind.LOG, "CanonLog2 CinemaGamut D55"),
    "clog3": ColorSpace("Canon Log 3", Kind.LOG, "CanonLog3 CinemaGamut D55"),
    "log3g10": ColorSpace("RED Log3G10", Kind.LOG, "Log3G10 REDWideGamutRGB"),
    "dlog": ColorSpace("DJI D-Log", Kind.LOG, "D-Log D-Gamut"),
    "bmdfilm5": ColorSpace("Blackmagic Film Gen 5", Kind.LOG, "BMDFilm WideGamut Gen5"),
    "applelog": ColorSpace("Apple Log", Kind.LOG, "Apple Log"),
    "acescct": ColorSpace("ACEScct", Kind.LOG, "ACEScct"),
    "filmlog": ColorSpace("Film scan (ADX10, Cineon)", Kind.LOG, "ADX10"),
    "linear": ColorSpace("Linear, BT.709", Kind.LINEAR, "Linear Rec.709 (sRGB)"),
    "linear2020": ColorSpace("Linear, BT.2020", Kind.LINEAR, "Linear Rec.2020"),
    "linearp3": ColorSpace("Linear, P3-D65", Kind.LINEAR, "Linear P3-D65"),
    "acescg": ColorSpace("ACEScg", Kind.LINEAR, "ACEScg"),
    "aces": ColorSpace("ACES2065-1", Kind.LINEAR, "ACES2065-1"),
}
