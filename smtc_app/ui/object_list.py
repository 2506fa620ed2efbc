"""The rows of the list of objects: what one shows, where its parts are, and what is asked for in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import (
    QAbstractItemModel,
    QAbstractListModel,
    QEvent,
    QMimeData,
    QModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QHelpEvent, QPainter, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolTip,
    QWidget,
)

from smtc_app.ui.theme import MARGIN_PX, ROW_HEIGHT_PX, Theme

ROW_ROLE = Qt.ItemDataRole.UserRole
DRAG_TYPE = "application/x-smtc-objects"


@dataclass(frozen=True)
class ObjectRow:
    """One object as the list shows it; `colour` is (r, g, b), `area_px` counts the pixels on this frame."""

    id: int
    name: str
    category: str = ""
    colour: tuple[int, int, int] = (128, 128, 128)
    visible: bool = True
    locked: bool = False
    area_px: int = 0


def format_area(area_px: int) -> str:
    """`–` for none, `812 px`, `12.3k px`, `1.2M px`."""
    if area_px <= 0:
        return "–"
    if area_px < 1000:
        return f"{area_px} px"
    if area_px < 1_000_000:
        return f"{area_px / 1000:.1f}k px"
    return f"{area_px / 1_000_000:.1f}M px"


class ObjectModel(QAbstractListModel):
    """The rows, for a list view that renames and reorders them by asking."""

    def __init__(
        self,
        parent: QWidget,
        rename: Callable[[int, str], None],
        drop: Callable[[tuple[int, ...], int], None],
    ) -> None:
        super().__init__(parent)
        self.rows: list[ObjectRow] = []
        self._rename, self._drop = rename, drop

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        row = self.rows[index.row()]
        if role == ROW_ROLE:
            return row
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return row.name
        return None

    def setData(self, index: QModelIndex, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        name = str(value).strip()
        row = self.rows[index.row()]
        if role != Qt.ItemDataRole.EditRole or not name or name == row.name:
            return False
        self._rename(row.id, name)
        return True

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        if not index.isValid():
            # Rows are dropped between rows, not on them.
            return Qt.ItemFlag.ItemIsDropEnabled
        flag = Qt.ItemFlag
        return flag.ItemIsEnabled | flag.ItemIsSelectable | flag.ItemIsEditable | flag.ItemIsDragEnabled

    def supportedDropActions(self) -> Qt.DropAction:
        return Qt.DropAction.MoveAction

    def mimeTypes(self) -> list[str]:
        return [DRAG_TYPE]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        data = QMimeData()
        ids = [self.rows[position].id for position in sorted(index.row() for index in indexes)]
        data.setData(DRAG_TYPE, " ".join(map(str, ids)).encode())
        return data

    def dropMimeData(
        self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: QModelIndex
    ) -> bool:
        if action != Qt.DropAction.MoveAction or not data.hasFormat(DRAG_TYPE):
            return False
        ids = tuple(int(text) for text in bytes(data.data(DRAG_TYPE)).split())
        self._drop(ids, row if row >= 0 else len(self.rows))
        return True

    def set_rows(self, rows: Sequence[ObjectRow]) -> None:
        if [row.id for row in rows] == [row.id for row in self.rows]:
            self.rows = list(rows)
            if self.rows:
                self.dataChanged.emit(self.index(0), self.index(len(self.rows) - 1))
            return
        self.beginResetModel()
        self.rows = list(rows)
        self.endResetModel()


class ObjectDelegate(QStyledItemDelegate):
    """Paints a row and finds out what in it was clicked."""

    TIPS = {  # noqa: RUF012 - constant
        "colour": "Choose a colour  (C)",
        "visible": "Show or hide  (V)",
        "locked": "Lock or unlock: a locked object is not painted over  (Shift+L)",
    }

    def __init__(self, parent: QListView, clicked: Callable[[str, int], None]) -> None:
        super().__init__(parent)
        self._clicked = clicked

    @staticmethod
    def parts(rect: QRect) -> dict[str, QRect]:
        """The places of a row: colour, id, name, area, locked, visible."""
        y, height = rect.y(), rect.height()
        square = 18
        top = y + (height - square) // 2
        right = rect.right() - MARGIN_PX + 4
        places = {"colour": QRect(rect.x() + MARGIN_PX, top, square, square)}
        places["visible"] = QRect(right - 20, top - 1, 20, 20)
        places["locked"] = QRect(right - 44, top - 1, 20, 20)
        places["area"] = QRect(right - 44 - 66, y, 62, height)
        left = places["colour"].right() + 6
        places["id"] = QRect(left, y, 24, height)
        left += 28
        places["name"] = QRect(left, y, places["area"].left() - left - 4, height)
        return places

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        return QSize(200, ROW_HEIGHT_PX)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        row: ObjectRow = index.data(ROW_ROLE)
        theme = Theme.current()
        c = theme.colours
        places = self.parts(option.rect)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if selected or hovered:
            painter.fillRect(option.rect, QColor(c.selection if selected else c.hover))
        colour = QColor(*row.colour)
        painter.setPen(QPen(QColor(c.border), 1))
        painter.setBrush(colour)
        painter.drawRoundedRect(places["colour"].adjusted(1, 1, -1, -1), 4, 4)
        left = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        right = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        painter.setPen(QColor(c.text_soft))
        painter.drawText(places["id"], right, str(row.id))
        painter.setPen(QColor(c.text if row.visible else c.text_off))
        name = option.fontMetrics.elidedText(row.name, Qt.TextElideMode.ElideRight, places["name"].width())
        painter.drawText(places["name"], left, name)
        if row.category:
            used = option.fontMetrics.horizontalAdvance(name) + 8
            painter.setPen(QColor(c.text_soft))
            room = places["name"].adjusted(used, 0, 0, 0)
            if room.width() > 24:
                elide = Qt.TextElideMode.ElideRight
                painter.drawText(room, left, option.fontMetrics.elidedText(row.category, elide, room.width()))
        painter.setPen(QColor(c.text_soft if row.area_px else c.text_off))
        painter.drawText(places["area"], right, format_area(row.area_px))
        ratio = painter.device().devicePixelRatioF()
        for key, on, names in (
            ("visible", row.visible, ("eye", "eye-off")),
            ("locked", row.locked, ("lock", "unlock")),
        ):
            noteworthy = on if key == "locked" else not on
            if not (noteworthy or hovered or selected or key == "visible"):
                continue
            tint = c.warning if noteworthy else c.text_soft
            icon = theme.pixmap(names[0] if on else names[1], 16, tint, ratio)
            painter.drawPixmap(places[key].topLeft() + QPoint(2, 2), icon)
        painter.restore()

    def editorEvent(
        self, event: QEvent, model: QAbstractItemModel, option: QStyleOptionViewItem, index: QModelIndex
    ) -> bool:
        if event.type() == QEvent.Type.MouseButtonRelease and event.button() == Qt.MouseButton.LeftButton:
            places = self.parts(option.rect)
            for key in ("colour", "locked", "visible"):
                if places[key].adjusted(-3, -6, 3, 6).contains(event.position().toPoint()):
                    self._clicked(key, index.data(ROW_ROLE).id)
                    return True
        return super().editorEvent(event, model, option, index)

    def helpEvent(
        self, event: QHelpEvent, view: QAbstractItemView, option: QStyleOptionViewItem, index: QModelIndex
    ) -> bool:
        row: ObjectRow | None = index.data(ROW_ROLE)
        if row is not None:
            for key, tip in self.TIPS.items():
                if self.parts(option.rect)[key].contains(event.pos()):
                    QToolTip.showText(event.globalPos(), tip, view)
                    return True
            category = f" · {row.category}" if row.category else ""
            text = f"{row.id} · {row.name}{category} · {row.area_px:,} px on this frame"
            QToolTip.showText(event.globalPos(), text, view)
            return True
        return super().helpEvent(event, view, option, index)

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: QModelIndex) -> QWidget:
        editor = QLineEdit(parent)
        editor.setMaxLength(80)
        return editor

    def setEditorData(self, editor: QWidget, index: QModelIndex) -> None:
        editor.setText(index.data(Qt.ItemDataRole.EditRole))
        editor.selectAll()

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: QModelIndex) -> None:
        model.setData(index, editor.text())

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        editor.setGeometry(self.parts(option.rect)["name"].adjusted(-5, 4, 0, -4))
