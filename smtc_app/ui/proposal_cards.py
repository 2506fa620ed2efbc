"""The cards of the proposal panel: what one shows, where its parts are, and what a click on it means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import (
    QAbstractItemModel,
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QHelpEvent, QImage, QPainter, QPainterPath
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolTip,
    QWidget,
)

from smtc_app.core.annotation import Colour
from smtc_app.core.command import counted
from smtc_app.ui.proposal_thumbnails import THUMBNAIL_PX
from smtc_app.ui.theme import MARGIN_PX, SPACING_PX, Theme

ROW_ROLE = Qt.ItemDataRole.UserRole
CARD_HEIGHT_PX = 66
ELSEWHERE_OPACITY = 0.62
CHOSEN_MARK_PX = 3
FULL_SCORE = 0.5
"""Fills the bar: hardly any proposal has more (`smtc_model.objectness`)."""


@dataclass(frozen=True)
class ProposalRow:
    """One proposed object as the list shows it.

    id         of its proposal on the frame that is looked at, or on `frame`
    score      0..1, `coverage` part of the frame, `colour` of its tint on the canvas
    frame      where it is proposed, when not on the frame that is looked at
    frames     on how many frames, of `of` frames that were searched
    stability  how little its size changes from frame to frame, 0..1; None on a single frame
    chosen     to be merged or answered with others
    """

    id: int
    title: str
    score: float
    coverage: float
    colour: Colour
    thumbnail: QImage | None = None
    frame: int | None = None
    frames: int = 1
    of: int = 1
    stability: float | None = None
    chosen: bool = False

    @property
    def detail(self) -> str:
        """Where and how steadily it is proposed; empty for a single frame that was searched alone."""
        if self.of < 2:
            return ""
        steady = "" if self.stability is None else f" · {self.stability:.0%} steady"
        return f"{self.frames} of {self.of} frames{steady}"


class ProposalModel(QAbstractListModel):
    """The rows, for a list view."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.rows: list[ProposalRow] = []

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        row = self.rows[index.row()]
        if role == ROW_ROLE:
            return row
        return row.title if role == Qt.ItemDataRole.DisplayRole else None

    def set_rows(self, rows: Sequence[ProposalRow]) -> None:
        """Show these; where only their content is new, the view stays where it was scrolled to."""
        rows = list(rows)
        if [(row.id, row.frame) for row in rows] == [(row.id, row.frame) for row in self.rows]:
            self.rows = rows
            if rows:
                self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))
            return
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()


