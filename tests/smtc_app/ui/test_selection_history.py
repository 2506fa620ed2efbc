"""What is selected after undo and redo: what the step is about, so that painting goes on in it."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from window_hands import drag, press

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def three(application, qtbot):
    """A window with the objects 1, 2 and 3, painted side by side; the second is selected."""
    for x in (4, 12, 20):
        press(qtbot, application, Qt.Key.Key_N)
        drag(qtbot, application, [(x, 6), (x + 1, 6)])
    press(qtbot, application, Qt.Key.Key_2)
    assert application.session.selection == (2,)
    return application


def test_an_object_whose_deletion_is_undone_is_painted_with_again(three, qtbot):
    press(qtbot, three, Qt.Key.Key_Delete)
    assert three.session.selection == (3,)
    press(qtbot, three, Qt.Key.Key_Z, CTRL)
    assert three.session.selection == (2,)
    drag(qtbot, three, [(12, 14), (13, 14)])
    assert three.session.document.labels(0)[14, 12] == 2


def test_what_was_merged_is_selected_again_after_undo(three, qtbot):
    press(qtbot, three, Qt.Key.Key_A, CTRL)
    press(qtbot, three, Qt.Key.Key_M)
    assert three.session.selection == (1,)
    press(qtbot, three, Qt.Key.Key_Z, CTRL)
    assert three.session.selection == (1, 2, 3)


def test_a_new_object_that_is_undone_gives_way_to_the_one_before_and_comes_back_selected(three, qtbot):
    press(qtbot, three, Qt.Key.Key_N)
    press(qtbot, three, Qt.Key.Key_Z, CTRL)
    assert three.session.selection == (2,)
    press(qtbot, three, Qt.Key.Key_Z, CTRL | SHIFT)
    assert three.session.selection == (4,)


def test_undoing_a_stroke_leaves_the_selection_alone(three, qtbot):
    drag(qtbot, three, [(12, 14), (13, 14)])
    press(qtbot, three, Qt.Key.Key_3)
    press(qtbot, three, Qt.Key.Key_Z, CTRL)
    assert three.session.selection == (3,)
