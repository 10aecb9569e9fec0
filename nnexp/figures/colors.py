"""Scales of colours, equal to matplotlib's of the same names."""

from __future__ import annotations

from functools import cache

import numpy as np

INK, SIGNED, SHARE, DIFFERENCE = "gray_r", "RdBu_r", "Blues", "PuOr_r"
GAP_COLORS = {INK: "#ffffff", SIGNED: "#bdbdbd", SHARE: "#ffffff", DIFFERENCE: "#bdbdbd"}

# Safe for colour-blind readers: M. Okabe and K. Ito, Color universal design, 2008.
PART_COLORS = {"train": "#0072B2", "validation": "#009E73", "test": "#D55E00"}

N_COLORS = 256
OVER, BAD = N_COLORS, N_COLORS + 1  # beyond the scale, and no number

# C. Brewer, colorbrewer2.org, by way of matplotlib/_cm.py; between them it is linear.
ANCHORS = {
    INK: "ffffff 000000",
    SIGNED: "053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f",
    DIFFERENCE: "2d004b 542788 8073ac b2abd2 d8daeb f7f7f7 fee0b6 fdb863 e08214 b35806 7f3b08",
    SHARE: "f7fbff deebf7 c6dbef 9ecae1 6baed6 4292c6 2171b5 08519c 08306b",
}


@cache
def _table(name: str) -> np.ndarray:
    """Red, green and blue of each colour of a scale, then those of `OVER` and `BAD`."""
    anchors = np.array([_rgb(color) for color in ANCHORS[name].split()])
    places = np.linspace(0, 1, N_COLORS)
    scale = [np.interp(places, np.linspace(0, 1, len(anchors)), channel) for channel in anchors.T / 255]
    scale = np.stack(scale, axis=1) * 255
    return np.vstack([scale, _rgb("ffffff"), _rgb(GAP_COLORS[name][1:])]).astype(np.uint8)


def colored(share: np.ndarray, name: str) -> np.ndarray:
    """The colours of values that are 0 to 1 on a scale: uint8 of shape (..., 3); what is beyond 1 is white."""
    with np.errstate(invalid="ignore"):
        index = np.clip(share * N_COLORS, 0, N_COLORS - 1)
        index = np.where(share > 1, OVER, np.where(np.isnan(share), BAD, index)).astype(np.int16)
    return _table(name)[index]


def _rgb(color: str) -> list[int]:
    return [int(color[i : i + 2], 16) for i in (0, 2, 4)]
