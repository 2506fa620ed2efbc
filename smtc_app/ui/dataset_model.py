"""The videos of a dataset for a list view, and how a row looks; thousands of rows cost what is in sight.

Thumbnails are kept for the rows looked at last; who shows the list asks `missing` which ones to get.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PySide6.QtCore import (
    QAbstractItemModel,
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QObject,
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QHelpEvent, QImage, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolTip,
)

from smtc_app.core.dataset import STATE_TEXT, VideoRow, VideoState
from smtc_app.ui.theme import MARGIN_PX, SPACING_PX, Theme

ROW_ROLE = Qt.ItemDataRole.UserRole
PICTURE_ROLE = Qt.ItemDataRole.UserRole + 1
CURRENT_ROLE = Qt.ItemDataRole.UserRole + 2
PICTURE_PX = (72, 45)
CARD_HEIGHT_PX = 61
MAX_PICTURES = 500


def length_text(row: VideoRow) -> str:
    """`48 frames · 854×480`, as far as it is known; `~` before a count that a header only estimates."""
    if row.media is None:
        return ""
    parts = []
    if row.media.frames is not None:
        count = f"{row.media.frames:,}".replace(",", "\u202f")
        noun = "frame" if row.media.frames == 1 else "frames"
        parts.append(f"{'' if row.media.exact else '~'}{count} {noun}")
    if row.media.size is not None:
        parts.append("{}×{}".format(*row.media.size))
    return " · ".join(parts)


def state_text(row: VideoRow) -> str:
    """`In work · 41% sure`: the percentage is the confidence of the least sure label."""
    text = STATE_TEXT[row.state]
    if row.summary is None or row.summary.worst_confidence is None:
        return text
    return f"{text} · {row.summary.worst_confidence:.0%} sure"


def tooltip_text(row: VideoRow) -> str:
    """Everything about a video, a line each."""
    lines = [row.name, str(row.entry.path)]
    if length_text(row):
        lines.append(length_text(row))
    summary = row.summary
    lines.append(STATE_TEXT[row.state])
    if summary is not None:
        objects = "1 object" if summary.objects == 1 else f"{summary.objects} objects"
        lines.append(f"{objects}, labels on {summary.labelled_frames} frames")
    if summary is not None and summary.mean_confidence is not None:
        lines.append(
            f"Propagated labels: least sure {summary.worst_confidence:.0%}, "
            f"on average {summary.mean_confidence:.0%}"
        )
    if row.problem:
        lines.append(row.problem)
    return "\n".join(lines)


class DatasetModel(QAbstractListModel):
    """Rows in the order to show them; a row is found by the name of its video."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: list[VideoRow] = []
        self.current: str | None = None
        self._positions: dict[str, int] = {}
        self._pictures: OrderedDict[str, QImage] = OrderedDict()

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        row = self.rows[index.row()]
        if role == ROW_ROLE:
            return row
        if role == PICTURE_ROLE:
            return self._pictures.get(row.name)
        if role == CURRENT_ROLE:
            return row.name == self.current
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{row.name}, {state_text(row)}"
        return row.name if role == Qt.ItemDataRole.DisplayRole else None

    def set_rows(self, rows: Sequence[VideoRow]) -> None:
        """Show these rows; the pictures stay."""
        if [row.name for row in rows] == [row.name for row in self.rows]:
            self.rows = list(rows)
            if self.rows:
                self.dataChanged.emit(self.index(0), self.index(len(self.rows) - 1))
            return
        self.beginResetModel()
        self.rows = list(rows)
        self._positions = {row.name: position for position, row in enumerate(self.rows)}
        self.endResetModel()

    def update_row(self, row: VideoRow) -> None:
        """Something is known better about one video."""
        position = self._positions.get(row.name)
        if position is not None:
            self.rows[position] = row
            self._changed(row.name)

    def set_current(self, name: str | None) -> None:
        """Which video is open."""
        before, self.current = self.current, name
        for changed in (before, name):
            if changed is not None:
                self._changed(changed)

    def position_of(self, name: str | None) -> int | None:
        """Which row shows a video."""
        return self._positions.get(name) if name is not None else None

    def set_picture(self, name: str, picture: np.ndarray | None) -> None:
        """Keep a thumbnail uint8 (h, w, 3); None: there is none, and nobody shall ask again."""
        image = QImage()
        if picture is not None:
            height, width = picture.shape[:2]
            pixels = np.ascontiguousarray(picture)
            wrapped = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)
            image = wrapped.convertToFormat(QImage.Format.Format_RGB32)
        self._pictures[name] = image
        self._pictures.move_to_end(name)
        while len(self._pictures) > MAX_PICTURES:
            self._pictures.popitem(last=False)
        self._changed(name)

    def missing(self, positions: Iterable[int]) -> list[str]:
        """Names of the videos at these rows that have no picture yet; those that have are kept longer."""
        missing = []
        for position in positions:
            name = self.rows[position].name
            if name in self._pictures:
                self._pictures.move_to_end(name)
            else:
                missing.append(name)
        return missing

    def clear(self) -> None:
        """Forget everything."""
        self._pictures.clear()
        self.current = None
        self.set_rows(())

    def _changed(self, name: str) -> None:
        position = self._positions.get(name)
        if position is not None:
            index = self.index(position)
            self.dataChanged.emit(index, index)


