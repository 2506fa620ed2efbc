"""Masks of the work grid at the frame's own size: on its edges, without pinholes and fragments.

Letters: H x W pixels of the frame, h x w of the work grid.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from skimage.segmentation import watershed


def to_native(
    labels: np.ndarray, frame: np.ndarray, *, between: Callable[[], None] = lambda: None
) -> np.ndarray:
    """Labels int32 (h,w) of the work grid -> (H,W), their boundaries moved to the frame's edges nearby.

    between: called between the parts of it, may raise.
    """
    height, width = frame.shape[:2]
    native = cv2.resize(labels.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST).astype(
        np.int32
    )
    reach = int(np.ceil(max(height / labels.shape[0], 1.0)))
    changes = np.zeros((height, width), np.uint8)
    changes[:, 1:] |= native[:, 1:] != native[:, :-1]
    changes[1:] |= native[1:] != native[:-1]
    between()
    band = cv2.dilate(changes, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
    between()
    # The band is flooded from both of its rims; the rest keeps its labels.
    rim = cv2.dilate(band.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    markers = np.where(band, 0, native + 1)
    between()
    smooth = cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2LAB), (0, 0), 1.0).astype(np.float32)
    between()
    x, y = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    between()
    x *= x
    y *= y
    x += y
    between()
    slope = x[..., 0] + x[..., 1]
    slope += x[..., 2]
    np.sqrt(slope, out=slope)
    between()
    flooded = watershed(slope, markers=markers, mask=rim) - 1
    between()
    # What no rim reaches (a mask thinner than the band) keeps its label too.
    return np.where(band & (flooded >= 0), flooded, native)


def without_pinholes(mask: np.ndarray) -> np.ndarray:
    """A mask with holes of less than 2% of its area filled."""
    window = _box_of(mask, margin=1)
    if window is None:
        return mask
    inside = mask[window]
    # A component of the outside that does not reach the frame of the window is a hole.
    padded = cv2.copyMakeBorder((~inside).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    count, outside, stats, _ = cv2.connectedComponentsWithStats(padded, connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < 0.02 * np.count_nonzero(inside)
    small[[0, outside[0, 0]]] = False
    if count < 3 or not small.any():
        return mask
    filled = mask.copy()
    filled[window] |= small[outside[1:-1, 1:-1]]
    return filled


def main_part(mask: np.ndarray) -> np.ndarray:
    """A mask without the fragments that are less than a tenth of its largest part."""
    window = _box_of(mask)
    if window is None:
        return mask
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask[window].astype(np.uint8), connectivity=4)
    sizes = stats[:, cv2.CC_STAT_AREA].copy()
    sizes[0] = 0
    kept = sizes >= 0.1 * sizes.max()
    kept[0] = False
    if kept[1:].all():
        return mask
    main = np.zeros_like(mask)
    main[window] = kept[parts]
    return main


def _box_of(mask: np.ndarray, *, margin: int = 0) -> tuple[slice, slice] | None:
    """The window of a mask's true pixels, `margin` wider where there is room; None when it is empty."""
    rows = np.flatnonzero(mask.any(1))
    if not len(rows):
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(0))
    return tuple(slice(max(0, int(side[0]) - margin), int(side[-1]) + 1 + margin) for side in (rows, columns))
