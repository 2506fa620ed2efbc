"""Draws outlines to the edges of the picture: decisions and drafts, no Qt.

A polygon takes a path along edges from its last corner to the cursor; the costs of these paths take tens of
milliseconds and are worked out elsewhere (`wire` is handed in when it is ready, until then lines are
straight). A lasso is drawn to the edges piece by piece, each small enough to be done at once.
"""

from __future__ import annotations

import math

import numpy as np

from smtc_app.core.live_wire import LARGEST_PIECE_PX, LiveWire, snapped, snapped_piece
from smtc_app.ui.tools import CLOSE_DISTANCE_PX, Outline, Point

SNAP_PX = 6
"""A corner moves to an edge this near, in points of the screen; a lasso's line, too."""
LASSO_PIECE_PX = 28
"""Length of the pieces in which a lasso is drawn to edges, in points of the screen."""
LEAST_PIECE_PX, LEAST_MARGIN_PX, LARGEST_MARGIN_PX = 14, 3, 12
"""In frame pixels: however far one has zoomed in, an edge needs some pixels to be seen."""
LEAST_REACH_PX, LARGEST_REACH_PX = 64.0, 420.0
"""Half the side of the part of the picture, in frame pixels, in which a path may run."""


class Magnet:
    """Whether lines follow edges, in which picture, and the paths from the last corner."""

    def __init__(self) -> None:
        self.on = False
        self.image: np.ndarray | None = None
        """uint8 (H, W, 3)"""
        self.wire: LiveWire | None = None
        self._done = 0

    def corner(self, outline: Outline | None, point: Point, px: float) -> tuple[Point, list[Point]]:
        """Where a corner goes that is set at `point`, and what the line to it runs through.

        px: one point of the screen in frame pixels.
        """
        self._done = 0
        if outline is not None and outline.closes_at(point, CLOSE_DISTANCE_PX * px):
            return point, self.way_home(outline)
        if self.on and self.image is not None:
            point = snapped(self.image, point, SNAP_PX * px)
        return point, [] if outline is None else self._way(outline.points[-1], point)

    def way_home(self, outline: Outline | None) -> list[Point]:
        """What the line from the last corner back to the first runs through."""
        return [] if outline is None else self._way(outline.points[-1], outline.points[0])

    def lead(self, outline: Outline, px: float, *, lasso: bool, last: bool) -> bool:
        """Draw a line in progress to the edges: a lasso's newest piece, a polygon's way to the cursor.

        px: one point of the screen in frame pixels. last: the line ends. Returns whether it has changed.
        """
        if not self.on:
            return False
        if lasso:
            return self._follow(outline, LASSO_PIECE_PX * px, SNAP_PX * px, last=last)
        if outline.cursor is not None:
            outline.wire = self._way(outline.points[-1], outline.cursor)
        return True

    def _way(self, anchor: Point, point: Point) -> list[Point]:
        """What the line from the corner `anchor` to `point` runs through; nothing: it is straight."""
        if not self.on or self.wire is None or self.wire.anchor != anchor:
            return []
        return self.wire.path(point)

    def _follow(self, outline: Outline, piece_px: float, margin_px: float, *, last: bool) -> bool:
        piece = outline.points[self._done :]
        piece_px = min(max(piece_px, LEAST_PIECE_PX), LARGEST_PIECE_PX / 2)
        long_enough = len(piece) > 1 and (last or math.dist(piece[0], piece[-1]) >= piece_px)
        if self.image is None or not long_enough:
            return False
        margin = min(max(round(margin_px), LEAST_MARGIN_PX), LARGEST_MARGIN_PX)
        outline.points[self._done :] = snapped_piece(self.image, piece, margin)
        outline.pieces = [len(outline.points)]
        self._done = len(outline.points) - 1
        return True


def reach_of(seen_px: float) -> float:
    """How far paths reach from their corner when `seen_px` frame pixels are in sight."""
    return min(max(seen_px / 2, LEAST_REACH_PX), LARGEST_REACH_PX)
