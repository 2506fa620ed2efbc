"""Numbers on the canvas for objects whose colours are too alike to be told apart there. Pure functions.

The palette of DAVIS has near twins from the eighth object on (1, 8 and 9 are three reds), and masks are
written in it; so the canvas says which is which, where two of such a pair are on the frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from smtc_app.core.annotation import Colour
from smtc_app.ui.overlay import brightened

ALIKE = 20.0
"""CIE Lab distance of two outlines below which people take one for the other."""
SAMPLES = 120
"""Rows and columns, about, in which places are looked for."""
LEAST_SAMPLES = 3
"""A smaller object would be hidden under its number."""
FRACTIONS, POSITION_BITS = 16, 32
RGB_TO_WHITE = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
) / np.array([[0.950456], [1.0], [1.088754]])
"""Linear RGB to CIE XYZ, each as a share of white (D65)."""


class Tag(NamedTuple):
    """A text at a place (x, y) of the frame."""

    x: float
    y: float
    text: str


def twins(colours: Mapping[int, Colour]) -> frozenset[int]:
    """Those of the objects {id: RGB} whose outlines look like another one's."""
    ids = list(colours)
    if len(ids) < 2:
        return frozenset()
    lab = _lab(brightened(np.array([colours[i] for i in ids], np.uint8)))
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    return frozenset(i for i, nearest in zip(ids, distance.min(axis=1), strict=True) if nearest < ALIKE)


def _lab(rgb: np.ndarray) -> np.ndarray:
    """CIE Lab, float (n, 3), of sRGB, uint8 (n, 3). OpenCV would prepare tables for a tenth of a second."""
    values = rgb / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    xyz = linear @ RGB_TO_WHITE.T
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = f.T
    return np.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), axis=1)


def places(labels: np.ndarray) -> dict[int, tuple[float, float]]:
    """{id: (x, y)} of a pixel inside of each object, near its middle, that is large enough for a number.

    labels: uint16 (H, W), looked at in a coarse grid.
    """
    step = max(1, min(labels.shape) // SAMPLES)
    offset = step // 2
    grid = labels[offset::step, offset::step]
    ys, xs = np.nonzero(grid)
    if not len(ys):
        return {}
    values = grid[ys, xs].astype(np.intp)
    counts = np.bincount(values)
    with np.errstate(invalid="ignore"):
        middle_y, middle_x = np.bincount(values, ys) / counts, np.bincount(values, xs) / counts
    # The middle of a ring or a crescent is outside of it: the pixel nearest to it is not.
    squared = (ys - middle_y[values]) ** 2 + (xs - middle_x[values]) ** 2
    # Distance and position in one number, so that the smallest of each object is found without sorting.
    keys = ((squared * FRACTIONS).astype(np.int64) << POSITION_BITS) | np.arange(len(values))
    nearest = np.full(len(counts), np.iinfo(np.int64).max)
    np.minimum.at(nearest, values, keys)
    ids = np.flatnonzero(counts >= LEAST_SAMPLES)
    chosen = nearest[ids] & ((1 << POSITION_BITS) - 1)
    return {
        int(object_id): (float(x * step + offset + 0.5), float(y * step + offset + 0.5))
        for object_id, x, y in zip(ids, xs[chosen], ys[chosen], strict=True)
    }


def tags(labels: np.ndarray, colours: Mapping[int, Colour]) -> list[Tag]:
    """The numbers of the objects {id: RGB} that have a twin on this very frame."""
    if not twins(colours):
        return []
    there = places(labels)
    alike = twins({i: colours[i] for i in there if i in colours})
    return [Tag(*there[i], str(i)) for i in sorted(alike)]
