"""Measuring and cutting masks: connected parts, boxes, areas, centroids."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from smtc_app.core.annotation import Box

_PAIRS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Measure:
    """One object on one frame: pixels, tight box, centroid (x, y) in pixels (pixel 0's centre is 0.5)."""

    area_px: int
    box: Box
    centroid: tuple[float, float]


def measure_objects(labels: np.ndarray) -> dict[int, Measure]:
    """Measures of every label in `labels`, uint16 (H, W), by id; a few milliseconds at 1080p."""
    height, width = labels.shape
    # Over runs instead of pixels: there are a thousand times fewer.
    starts_run = np.ones((height, width), bool)
    np.not_equal(labels[:, 1:], labels[:, :-1], out=starts_run[:, 1:])
    starts = np.flatnonzero(starts_run)
    lengths = np.diff(starts, append=labels.size)
    values = labels.ravel()[starts]
    shown = values != 0
    starts, lengths, values = starts[shown], lengths[shown], values[shown]
    if starts.size == 0:
        return {}
    ids, inverse = np.unique(values, return_inverse=True)
    rows, left = np.divmod(starts, width)
    right = left + lengths
    area = np.bincount(inverse, lengths)
    centre_x = np.bincount(inverse, lengths * (left + right) / 2) / area
    centre_y = np.bincount(inverse, lengths * (rows + 0.5)) / area
    lowest = np.full((2, ids.size), np.iinfo(np.int64).max)
    highest = np.full((2, ids.size), -1)
    for axis, (low, high) in enumerate(((left, right), (rows, rows + 1))):
        np.minimum.at(lowest[axis], inverse, low)
        np.maximum.at(highest[axis], inverse, high)
    return {
        int(object_id): Measure(
            int(area[i]),
            (int(lowest[0, i]), int(lowest[1, i]), int(highest[0, i]), int(highest[1, i])),
            (float(centre_x[i]), float(centre_y[i])),
        )
        for i, object_id in enumerate(ids)
    }


def label_ids(labels: np.ndarray) -> set[int]:
    """The ids in a label map, uint16 (H, W), without 0; half a millisecond at 1080p."""
    flat = labels.ravel()
    starts = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return {*np.unique(flat[starts]).tolist(), *flat[:1].tolist()} - {0}


def connected_parts(
    mask: np.ndarray, *, min_area_px: int = 1, max_parts: int | None = None
) -> list[np.ndarray]:
    """The connected parts (8 neighbours) of `mask` bool (H, W), largest first; none for an empty mask.

    Parts below `min_area_px`, and those past the `max_parts` largest, are joined to the part whose centroid
    is nearest, so that together the parts are always the whole mask.
    """
    count, regions, stats, centroids = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(mask, np.uint8), connectivity=8
    )
    if count == 1:
        return []
    areas = stats[1:, cv2.CC_STAT_AREA]
    order = 1 + np.argsort(-areas, kind="stable")
    kept = [int(part) for part in order if areas[part - 1] >= min_area_px][:max_parts] or [int(order[0])]
    table = np.zeros(count, np.int32)
    table[kept] = np.arange(1, len(kept) + 1)
    others = np.flatnonzero(table[1:] == 0) + 1
    for some in np.array_split(others, 1 + len(others) * len(kept) // _PAIRS_AT_ONCE):
        apart = centroids[some][:, None] - centroids[kept][None]
        table[some] = np.square(apart).sum(axis=2).argmin(axis=1) + 1
    assigned = table[regions]
    return [assigned == part + 1 for part in range(len(kept))]
