"""The bar above the timeline by clicks and keys."""

from __future__ import annotations

import pytest

pytest.importorskip("PySide6")

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from smtc_app.ui.actions import ActionTable
from smtc_app.ui.transport import TransportBar

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def bar(qtbot):
    window = QWidget()
    qtbot.addWidget(window)
    table = ActionTable(window)
    # The main window keeps shortcuts away from text fields; here there are none.
    table.rebind(dict.fromkeys(table.keys, ()))
    widget = TransportBar(table, window)
    window.resize(1000, 60)
    widget.resize(1000, 40)
    window.show()
    widget.set_frame_count(250, 25.0)
    qtbot.waitExposed(window)
    yield widget
    window.close()


def collect(signal):
    received = []
    signal.connect(received.append)
    return received


def type_into(qtbot, field, text):
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, text)
    qtbot.keyClick(field, Qt.Key.Key_Return)


def test_a_frame_number_is_asked_for_once_it_is_complete(qtbot, bar):
    asked = collect(bar.frame_requested)
    type_into(qtbot, bar.frame_box, "123")
    assert asked == [123]


def test_a_time_leads_to_the_frame_that_is_shown_then(qtbot, bar):
    asked = collect(bar.frame_requested)
    type_into(qtbot, bar.time_edit, "0:02.030")
    assert asked == [50]
    bar.set_current(50)
    assert bar.time_edit.text() == "0:02.000"
    type_into(qtbot, bar.time_edit, "nonsense")
    assert asked == [50]
    assert bar.time_edit.text() == "0:02.000"
    type_into(qtbot, bar.time_edit, "99:00")
    assert asked == [50, 249]


def test_what_is_shown_is_not_asked_for_again(bar):
    asked = collect(bar.frame_requested)
    for frame in (3, 4, 249):
        bar.set_current(frame)
    assert bar.frame_box.value() == 249
    assert asked == []


def test_every_time_that_is_shown_leads_back_to_its_frame(qtbot, bar):
    times = [0.0, 1 / 240, 2 / 240, 0.1, 0.9, 1 / 3 + 0.6]
    bar.set_frame_count(len(times), 30.0, times.__getitem__)
    asked = collect(bar.frame_requested)
    for frame in range(len(times)):
        bar.set_current(frame)
        qtbot.keyClick(bar.time_edit, Qt.Key.Key_Return)
    assert asked == list(range(len(times)))


def test_buttons_trigger_the_shared_actions(qtbot, bar):
    with qtbot.waitSignal(bar.window().findChild(ActionTable)["play"].triggered):
        qtbot.mouseClick(bar.play_button, LEFT)
    assert "Play" in bar.play_button.toolTip()
    bar.set_playing(True)
    assert "Pause" in bar.play_button.toolTip()


def test_speed_and_range_are_asked_for(qtbot, bar):
    speeds, ranges = collect(bar.speed_changed), collect(bar.range_requested)
    bar.speed_box.setCurrentIndex(0)
    bar.set_speed(4.0)
    assert speeds == [0.25, 4.0]
    assert not bar.clear_button.isEnabled()
    bar.set_range((10, 21))
    assert bar.range_label.text() == "10 – 20"
    for button in (bar.in_button, bar.out_button, bar.clear_button):
        qtbot.mouseClick(button, LEFT)
    assert ranges == ["in", "out", "clear"]
