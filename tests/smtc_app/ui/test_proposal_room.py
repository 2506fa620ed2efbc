"""The empty proposals panel leaves its room to the objects, and takes it back with the first proposal."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QApplication
from window_hands import press, wait_for_jobs

from smtc_app.core.object_commands import AddObject


@pytest.fixture
def window(application, qtbot):
    application.window.resize(1280, 900)
    qtbot.waitUntil(lambda: application.window.height() == 900)
    return application.window


def propose(qtbot, parts):
    press(qtbot, parts, Qt.Key.Key_S)
    qtbot.waitUntil(lambda: len(parts.window.proposal_panel.rows) == 2)
    wait_for_jobs(qtbot, parts)


def test_thirty_objects_have_nearly_all_of_the_room(application, window, qtbot):
    for _ in range(30):
        application.session.push(AddObject())
    qtbot.waitUntil(lambda: len(window.object_panel.rows) == 30)
    qtbot.waitUntil(lambda: not window.proposal_panel._note.isVisible())
    whole = window.object_panel.height() + window.proposal_panel.height()
    qtbot.waitUntil(lambda: window.object_panel.height() > 0.85 * whole)
    # What proposes stays in sight.
    assert window.proposal_panel.propose_button.isVisible()
    assert window.proposal_panel.granularity.isVisible()


@pytest.mark.parametrize("width_px", [None, 280, 420])
def test_before_the_first_object_it_says_how_to_get_one(window, qtbot, width_px):
    note = window.proposal_panel._note
    assert note.isVisible()
    assert "proposes objects on this frame" in note.text()
    if width_px is not None:
        body = window.body_splitter
        body.setSizes([0, sum(body.sizes()) - width_px, width_px])
        qtbot.waitUntil(lambda: window.proposal_panel.width() == width_px)
    qtbot.waitUntil(lambda: note.height() >= note.heightForWidth(note.width()))
    assert window.proposal_panel.height() < 170


def test_the_panel_comes_with_proposals_and_goes_with_them(application, window, qtbot):
    panel = window.proposal_panel
    compact = panel.height()
    propose(qtbot, application)
    whole = window.object_panel.height() + panel.height()
    qtbot.waitUntil(lambda: panel.height() > 0.45 * whole)
    press(qtbot, application, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: panel.height() < compact)  # not even the note is needed any more


def test_a_chosen_height_is_found_again_even_after_a_restart(application, window, qtbot, make_application):
    panel, side = window.proposal_panel, window._side
    propose(qtbot, application)
    side.setSizes([sum(side.sizes()) - 300, 300])
    qtbot.waitUntil(lambda: panel.height() == 300)
    press(qtbot, application, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: panel.height() < 120)
    assert window.layout_memory.sizes["proposals"] == 300
    press(qtbot, application, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: panel.height() == 300)
    application.close(discard=True)
    later = make_application(application.settings)
    later.window.resize(1280, 900)
    later.project.open("clip.mp4")
    qtbot.waitUntil(lambda: later.session.pixels is not None)
    propose(qtbot, later)
    qtbot.waitUntil(lambda: later.window.proposal_panel.height() == 300)


def test_it_does_not_go_from_under_the_cursor(application, window, qtbot, monkeypatch):
    panel = window.proposal_panel
    propose(qtbot, application)
    height = panel.height()
    monkeypatch.setattr(panel, "underMouse", lambda: True)
    press(qtbot, application, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not panel.rows)
    assert panel.height() == height
    QApplication.sendEvent(panel, QEvent(QEvent.Type.Leave))
    qtbot.waitUntil(lambda: panel.height() < height / 2)
