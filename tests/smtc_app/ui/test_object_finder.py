"""Any of many objects is selected by a few keys."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from window_hands import press

from smtc_app.core.object_commands import AddObject, SetObjectProperty
from smtc_app.ui.object_finder import best_matches
from smtc_app.ui.object_list import ObjectRow

ROWS = [
    ObjectRow(2, "car 12", "vehicle"),
    ObjectRow(12, "dog", "animal"),
    ObjectRow(120, "big dog", "animal"),
    ObjectRow(7, "Dogfish"),
]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", [2, 12, 120, 7]),
        ("12", [12, 120, 2]),
        ("dog", [12, 7, 120]),
        ("DOG big", [120]),
        ("animal", [12, 120]),
        ("dog animal", [12, 120]),
        ("cat", []),
    ],
)
def test_numbers_come_before_names_and_beginnings_before_parts(text, ids):
    assert [row.id for row in best_matches(ROWS, text)] == ids


@pytest.fixture
def many(application, qtbot):
    """Thirty objects, the fifth called a dog; the first is selected."""
    for _ in range(30):
        application.session.push(AddObject())
    application.annotation.rename(5, "brown dog")
    application.session.select((1,))
    qtbot.waitUntil(lambda: len(application.window.object_panel.rows) == 30)
    return application


def type_into(qtbot, parts, text):
    press(qtbot, parts, Qt.Key.Key_Slash)
    finder = parts.window.object_panel.finder
    qtbot.waitUntil(finder.hasFocus)
    qtbot.keyClicks(finder, text)
    return finder


def test_a_number_of_two_digits_selects_its_object(many, qtbot):
    finder = type_into(qtbot, many, "27")
    panel = many.window.object_panel
    assert [row.id for row in panel.rows] == [27]
    assert many.session.selection == (1,)
    qtbot.keyClick(finder, Qt.Key.Key_Return)
    assert many.session.selection == (27,)
    assert panel.selected == (27,)
    assert len(panel.rows) == 30
    assert not finder.isVisible()
    qtbot.waitUntil(many.window.canvas.hasFocus)


def test_a_name_is_found_and_letters_are_no_shortcuts_meanwhile(many, qtbot):
    finder = type_into(qtbot, many, "dog")
    qtbot.keyClick(finder, Qt.Key.Key_Return)
    assert many.session.selection == (5,)
    assert many.frames.wanted == 0


def test_arrows_choose_among_several_and_shift_enter_adds(many, qtbot):
    finder = type_into(qtbot, many, "2")
    qtbot.keyClick(finder, Qt.Key.Key_Down)
    qtbot.keyClick(finder, Qt.Key.Key_Down)
    qtbot.keyClick(finder, Qt.Key.Key_Up)
    qtbot.keyClick(finder, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    assert many.session.selection == (20, 1)


def test_escape_leaves_everything_as_it_was(many, qtbot):
    finder = type_into(qtbot, many, "27")
    qtbot.keyClick(finder, Qt.Key.Key_Escape)
    assert many.session.selection == (1,)
    assert many.window.object_panel.selected == (1,)
    assert len(many.window.object_panel.rows) == 30


def test_what_is_not_there_is_said_and_enter_changes_nothing(many, qtbot):
    finder = type_into(qtbot, many, "cat")
    panel = many.window.object_panel
    assert panel._note.isVisible()
    assert "No object" in panel._note.text()
    qtbot.keyClick(finder, Qt.Key.Key_Return)
    assert many.session.selection == (1,)
    assert panel.view.isVisible()


def test_a_click_on_a_row_found_selects_it(many, qtbot):
    type_into(qtbot, many, "2")
    panel = many.window.object_panel
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=panel.row_centre(21))
    assert many.session.selection == (21,)
    assert len(panel.rows) == 30


def test_an_edit_meanwhile_keeps_what_is_looked_for(many, qtbot):
    finder = type_into(qtbot, many, "27")
    many.session.push(SetObjectProperty((27,), locked=True))
    panel = many.window.object_panel
    qtbot.waitUntil(lambda: panel.rows[0].locked)
    assert [row.id for row in panel.rows] == [27]
    qtbot.keyClick(finder, Qt.Key.Key_Return)
    assert many.session.selection == (27,)


def test_page_keys_step_through_the_list_around_its_ends(many, qtbot):
    press(qtbot, many, Qt.Key.Key_PageUp)
    assert many.session.selection == (30,)
    press(qtbot, many, Qt.Key.Key_PageDown)
    press(qtbot, many, Qt.Key.Key_PageDown)
    assert many.session.selection == (2,)


def test_without_objects_there_is_nothing_to_find(application, qtbot):
    press(qtbot, application, Qt.Key.Key_Slash)
    assert not application.window.object_panel.finder.isVisible()
    assert "no objects" in application.window.banner.text
