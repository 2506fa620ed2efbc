"""Marks over the picture that are not masks: the brush's circle, an outline in the making, places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen, QPolygonF

BRUSH_MARGIN_PX = 5
CORNER_PX = 3.5
DARK = QColor(0, 0, 0, 170)
MARK_PX, LARGEST_MARK_PX = 4.0, 13.0
"""Radius of marks of weight 0 and 1, in points of the screen."""
CROSS_PX = 9.0
TAG_FONT_PX = 11
TAG_BACK = QColor(0, 0, 0, 180)


@dataclass(frozen=True)
class Mark:
    """A place (x, y) in frame pixels: a ring as large as its weight (0..1), or a cross for a question."""

    x: float
    y: float
    colour: tuple[int, int, int] = (255, 255, 255)
    weight: float = 0.5
    cross: bool = False


def draw_mark(painter: QPainter, centre: QPointF, mark: Mark) -> None:
    """Draw a mark at a point of the widget, with a dark rim to be seen on anything."""
    colour = QColor(*mark.colour)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    if mark.cross:
        gap = CROSS_PX / 3
        for pen in (QPen(DARK, 4.5), QPen(colour, 2)):
            painter.setPen(pen)
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                painter.drawLine(
                    centre + QPointF(gap * dx, gap * dy), centre + QPointF(CROSS_PX * dx, CROSS_PX * dy)
                )
        return
    radius = MARK_PX + (LARGEST_MARK_PX - MARK_PX) * mark.weight**0.5
    for pen in (QPen(DARK, 4), QPen(colour, 2)):
        painter.setPen(pen)
        painter.drawEllipse(centre, radius, radius)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawEllipse(centre, 1.6, 1.6)


def draw_tag(painter: QPainter, centre: QPointF, text: str, font: QFont) -> None:
    """A few characters on a dark plate, at a point of the widget."""
    small = QFont(font)
    small.setPixelSize(TAG_FONT_PX)
    small.setBold(True)
    metrics = QFontMetricsF(small)
    width, height = max(metrics.horizontalAdvance(text) + 8, 15), metrics.height() + 1
    plate = QRectF(centre.x() - width / 2, centre.y() - height / 2, width, height)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(TAG_BACK)
    painter.drawRoundedRect(plate, 4, 4)
    painter.setFont(small)
    painter.setPen(Qt.GlobalColor.white)
    painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, text)


def draw_brush(painter: QPainter, centre: QPointF, radius: float, *, erasing: bool) -> None:
    """A circle of `radius` points, white on dark to be seen on anything; dashed for the eraser."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(DARK, 3.2))
    painter.drawEllipse(centre, radius, radius)
    pen = QPen(Qt.GlobalColor.white, 1.4)
    if erasing:
        pen.setDashPattern([3, 2.5])
    painter.setPen(pen)
    painter.drawEllipse(centre, radius, radius)


def draw_outline(
    painter: QPainter,
    points: Sequence[QPointF],
    ahead: Sequence[QPointF],
    corners: Sequence[QPointF],
    colour: QColor,
    *,
    closing: bool,
) -> None:
    """The line so far with its corners, the line `ahead` to the cursor, and a tint of what it would enclose.

    All in points of the widget.
    """
    if not points:
        return
    path = [*points, *ahead]
    tint = QColor(colour)
    tint.setAlpha(70)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(tint)
    painter.drawPolygon(QPolygonF(path), Qt.FillRule.OddEvenFill)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    line = QPolygonF([*path, points[0]] if closing else path)
    painter.setPen(QPen(DARK, 3.5))
    painter.drawPolyline(line)
    painter.setPen(QPen(Qt.GlobalColor.white, 1.5))
    painter.drawPolyline(line)
    if len(corners) > 60:
        corners = corners[:1]  # a freehand line: its corners would hide it
    for number, corner in enumerate(corners):
        size = CORNER_PX + (2.5 if number == 0 and closing else 0)
        painter.setPen(QPen(DARK, 1))
        painter.setBrush(colour if number == 0 and closing else QColor(Qt.GlobalColor.white))
        painter.drawEllipse(corner, size, size)
