"""Measuring and cutting masks: connected parts, boxes, areas, centroids."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from smtc_app.core.annotation import Box


@dataclass(frozen=True)
class Measure:
    """One object on one frame: pixels, tight box, centroid (x, y) in pixels (the centre of pixel 0 is
    0.5)."""

    area_px: int
    box: Box
    centroid: tuple[float, float]


def measure_objects(labels: np.ndarray) -> dict[int, Measure]:
    """Measures of every label in `labels`, uint16 (H, W), by id; one pass over the labelled pixels."""
    rows, columns = np.nonzero(labels)
    if rows.size == 0:
        return {}
    ids, inverse = np.unique(labels[rows, columns], return_inverse=True)
    area = np.bincount(inverse)
    centre_x = np.bincount(inverse, columns) / area + 0.5
    centre_y = np.bincount(inverse, rows) / area + 0.5
    lowest = np.full((2, ids.size), np.iinfo(np.int64).max)
    highest = np.full((2, ids.size), -1)
    for axis, coordinates in enumerate((columns, rows)):
        np.minimum.at(lowest[axis], inverse, coordinates)
        np.maximum.at(highest[axis], inverse, coordinates)
    return {
        int(object_id): Measure(
            int(area[i]),
            (int(lowest[0, i]), int(lowest[1, i]), int(highest[0, i]) + 1, int(highest[1, i]) + 1),
            (float(centre_x[i]), float(centre_y[i])),
        )
        for i, object_id in enumerate(ids)
    }


def object_area(labels: np.ndarray, object_id: int) -> int:
    """Pixels of an object."""
    return int(np.count_nonzero(labels == object_id))


def object_centroid(labels: np.ndarray, object_id: int) -> tuple[float, float] | None:
    """Mean (x, y) of an object's pixel centres, None when it is not there."""
    rows, columns = np.nonzero(labels == object_id)
    if rows.size == 0:
        return None
    return float(columns.mean()) + 0.5, float(rows.mean()) + 0.5


def connected_parts(
    mask: np.ndarray, *, min_area_px: int = 1, max_parts: int | None = None
) -> list[np.ndarray]:
    """The connected parts (8 neighbours) of `mask` bool (H, W), largest first.

    Parts below `min_area_px`, and those past the `max_parts` largest, are joined to the part whose centroid
    is nearest, so that together the parts are always the whole mask. Too small a mask gives one part.
    """
    count, regions, stats, centroids = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(mask, np.uint8), connectivity=8
    )
    if count == 1:
        return []
    areas = stats[1:, cv2.CC_STAT_AREA]
    order = 1 + np.argsort(-areas, kind="stable")
    kept = [int(part) for part in order if areas[part - 1] >= min_area_px][:max_parts] or [int(order[0])]
    table = np.zeros(count, np.int64)
    table[kept] = np.arange(1, len(kept) + 1)
    for part in set(range(1, count)).difference(kept):
        nearest = np.argmin(((centroids[kept] - centroids[part]) ** 2).sum(axis=1))
        table[part] = nearest + 1
    assigned = table[regions]
    return [assigned == part + 1 for part in range(len(kept))]
