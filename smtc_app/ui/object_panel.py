"""The list of objects: colour, name, category, area on this frame, lock, visibility, and what can be done to
them.

The panel knows rows, not the document: it is given `ObjectRow`s and says what the person asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import (
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    QSize,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QListView,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from smtc_app.ui.actions import ActionTable
from smtc_app.ui.object_finder import ObjectFinder, best_matches
from smtc_app.ui.object_list import ObjectDelegate, ObjectModel, ObjectRow
from smtc_app.ui.theme import MARGIN_PX, SPACING_PX, Theme


class ObjectPanel(QWidget):
    """Title with buttons, the list, and a note while it is empty.

    Signals:
        selection_changed: ids (tuple), in the order of the list, the current one first.
        selection_extended: ids (tuple) to select besides.
        rename_requested: (id, name).
        colour_requested, visible_toggled, lock_toggled: id whose colour, eye or lock was clicked.
        dropped: (ids, row): objects were dragged before the one at `row`, or to the end.
        find_ended: None; nothing is looked for any more, so that keys are the window's again.
    """

    selection_changed = Signal(object)
    selection_extended = Signal(object)
    rename_requested = Signal(object)
    colour_requested = Signal(object)
    visible_toggled = Signal(object)
    lock_toggled = Signal(object)
    dropped = Signal(object)
    find_ended = Signal(object)

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
        for action_id in ("find_object", "new_object", "merge", "split", "delete"):
            button = QToolButton()
            button.setDefaultAction(actions[action_id])
            button.setIconSize(QSize(18, 18))
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            header.addWidget(button)
        self.finder = ObjectFinder()
        self.finder.textChanged.connect(self._on_find_changed)
        self.finder.stepped.connect(self._on_find_stepped)
        self.finder.chosen.connect(self._on_find_chosen)
        self.finder.ended.connect(self._on_find_ended)
        find_row = QHBoxLayout()
        find_row.setContentsMargins(MARGIN_PX, 0, SPACING_PX + 2, 0)
        find_row.addWidget(self.finder)
        self._all_rows: tuple[ObjectRow, ...] = ()
        self._asked: tuple[int, Callable[[int], None]] | None = None
        """The object that another one is wanted for, and who wants to know it."""
        self.view = QListView()
        self.finder.list = self.view
        self._model = ObjectModel(self.view, self._on_renamed, self._on_dropped)
        self.view.setModel(self._model)
        self._delegate = ObjectDelegate(self.view, self._on_part_clicked)
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
        self.view.clicked.connect(self._on_row_clicked)
        self.view.activated.connect(self._on_row_clicked)
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
        layout.addLayout(find_row)
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
        self._all_rows = tuple(rows)
        self._filling = True
        self._model.set_rows(self._found())
        self._filling = False
        self._mark(kept)
        self._count.setText(str(len(rows)) if rows else "")
        if not rows:
            self.finder.end()
        self._note.setVisible(not self._model.rows)
        self.view.setVisible(bool(self._model.rows))
        self._update_note()

    def select(self, ids: Sequence[int]) -> None:
        """Select these objects, the first of them as the current one; says nothing itself.

        While one of them is looked for, the mark stays on what fits best.
        """
        if not self.finder.text() and self._asked is None:
            self._mark(ids)

    def _mark(self, ids: Sequence[int]) -> None:
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

    def find(self) -> None:
        """Let the person type which object to select; without objects there is nothing to find."""
        if self._all_rows:
            self.finder.begin()

    def ask_for_another(self, object_id: int, prompt: str, then: Callable[[int], None]) -> None:
        """Let the person choose an object other than `object_id`, by typing, with arrows or by a click.

        `then(id)` is called with it, and not at all when the person thinks better of it.
        """
        self.finder.end()
        self._asked = object_id, then
        self.finder.begin(prompt)
        self._on_find_changed("")

    def _found(self) -> list[ObjectRow]:
        """The rows that fit what is looked for."""
        without = None if self._asked is None else self._asked[0]
        return best_matches([row for row in self._all_rows if row.id != without], self.finder.text())

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

    @Slot(str)
    def _on_find_changed(self, text: str) -> None:
        found = self._found()
        self._filling = True
        self._model.set_rows(found)
        self._filling = False
        # Positions between some of the objects say nothing about the order of all.
        self.view.setDragEnabled(not text and self._asked is None)
        if (text or self._asked is not None) and found:
            self._mark((found[0].id,))
        self._note.setVisible(not found)
        self.view.setVisible(bool(found))
        self._update_note()

    @Slot(object)
    def _on_find_stepped(self, step: int) -> None:
        last = len(self._model.rows) - 1
        if last >= 0:
            row = min(last, max(0, self.view.currentIndex().row() + step))
            self._mark((self._model.rows[row].id,))

    @Slot(object)
    def _on_find_chosen(self, adding: bool) -> None:
        marked, asked = self.selected[:1], self._asked
        self.finder.end()
        if marked and asked is not None:
            asked[1](marked[0])
        elif marked:
            (self.selection_extended if adding else self.selection_changed).emit(marked)

    @Slot(object)
    def _on_find_ended(self, _nothing: object) -> None:
        if self._asked is not None:
            self._asked = None
            self._on_find_changed("")
        self.find_ended.emit(None)

    def _update_note(self) -> None:
        c = Theme.current().colours
        if self._all_rows:
            self._note.setText("No object has this number or name.")
            return
        key = f"<span style='color:{c.text}; font-weight:600'>"
        ways = (
            ("propose", "proposes objects on this frame"),
            ("tool_region", "takes the region under a click"),
            ("new_object", "starts one that you paint yourself"),
        )
        rows = "".join(
            f"<tr><td style='padding:0 10px 5px 0'>{key}{self._actions.key_text(action)}</span></td>"
            f"<td>{text}</td></tr>"
            for action, text in ways
        )
        self._note.setText(
            f"<p style='margin:0 0 8px'>No objects yet.</p>"
            f"<table cellspacing='0' style='margin-top:8px'>{rows}</table>"
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
        if not self._filling and self._asked is None:
            chosen = self.selected
            self.finder.end()
            self.selection_changed.emit(chosen)

    @Slot(object)
    def _on_row_clicked(self, index: QModelIndex) -> None:
        if self._asked is not None:
            self._mark((self._model.rows[index.row()].id,))
            self._on_find_chosen(False)

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
        for action_id in ("merge", "merge_here", "swap_onward", "swap_here"):
            menu.addAction(self._actions[action_id])
        menu.addSeparator()
        for action_id in ("split", "clear_here", "delete"):
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
