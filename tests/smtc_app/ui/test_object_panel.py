"""The list of objects by itself: rows in, wishes out."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtWidgets import QMainWindow

from smtc_app.ui.actions import ActionTable
from smtc_app.ui.dialogs_category import CategoryDialog
from smtc_app.ui.object_list import ObjectRow, format_area
from smtc_app.ui.object_panel import ObjectPanel

ROWS = (
    ObjectRow(1, "dog", "animal", (128, 0, 0), area_px=900),
    ObjectRow(5, "person", colour=(0, 128, 0), locked=True),
    ObjectRow(3, "ball", colour=(0, 0, 128), visible=False, area_px=12_345),
)
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def panel(qtbot):
    window = QMainWindow()
    qtbot.addWidget(window)
    widget = ObjectPanel(ActionTable(window))
    window.setCentralWidget(widget)
    window.resize(320, 400)
    window.show()
    qtbot.waitExposed(window)
    widget.set_rows(ROWS)
    yield widget
    window.close()


def test_areas_are_short_enough_to_read():
    assert [format_area(a) for a in (0, 812, 12_345, 1_234_567)] == ["–", "812 px", "12.3k px", "1.2M px"]


def test_selecting_rows_tells_ids_with_the_clicked_one_first(panel, qtbot):
    viewport = panel.view.viewport()
    qtbot.mouseClick(viewport, LEFT, pos=panel.row_centre(1))
    assert panel.selected == (1,)
    with qtbot.waitSignal(panel.selection_changed) as told:
        qtbot.mouseClick(viewport, LEFT, Qt.KeyboardModifier.ControlModifier, panel.row_centre(3))
    assert told.args == [(3, 1)]


def test_selecting_by_program_says_nothing(panel, qtbot):
    with qtbot.assertNotEmitted(panel.selection_changed):
        panel.select((5, 1))
    assert panel.selected == (5, 1)


def test_new_rows_keep_the_selection_of_ids_that_are_still_there(panel):
    panel.select((3,))
    panel.set_rows((ROWS[2], ROWS[0]))
    assert panel.selected == (3,)
    panel.set_rows((ROWS[0],))
    assert panel.selected == ()


@pytest.mark.parametrize(
    ("part", "signal"),
    [("colour", "colour_requested"), ("visible", "visible_toggled"), ("locked", "lock_toggled")],
)
def test_the_parts_of_a_row_answer_to_clicks(panel, qtbot, part, signal):
    with qtbot.waitSignal(getattr(panel, signal)) as told:
        qtbot.mouseClick(panel.view.viewport(), LEFT, pos=panel.row_centre(5, part))
    assert told.args == [5]


def test_an_empty_name_or_the_same_one_is_no_renaming(panel, qtbot):
    model = panel.view.model()
    with qtbot.assertNotEmitted(panel.rename_requested):
        assert not model.setData(model.index(0), "  ")
        assert not model.setData(model.index(0), "dog")
    with qtbot.waitSignal(panel.rename_requested) as told:
        assert model.setData(model.index(0), " puppy ")
    assert told.args == [(1, "puppy")]


def test_an_empty_list_says_what_to_do(panel):
    panel.set_rows(())
    assert not panel.view.isVisible()
    assert panel._note.isVisible()


def test_dragged_rows_tell_where_they_were_dropped(panel, qtbot):
    panel.select((3, 1))
    model = panel.view.model()
    data = model.mimeData(panel.view.selectionModel().selectedIndexes())
    with qtbot.waitSignal(panel.dropped) as dropped:
        assert model.dropMimeData(data, Qt.DropAction.MoveAction, 1, 0, QModelIndex())
    assert dropped.args == [((1, 3), 1)]
    with qtbot.waitSignal(panel.dropped) as dropped:
        model.dropMimeData(data, Qt.DropAction.MoveAction, -1, -1, QModelIndex())
    assert dropped.args == [((1, 3), 3)]
    assert not model.dropMimeData(data, Qt.DropAction.CopyAction, 0, 0, QModelIndex())


def test_rows_are_dropped_between_rows_and_never_removed_by_the_view(panel):
    model = panel.view.model()
    assert not model.flags(model.index(0)) & Qt.ItemFlag.ItemIsDropEnabled
    assert model.flags(QModelIndex()) & Qt.ItemFlag.ItemIsDropEnabled
    assert not model.removeRows(0, 1)


def test_the_category_dialog_completes_adds_and_removes(qtbot):
    dialog = CategoryDialog("'dog'", "animal", ["animal", "person", "plant"], {"animal"})
    qtbot.addWidget(dialog)
    assert dialog.category == "animal"
    assert not dialog.remove_button.isEnabled()
    dialog.box.setCurrentText("plant")
    dialog.remove_button.click()
    dialog.box.setCurrentText("  flying   machine ")
    assert dialog.category == "flying machine"
    assert dialog.categories == ["animal", "person", "flying machine"]
