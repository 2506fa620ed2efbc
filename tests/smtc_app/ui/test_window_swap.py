"""Swapping two objects and smoothing outlines, by keys in the whole window."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from window_fakes import FRAMES, SIZE, square
from window_hands import press, show_frame, wait_for_jobs

from smtc_app.core import commands

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
ONE, OTHER = square(8, 8), square(40, 8)


@pytest.fixture
def parts(application, qtbot):
    """Drawn on frame 0, propagated to the end; the two have changed places from frame 4 on."""
    session = application.session
    for name in ("dog", "cat"):
        session.push(commands.AddObject(name))
    for frame in range(FRAMES):
        labels = np.zeros((SIZE[1], SIZE[0]), np.uint16)
        labels[ONE], labels[OTHER] = (1, 2) if frame < 4 else (2, 1)
        if frame == 0:
            session.push(commands.SetLabels(0, labels))
        else:
            session.push(commands.ApplyPropagation([(frame, labels, {1: 0.8, 2: 0.6}, (0,))], objects=(1, 2)))
    session.select((1, 2))
    show_frame(qtbot, application, 4)
    return application


def right(parts):
    """Frames on which the dog is where it was drawn."""
    return [f for f in range(FRAMES) if parts.session.document.labels(f)[14, 14] == 1]


def test_shift_m_repairs_the_rest_and_one_undo_takes_it_back(parts, qtbot):
    press(qtbot, parts, Qt.Key.Key_M, SHIFT)
    assert right(parts) == list(range(FRAMES))
    assert parts.window.banner.text == f"Swapped 'dog' and 'cat' on frames 4 to {FRAMES - 1}."
    assert parts.session.document.keyframes == (0, 4)
    assert parts.session.document.stale_objects() == ()
    assert parts.session.undo.undo_text == "Swap 'dog' and 'cat' on 8 frames"
    press(qtbot, parts, Qt.Key.Key_Z, CONTROL)
    assert right(parts) == [0, 1, 2, 3]


def test_it_ends_with_the_range_leaves_locked_frames_and_says_both(parts, qtbot):
    parts.session.push(commands.LockFrames([6]))
    parts.window.timeline.set_range((4, 9))
    press(qtbot, parts, Qt.Key.Key_M, SHIFT)
    assert right(parts) == [0, 1, 2, 3, 4, 5, 7, 8]
    assert parts.window.banner.text == "Swapped 'dog' and 'cat' on frames 4 to 8; 1 locked frame left alone."
    parts.window.timeline.set_range((7, 9))
    press(qtbot, parts, Qt.Key.Key_M, SHIFT)
    assert "outside of the range 7 to 8" in parts.window.banner.text
    assert right(parts) == [0, 1, 2, 3, 4, 5, 7, 8]


def test_ctrl_m_swaps_here_and_what_depends_on_it_is_out_of_date(parts, qtbot):
    press(qtbot, parts, Qt.Key.Key_M, CONTROL)
    assert right(parts) == [0, 1, 2, 3, 4]
    assert parts.session.document.stale_spans(1) == [(3, 4), (5, FRAMES)]


def test_it_takes_two_objects_and_no_running_propagation(parts, qtbot):
    actions = parts.window.actions_table
    parts.session.select((1,))
    qtbot.waitUntil(lambda: not actions["swap_onward"].isEnabled())
    parts.session.push(commands.AddObject("bird"))
    parts.session.select((1, 2, 3))
    qtbot.waitUntil(lambda: actions["swap_onward"].isEnabled())
    press(qtbot, parts, Qt.Key.Key_M, SHIFT)
    assert "Select the two objects" in parts.window.banner.text
    parts.session.select((1, 2))
    show_frame(qtbot, parts, 0)
    parts.propagation.propagate("forward")
    assert parts.propagation.busy
    parts.swapping.swap(onward=True)
    assert "propagation is running" in parts.window.banner.text
    wait_for_jobs(qtbot, parts)


def test_ctrl_l_smooths_the_selection_at_its_area(parts, qtbot):
    document = parts.session.document
    before = np.array(document.labels(4))
    press(qtbot, parts, Qt.Key.Key_L, CONTROL)
    after = document.labels(4)
    assert after[8, 8] == after[8, 40] == 0, "corners are rounded"
    for object_id in (1, 2):
        assert (after == object_id).sum() == pytest.approx((before == object_id).sum(), rel=0.03)
    assert parts.session.undo.undo_text == "Smooth 2 objects"
    press(qtbot, parts, Qt.Key.Key_Z, CONTROL)
    np.testing.assert_array_equal(document.labels(4), before)
