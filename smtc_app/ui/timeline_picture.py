"""The timeline as a picture: what of its content stands where, painted with the parts of `timeline_paint`.

Everything but playhead and cursor goes through `paint_content`, which the widget keeps in a pixmap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen

from smtc_app.ui import timeline_paint as paint
from smtc_app.ui.theme import Theme
from smtc_app.ui.thumbnail_row import ThumbnailRow
from smtc_app.ui.timeline_content import TimelineContent
from smtc_app.ui.timeline_model import ColumnPlan, LaneModel, TimeAxis

SMALL_FONT_PX, COMPACT_FONT_PX = 11, 10
COMPACT_BELOW_PX = 15
"""Names in lanes lower than this are written smaller."""
HIDDEN_OPACITY = 0.45
"""Of the lanes of locked and hidden objects."""


@dataclass(frozen=True)
class TimelineLayout:
    """Where the parts stand in the viewport, in its pixels; `scroll_px`: of the lanes, downwards."""

    axis: TimeAxis
    width: int
    height: int
    thumbnails_px: int
    scroll_px: int
    lane_count: int
    ratio: float
    """Device pixels per pixel."""

    @property
    def content(self) -> QRectF:
        """Right of the names, over the whole height."""
        return QRectF(paint.HEADER_PX, 0, max(1, self.width - paint.HEADER_PX), self.height)

    @property
    def ruler(self) -> QRectF:
        """Numbers, keyframes and markers."""
        return QRectF(self.content.left(), 0, self.content.width(), paint.RULER_PX)

    @property
    def lanes(self) -> QRectF:
        """Names and lanes, as far as they are in sight."""
        top = paint.RULER_PX + self.thumbnails_px
        return QRectF(0, top, self.width, max(0, self.height - top))

    @property
    def lane_px(self) -> int:
        """Height of a lane, the gap to the next one included."""
        return paint.lane_height(self.lane_count, self.lanes.height())

    def x_of(self, frame: float) -> float:
        """Pixel of a frame's left edge."""
        return paint.HEADER_PX + self.axis.x_of(frame)

    def frame_at(self, x: float) -> int:
        """The frame at a pixel, clipped to the video."""
        return self.axis.frame_at(x - paint.HEADER_PX)

    def row_at(self, position: QPointF) -> int | None:
        """Which lane from the top is at a point; None above and below the lanes."""
        if not self.lanes.top() <= position.y() < self.lanes.bottom():
            return None
        return int((position.y() - self.lanes.top() + self.scroll_px) // self.lane_px)

    def top_of(self, row: int) -> float:
        """Upper edge of a lane."""
        return self.lanes.top() + row * self.lane_px - self.scroll_px

    def rows_in_sight(self, order: list[LaneModel]) -> list[tuple[int, LaneModel]]:
        """(row, object) of the lanes to paint."""
        first = self.scroll_px // self.lane_px
        last = first + int(np.ceil(self.lanes.height() / self.lane_px)) + 1
        return list(enumerate(order))[first:last]


def small_font(font: QFont, bold: bool = False) -> QFont:
    """The font of the ruler and of the names."""
    small = QFont(font)
    small.setPixelSize(SMALL_FONT_PX)
    small.setBold(bold)
    return small


def paint_content(
    painter: QPainter, content: TimelineContent, layout: TimelineLayout, thumbnails: ThumbnailRow, font: QFont
) -> None:
    """Everything that stays while the playhead moves; `font` is the small one."""
    colours = Theme.current().colours
    palette = paint.status_colours(colours)
    axis, ruler, lanes = layout.axis, layout.ruler, layout.lanes
    painter.setClipRect(lanes)
    _paint_lanes(painter, content, layout, font)
    painter.setClipRect(layout.content)
    thumbnails.paint(painter, axis, paint.HEADER_PX, paint.RULER_PX)
    paint.paint_ruler(painter, axis, ruler, colours)
    if len(content.locked):
        used = min(lanes.height(), len(content.order) * layout.lane_px)
        hatched = QRectF(paint.HEADER_PX, lanes.top(), lanes.width() - paint.HEADER_PX, used)
        paint.paint_locked_frames(painter, content.locked, axis, hatched, QColor(palette.locked))
    if content.span is not None:
        below = QRectF(ruler.left(), ruler.bottom(), ruler.width(), layout.height - ruler.bottom())
        paint.paint_range(painter, content.span, axis, ruler, below, colours)
    middle = paint.RULER_PX - paint.STRIP_PX / 2 - 0.5
    keyframe, edge = QColor(palette.keyframe), QColor(colours.panel)
    paint.paint_diamonds(painter, content.keyframes, axis, ruler.left(), middle, keyframe, edge)
    paint.paint_markers(painter, content.markers, axis, ruler.left(), paint.RULER_PX - 10, colours)
    painter.setClipping(False)
    painter.setPen(QPen(QColor(colours.border), 1))
    painter.drawLine(QPointF(paint.HEADER_PX - 0.5, 0), QPointF(paint.HEADER_PX - 0.5, layout.height))
    _paint_corner(painter, len(content.order), font)


def paint_pointers(
    painter: QPainter,
    layout: TimelineLayout,
    current: int,
    cursor_x: float | None,
    *,
    seconds_of: Callable[[int], float],
    font: QFont,
) -> None:
    """Labels of the ruler, playhead on frame `current` and, if given, the line under the cursor.

    `seconds_of(frame)` gives presentation times; `font` is the widget's own. The labels are here because
    they make way for the number of the playhead.
    """
    colours, content = Theme.current().colours, layout.content
    plain, bold = small_font(font), small_font(font, bold=True)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setClipRect(content)
    if cursor_x is not None and cursor_x >= content.left():
        line = QColor(colours.text)
        line.setAlpha(70)
        painter.setPen(QPen(line, 1))
        x = np.floor(cursor_x) + 0.5
        painter.drawLine(QPointF(x, 0), QPointF(x, content.bottom()))
    x, width = layout.x_of(current), layout.axis.px_per_frame
    in_sight = x + width >= content.left() and x <= content.right()
    box = paint.playhead_flag(x, width, content, str(current), bold)
    flag = (current, box.left(), box.right()) if in_sight else None
    labels = paint.ruler_labels(layout.axis, layout.ruler, seconds_of, QFontMetricsF(plain), flag)
    paint.paint_ruler_labels(painter, labels, layout.ruler.top(), colours, plain)
    if in_sight:
        paint.paint_playhead(painter, x, width, content, str(current), colours, bold)


def _paint_lanes(painter: QPainter, content: TimelineContent, layout: TimelineLayout, font: QFont) -> None:
    colours = Theme.current().colours
    palette = paint.status_colours(colours)
    keyframe, trough = QColor(palette.keyframe), QColor(palette.trough)
    plan = ColumnPlan(layout.axis, layout.ratio)
    shown = content.keyframes_in_sight(layout.axis)
    gap = paint.lane_gap(layout.lane_px) / 2
    diamond_px = min(paint.DIAMOND_PX, layout.lane_px / 2 - 1.5)
    if layout.lane_px < COMPACT_BELOW_PX:
        font = QFont(font)
        font.setPixelSize(COMPACT_FONT_PX)
    for row, lane in layout.rows_in_sight(content.order):
        top = layout.top_of(row)
        whole = QRectF(0, top, layout.content.right(), layout.lane_px)
        selected = lane.id in content.selected
        if selected:
            painter.fillRect(whole, QColor(colours.selection))
        header = QRectF(0, top, paint.HEADER_PX, layout.lane_px)
        paint.paint_header(painter, lane, header, selected, False, colours, font)
        data = content.lanes[lane.id]
        strip = whole.adjusted(paint.HEADER_PX, gap, 0, -gap)
        painter.setOpacity(HIDDEN_OPACITY if lane.locked or not lane.visible else 1.0)
        paint.paint_lane(painter, data.columns(plan), strip, layout.ratio, palette)
        anchored = shown[data.anchored(shown)]
        paint.paint_diamonds(
            painter,
            anchored,
            layout.axis,
            strip.left(),
            strip.center().y(),
            keyframe,
            trough,
            size=diamond_px,
        )
        painter.setOpacity(1.0)


def _paint_corner(painter: QPainter, count: int, font: QFont) -> None:
    """Above the names: how many lanes there are."""
    painter.setFont(font)
    painter.setPen(QColor(Theme.current().colours.text_soft))
    text = "No objects" if count == 0 else "1 object" if count == 1 else f"{count} objects"
    corner = QRectF(10, 0, paint.HEADER_PX - 18, paint.RULER_PX)
    painter.drawText(corner, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
