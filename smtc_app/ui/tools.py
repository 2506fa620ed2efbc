"""What the mouse does with each tool: pure decisions and drafts, no Qt.

A press becomes an `Intent` (`intent_of`), a drag with brush, eraser or region collects a `Stroke`, clicks and
drags with polygon or lasso an `Outline`. A finished gesture is a `StrokeEvent`; whoever receives it changes
the document. To add a tool: a name in `TOOLS`, its intent in `intent_of`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import numpy as np

from smtc_app.core.annotation import Box

Point = tuple[float, float]

TOOLS = ("pick", "brush", "eraser", "fill", "region", "polygon", "lasso")
PAINTING = ("brush", "eraser")
OUTLINED = ("polygon", "lasso")
MIN_RADIUS_PX, MAX_RADIUS_PX = 0.5, 500.0
RADIUS_STEP = 1.15
CLOSE_DISTANCE_PX = 9
"""A click this near to the first corner, in points of the screen, closes a polygon."""
TRACE_SPACING_PX = 3
"""Corners of a freehand line are this far apart, in points of the screen."""
DRAG_DISTANCE_PX = 4
"""A press that moves further than this, in points of the screen, is a drag."""


class Button(Enum):
    """The mouse buttons that mean something here."""

    LEFT = "left"
    MIDDLE = "middle"
    RIGHT = "right"


class Intent(Enum):
    """What a press starts."""

    NOTHING = "nothing"
    PAN = "pan"
    PICK = "pick"
    STROKE = "stroke"
    ERASE = "erase"
    FILL = "fill"
    REGION = "region"
    REGION_OFF = "region off"
    CORNER = "corner"
    LASSO = "lasso"
    UNDO_CORNER = "undo corner"


class Drawn(NamedTuple):
    """What a stroke has drawn already, while it was shown.

    before  the labels, uint16 (H, W), that it was drawn on
    labels  the same with the stroke, read-only
    value   the label that was painted; 0 erases
    box     (x0, y0, x1, y1) of the pixels that differ, None where none does
    """

    before: np.ndarray
    labels: np.ndarray
    value: int
    box: Box | None


class StrokeEvent(NamedTuple):
    """A finished gesture: `tool` is brush, eraser, fill, region, polygon or lasso.

    points     (x, y) in frame pixels, pixel (0, 0) covering [0, 1) x [0, 1): the path of brush and eraser,
               the corners of polygon and lasso (closed, at least 3), the one point of a fill (inside the
               frame), the places of a region
    radius_px  of brush and eraser in frame pixels
    drawn      of brush and eraser: the labels as they were shown last
    erasing    of a region: it is taken away
    """

    tool: str
    points: tuple[Point, ...]
    radius_px: float
    drawn: Drawn | None = None
    erasing: bool = False


class HoverEvent(NamedTuple):
    """The pixel under the cursor, inside the frame, and the label there (0: none)."""

    x: int
    y: int
    label: int


def intent_of(tool: str, button: Button, *, space: bool = False, alt: bool = False) -> Intent:
    """What a press of `button` starts. Space or the middle button pan; the right one erases.

    `alt` picks the object under the cursor whatever the tool, without leaving it.
    """
    if button is Button.MIDDLE or (space and button is Button.LEFT):
        return Intent.PAN
    if button is Button.RIGHT:
        if tool in PAINTING:
            return Intent.ERASE
        if tool == "region":
            return Intent.REGION_OFF
        return Intent.UNDO_CORNER if tool == "polygon" else Intent.NOTHING
    if alt or tool == "pick":
        return Intent.PICK
    return {
        "brush": Intent.STROKE,
        "eraser": Intent.ERASE,
        "fill": Intent.FILL,
        "region": Intent.REGION,
        "polygon": Intent.CORNER,
        "lasso": Intent.LASSO,
    }[tool]


def stepped_radius(radius_px: float, steps: float) -> float:
    """The radius some notches larger or smaller: at least half a pixel a notch, 15 % when it is large."""
    change = (
        max(0.5, radius_px * (RADIUS_STEP - 1)) if steps > 0 else max(0.5, radius_px * (1 - 1 / RADIUS_STEP))
    )
    return clipped_radius(round(2 * (radius_px + steps * change)) / 2)


def clipped_radius(radius_px: float) -> float:
    """Within what brushes can be."""
    return min(max(float(radius_px), MIN_RADIUS_PX), MAX_RADIUS_PX)


@dataclass
class Stroke:
    """The path of a brush: points in frame pixels, those that make no difference left out."""

    radius_px: float
    points: list[Point] = field(default_factory=list)

    def add(self, point: Point) -> tuple[Point, ...] | None:
        """Go on to `point`; the new piece of the path, or None when it is too short to change a pixel."""
        if not self.points:
            self.points.append(point)
            return (point,)
        last = self.points[-1]
        if math.dist(last, point) < min(0.25, self.radius_px / 2):
            return None
        self.points.append(point)
        return (last, point)


@dataclass
class Outline:
    """A polygon or lasso that is being drawn; `points` are its corners in frame pixels.

    pieces  how many points each step added: one, or more where the line follows an edge
    wire    the points between the last corner and the cursor, where that line follows an edge
    """

    points: list[Point] = field(default_factory=list)
    cursor: Point | None = None
    pieces: list[int] = field(default_factory=list)
    wire: Sequence[Point] = ()

    def __post_init__(self) -> None:
        self.pieces = self.pieces or [1] * len(self.points)

    def add(self, point: Point, via: Sequence[Point] = ()) -> None:
        """Set a corner, unless it is the last one again; the line to it runs through `via`."""
        if not self.points or math.dist(self.points[-1], point) > 1e-6:
            self.points += [*via, point]
            self.pieces.append(len(via) + 1)
        self.wire = ()

    def trace(self, point: Point, spacing_px: float) -> bool:
        """Set a corner if it is `spacing_px` frame pixels from the last one: a freehand line."""
        if self.points and math.dist(self.points[-1], point) < spacing_px:
            return False
        self.points.append(point)
        self.pieces.append(1)
        return True

    def undo(self) -> None:
        """Take the last corner back, and the line to it."""
        if self.points:
            del self.points[-self.pieces.pop() :]
        self.wire = ()

    @property
    def corners(self) -> list[Point]:
        """The points that were set, without those in between."""
        ends = itertools.accumulate(self.pieces)
        return [self.points[end - 1] for end in ends]

    def closes_at(self, point: Point, reach_px: float) -> bool:
        """Whether a click at `point` closes it: near the first of at least three corners (frame pixels)."""
        return len(self.points) >= 3 and math.dist(self.points[0], point) <= reach_px

    @property
    def complete(self) -> bool:
        """Whether it encloses anything."""
        return len(self.points) >= 3