class ProposalDelegate(QStyledItemDelegate):
    """Draws cards. `clicked(part, row, modifiers)` with part "accept", "reject", "visit" or "choose"."""

    def __init__(
        self, parent: QListView, clicked: Callable[[str, ProposalRow, Qt.KeyboardModifier], None]
    ) -> None:
        super().__init__(parent)
        self._clicked = clicked
        self.highlighted: int | None = None
        """Id of the proposal under the cursor on the canvas."""

    @staticmethod
    def parts(rect: QRect) -> dict[str, QRect]:
        """The places of a card: thumbnail, title, score, detail, accept, reject."""
        inner = rect.adjusted(MARGIN_PX, 7, -SPACING_PX, -7)
        thumbnail = QRect(inner.x(), inner.y(), *THUMBNAIL_PX)
        reject = QRect(inner.right() - 28, inner.center().y() - 14, 28, 28)
        accept = reject.translated(-32, 0)
        left = thumbnail.right() + 10
        room = accept.left() - left - 6
        return {
            "thumbnail": thumbnail,
            "title": QRect(left, inner.y() - 1, room, 18),
            "score": QRect(left, inner.y() + 17, room, 18),
            "detail": QRect(left, inner.y() + 35, inner.right() - left, 18),
            "accept": accept,
            "reject": reject,
        }

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        return QSize(200, CARD_HEIGHT_PX)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        row: ProposalRow = index.data(ROW_ROLE)
        theme = Theme.current()
        c = theme.colours
        places = self.parts(option.rect)
        if not row.detail:
            # Two lines stand in the middle of the card.
            for key in ("title", "score"):
                places[key].translate(0, 8)
        hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)
        painter.save()
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        if hovered or (row.frame is None and row.id == self.highlighted):
            painter.fillRect(option.rect, QColor(c.hover))
        if row.chosen:
            painter.fillRect(option.rect, QColor(c.selection))
            mark = QRect(option.rect.topLeft(), QSize(CHOSEN_MARK_PX, option.rect.height()))
            painter.fillRect(mark, QColor(c.accent))
        if row.frame is not None and not row.chosen:
            painter.setOpacity(1.0 if hovered else ELSEWHERE_OPACITY)
        self._paint_thumbnail(painter, places["thumbnail"], row, QColor(c.field))
        left = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        swatch = QRect(places["title"].x(), places["title"].center().y() - 4, 9, 9)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*row.colour))
        painter.drawRoundedRect(swatch, 2, 2)
        painter.setPen(QColor(c.text))
        painter.drawText(places["title"].adjusted(15, 0, 0, 0), left, row.title)
        self._paint_score(painter, places["score"], row)
        painter.setPen(QColor(c.text_soft))
        painter.drawText(places["detail"], left, row.detail)
        ratio = painter.device().devicePixelRatioF()
        cursor = option.widget.mapFromGlobal(option.widget.cursor().pos()) if hovered else QPoint(-1, -1)
        buttons = (("accept", c.good), ("reject", c.error)) if row.frame is None else (("reject", c.error),)
        for key, tint in buttons:
            hot = hovered and places[key].contains(cursor)
            if hot:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(c.raised))
                painter.drawRoundedRect(places[key], 6, 6)
            icon = theme.pixmap(key, 18, tint if hovered else c.text_soft, ratio)
            painter.drawPixmap(places[key].topLeft() + QPoint(5, 5), icon)
        painter.restore()

    @staticmethod
    def _paint_thumbnail(painter: QPainter, place: QRect, row: ProposalRow, empty: QColor) -> None:
        clip = QPainterPath()
        clip.addRoundedRect(QRectF(place), 4, 4)
        painter.setClipPath(clip)
        if row.thumbnail is not None:
            painter.drawImage(place, row.thumbnail)
        else:
            painter.fillRect(place, empty)
        painter.setClipping(False)

    @staticmethod
    def _paint_score(painter: QPainter, place: QRect, row: ProposalRow) -> None:
        c = Theme.current().colours
        track = QRect(place.x(), place.center().y() - 2, min(52, place.width()), 4)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(c.border))
        painter.drawRoundedRect(track, 2, 2)
        filled = QRect(track)
        filled.setWidth(max(4, round(track.width() * min(1.0, max(0.0, row.score / FULL_SCORE)))))
        painter.setBrush(QColor(c.accent))
        painter.drawRoundedRect(filled, 2, 2)
        painter.setPen(QColor(c.text_soft))
        painter.drawText(
            place.adjusted(track.width() + 8, 0, 0, 0),
            Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft,
            f"{row.score:.2f}",
        )

    def part_at(self, rect: QRect, row: ProposalRow, position: QPoint) -> str:
        """What a click at a point of a card means."""
        if self.parts(rect)["reject"].contains(position):
            return "reject"
        return "accept" if row.frame is None else "visit"

    def editorEvent(
        self, event: QEvent, model: QAbstractItemModel, option: QStyleOptionViewItem, index: QModelIndex
    ) -> bool:
        if event.type() == QEvent.Type.MouseButtonRelease and event.button() == Qt.MouseButton.LeftButton:
            row = index.data(ROW_ROLE)
            part = self.part_at(option.rect, row, event.position().toPoint())
            if part != "reject" and event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                part = "choose"
            self._clicked(part, row, event.modifiers())
            return True
        if event.type() == QEvent.Type.MouseMove:
            option.widget.viewport().update()
        return super().editorEvent(event, model, option, index)

    def helpEvent(
        self, event: QHelpEvent, view: QAbstractItemView, option: QStyleOptionViewItem, index: QModelIndex
    ) -> bool:
        row: ProposalRow | None = index.data(ROW_ROLE)
        if row is None:
            return super().helpEvent(event, view, option, index)
        part = self.part_at(option.rect, row, event.pos())
        QToolTip.showText(event.globalPos(), tooltip(row, part), view)
        return True


def tooltip(row: ProposalRow, part: str) -> str:
    """What a part of a card does, and what is known of the proposal."""
    everywhere = f" on {counted(row.frames, 'frame')}" if row.frames > 1 else ""
    if part == "reject":
        only = "\nCtrl+click: on one frame only" if row.frames > 1 else ""
        return f"Reject this proposal{everywhere}{only}"
    if part == "visit":
        do = f"Click to see it on frame {row.frame}"
    else:
        only = ", Ctrl+click on this one only" if row.frames > 1 else ""
        do = f"Click to make it an object{everywhere}{only}"
    if part != "reject":
        do += f"\nShift+click {'chooses it no more' if row.chosen else 'chooses it, to merge it with others'}"
    lines = [do, f"Score {row.score:.2f} · {row.coverage:.1%} of the frame"]
    return "\n".join([*lines, row.detail] if row.detail else lines)
