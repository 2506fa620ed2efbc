"""Paths that follow the edges of an image: the magnetic outline.

Intelligent scissors (Mortensen, Barrett, "Intelligent Scissors for Image Composition", SIGGRAPH 1995) as
OpenCV has them: the cheapest path between two pixels, where edges are cheap. The costs from one anchor are
worked out once, on a part of the image (some 60 ms for 400 x 400 pixels); each path from there is then had in
well under a millisecond. Points are (x, y) in pixels as in `mask_ops`.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from smtc_app.core.annotation import Box
from smtc_app.core.mask_ops import Point

MAP_SIDE_PX = 400
"""Longest side of a cost map; a larger part of the image is reduced to it."""
CANNY_LOW, CANNY_HIGH = 32, 100
GRADIENT_LIMIT = 200
SMOOTHING = 5
"""Pixels of a path that are averaged: takes the stairs out of slanted edges."""
LARGEST_PIECE_PX = 96
"""A piece of a freehand line whose box has a longer side is left alone: who draws so fast does not trace."""


class LiveWire:
    """Paths from `anchor` along the edges of an image uint8 (H, W, 3), at most `reach_px` away from it.

    Raises ValueError for an anchor outside of the image.
    """

    def __init__(self, image: np.ndarray, anchor: Point, reach_px: float) -> None:
        height, width = image.shape[:2]
        if not (0 <= anchor[0] < width and 0 <= anchor[1] < height):
            raise ValueError(f"anchor {anchor} must lie inside the image of {width} x {height} pixels")
        x, y = int(anchor[0]), int(anchor[1])
        reach = max(4, int(np.ceil(reach_px)))
        self.anchor = anchor
        self.box: Box = (max(0, x - reach), max(0, y - reach), min(width, x + reach), min(height, y + reach))
        self._prepare(image)

    def _prepare(self, image: np.ndarray) -> None:
        x0, y0, x1, y1 = self.box
        part = np.ascontiguousarray(image[y0:y1, x0:x1])
        self._factor = max(1.0, max(part.shape[:2]) / MAP_SIDE_PX)
        if self._factor > 1:
            scale = 1 / self._factor
            part = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        self._shape = part.shape[:2]
        self._scissors = cv2.segmentation.IntelligentScissorsMB()
        self._scissors.setEdgeFeatureCannyParameters(CANNY_LOW, CANNY_HIGH)
        self._scissors.setGradientMagnitudeMaxLimit(GRADIENT_LIMIT)
        self._scissors.applyImage(part)
        self._scissors.buildMap(self._cell(self.anchor))

    def reaches(self, point: Point) -> bool:
        """Whether there is a path to a point."""
        x0, y0, x1, y1 = self.box
        return x0 <= point[0] < x1 and y0 <= point[1] < y1

    def path(self, to: Point) -> list[Point]:
        """The points between the anchor and `to`, without both; empty (a straight line) out of reach."""
        if not self.reaches(to):
            return []
        contour = self._scissors.getContour(self._cell(to)).reshape(-1, 2)
        if len(contour) < 3:
            return []
        points = (contour + 0.5) * self._factor + self.box[:2]
        if len(points) > SMOOTHING:
            half = SMOOTHING // 2
            padded = np.pad(points, ((half, half), (0, 0)), mode="edge")
            kernel = np.ones(SMOOTHING) / SMOOTHING
            points = np.stack([np.convolve(padded[:, axis], kernel, "valid") for axis in (0, 1)], 1)
        return [(float(px), float(py)) for px, py in points[1:-1]]

    def _cell(self, point: Point) -> tuple[int, int]:
        height, width = self._shape
        x = int((point[0] - self.box[0]) / self._factor)
        y = int((point[1] - self.box[1]) / self._factor)
        return min(max(x, 0), width - 1), min(max(y, 0), height - 1)


def snapped(image: np.ndarray, point: Point, reach_px: float) -> Point:
    """The strongest edge of an image uint8 (H, W, 3) within `reach_px` of a point, the nearer the better.

    The point itself where there is no edge, and outside of the image.
    """
    height, width = image.shape[:2]
    x, y = int(np.floor(point[0])), int(np.floor(point[1]))
    reach = max(1, round(reach_px))
    if not (0 <= x < width and 0 <= y < height):
        return point
    x0, y0 = max(0, x - reach - 1), max(0, y - reach - 1)
    part = image[y0 : y + reach + 2, x0 : x + reach + 2].astype(np.float32).mean(2)
    strength = np.hypot(cv2.Sobel(part, cv2.CV_32F, 1, 0), cv2.Sobel(part, cv2.CV_32F, 0, 1))
    rows, columns = np.mgrid[: part.shape[0], : part.shape[1]]
    distance = np.hypot(columns + x0 + 0.5 - point[0], rows + y0 + 0.5 - point[1])
    value = np.where(distance <= reach, strength * (1 - 0.5 * distance / (reach + 1)), 0)
    row, column = np.unravel_index(int(value.argmax()), value.shape)
    if strength[row, column] < CANNY_LOW:
        return point
    return float(x0 + column + 0.5), float(y0 + row + 0.5)


def snapped_piece(image: np.ndarray, piece: Sequence[Point], margin_px: int) -> list[Point]:
    """A short piece of a freehand line, drawn to the edges of an image nearby; its first point stays.

    Pieces that are too long for it (`LARGEST_PIECE_PX`) or leave the image come back as they are.
    """
    height, width = image.shape[:2]
    corners = np.asarray(piece, np.float64)
    low, high = corners.min(0), corners.max(0)
    outside = (low < 0).any() or high[0] >= width or high[1] >= height
    if len(piece) < 2 or outside or (high - low).max() > LARGEST_PIECE_PX:
        return list(piece)
    x0, y0 = np.maximum(np.floor(low).astype(int) - margin_px, 0)
    x1, y1 = np.ceil(high).astype(int) + margin_px + 1
    part = image[y0:y1, x0:x1]
    start = piece[0][0] - x0, piece[0][1] - y0
    end = snapped(part, (piece[-1][0] - x0, piece[-1][1] - y0), margin_px / 2)
    wire = LiveWire(part, start, max(part.shape[:2]))
    return [piece[0], *((x + x0, y + y0) for x, y in (*wire.path(end), end))]
