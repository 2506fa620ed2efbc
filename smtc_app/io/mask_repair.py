"""Label maps out of mask images whose edges were smoothed or whose colours JPEG has smeared.

A colour is an object's when some of its pixels are surrounded by their like; what only occurs along edges is
a blend, and each such pixel goes to the object next to it whose colour is nearest.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

MAX_COLOURS = 254
COLOUR_RADIUS = 40.0
"""Colours closer than this (Euclid, 8-bit RGB) to an object's are that object's, smeared."""

CORE_RADIUS = 12.0
"""An object has a core of pixels this close to its colour; the bands JPEG leaves along edges vary more."""

FLATNESS, MAX_BLENDED_SHARE = 2, 0.35
"""In a mask all but this share of the pixels are this close (largest channel) to their object's colour."""

MIN_CORE_PARTS = 16
"""The surrounded pixels of a core are at least one in so many of all that have about its colour."""

EDGE_REACH_PX = 3
"""How far from an object's sure pixels a blended pixel may lie and still be given to it by colour."""

FEW_COLOURS, MIN_SURROUNDED_SHARE = 16, 0.3
"""With more colours than this, less than this share of pixels amid their like makes a picture, not a mask."""

MAX_BLENDS = 48
"""After so many frequent colours without an interior no object's colour is expected any more."""

_SQUARE = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Regions:
    """What colours an image consists of.

    Attributes:
        colours: uint8 (K,3), the colours that stand for something, in the order of their first pixel.
        labels: int32 (H,W), index into `colours` of every pixel.
        repaired: number of pixels whose own colour is none of `colours`.
    """

    colours: np.ndarray
    labels: np.ndarray
    repaired: int


def find_regions(picture: np.ndarray) -> Regions | None:
    """The flat regions of a mask image, uint8 (H,W,3); None when it is no mask but a picture.

    Colours that are all plain (every pixel of an image of few colours) are kept exactly, thin lines included;
    only where colours occur along edges alone the image counts as smoothed and is repaired.
    """
    codes = picture.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    values, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    inverse = inverse.reshape(codes.shape).astype(np.int32)
    surrounded = _has_interior(inverse)
    if len(values) <= MAX_COLOURS and not _is_smoothed(inverse[surrounded], len(values)):
        if len(values) > FEW_COLOURS and surrounded.mean() < MIN_SURROUNDED_SHARE:
            return None
        return _ordered(_unpack(values), inverse, 0)
    centres = _centres(inverse, _unpack(values), counts)
    if centres is None:
        return None
    labels = _assign(picture, centres)
    exact = np.isin(codes, centres.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32))
    off = np.abs(picture.astype(np.int16) - centres[labels]).max(axis=2) > FLATNESS
    if off.mean() > MAX_BLENDED_SHARE:
        return None
    return _ordered(centres, labels, int(np.count_nonzero(~exact)))


def _unpack(values: np.ndarray) -> np.ndarray:
    return np.stack([values >> 16 & 255, values >> 8 & 255, values & 255], axis=1).astype(np.uint8)


def _has_interior(inverse: np.ndarray) -> np.ndarray:
    """bool (H,W): pixels whose 3x3 neighbourhood is all their own value."""
    same = inverse.astype(np.float32)
    return cv2.erode(same, _SQUARE) == cv2.dilate(same, _SQUARE)


def _is_smoothed(surrounded: np.ndarray, count: int) -> bool:
    """Whether at least three colours, and most of all `count` colours, occur only along edges."""
    solid = len(np.unique(surrounded))
    return count - solid >= 3 and count - solid > solid


def _centres(inverse: np.ndarray, colours: np.ndarray, counts: np.ndarray) -> np.ndarray | None:
    """Colours with an interior once all colours near them count as theirs; the most frequent first."""
    pending = np.argsort(-counts, kind="stable")
    points = colours.astype(np.float32)
    found: list[np.ndarray] = []
    blends = 0
    while len(pending) and blends < MAX_BLENDS:
        centre = points[pending[0]]
        distance = np.linalg.norm(points - centre, axis=1)
        near = distance < COLOUR_RADIUS
        core = (distance < CORE_RADIUS)[inverse].astype(np.uint8)
        if np.count_nonzero(cv2.erode(core, _SQUARE)) * MIN_CORE_PARTS >= np.count_nonzero(near[inverse]):
            found.append(colours[pending[0]])
            if len(found) > MAX_COLOURS:
                return None
            pending = pending[~near[pending]]
        else:
            pending = pending[1:]
            blends += 1
    return np.array(found, np.uint8) if len(found) >= 2 else None


def _assign(picture: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """int32 (H,W): the nearest of `centres` among those present nearby."""
    height, width = picture.shape[:2]
    best = np.full((height, width), np.inf, np.float32)
    labels = np.zeros((height, width), np.int32)
    reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * EDGE_REACH_PX + 1,) * 2)
    values = picture.astype(np.float32)
    for number, centre in enumerate(centres.astype(np.float32)):
        distance = np.sqrt(((values - centre) ** 2).sum(axis=2))
        own = (distance < COLOUR_RADIUS).astype(np.uint8)
        # Blends of two colours may look like a third: only what has an interior reaches out to the edges.
        solid = cv2.dilate(cv2.erode(own, _SQUARE), _SQUARE) & own
        cost = np.where(cv2.dilate(solid, reach) > 0, distance, distance + 1000.0)
        better = cost < best
        best[better] = cost[better]
        labels[better] = number
    return labels


def _ordered(colours: np.ndarray, labels: np.ndarray, repaired: int) -> Regions:
    """Renumber by the place of the first pixel, and drop colours without one."""
    used, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order))
    return Regions(colours[used[order]], rank[inverse].reshape(labels.shape), repaired)