class DatasetDelegate(QStyledItemDelegate):
    """Paints a video and finds out what in its row was clicked.

    Args:
        clicked: called with ("open" or "state", name).
    """

    def __init__(self, parent: QAbstractItemView, clicked: Callable[[str, str], None]) -> None:
        super().__init__(parent)
        self._clicked = clicked

    @staticmethod
    def parts(rect: QRect) -> dict[str, QRect]:
        """The places of a row: picture, name, length, state (text), mark (to click)."""
        inner = rect.adjusted(MARGIN_PX, 8, -SPACING_PX, -8)
        picture = QRect(inner.x(), inner.y(), *PICTURE_PX)
        left, line = picture.right() + 9, 15
        mark = QRect(inner.right() - 21, inner.bottom() - 20, 24, 24)
        room = inner.right() - left
        return {
            "picture": picture,
            "mark": mark,
            "name": QRect(left, inner.y() - 1, room, line),
            "length": QRect(left, inner.y() + line, room, line),
            "state": QRect(left, inner.y() + 2 * line + 1, mark.left() - left, line),
        }

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        return QSize(200, CARD_HEIGHT_PX)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        row: VideoRow = index.data(ROW_ROLE)
        current = bool(index.data(CURRENT_ROLE))
        c = Theme.current().colours
        places = self.parts(option.rect)
        hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)
        painter.save()
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        if current or hovered:
            painter.fillRect(option.rect, QColor(c.selection if current else c.hover))
        if current:
            bar = QRect(option.rect.x(), option.rect.y(), 3, option.rect.height())
            painter.fillRect(bar, QColor(c.accent))
        self._paint_picture(painter, places["picture"], index.data(PICTURE_ROLE), bool(row.problem))
        left = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        metrics, middle, end = option.fontMetrics, Qt.TextElideMode.ElideMiddle, Qt.TextElideMode.ElideRight
        painter.setPen(QColor(c.text))
        name = metrics.elidedText(row.name, middle, places["name"].width())
        painter.drawText(places["name"], left | Qt.TextFlag.TextDontClip, name)
        font = option.font
        font.setPixelSize(11)
        painter.setFont(font)
        metrics = painter.fontMetrics()
        painter.setPen(QColor(c.text_soft))
        length = metrics.elidedText(length_text(row), end, places["length"].width())
        painter.drawText(places["length"], left, length)
        painter.setPen(QColor(c.error if row.problem else c.text_soft))
        state = "Cannot be read" if row.problem else state_text(row)
        painter.drawText(places["state"], left, metrics.elidedText(state, end, places["state"].width()))
        self._paint_mark(painter, places["mark"], row.state, hovered)
        painter.restore()

    @staticmethod
    def _paint_picture(painter: QPainter, place: QRect, image: QImage | None, broken: bool) -> None:
        theme = Theme.current()
        clip = QPainterPath()
        clip.addRoundedRect(QRectF(place), 4, 4)
        painter.setClipPath(clip)
        painter.fillRect(place, QColor(theme.colours.field))
        if image is not None and not image.isNull():
            size = image.size().scaled(place.size(), Qt.AspectRatioMode.KeepAspectRatioByExpanding)
            target = QRect(QPoint(0, 0), size)
            target.moveCenter(place.center())
            painter.drawImage(target, image)
        elif image is not None or broken:
            ratio = painter.device().devicePixelRatioF()
            painter.drawPixmap(
                place.center() - QPoint(9, 9), theme.pixmap("warning", 18, theme.colours.text_off, ratio)
            )
        painter.setClipping(False)

    @staticmethod
    def _paint_mark(painter: QPainter, place: QRect, state: VideoState, hovered: bool) -> None:
        """A ring that fills as the work goes on, and a tick at its end."""
        theme = Theme.current()
        c = theme.colours
        ring = QRectF(0, 0, 13, 13)
        ring.moveCenter(QRectF(place).center())
        if state == VideoState.DONE:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(c.good))
            painter.drawEllipse(ring.adjusted(-1, -1, 1, 1))
            solid, round_cap = Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap
            painter.setPen(QPen(QColor(c.panel), 1.8, solid, round_cap, Qt.PenJoinStyle.RoundJoin))
            x, y = ring.center().x(), ring.center().y()
            tick = QPainterPath()
            tick.moveTo(x - 3.2, y + 0.2)
            tick.lineTo(x - 0.9, y + 2.6)
            tick.lineTo(x + 3.4, y - 2.3)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawPath(tick)
            return
        colour = QColor(c.text if hovered else c.text_off)
        if state != VideoState.UNTOUCHED:
            colour = QColor(c.accent if state == VideoState.PROPOSED else c.warning)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour)
            painter.drawPie(ring, 90 * 16, -(120 if state == VideoState.PROPOSED else 220) * 16)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colour, 1.4))
        painter.drawEllipse(ring)

    def editorEvent(
        self, event: QEvent, model: QAbstractItemModel, option: QStyleOptionViewItem, index: QModelIndex
    ) -> bool:
        if event.type() == QEvent.Type.MouseButtonRelease and event.button() == Qt.MouseButton.LeftButton:
            on_mark = (
                self.parts(option.rect)["mark"].adjusted(-4, -4, 8, 4).contains(event.position().toPoint())
            )
            self._clicked("state" if on_mark else "open", index.data(ROW_ROLE).name)
            return True
        return super().editorEvent(event, model, option, index)

    def helpEvent(
        self, event: QHelpEvent, view: QAbstractItemView, option: QStyleOptionViewItem, index: QModelIndex
    ) -> bool:
        row: VideoRow | None = index.data(ROW_ROLE)
        if row is None:
            return super().helpEvent(event, view, option, index)
        if self.parts(option.rect)["mark"].contains(event.pos()):
            text = "Done: click to take it back" if row.done else "Click to mark this video as done"
        else:
            text = tooltip_text(row)
        QToolTip.showText(event.globalPos(), text, view)
        return True
