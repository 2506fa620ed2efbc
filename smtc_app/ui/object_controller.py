"""The list of objects and what can be done to objects by name: menu, keys, clicks in their rows."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QColorDialog, QDialog

from smtc_app.core.categories import known_categories
from smtc_app.ui.annotation_controller import AnnotationController
from smtc_app.ui.dialogs_category import CategoryDialog
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.mask_edits import REFINEMENTS
from smtc_app.ui.session import Session


class ObjectController(QObject):
    """Connects the object panel and the actions of objects.

    Signals:
        brush_wanted: None; a new object waits to be painted.
    """

    brush_wanted = Signal(object)

    def __init__(
        self,
        window: MainWindow,
        session: Session,
        annotation: AnnotationController,
        *,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._session, self._annotation = window, session, annotation
        panel, actions = window.object_panel, window.actions_table
        panel.selection_changed.connect(session.select)
        panel.selection_extended.connect(self._on_selection_extended)
        panel.find_ended.connect(self._on_find_ended)
        panel.rename_requested.connect(self._on_rename_requested)
        panel.colour_requested.connect(self._on_colour_requested)
        panel.visible_toggled.connect(self._on_visible_toggled)
        panel.lock_toggled.connect(self._on_lock_toggled)
        panel.dropped.connect(self._on_dropped)
        for action_id, slot in (
            ("select_all", self._select_all),
            ("deselect", partial(session.select, ())),
            ("find_object", self._find),
            ("next_object", partial(self._step, 1)),
            ("previous_object", partial(self._step, -1)),
            ("new_object", self._new_object),
            ("delete", annotation.delete),
            ("clear_here", annotation.clear_here),
            ("rename", self._rename),
            ("recolour", self._recolour_selection),
            ("category", self._categorise_selection),
            ("visible", self._toggle_visible),
            ("lock", self._toggle_locked),
            ("move_up", partial(annotation.move, -1)),
            ("move_down", partial(annotation.move, 1)),
            *((what, partial(annotation.refine, what)) for what in REFINEMENTS),
            *((f"object_{number}", partial(annotation.select_number, number)) for number in range(1, 10)),
        ):
            actions.connect(action_id, slot)

    def _select_all(self) -> None:
        if self._session.document is not None:
            self._session.select(list(self._session.document.objects))

    def _find(self) -> None:
        if self._session.document.objects:
            self._window.object_panel.find()
        else:
            self._annotation.told.emit("There are no objects to find yet.")

    def _step(self, by: int) -> None:
        """Select the object after or before the active one, around the ends of the list."""
        ids = list(self._session.document.objects)
        if not ids:
            self._annotation.told.emit("There are no objects yet.")
        elif self._session.active is None:
            self._session.select(ids[:1] if by > 0 else ids[-1:])
        else:
            self._session.select((ids[(ids.index(self._session.active) + by) % len(ids)],))

    @Slot(object)
    def _on_selection_extended(self, ids: tuple[int, ...]) -> None:
        # What was found last is what is painted.
        self._session.select((*ids, *self._session.selection))

    @Slot(object)
    def _on_find_ended(self, _nothing: object) -> None:
        self._window.object_panel.select(self._session.selection)
        self._window.canvas.setFocus()

    def _new_object(self) -> None:
        self._annotation.new_object()
        if self._window.canvas.tool in ("pick", "eraser"):
            self.brush_wanted.emit(None)

    def _rename(self) -> None:
        if self._session.active is not None:
            self._window.object_panel.edit_name(self._session.active)

    def _recolour_selection(self) -> None:
        if self._session.selection:
            self._ask_colour(self._session.selection)

    def _ask_colour(self, ids: tuple[int, ...]) -> None:
        old = QColor(*self._session.document.objects[ids[0]].colour)
        chosen = QColorDialog.getColor(old, self._window, "Colour of the Object")
        if chosen.isValid():
            self._annotation.recolour(ids, (chosen.red(), chosen.green(), chosen.blue()))

    def _toggle_visible(self) -> None:
        self._annotation.toggle_visible(self._session.selection)

    def _toggle_locked(self) -> None:
        self._annotation.toggle_locked(self._session.selection)

    @Slot(object)
    def _on_rename_requested(self, message: tuple[int, str]) -> None:
        self._annotation.rename(*message)

    @Slot(object)
    def _on_colour_requested(self, object_id: int) -> None:
        self._ask_colour(self._with_selection(object_id))

    @Slot(object)
    def _on_visible_toggled(self, object_id: int) -> None:
        self._annotation.toggle_visible(self._with_selection(object_id))

    @Slot(object)
    def _on_lock_toggled(self, object_id: int) -> None:
        self._annotation.toggle_locked(self._with_selection(object_id))

    def _with_selection(self, object_id: int) -> tuple[int, ...]:
        """What was clicked in the row of a selected object goes for all selected ones."""
        return self._session.selection if object_id in self._session.selection else (object_id,)

    @Slot(object)
    def _on_dropped(self, message: tuple[tuple[int, ...], int]) -> None:
        self._annotation.drop_at(*message)

    def _categorise_selection(self) -> None:
        session, ids = self._session, self._session.selection
        if not ids:
            return
        objects = session.document.objects
        used = {info.category for info in objects.values() if info.category}
        what = f"'{objects[ids[0]].name}'" if len(ids) == 1 else f"{len(ids)} objects"
        current = objects[ids[0]].category
        known = known_categories(session.categories, used)
        dialog = CategoryDialog(what, current, known, used, parent=self._window)
        if dialog.exec() == QDialog.DialogCode.Accepted:
            session.categories = known_categories(dialog.categories, ())
            if any(objects[i].category != dialog.category for i in ids):
                self._annotation.categorise(ids, dialog.category)
        dialog.deleteLater()
