"""The list of objects: colour, name, category, area on this frame, lock, visibility, and what can be done to
them.

The panel knows rows, not the document: it is given `ObjectRow`s and says what the person asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import (
    QAbstractItemModel,
    QAbstractListModel,
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QMimeData,
    QModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import QColor, QHelpEvent, QPainter, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolButton,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from smtc_app.ui.actions import ActionTable
from smtc_app.ui.theme import MARGIN_PX, ROW_HEIGHT_PX, SPACING_PX, Theme

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


class _Model(QAbstractListModel):
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


class _Delegate(QStyledItemDelegate):
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


class ObjectPanel(QWidget):
    """Title with buttons, the list, and a note while it is empty.

    Signals:
        selection_changed: ids (tuple), in the order of the list, the current one first.
        rename_requested: (id, name).
        colour_requested, visible_toggled, lock_toggled: id whose colour, eye or lock was clicked.
        dropped: (ids, row): objects were dragged before the one at `row`, or to the end.
    """

    selection_changed = Signal(object)
    rename_requested = Signal(object)
    colour_requested = Signal(object)
    visible_toggled = Signal(object)
    lock_toggled = Signal(object)
    dropped = Signal(object)

    def __init__(self, actions: ActionTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._actions = actions
        self._filling = False
        self._title = QLabel("Objects")
        self._title.setObjectName("panelTitle")
        self._count = QLabel()
        self._count.setObjectName("soft")
        header = QHBoxLayout()
        header.setContentsMargins(MARGIN_PX, SPACING_PX, SPACING_PX, 4)
        header.setSpacing(2)
        header.addWidget(self._title)
        header.addSpacing(4)
        header.addWidget(self._count)
        header.addStretch()
        for action_id in ("new_object", "merge", "split", "delete"):
            button = QToolButton()
            button.setDefaultAction(actions[action_id])
            button.setIconSize(QSize(18, 18))
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            header.addWidget(button)
        self.view = QListView()
        self._model = _Model(self.view, self._on_renamed, self._on_dropped)
        self.view.setModel(self._model)
        self._delegate = _Delegate(self.view, self._on_part_clicked)
        self.view.setItemDelegate(self._delegate)
        self.view.setMouseTracking(True)
        self.view.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.view.setDragDropOverwriteMode(False)
        self.view.setDropIndicatorShown(True)
        self.view.setUniformItemSizes(True)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked)
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._on_context_menu)
        self.view.selectionModel().selectionChanged.connect(self._on_selection_changed)
        self._note = QLabel()
        self._note.setObjectName("soft")
        self._note.setWordWrap(True)
        self._note.setTextFormat(Qt.TextFormat.RichText)
        self._note.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self._note.setContentsMargins(MARGIN_PX, SPACING_PX, MARGIN_PX, SPACING_PX)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(header)
        layout.addWidget(self._note, 1)
        layout.addWidget(self.view, 1)
        Theme.current().changed.connect(self._on_theme_changed)
        self.set_rows(())

    @property
    def rows(self) -> tuple[ObjectRow, ...]:
        """The rows as shown."""
        return tuple(self._model.rows)

    @property
    def selected(self) -> tuple[int, ...]:
        """Selected ids, the current one first, then in the order of the list."""
        chosen = sorted(index.row() for index in self.view.selectionModel().selectedIndexes())
        current = self.view.currentIndex().row()
        chosen.sort(key=lambda row: row != current)
        return tuple(self._model.rows[row].id for row in chosen)

    def set_rows(self, rows: Sequence[ObjectRow]) -> None:
        """Show these objects; the selection stays with the ids that are still there."""
        kept = self.selected
        self._filling = True
        self._model.set_rows(rows)
        self._filling = False
        self.select(kept)
        self._count.setText(str(len(rows)) if rows else "")
        self._note.setVisible(not rows)
        self.view.setVisible(bool(rows))
        self._update_note()

    def select(self, ids: Sequence[int]) -> None:
        """Select these objects, the first of them as the current one; says nothing itself."""
        wanted = [i for i in ids if any(row.id == i for row in self._model.rows)]
        self._filling = True
        model = self.view.selectionModel()
        selection = QItemSelection()
        positions = {row.id: index for index, row in enumerate(self._model.rows)}
        for object_id in wanted:
            index = self._model.index(positions[object_id])
            selection.select(index, index)
        model.select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        if wanted:
            current = self._model.index(positions[wanted[0]])
            model.setCurrentIndex(current, QItemSelectionModel.SelectionFlag.NoUpdate)
            self.view.scrollTo(current)
        self._filling = False

    def edit_name(self, object_id: int) -> None:
        """Open the editor of a name in its row."""
        for position, row in enumerate(self._model.rows):
            if row.id == object_id:
                self.view.setFocus()
                self.view.edit(self._model.index(position))

    def row_centre(self, object_id: int, part: str = "name") -> QPoint:
        """Where a part of a row is in the view's viewport (for tests and for guiding the eye)."""
        position = [row.id for row in self._model.rows].index(object_id)
        return self._delegate.parts(self.view.visualRect(self._model.index(position)))[part].center()

    def _update_note(self) -> None:
        propose, new = self._actions.key_text("propose"), self._actions.key_text("new_object")
        c = Theme.current().colours
        key = f"<span style='color:{c.text}; font-weight:600'>"
        self._note.setText(
            f"<p style='margin:0 0 8px'>No objects yet.</p><table cellspacing='0' style='margin-top:8px'>"
            f"<tr><td style='padding:0 10px 5px 0'>{key}{propose}</span></td>"
            f"<td>proposes objects on this frame</td></tr>"
            f"<tr><td style='padding:0 10px 0 0'>{key}{new}</span></td>"
            f"<td>starts one that you paint yourself</td></tr></table>"
        )

    def _on_renamed(self, object_id: int, name: str) -> None:
        self.rename_requested.emit((object_id, name))

    def _on_dropped(self, ids: tuple[int, ...], row: int) -> None:
        self.dropped.emit((ids, row))

    def _on_part_clicked(self, part: str, object_id: int) -> None:
        signals = {
            "colour": self.colour_requested,
            "visible": self.visible_toggled,
            "locked": self.lock_toggled,
        }
        signals[part].emit(object_id)

    @Slot(object, object)
    def _on_selection_changed(self, _selected: object, _deselected: object) -> None:
        if not self._filling:
            self.selection_changed.emit(self.selected)

    @Slot(object)
    def _on_context_menu(self, position: QPoint) -> None:
        if not self.selected:
            return
        menu = QMenu(self)
        for action_id in ("rename", "recolour", "category"):
            menu.addAction(self._actions[action_id])
        menu.addSeparator()
        for action_id in ("visible", "lock", "solo"):
            menu.addAction(self._actions[action_id])
        menu.addSeparator()
        for action_id in ("merge", "split", "clear_here", "delete"):
            menu.addAction(self._actions[action_id])
        menu.addSeparator()
        for action_id in ("move_up", "move_down"):
            menu.addAction(self._actions[action_id])
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.view.viewport().mapToGlobal(position))

    @Slot(object)
    def _on_theme_changed(self, _colours: object) -> None:
        self._update_note()
        self.view.viewport().update()
