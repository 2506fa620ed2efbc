"""Smooth outlines of masks, without losing area, small parts or thin limbs. Pure functions."""

from __future__ import annotations

from collections.abc import Collection

import cv2
import numpy as np

from smtc_app.core.annotation import mask_box
from smtc_app.core.mask_ops import Edited, object_box

SMALL_SIDE_PX = 720
RADIUS_PX = 2.0
"""For frames whose shorter side is up to `SMALL_SIDE_PX`; larger frames have larger steps."""
LIMB_DEPTHS = 2.0
"""What sticks out, or cuts in, further than this many radii is a limb or a gap; less is a jag."""
TIE = 1e-4
"""What a pixel of the part is ahead of one outside, all else being equal."""


def smoothing_radius(shape: tuple[int, int]) -> float:
    """Radius in pixels that takes the jags off masks on frames of `shape` (H, W)."""
    return RADIUS_PX * max(1.0, min(shape) / SMALL_SIDE_PX)


def smooth(
    labels: np.ndarray, object_id: int, radius_px: float, *, locked_ids: Collection[int] = ()
) -> Edited:
    """Smooth an object's outline by a Gaussian of `radius_px`, on `labels` uint16 (H, W) as in `mask_ops`.

    Every connected part (8 neighbours) is smoothed alone and keeps its number of pixels, so that small parts
    stay; those smaller than a disk of that radius, which may be many thousands, stay as they are. Thin limbs
    and narrow gaps stay, too. Only background is gained. Where the object touches others or the border of the
    frame its outline is left alone: a smooth one would leave a gap between the two.
    """
    box = object_box(labels, object_id)
    if box is None or radius_px <= 0 or object_id in locked_ids:
        return Edited(labels, None)
    x0, y0, x1, y1 = box
    mine = (labels[y0:y1, x0:x1] == object_id).astype(np.uint8)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mine, connectivity=8)
    reach, (height, width) = int(np.ceil(3 * radius_px)) + 1, labels.shape
    new = labels.copy()
    large = stats[:, cv2.CC_STAT_AREA] > np.pi * radius_px**2
    large[0] = False
    for number in np.flatnonzero(large):
        left, top, wide, high = (int(value) for value in stats[number, :4])
        px0, py0 = max(0, x0 + left - reach), max(0, y0 + top - reach)
        px1, py1 = min(width, x0 + left + wide + reach), min(height, y0 + top + high + reach)
        part = np.zeros((py1 - py0, px1 - px0), bool)
        part[y0 + top - py0 : y0 + top + high - py0, x0 + left - px0 : x0 + left + wide - px0] = (
            parts[top : top + high, left : left + wide] == number
        )
        # Of the labels as they were: parts do not see what has become of each other.
        around = labels[py0:py1, px0:px1]
        smoothed = _smoothed(part, part | (around == 0), radius_px)
        target = new[py0:py1, px0:px1]
        target[part & ~smoothed & (target == object_id)] = 0
        target[smoothed & (around == 0)] = object_id
    changed = mask_box(new != labels)
    return Edited(labels, None) if changed is None else Edited(new, changed)


def _smoothed(part: np.ndarray, free: np.ndarray, radius_px: float) -> np.ndarray:
    """bool (h, w): `part` with a smooth outline and as many pixels, inside of `free`."""
    reach = int(np.ceil(3 * radius_px))
    # The share of the part in what is free around a pixel: neither others nor the border count as outside.
    inside = _blurred(part, radius_px, reach) / np.maximum(_blurred(free, radius_px, reach), 1e-6)
    inside[~free] = -1
    inside[_limbs(part, radius_px)] = 2
    inside[_limbs(free & ~part, radius_px)] = -1
    area = np.count_nonzero(part)
    sure = inside > 0.999
    missing = area - np.count_nonzero(sure)
    if missing <= 0:
        return sure if missing == 0 else part
    # Of pixels alike, those that belong to the part already stay.
    inside[part] += TIE
    open_pixels = np.flatnonzero(~sure & (inside > 0))
    if missing >= open_pixels.size:
        return part
    order = np.argpartition(inside.ravel()[open_pixels], open_pixels.size - missing)
    result = sure.copy()
    result.ravel()[open_pixels[order[open_pixels.size - missing :]]] = True
    # A sliver between others has no shape to smooth: it would only move.
    return result if 2 * np.count_nonzero(result & part) >= area else part


def _blurred(mask: np.ndarray, radius_px: float, reach: int) -> np.ndarray:
    side = 2 * reach + 1
    return cv2.GaussianBlur(mask.astype(np.float32), (side, side), radius_px, borderType=cv2.BORDER_CONSTANT)


def _limbs(mask: np.ndarray, radius_px: float) -> np.ndarray:
    """bool: what is too thin for a disk of `radius_px` and reaches far from where one fits."""
    side = 2 * int(np.ceil(radius_px)) + 1
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    pixels = mask.astype(np.uint8)
    core = cv2.morphologyEx(pixels, cv2.MORPH_OPEN, disk, borderType=cv2.BORDER_REPLICATE)
    thin = pixels & ~core
    if not core.any() or not thin.any():
        return np.zeros(mask.shape, bool)
    depth = cv2.distanceTransform(1 - core, cv2.DIST_L2, 3)
    count, parts = cv2.connectedComponents(thin, connectivity=8)
    deepest = np.zeros(count, np.float32)
    np.maximum.at(deepest, parts[thin > 0], depth[thin > 0])
    return (deepest > LIMB_DEPTHS * radius_px)[parts] & (thin > 0)
