"""From presses, moves and releases to strokes, outlines and clicks: a state machine without Qt.

Points are frame pixels; lengths that belong to the hand (how near is near enough) come in as frame pixels,
too, because only the canvas knows its zoom. Each call says what came of it; nothing is painted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smtc_app.ui.tools import Intent, Outline, Point, Stroke, StrokeEvent


@dataclass(frozen=True)
class Pick:
    """A click that picks what is under it."""

    point: Point


class Gestures:
    """What the hand is doing: at most one of a stroke, an outline, a pan."""

    def __init__(self) -> None:
        self.intent = Intent.NOTHING
        self.stroke: Stroke | None = None
        self.outline: Outline | None = None

    @property
    def in_progress(self) -> bool:
        """Whether a stroke or an outline has been begun and not finished."""
        return self.stroke is not None or self.outline is not None

    @property
    def painting(self) -> bool:
        """Whether the stroke in progress is one of brush or eraser."""
        return self.stroke is not None and self.intent in (Intent.STROKE, Intent.ERASE)

    @property
    def sweep(self) -> tuple[tuple[Point, ...], bool] | None:
        """The places of the region tool's stroke in progress, and whether it takes away; None without one."""
        if self.stroke is None or self.painting:
            return None
        return tuple(self.stroke.points), self.intent is Intent.REGION_OFF

    @property
    def erasing(self) -> bool:
        """Whether the stroke in progress erases."""
        return self.stroke is not None and self.intent is Intent.ERASE

    def press(
        self, intent: Intent, point: Point, *, radius_px: float, reach_px: float, via: Sequence[Point] = ()
    ) -> StrokeEvent | None:
        """A button goes down; an event when that closes a polygon.

        via: the points that the line to this one runs through.
        """
        self.intent = intent
        if intent in (Intent.STROKE, Intent.ERASE, Intent.REGION, Intent.REGION_OFF):
            self.stroke = Stroke(radius_px)
        elif intent is Intent.LASSO:
            self.outline = Outline([point], point)
        elif intent is Intent.CORNER:
            if self.outline is None:
                self.outline = Outline([point])
            elif self.outline.closes_at(point, reach_px):
                return self.close_outline(radius_px, via=via)
            else:
                self.outline.add(point, via)
            self.outline.cursor = point
        elif intent is Intent.UNDO_CORNER:
            self.undo_corner()
        return None

    def move(self, point: Point, *, dragged: bool, spacing_px: float) -> tuple[Point, ...] | None:
        """The cursor moves, `dragged` when a press has gone far; a new piece of the stroke's path, if any."""
        if self.stroke is not None:
            return self.stroke.add(point)
        if self.outline is not None:
            self.outline.cursor = point
            if dragged and self.intent in (Intent.LASSO, Intent.CORNER):
                self.outline.trace(point, spacing_px)
        return None

    def release(
        self, point: Point, *, dragged: bool, inside: bool, radius_px: float, reach_px: float
    ) -> StrokeEvent | Pick | None:
        """The button comes up; what that finished."""
        if self.stroke is not None:
            return self.finish_stroke()
        intent, self.intent = self.intent, Intent.NOTHING
        if intent is Intent.LASSO:
            event = self.close_outline(radius_px, "lasso")
            self.outline = None
            return event
        if intent is Intent.CORNER:
            # A freehand stretch that ends where the outline began closes it.
            if dragged and self.outline is not None and self.outline.closes_at(point, reach_px):
                return self.close_outline(radius_px)
            return None
        if not inside or dragged:
            return None
        if intent is Intent.PICK:
            return Pick(point)
        return StrokeEvent("fill", (point,), radius_px) if intent is Intent.FILL else None

    def finish_stroke(self) -> StrokeEvent | None:
        """End the stroke in progress, whether the button is down or not; None without one."""
        if self.stroke is None:
            return None
        points, radius_px = tuple(self.stroke.points), self.stroke.radius_px
        if self.painting:
            event = StrokeEvent("eraser" if self.erasing else "brush", points, radius_px)
        else:
            event = StrokeEvent("region", points, radius_px, erasing=self.intent is Intent.REGION_OFF)
        self.intent, self.stroke = Intent.NOTHING, None
        return event

    def close_outline(
        self, radius_px: float, tool: str = "polygon", *, via: Sequence[Point] = ()
    ) -> StrokeEvent | None:
        """Close the outline in progress; None, and it goes on, while it encloses nothing.

        via: the points that the line back to the first corner runs through.
        """
        if self.outline is None or not self.outline.complete:
            return None
        outline, self.outline = self.outline, None
        return StrokeEvent(tool, (*outline.points, *via), radius_px)

    def undo_corner(self) -> None:
        """Take the last corner back; the outline is gone with its last one."""
        if self.outline is not None:
            self.outline.undo()
            if not self.outline.points:
                self.outline = None

    def drop(self) -> bool:
        """Give up what is in progress; whether there was anything."""
        had = self.in_progress
        if self.stroke is not None or self.intent in (Intent.LASSO, Intent.CORNER):
            self.intent = Intent.NOTHING
        self.stroke = self.outline = None
        return had
