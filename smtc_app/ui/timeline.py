"""The timeline: ruler, thumbnails and a lane per object, zoomable, for any length of video.

What changes seldom (everything but playhead and cursor) is painted once into a pixmap, from one value per
column of the screen (`timeline_model`), so that scrubbing copies a picture and a change repaints a few
thousand columns, whether the video has a hundred frames or a hundred thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import (
    QColor,
    QFont,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QToolTip, QWidget

from smtc_app.ui import timeline_paint as paint
from smtc_app.ui.theme import Theme
from smtc_app.ui.thumbnail_row import THUMBNAIL_PX, ThumbnailRow
from smtc_app.ui.thumbnails import Provider
from smtc_app.ui.timeline_model import (
    ColumnPlan,
    Lane,
    LaneModel,
    Marker,
    TimeAxis,
    format_time,
)

WHEEL_STEP = 1.25
SNAP_PX = 6
SMALL_FONT_PX = 11
DENSE_PX = 14
"""Keyframes nearer than this on the average are not marked in every lane."""


class Timeline(QAbstractScrollArea):
    """Shows and seeks; it holds copies of what it is given and changes nothing.

    Signals:
        frame_requested: index of a frame that was clicked or scrubbed to.
        lane_clicked: (object id, Qt.KeyboardModifiers) of a click on a lane's name.
        range_changed: (start, stop) half-open frames chosen with Shift-drag, or None.
    """

    frame_requested = Signal(object)
    lane_clicked = Signal(object)
    range_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.viewport().setMouseTracking(True)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._axis = TimeAxis(0, 1)
        self._fps = 25.0
        self._timestamp: Callable[[int], float] | None = None
        self._current = 0
        self._order: list[LaneModel] = []
        self._lanes: dict[int, Lane] = {}
        self._selected: frozenset[int] = frozenset()
        self._keyframes = self._locked = np.zeros(0, np.int64)
        self._markers: tuple[Marker, ...] = ()
        self._range: tuple[int, int] | None = None
        self._thumbnails = ThumbnailRow(self)
        self._static = QPixmap()
        self._static_valid = False
        self._cursor: QPointF | None = None
        self._drag = ""
        self._drag_from = 0.0
        self._syncing = False
        self._thumbnails.changed.connect(self._on_thumbnails_changed)
        self.horizontalScrollBar().valueChanged.connect(self._on_scrolled)
        self.verticalScrollBar().valueChanged.connect(self._on_lanes_scrolled)
        Theme.current().changed.connect(self._on_theme_changed)

    def sizeHint(self) -> QSize:
        """Ruler, thumbnails and five lanes."""
        return QSize(800, paint.RULER_PX + THUMBNAIL_PX + 5 * paint.LANE_PX + 12)

    # What is shown

    def set_frame_count(
        self, count: int, fps: float, timestamp: Callable[[int], float] | None = None
    ) -> None:
        """Another video: `count` frames; times come from `timestamp(i)` in seconds, else from `fps`.

        Everything that belonged to the video before is dropped, thumbnails and their provider too.
        """
        self._fps = fps if fps > 0 else 25.0
        self._timestamp = timestamp
        self._axis = TimeAxis(max(0, count), max(1, self._content_width())).fitted()
        self._current, self._range, self._markers = 0, None, ()
        self._keyframes = self._locked = np.zeros(0, np.int64)
        self._order, self._lanes = [], {}
        self.set_thumbnail_provider(None)
        self._sync_bars()
        self._invalidate()

    def set_current(self, index: int) -> None:
        """Put the playhead on a frame, and scroll it into sight."""
        if index == self._current:
            return
        self._current = index
        if self._drag != "scrub":
            self._set_axis(self._axis.showing(index))
        self.viewport().update()

    def set_lanes(self, lanes: Sequence[LaneModel]) -> None:
        """The objects, in order. What is known of an object stays while it has a lane."""
        if list(lanes) == self._order:
            return
        self._order = list(lanes)
        self._lanes = {model.id: self._lanes.get(model.id) or Lane(self._axis.count) for model in self._order}
        self._sync_bars()
        self._invalidate()

    def set_lane_states(self, object_id: int, states: np.ndarray) -> None:
        """Status of an object on every frame: uint8 (frames,) of `FrameStatus` values."""
        self._lanes[object_id].set_states(states)
        self._invalidate()

    def set_confidence(self, object_id: int, confidence: np.ndarray | None) -> None:
        """Confidence of an object on every frame: float (frames,) in [0, 1], NaN for none."""
        self._lanes[object_id].set_confidence(confidence)
        self._invalidate()

    def update_lane(self, object_id: int, frame: int, state: int, confidence: float | None = None) -> None:
        """One frame of an object, as propagation delivers it."""
        self._lanes[object_id].update(frame, state, confidence)
        self._invalidate()

    def set_selected(self, ids: Iterable[int]) -> None:
        """Highlight the lanes of these objects, the first of them scrolled into sight."""
        ids = list(ids)
        if frozenset(ids) == self._selected:
            return
        self._selected = frozenset(ids)
        for row, lane in enumerate(self._order):
            if ids and lane.id == ids[0]:
                bar, top = self.verticalScrollBar(), row * paint.LANE_PX
                room = self._lanes_rect().height()
                bar.setValue(int(min(max(bar.value(), top + paint.LANE_PX - room), top)))
        self._invalidate()

    def set_keyframes(self, frames: Iterable[int]) -> None:
        """Frames with a diamond."""
        self._keyframes = np.array(sorted(frames), np.int64)
        self._invalidate()

    def set_locked(self, frames: Iterable[int]) -> None:
        """Frames that nothing changes."""
        self._locked = np.array(sorted(frames), np.int64)
        self._invalidate()

    def set_markers(self, markers: Iterable[Marker]) -> None:
        """Frames to look at, with the reason as tooltip."""
        self._markers = tuple(sorted(markers, key=lambda marker: marker.frame))
        self._invalidate()

    @property
    def range(self) -> tuple[int, int] | None:
        """The chosen frames (start, stop), half open, or None for all."""
        return self._range

    def set_range(self, span: tuple[int, int] | None) -> None:
        """Choose frames (start, stop), half open; None: no range. Emits `range_changed` when it is new."""
        if span is not None:
            start = min(max(span[0], 0), max(0, self._axis.count - 1))
            span = (start, min(max(span[1], start + 1), self._axis.count))
        if span != self._range:
            self._range = span
            self._invalidate()
            self.range_changed.emit(span)

    def set_in(self, frame: int) -> None:
        """Begin the range at a frame."""
        stop = self._range[1] if self._range is not None and self._range[1] > frame else self._axis.count
        self.set_range((frame, stop))

    def set_out(self, frame: int) -> None:
        """End the range with a frame."""
        start = self._range[0] if self._range is not None and self._range[0] <= frame else 0
        self.set_range((start, frame + 1))

    def set_thumbnail_provider(self, provider: Provider | None) -> None:
        """Who gives thumbnails: `provider(frame, deliver)`, see `thumbnails`; None: no row of thumbnails."""
        self._thumbnails.set_provider(provider)
        self._sync_bars()
        self._invalidate()

    # Zoom

    @property
    def axis(self) -> TimeAxis:
        """What is in sight."""
        return self._axis

    def fit(self) -> None:
        """Show the whole video."""
        self._set_axis(self._axis.fitted())

    def zoom_by(self, factor: float) -> None:
        """Zoom around the playhead if it is in sight, else around the middle."""
        x = self._axis.x_of(self._current + 0.5)
        self._set_axis(
            self._axis.zoomed_at(factor, x if 0 <= x <= self._axis.width else self._axis.width / 2)
        )

    def x_of(self, frame: float) -> float:
        """Viewport pixel of a frame's left edge."""
        return paint.HEADER_PX + self._axis.x_of(frame)

    # Mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Seek, choose a range, pan, or click a name."""
        position, button = event.position(), event.button()
        if self._axis.count < 1:
            return
        if button == Qt.MouseButton.MiddleButton:
            self._drag, self._drag_from = "pan", position.x()
        elif button == Qt.MouseButton.LeftButton and position.x() < paint.HEADER_PX:
            lane = self._lane_at(position)
            if lane is not None:
                self.lane_clicked.emit((lane.id, event.modifiers()))
        elif button == Qt.MouseButton.LeftButton and event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self._drag, self._drag_from = "range", float(self._frame_at(position))
            self.set_range((int(self._drag_from), int(self._drag_from) + 1))
        elif button == Qt.MouseButton.LeftButton:
            self._drag = "scrub"
            self._seek(self._snapped(position))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Scrub, extend the range, pan, or hover."""
        position = event.position()
        self._cursor = position
        if self._drag == "scrub":
            self._seek(self._frame_at(position))
        elif self._drag == "range":
            a, b = sorted((int(self._drag_from), self._frame_at(position)))
            self.set_range((a, b + 1))
        elif self._drag == "pan":
            self._set_axis(self._axis.scrolled(self._drag_from - position.x()))
            self._drag_from = position.x()
        self.viewport().update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End of a drag."""
        self._drag = ""

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """On the ruler: the whole video again; elsewhere a second click."""
        on_ruler = event.position().y() < paint.RULER_PX and event.position().x() >= paint.HEADER_PX
        if on_ruler and event.button() == Qt.MouseButton.LeftButton:
            self.fit()
        else:
            self.mousePressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom at the cursor; sideways or with Shift scroll; over the names scroll the lanes."""
        delta = event.angleDelta()
        sideways = delta.x() or (delta.y() if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 0)
        x = event.position().x() - paint.HEADER_PX
        if x < 0:
            bar = self.verticalScrollBar()
            bar.setValue(bar.value() - round(delta.y() / 120 * 2 * paint.LANE_PX))
        elif sideways:
            self._set_axis(self._axis.scrolled(-sideways / 120 * self._axis.width / 8))
        elif delta.y():
            self._set_axis(self._axis.zoomed_at(WHEEL_STEP ** (delta.y() / 120), x))
        event.accept()

    def viewportEvent(self, event: QEvent) -> bool:
        """Tooltips, and the cursor leaving."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            text = self.tooltip_at(QPointF(event.pos()))
            QToolTip.showText(event.globalPos(), text, self.viewport())
            return True
        if event.type() == QEvent.Type.Leave:
            self._cursor = None
            self.viewport().update()
        return super().viewportEvent(event)

    def tooltip_at(self, position: QPointF) -> str:
        """What is at a point of the viewport, in words."""
        if self._axis.count < 1:
            return ""
        lane = self._lane_at(position)
        if position.x() < paint.HEADER_PX:
            return lane.name + (" (locked)" if lane.locked else "") if lane is not None else ""
        frame = self._snapped(position) if position.y() < paint.RULER_PX else self._frame_at(position)
        lines = [f"Frame {frame}  ·  {format_time(self._seconds(frame))}"]
        if frame in self._keyframes:
            lines.append("Keyframe")
        if frame in self._locked:
            lines.append("Locked")
        lines += [marker.text for marker in self._markers if marker.frame == frame]
        if lane is not None:
            data = self._lanes[lane.id]
            text = f"{lane.name}: {paint.STATUS_TEXT[data.state(frame)]}"
            confidence = data.confidence(frame)
            lines.append(text if confidence is None else f"{text}, confidence {confidence:.0%}")
        return "\n".join(lines)

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Copy what changes seldom; draw cursor and playhead over it."""
        painter = QPainter(self.viewport())
        if not self._static_valid or self._static.devicePixelRatio() != self.devicePixelRatioF():
            self._paint_static()
        painter.drawPixmap(0, 0, self._static)
        if self._axis.count < 1:
            return
        colours = Theme.current().colours
        content = QRectF(paint.HEADER_PX, 0, self._content_width(), self.viewport().height())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(content)
        if self._cursor is not None and self._cursor.x() >= paint.HEADER_PX and self._drag != "scrub":
            line = QColor(colours.text)
            line.setAlpha(70)
            painter.setPen(QPen(line, 1))
            x = np.floor(self._cursor.x()) + 0.5
            painter.drawLine(QPointF(x, 0), QPointF(x, content.bottom()))
        x, width = self.x_of(self._current), self._axis.px_per_frame
        if x + width >= content.left() and x <= content.right():
            paint.paint_playhead(
                painter, x, width, content, str(self._current), colours, self._small_font(True)
            )

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another width: the same frames as far as they fit."""
        self._axis = self._axis.resized(self._content_width())
        self._sync_bars()
        self._invalidate()

    @Slot(object)
    def _on_thumbnails_changed(self, _nothing: object) -> None:
        self._invalidate()

    @Slot(object)
    def _on_theme_changed(self, _colours: object) -> None:
        self._invalidate()

    def _paint_static(self) -> None:
        ratio = self.devicePixelRatioF()
        size = self.viewport().size()
        self._static = QPixmap(size * ratio)
        self._static.setDevicePixelRatio(ratio)
        colours = Theme.current().colours
        self._static.fill(QColor(colours.panel))
        painter = QPainter(self._static)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._axis.count > 0:
            self._paint_content(painter, ratio)
        painter.end()
        self._static_valid = True

    def _paint_content(self, painter: QPainter, ratio: float) -> None:
        colours = Theme.current().colours
        palette = paint.status_colours(colours)
        lanes, small = self._lanes_rect(), self._small_font()
        height = self.viewport().height()
        ruler = QRectF(paint.HEADER_PX, 0, self._content_width(), paint.RULER_PX)
        painter.setClipRect(QRectF(0, lanes.top(), self.viewport().width(), lanes.height()))
        self._paint_lanes(painter, lanes, ratio)
        painter.setClipRect(QRectF(paint.HEADER_PX, 0, self._content_width(), height))
        self._thumbnails.paint(painter, self._axis, paint.HEADER_PX, paint.RULER_PX)
        paint.paint_ruler(painter, self._axis, ruler, self._seconds, colours, small)
        if len(self._locked):
            used = min(lanes.height(), len(self._order) * paint.LANE_PX)
            hatched = QRectF(paint.HEADER_PX, lanes.top(), lanes.width() - paint.HEADER_PX, used)
            paint.paint_locked_frames(painter, self._locked, self._axis, hatched, QColor(palette.locked))
        if self._range is not None:
            below = QRectF(ruler.left(), ruler.bottom(), ruler.width(), height - ruler.bottom())
            paint.paint_range(painter, self._range, self._axis, ruler, below, colours)
        middle = paint.RULER_PX - paint.STRIP_PX / 2 - 0.5
        paint.paint_diamonds(
            painter,
            self._keyframes,
            self._axis,
            ruler.left(),
            middle,
            QColor(palette.keyframe),
            QColor(colours.panel),
        )
        paint.paint_markers(painter, self._markers, self._axis, ruler.left(), paint.RULER_PX - 10, colours)
        painter.setClipping(False)
        painter.setPen(QPen(QColor(colours.border), 1))
        painter.drawLine(QPointF(paint.HEADER_PX - 0.5, 0), QPointF(paint.HEADER_PX - 0.5, height))
        self._paint_corner(painter)

    def _paint_lanes(self, painter: QPainter, rect: QRectF, ratio: float) -> None:
        colours = Theme.current().colours
        palette, small = paint.status_colours(colours), self._small_font()
        keyframes = QColor(palette.keyframe)
        plan = ColumnPlan(self._axis, ratio)
        shown = self._keyframes_in_sight()
        for row, lane in self._rows_in_sight(rect):
            top = rect.top() + row * paint.LANE_PX - self.verticalScrollBar().value()
            whole = QRectF(0, top, paint.HEADER_PX + self._content_width(), paint.LANE_PX)
            selected = lane.id in self._selected
            if selected:
                painter.fillRect(whole, QColor(colours.selection))
            header = QRectF(0, top, paint.HEADER_PX, paint.LANE_PX)
            paint.paint_header(painter, lane, header, selected, False, colours, small)
            data = self._lanes[lane.id]
            gap = paint.LANE_GAP_PX / 2
            strip = whole.adjusted(paint.HEADER_PX, gap, 0, -gap)
            painter.setOpacity(0.45 if lane.locked or not lane.visible else 1.0)
            paint.paint_lane(painter, data.columns(plan), strip, ratio, palette)
            paint.paint_diamonds(
                painter,
                shown[data.anchored(shown)],
                self._axis,
                strip.left(),
                strip.center().y(),
                keyframes,
                QColor(palette.trough),
            )
            painter.setOpacity(1.0)

    def _keyframes_in_sight(self) -> np.ndarray:
        """Those to mark in the lanes: none where they stand so close that colours say it better."""
        low, high = self._axis.shown()
        frames = self._keyframes
        shown = frames[np.searchsorted(frames, low) : np.searchsorted(frames, high)]
        return shown if len(shown) * DENSE_PX <= self._axis.width else shown[:0]

    def _rows_in_sight(self, rect: QRectF) -> list[tuple[int, LaneModel]]:
        first = int(self.verticalScrollBar().value() // paint.LANE_PX)
        last = first + int(np.ceil(rect.height() / paint.LANE_PX)) + 1
        return list(enumerate(self._order))[first:last]

    def _paint_corner(self, painter: QPainter) -> None:
        """Above the names: how much is in sight; below the ruler what to do while there are no lanes."""
        colours = Theme.current().colours
        painter.setFont(self._small_font())
        painter.setPen(QColor(colours.text_off))
        count = len(self._order)
        text = "No objects" if count == 0 else "1 object" if count == 1 else f"{count} objects"
        corner = QRectF(10, 0, paint.HEADER_PX - 18, paint.RULER_PX)
        painter.drawText(corner, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)

    # Geometry

    def _content_width(self) -> int:
        return max(1, self.viewport().width() - paint.HEADER_PX)

    def _lanes_rect(self) -> QRectF:
        top = paint.RULER_PX + self._thumbnails.height_px
        return QRectF(0, top, self.viewport().width(), max(0, self.viewport().height() - top))

    def _lane_at(self, position: QPointF) -> LaneModel | None:
        rect = self._lanes_rect()
        if not rect.top() <= position.y() < rect.bottom():
            return None
        row = int((position.y() - rect.top() + self.verticalScrollBar().value()) // paint.LANE_PX)
        return self._order[row] if row < len(self._order) else None

    def _frame_at(self, position: QPointF) -> int:
        return self._axis.frame_at(position.x() - paint.HEADER_PX)

    def _snapped(self, position: QPointF) -> int:
        """The frame at a point; on the ruler the keyframe or marker that is drawn there."""
        frame = self._frame_at(position)
        if position.y() >= paint.RULER_PX or self._axis.px_per_frame >= SNAP_PX:
            return frame
        marks = np.concatenate([self._keyframes, np.array([m.frame for m in self._markers], np.int64)])
        if len(marks):
            nearest = int(marks[np.argmin(np.abs(marks - frame))])
            if abs(self.x_of(nearest + 0.5) - position.x()) <= SNAP_PX:
                return nearest
        return frame

    def _seconds(self, frame: int) -> float:
        return frame / self._fps if self._timestamp is None else self._timestamp(frame)

    def _seek(self, frame: int) -> None:
        if frame != self._current:
            self.set_current(frame)
            self.frame_requested.emit(frame)

    def _set_axis(self, axis: TimeAxis) -> None:
        if axis != self._axis:
            self._axis = axis
            self._sync_bars()
            self._invalidate()

    def _sync_bars(self) -> None:
        self._syncing = True
        axis, across, down = self._axis, self.horizontalScrollBar(), self.verticalScrollBar()
        whole = axis.count * axis.px_per_frame
        across.setRange(0, max(0, round(whole - axis.width)))
        across.setPageStep(axis.width)
        across.setSingleStep(max(1, axis.width // 10))
        across.setValue(round(axis.first * axis.px_per_frame))
        room = int(self._lanes_rect().height())
        down.setRange(0, max(0, len(self._order) * paint.LANE_PX - room))
        down.setPageStep(max(1, room))
        down.setSingleStep(paint.LANE_PX)
        self._syncing = False

    @Slot(int)
    def _on_scrolled(self, value: int) -> None:
        if not self._syncing:
            self._set_axis(self._axis.scrolled(value - self._axis.first * self._axis.px_per_frame))

    @Slot(int)
    def _on_lanes_scrolled(self, _value: int) -> None:
        self._invalidate()

    def _small_font(self, bold: bool = False) -> QFont:
        font = QFont(self.font())
        font.setPixelSize(SMALL_FONT_PX)
        font.setBold(bold)
        return font

    def _invalidate(self) -> None:
        self._static_valid = False
        self.viewport().update()
