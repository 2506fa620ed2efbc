"""The timeline: ruler, thumbnails and a lane per object, zoomable, for any length of video.

What changes seldom (everything but playhead and cursor) is painted once into a pixmap, from one value per
column of the screen (`timeline_model`), so that scrubbing copies a picture and a change repaints a few
thousand columns, whether the video has a hundred frames or a hundred thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QSize, Qt, Signal, Slot
from PySide6.QtGui import (
    QColor,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPixmap,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QToolTip, QWidget

from smtc_app.ui import timeline_paint as paint
from smtc_app.ui.theme import Theme
from smtc_app.ui.thumbnail_row import THUMBNAIL_PX, ThumbnailRow
from smtc_app.ui.thumbnails import Provider
from smtc_app.ui.timeline_content import TimelineContent
from smtc_app.ui.timeline_model import LaneModel, Marker, TimeAxis
from smtc_app.ui.timeline_picture import TimelineLayout, paint_content, paint_pointers, small_font

WHEEL_STEP = 1.25
SNAP_PX = 6


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
        self._content = TimelineContent()
        self._current = 0
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
        selected = self._content.selected
        self._content = TimelineContent(count, fps, timestamp)
        self._content.selected = selected
        self._axis = TimeAxis(self._content.count, self._content_width()).fitted()
        self._current = 0
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
        if list(lanes) == self._content.order:
            return
        self._content.set_lanes(lanes)
        self._sync_bars()
        self._invalidate()

    def set_lane_states(self, object_id: int, states: np.ndarray) -> None:
        """Status of an object on every frame: uint8 (frames,) of `FrameStatus` values."""
        self._content.lanes[object_id].set_states(states)
        self._invalidate()

    def set_confidence(self, object_id: int, confidence: np.ndarray | None) -> None:
        """Confidence of an object on every frame: float (frames,) in [0, 1], NaN for none."""
        self._content.lanes[object_id].set_confidence(confidence)
        self._invalidate()

    def update_lane(self, object_id: int, frame: int, state: int, confidence: float | None = None) -> None:
        """One frame of an object, as propagation delivers it."""
        self._content.lanes[object_id].update(frame, state, confidence)
        self._invalidate()

    def set_selected(self, ids: Iterable[int]) -> None:
        """Highlight the lanes of these objects, the first of them scrolled into sight."""
        ids = list(ids)
        if frozenset(ids) == self._content.selected:
            return
        self._content.selected = frozenset(ids)
        row = self._content.row_of(ids[0]) if ids else None
        if row is not None:
            layout = self._layout()
            bar, top = self.verticalScrollBar(), row * layout.lane_px
            bar.setValue(int(min(max(bar.value(), top + layout.lane_px - layout.lanes.height()), top)))
        self._invalidate()

    def set_keyframes(self, frames: Iterable[int]) -> None:
        """Frames with a diamond."""
        self._content.set_keyframes(frames)
        self._invalidate()

    def set_locked(self, frames: Iterable[int]) -> None:
        """Frames that nothing changes."""
        self._content.set_locked(frames)
        self._invalidate()

    def set_markers(self, markers: Iterable[Marker], *, source: str = "") -> None:
        """Frames to look at, with the reason as tooltip.

        source: who marks them ("alarm", "correct next"); the markers of other sources stay as they are.
        """
        self._content.set_markers(markers, source=source)
        self._invalidate()

    @property
    def range(self) -> tuple[int, int] | None:
        """The chosen frames (start, stop), half open, or None for all."""
        return self._content.span

    def set_range(self, span: tuple[int, int] | None) -> None:
        """Choose frames (start, stop), half open; None: no range. Emits `range_changed` when it is new."""
        span = self._content.clipped_span(span)
        if span != self._content.span:
            self._content.span = span
            self._invalidate()
            self.range_changed.emit(span)

    def set_in(self, frame: int) -> None:
        """Begin the range at a frame."""
        self.set_range(self._content.span_from(frame))

    def set_out(self, frame: int) -> None:
        """End the range with a frame."""
        self.set_range(self._content.span_to(frame))

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
        return self._layout().x_of(frame)

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
            bar.setValue(bar.value() - round(delta.y() / 120 * 2 * self._layout().lane_px))
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
        return self._content.describe(frame, lane)

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Copy what changes seldom; draw cursor and playhead over it."""
        painter = QPainter(self.viewport())
        if not self._static_valid or self._static.devicePixelRatio() != self.devicePixelRatioF():
            self._paint_static()
        painter.drawPixmap(0, 0, self._static)
        if self._axis.count < 1:
            return
        scrubbing = self._drag == "scrub"
        cursor_x = None if scrubbing or self._cursor is None else self._cursor.x()
        paint_pointers(
            painter,
            self._layout(),
            self._current,
            cursor_x,
            seconds_of=self._content.seconds,
            font=self.font(),
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
        self._static.fill(QColor(Theme.current().colours.panel))
        painter = QPainter(self._static)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._axis.count > 0:
            font = small_font(self.font())
            paint_content(painter, self._content, self._layout(), self._thumbnails, font)
        painter.end()
        self._static_valid = True

    # Geometry

    def _content_width(self) -> int:
        return max(1, self.viewport().width() - paint.HEADER_PX)

    def _layout(self) -> TimelineLayout:
        return TimelineLayout(
            axis=self._axis,
            width=self.viewport().width(),
            height=self.viewport().height(),
            thumbnails_px=self._thumbnails.height_px,
            scroll_px=self.verticalScrollBar().value(),
            lane_count=len(self._content.order),
            ratio=self.devicePixelRatioF(),
        )

    def _lane_at(self, position: QPointF) -> LaneModel | None:
        row, order = self._layout().row_at(position), self._content.order
        return order[row] if row is not None and row < len(order) else None

    def _frame_at(self, position: QPointF) -> int:
        return self._layout().frame_at(position.x())

    def _snapped(self, position: QPointF) -> int:
        """The frame at a point; on the ruler the keyframe or marker that is drawn there."""
        frame = self._frame_at(position)
        if position.y() >= paint.RULER_PX or self._axis.px_per_frame >= SNAP_PX:
            return frame
        nearest = self._content.nearest_mark(frame)
        if nearest is not None and abs(self.x_of(nearest + 0.5) - position.x()) <= SNAP_PX:
            return nearest
        return frame

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
        layout = self._layout()
        room = int(layout.lanes.height())
        top_row = down.value() / max(1, down.singleStep())
        down.setRange(0, max(0, len(self._content.order) * layout.lane_px - room))
        down.setPageStep(max(1, room))
        if layout.lane_px != down.singleStep():
            down.setSingleStep(layout.lane_px)
            down.setValue(round(top_row * layout.lane_px))
        self._syncing = False

    @Slot(int)
    def _on_scrolled(self, value: int) -> None:
        if not self._syncing:
            self._set_axis(self._axis.scrolled(value - self._axis.first * self._axis.px_per_frame))

    @Slot(int)
    def _on_lanes_scrolled(self, _value: int) -> None:
        self._invalidate()

    def _invalidate(self) -> None:
        self._static_valid = False
        self.viewport().update()
