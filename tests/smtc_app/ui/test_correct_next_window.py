"""The correct-next queue in the window: its key, its list, its marks on the timeline."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt

from smtc_app.core.commands import AddObject, ApplyPropagation, SetLabels

LOST = range(5, 9)


def propagate(parts) -> None:
    """Two objects from frame 0; the second is lost on frames 5 to 8."""
    width, height = parts.session.source.size
    labels = np.zeros((height, width), np.uint16)
    labels[:8, :8], labels[10:18, 10:18] = 1, 2
    parts.session.push(AddObject(name="dog"))
    parts.session.push(AddObject(name="ball"))
    parts.session.push(SetLabels(0, labels, "paint"))
    steps = [
        (index, labels, {1: 0.95, 2: 0.1 if index in LOST else 0.9}, (0,))
        for index in range(1, len(parts.session.source))
    ]
    parts.session.push(ApplyPropagation(steps, objects={1, 2}))


def test_the_key_goes_to_the_frame_that_helps_most_and_selects_the_object(application, qtbot):
    propagate(application)
    application.window.actions_table["correct_next"].trigger()
    qtbot.waitUntil(lambda: application.frames.wanted in LOST)
    assert application.session.selection == (2,)
    assert "'ball' is lost on 4 frames (5 to 8)" in application.correct_next.queue[0].reason


def test_the_timeline_marks_the_queue_and_the_list_jumps(application, qtbot):
    propagate(application)
    application.window.actions_table["correct_next_list"].trigger()
    controller = application.correct_next
    qtbot.waitUntil(lambda: bool(controller.queue))
    panel = controller.panel
    assert panel.isVisible()
    assert panel.list.count() == len(controller.queue)
    assert panel.list.item(0).text().startswith(f"1.  Frame {controller.queue[0].frame}\n'ball' is lost")
    marked = {marker.frame: marker.text for marker in application.window.timeline._content.markers}
    assert "'ball' is lost" in marked[controller.queue[0].frame]
    rectangle = panel.list.visualItemRect(panel.list.item(0))
    qtbot.mouseClick(panel.list.viewport(), Qt.MouseButton.LeftButton, pos=rectangle.center())
    assert application.frames.wanted == controller.queue[0].frame
    assert application.session.selection == (2,)


def test_without_propagated_labels_there_is_nothing_to_correct(application, qtbot):
    told = []
    application.correct_next.told.connect(told.append)
    application.window.actions_table["correct_next"].trigger()
    qtbot.waitUntil(lambda: bool(told))
    assert "nothing to correct" in told[0]


def test_correcting_the_frame_takes_it_off_the_queue(application, qtbot):
    propagate(application)
    controller = application.correct_next
    qtbot.waitUntil(lambda: bool(controller.queue))
    frame = controller.queue[0].frame
    labels = application.session.document.labels(frame).copy()
    labels[20:24, 20:24] = 2
    application.session.push(SetLabels(frame, labels, "paint"))
    qtbot.waitUntil(lambda: frame not in [s.frame for s in controller.queue])


def test_closing_the_video_empties_the_queue(application, qtbot):
    propagate(application)
    qtbot.waitUntil(lambda: bool(application.correct_next.queue))
    application.session.close()
    assert application.correct_next.queue == ()
