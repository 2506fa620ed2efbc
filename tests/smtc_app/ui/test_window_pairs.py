"""Merging and swapping two objects, and smoothing outlines, by keys in the whole window."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from window_fakes import FRAMES, SIZE, square
from window_hands import press, show_frame, wait_for_jobs

from smtc_app.core import commands

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
ALT = Qt.KeyboardModifier.AltModifier
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
    parts.session.push(commands.AddObject("bird"))
    parts.session.select((1, 2, 3))
    press(qtbot, parts, Qt.Key.Key_M, SHIFT)
    assert "two objects, and 3 are selected" in parts.window.banner.text
    parts.session.select((1, 2))
    show_frame(qtbot, parts, 0)
    parts.propagation.propagate("forward")
    assert parts.propagation.busy
    parts.pairs.swap(onward=True)
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


PAIR_KEYS = {"merge": (), "merge_here": (ALT,), "swap_here": (CONTROL,), "swap_onward": (SHIFT,)}


def ask(qtbot, parts, action_id):
    """Press the key of an action with the dog alone selected; the field that asks for the other one."""
    parts.session.select((1,))
    press(qtbot, parts, Qt.Key.Key_M, *PAIR_KEYS[action_id])
    finder = parts.window.object_panel.finder
    qtbot.waitUntil(finder.hasFocus)
    assert "'dog'" in finder.placeholderText()
    return finder


def done(parts, action_id):
    document = parts.session.document
    if action_id == "merge":
        return list(document.objects) == [1, 3] and document.area(8, 1) == 2 * ONE.sum()
    if action_id == "merge_here":
        areas = [document.area(frame, 1) for frame in (3, 4, 5)]
        return 2 in document.objects and areas == [ONE.sum(), 2 * ONE.sum(), ONE.sum()]
    return right(parts) == ([0, 1, 2, 3, 4] if action_id == "swap_here" else list(range(FRAMES)))


@pytest.fixture
def three(parts, qtbot):
    parts.session.push(commands.AddObject("bird"))
    qtbot.waitUntil(lambda: len(parts.window.object_panel.rows) == 3)
    return parts


@pytest.mark.parametrize("action_id", PAIR_KEYS)
def test_with_two_selected_each_is_done_at_once(three, qtbot, action_id):
    three.session.select((2, 1))
    press(qtbot, three, Qt.Key.Key_M, *PAIR_KEYS[action_id])
    assert done(three, action_id)


@pytest.mark.parametrize("action_id", PAIR_KEYS)
def test_with_one_selected_the_other_one_is_asked_for(three, qtbot, action_id):
    finder = ask(qtbot, three, action_id)
    assert [row.id for row in three.window.object_panel.rows] == [2, 3]
    qtbot.keyClicks(finder, "ca")
    before = three.session.undo.texts
    qtbot.keyClick(finder, Qt.Key.Key_Return)
    assert done(three, action_id)
    assert len(three.session.undo.texts) == len(before) + 1
    assert not finder.isVisible()
    qtbot.waitUntil(
        lambda: [row.id for row in three.window.object_panel.rows] == list(three.session.document.objects)
    )


def test_a_click_in_the_list_answers_too(three, qtbot):
    ask(qtbot, three, "merge_here")
    panel = three.window.object_panel
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=panel.row_centre(2))
    assert done(three, "merge_here")
    assert three.session.selection == (1,)
    assert [row.id for row in panel.rows] == [1, 2, 3]


def test_escape_asks_no_more_and_changes_nothing(three, qtbot):
    before = three.session.undo.texts
    finder = ask(qtbot, three, "swap_onward")
    qtbot.keyClick(finder, Qt.Key.Key_Escape)
    assert three.session.undo.texts == before
    assert three.session.selection == (1,)
    assert three.window.object_panel.selected == (1,)
    press(qtbot, three, Qt.Key.Key_Slash)
    qtbot.keyClicks(finder, "cat")
    qtbot.keyClick(finder, Qt.Key.Key_Return)
    assert three.session.selection == (2,), "the next search is one as ever"
    assert three.session.undo.texts == before


def test_merging_here_makes_the_rest_out_of_date_and_says_what_it_was(parts, qtbot):
    parts.session.select((1, 2))
    press(qtbot, parts, Qt.Key.Key_M, ALT)
    assert parts.session.undo.undo_text == "Merge 'cat' into 'dog' on frame 4"
    assert parts.session.document.keyframes == (0, 4)
    assert parts.session.document.stale_spans(1) == [(3, 4), (5, FRAMES)]
    press(qtbot, parts, Qt.Key.Key_Z, CONTROL)
    assert parts.session.document.stale_objects() == ()


def test_merging_what_is_not_here_says_so(three, qtbot):
    three.session.select((1, 3))
    before = three.session.undo.texts
    press(qtbot, three, Qt.Key.Key_M, ALT)
    assert three.session.undo.texts == before
    assert three.window.banner.text == "'bird' has nothing on this frame to give to 'dog'."


def test_an_only_object_has_nobody_to_be_merged_with(application, qtbot):
    application.session.push(commands.AddObject("dog"))
    application.session.select((1,))
    press(qtbot, application, Qt.Key.Key_M)
    assert "only object" in application.window.banner.text
    assert not application.window.object_panel.finder.isVisible()
