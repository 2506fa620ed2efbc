"""Pixel operations on label maps: pure functions, the tools of the canvas.

All take `labels`, uint16 (H, W), which they never change, and give an `Edited(labels, box)`: the new label
map and the box of pixels that differ, or the very same array and None when nothing does. Ids in `locked_ids`
never gain or lose a pixel. Points are (x, y) in pixels with pixel (column 0, row 0) covering [0, 1) x [0, 1),
so its centre is (0.5, 0.5). Measuring and cutting masks is in `mask_regions`.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from smtc_app.core.annotation import Box, mask_box

Point = tuple[float, float]
FILL_TOLERANCE = 12
"""Of 255: takes in the noise of a plain surface."""


class Edited(NamedTuple):
    """A changed label map and the box of the change (None: unchanged)."""

    labels: np.ndarray
    box: Box | None


def brush_stroke(
    labels: np.ndarray,
    points: Sequence[Point],
    radius_px: float,
    value: int,
    *,
    locked_ids: Collection[int] = (),
    only: int | None = None,
) -> Edited:
    """Set every pixel whose centre lies within `radius_px` of the polyline through `points` to `value`.

    value  an object's id, or 0 to erase
    only   change pixels of this label only (0: paint on background; an id: erase or replace that object)

    A radius below half a pixel still marks the pixel under each point.
    """
    if radius_px < 0:
        raise ValueError(f"radius_px must not be negative, got {radius_px}")
    pieces = list(_short_segments(points, radius_px))
    box = _union([_segment_box(piece, radius_px, labels.shape) for piece in pieces])
    if box is None:
        return Edited(labels, None)
    x0, y0, x1, y1 = box
    covered = np.zeros((y1 - y0, x1 - x0), bool)
    for start, end in pieces:
        part = _segment_box((start, end), radius_px, labels.shape)
        if part is not None:
            px0, py0, px1, py1 = part
            inside = _capsule(part, start, end, radius_px)
            covered[py0 - y0 : py1 - y0, px0 - x0 : px1 - x0] |= inside
    return _assign(labels, box, covered, value, locked_ids, only)


def fill_polygon(
    labels: np.ndarray,
    points: Sequence[Point],
    value: int,
    *,
    locked_ids: Collection[int] = (),
    only: int | None = None,
) -> Edited:
    """Set the pixels whose centres lie inside a polygon (even-odd rule); a lasso is a polygon with many
    points."""
    if len(points) < 3:
        return Edited(labels, None)
    corners = np.asarray(points, np.float64)
    height, width = labels.shape
    x0, y0 = np.floor(corners.min(axis=0)).astype(int)
    x1, y1 = np.ceil(corners.max(axis=0)).astype(int)
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    if x0 >= x1 or y0 >= y1:
        return Edited(labels, None)
    box = (int(x0), int(y0), int(x1), int(y1))
    return _assign(labels, box, _polygon_inside(corners, box), value, locked_ids, only)


def flood_fill(
    labels: np.ndarray,
    seed: tuple[int, int],
    value: int,
    *,
    image: np.ndarray | None = None,
    tolerance: int = FILL_TOLERANCE,
    locked_ids: Collection[int] = (),
) -> Edited:
    """Fill what is connected (4 neighbours) to the pixel `seed` (x, y) with `value`.

    Without `image`: the connected region of the seed's label. With `image` uint8 (H, W, 3): pixels of the
    seed's label that also differ from the seed's colour by at most `tolerance` (0..255) in every channel.
    """
    x, y = int(seed[0]), int(seed[1])
    height, width = labels.shape
    if not (0 <= x < width and 0 <= y < height):
        return Edited(labels, None)
    region = (labels == labels[y, x]).astype(np.uint8)
    if image is not None:
        if image.shape[:2] != labels.shape:
            raise ValueError(f"image must be {labels.shape}, got {image.shape[:2]}")
        colour = image[y, x].astype(np.int16)
        low = np.clip(colour - tolerance, 0, 255).tolist()
        high = np.clip(colour + tolerance, 0, 255).tolist()
        region &= cv2.inRange(image, tuple(low), tuple(high)) & 1
    # floodFill wants a frame of one pixel, set where it must not go; it marks what it reached with 2.
    barrier = np.pad(1 - region, 1, constant_values=1)
    _, _, _, (left, top, wide, high_px) = cv2.floodFill(
        np.zeros_like(region), barrier, (x, y), 0, flags=4 | cv2.FLOODFILL_MASK_ONLY | (2 << 8)
    )
    box = (left, top, left + wide, top + high_px)
    filled = barrier[1 + box[1] : 1 + box[3], 1 + box[0] : 1 + box[2]] == 2
    return _assign(labels, box, filled, value, locked_ids, None)


def set_mask(
    labels: np.ndarray,
    mask: np.ndarray,
    value: int,
    *,
    locked_ids: Collection[int] = (),
    only: int | None = None,
) -> Edited:
    """Set the pixels of `mask` bool (H, W) to `value`."""
    box = mask_box(mask)
    if box is None:
        return Edited(labels, None)
    x0, y0, x1, y1 = box
    return _assign(labels, box, np.asarray(mask[y0:y1, x0:x1], bool), value, locked_ids, only)


def fill_holes(
    labels: np.ndarray,
    object_id: int,
    *,
    max_area_px: int | None = None,
    over_others: bool = False,
    locked_ids: Collection[int] = (),
) -> Edited:
    """Give an object the pixels that it encloses, holes up to `max_area_px` or all; background only, unless
    `over_others`."""
    box = object_box(labels, object_id)
    if box is None or object_id in locked_ids:
        return Edited(labels, None)
    x0, y0, x1, y1 = box
    outside = np.pad((labels[y0:y1, x0:x1] != object_id).astype(np.uint8), 1, constant_values=1)
    count, regions, stats, _ = cv2.connectedComponentsWithStats(outside, connectivity=4)
    holes = np.zeros(count, bool)
    holes[1:] = True
    holes[regions[0, 0]] = False
    if max_area_px is not None:
        holes &= stats[:, cv2.CC_STAT_AREA] <= max_area_px
    inside = holes[regions[1:-1, 1:-1]]
    return _assign(labels, box, inside, object_id, locked_ids, None if over_others else 0)


def remove_specks(
    labels: np.ndarray, object_id: int, min_area_px: int, *, locked_ids: Collection[int] = ()
) -> Edited:
    """Erase the connected parts (8 neighbours) of an object that have fewer than `min_area_px` pixels.

    The largest part always stays.
    """
    box = object_box(labels, object_id)
    if box is None or object_id in locked_ids:
        return Edited(labels, None)
    x0, y0, x1, y1 = box
    mine = (labels[y0:y1, x0:x1] == object_id).astype(np.uint8)
    _, regions, stats, _ = cv2.connectedComponentsWithStats(mine, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    small = areas < min_area_px
    small[0] = False
    small[1 + int(np.argmax(areas[1:]))] = False
    return _assign(labels, box, small[regions], 0, locked_ids, object_id)


def grow(
    labels: np.ndarray,
    object_id: int,
    radius_px: float,
    *,
    over_others: bool = False,
    locked_ids: Collection[int] = (),
) -> Edited:
    """Dilate an object by a disk; into the background only, unless `over_others`."""
    box = object_box(labels, object_id)
    if box is None or radius_px <= 0 or object_id in locked_ids:
        return Edited(labels, None)
    box = _padded(box, int(np.ceil(radius_px)), labels.shape)
    x0, y0, x1, y1 = box
    distance = _distance_to(labels[y0:y1, x0:x1] == object_id)
    return _assign(labels, box, distance <= radius_px, object_id, locked_ids, None if over_others else 0)


def shrink(
    labels: np.ndarray, object_id: int, radius_px: float, *, locked_ids: Collection[int] = ()
) -> Edited:
    """Erode an object by a disk. The border of the frame does not eat into it; every other border does."""
    box = object_box(labels, object_id)
    if box is None or radius_px <= 0 or object_id in locked_ids:
        return Edited(labels, None)
    box = _padded(box, 1, labels.shape)
    x0, y0, x1, y1 = box
    outside = labels[y0:y1, x0:x1] != object_id
    if not outside.any():
        return Edited(labels, None)
    return _assign(labels, box, _distance_to(outside) <= radius_px, 0, locked_ids, object_id)


def merge(
    labels: np.ndarray, object_ids: Collection[int], target: int, *, locked_ids: Collection[int] = ()
) -> Edited:
    """Give the pixels of `object_ids` to `target`."""
    moved = np.isin(labels, [object_id for object_id in object_ids if object_id != target])
    return set_mask(labels, moved, target, locked_ids=locked_ids)


def pick(labels: np.ndarray, point: Point) -> int:
    """The label under a point, 0 outside the frame."""
    x, y = int(np.floor(point[0])), int(np.floor(point[1]))
    height, width = labels.shape
    return int(labels[y, x]) if 0 <= x < width and 0 <= y < height else 0


def object_box(labels: np.ndarray, object_id: int) -> Box | None:
    """Tight box of an object, None when it is not there."""
    return mask_box(labels == object_id)


def _assign(
    labels: np.ndarray,
    box: Box,
    covered: np.ndarray,
    value: int,
    locked_ids: Collection[int],
    only: int | None,
) -> Edited:
    if value in locked_ids:
        return Edited(labels, None)
    x0, y0, x1, y1 = box
    view = labels[y0:y1, x0:x1]
    change = covered & (view != value)
    if only is not None:
        change &= view == only
    for locked in locked_ids:
        change &= view != locked
    inner = mask_box(change)
    if inner is None:
        return Edited(labels, None)
    new = labels.copy()
    np.copyto(new[y0:y1, x0:x1], value, where=change)
    return Edited(new, (x0 + inner[0], y0 + inner[1], x0 + inner[2], y0 + inner[3]))


def _short_segments(points: Sequence[Point], radius_px: float) -> Iterator[tuple[Point, Point]]:
    """The polyline cut into pieces whose boxes stay small, so that a fast diagonal stroke is as cheap as a
    slow one."""
    length = 2 * radius_px + 32
    if len(points) == 1:
        yield points[0], points[0]
    for (ax, ay), (bx, by) in itertools.pairwise(points):
        count = max(1, int(np.ceil(np.hypot(bx - ax, by - ay) / length)))
        for i in range(count):
            start, end = i / count, (i + 1) / count
            yield (
                (ax + start * (bx - ax), ay + start * (by - ay)),
                (ax + end * (bx - ax), ay + end * (by - ay)),
            )


def _segment_box(segment: tuple[Point, Point], radius_px: float, shape: tuple[int, int]) -> Box | None:
    (ax, ay), (bx, by) = segment
    height, width = shape
    reach = max(radius_px, 0.5)
    x0, x1 = max(0, int(np.floor(min(ax, bx) - reach))), min(width, int(np.ceil(max(ax, bx) + reach)) + 1)
    y0, y1 = max(0, int(np.floor(min(ay, by) - reach))), min(height, int(np.ceil(max(ay, by) + reach)) + 1)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _capsule(box: Box, start: Point, end: Point, radius_px: float) -> np.ndarray:
    """bool (box): centres within `radius_px` of the segment."""
    x0, y0, x1, y1 = box
    x = np.arange(x0, x1, dtype=np.float32) + np.float32(0.5 - start[0])
    y = (np.arange(y0, y1, dtype=np.float32) + np.float32(0.5 - start[1]))[:, None]
    dx, dy = np.float32(end[0] - start[0]), np.float32(end[1] - start[1])
    length2 = dx * dx + dy * dy
    if length2 > 0:
        t = np.clip((x * dx + y * dy) / length2, 0, 1)
        inside = (x - t * dx) ** 2 + (y - t * dy) ** 2 <= np.float32(radius_px) ** 2
    else:
        inside = x * x + y * y <= np.float32(radius_px) ** 2
    for px, py in (start, end):
        column, row = int(np.floor(px)) - x0, int(np.floor(py)) - y0
        if 0 <= column < inside.shape[1] and 0 <= row < inside.shape[0]:
            inside[row, column] = True
    return inside


def _polygon_inside(corners: np.ndarray, box: Box) -> np.ndarray:
    """bool (box): pixel centres inside by the even-odd rule."""
    x0, y0, x1, y1 = box
    rows, columns = _crossings(corners, y0, y1)
    # Pixels whose centre is right of a crossing change sides, so between a row's first and second crossing,
    # its third and fourth, and so on, they are inside.
    columns = np.clip(np.ceil(columns - 0.5).astype(np.int64) - x0, 0, x1 - x0)
    order = np.lexsort((columns, rows))
    rows, columns = rows[order] - y0, columns[order]
    inside = np.zeros((y1 - y0, x1 - x0), bool)
    spans = zip(rows[::2].tolist(), columns[::2].tolist(), columns[1::2].tolist(), strict=True)
    for row, start, stop in spans:
        inside[row, start:stop] = True
    return inside


def _crossings(corners: np.ndarray, y0: int, y1: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the edges of a closed polygon cross the middles of the rows y0..y1: (row, x) of each crossing.

    A row is crossed an even number of times.
    """
    ends = np.roll(corners, -1, axis=0)
    low, high = np.minimum(corners[:, 1], ends[:, 1]), np.maximum(corners[:, 1], ends[:, 1])
    first = np.maximum(np.ceil(low - 0.5).astype(np.int64), y0)
    counts = np.maximum(np.minimum(np.ceil(high - 0.5).astype(np.int64), y1) - first, 0)
    edge = np.repeat(np.arange(len(corners)), counts)
    rows = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    (ax, ay), (bx, by) = corners[edge].T, ends[edge].T
    return rows, ax + (rows + 0.5 - ay) * (bx - ax) / (by - ay)


def _distance_to(mask: np.ndarray) -> np.ndarray:
    """float32: Euclidean distance of every pixel centre to the nearest true one."""
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def _union(boxes: Sequence[Box | None]) -> Box | None:
    real = [box for box in boxes if box is not None]
    if not real:
        return None
    x0, y0, x1, y1 = zip(*real, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def _padded(box: Box, pad: int, shape: tuple[int, int]) -> Box:
    x0, y0, x1, y1 = box
    return max(0, x0 - pad), max(0, y0 - pad), min(shape[1], x1 + pad), min(shape[0], y1 + pad)
