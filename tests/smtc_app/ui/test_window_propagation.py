"""Propagation in the whole window: for some objects, again where it is out of date, merged, told."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from window_fakes import FRAMES, propagate_task
from window_hands import canvas_point, drag, paint_object, press, show_frame, wait_for_jobs

from smtc_app.core.annotation import FrameStatus
from smtc_app.core.commands import LockFrames
from smtc_app.ui.presenter import provenance

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def runs(make_application, qtbot):
    """(a window with a clip open, the groups of every propagation it has started)."""
    seen = []

    def recording(ctx, source, groups, **settings):
        seen.append(groups)
        return propagate_task(ctx, source, groups, **settings)

    parts = make_application(propagate_task=recording)
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    return parts, seen


def test_objects_propagated_one_by_one_are_merged(runs, qtbot):
    parts, seen = runs
    document = parts.session.document
    paint_object(qtbot, parts, 20, 20)
    press(qtbot, parts, Qt.Key.Key_F, CONTROL)
    wait_for_jobs(qtbot, parts)
    first = np.array(document.labels(7))
    paint_object(qtbot, parts, 40, 35)
    press(qtbot, parts, Qt.Key.Key_F, CONTROL)
    wait_for_jobs(qtbot, parts)
    assert [group[0] for groups in seen for group in groups] == [{1}, {2}]
    assert np.array_equal(document.labels(7) == 1, first == 1)
    assert (document.labels(7) == 2).any()


def test_propagating_the_selection_needs_one(runs, qtbot):
    parts, seen = runs
    paint_object(qtbot, parts)
    parts.session.select(())
    action = parts.window.actions_table["propagate_selected_both"]
    qtbot.waitUntil(lambda: not action.isEnabled())
    press(qtbot, parts, Qt.Key.Key_F, CONTROL | SHIFT)
    assert not seen
    assert "Select an object first" in action.toolTip()


def test_one_key_brings_up_to_date_what_a_correction_made_stale(runs, qtbot):
    parts, seen = runs
    document, session = parts.session.document, parts.session
    paint_object(qtbot, parts, 20, 20)
    paint_object(qtbot, parts, 40, 35)
    press(qtbot, parts, Qt.Key.Key_F)
    wait_for_jobs(qtbot, parts)
    press(qtbot, parts, Qt.Key.Key_R)
    assert "Nothing is out of date" in parts.window.banner.text
    session.push(LockFrames((11,)))
    locked = np.array(document.labels(11))
    show_frame(qtbot, parts, 8)
    session.select((1,))
    drag(qtbot, parts, [(20, 28), (24, 28)])
    stale = [f for f in range(FRAMES) if document.status(f, 1) == FrameStatus.STALE]
    assert stale == [5, 6, 7, 9, 10]
    button = parts.window.update_button
    named = Qt.ToolButtonStyle.ToolButtonTextBesideIcon
    qtbot.waitUntil(lambda: (button.toolButtonStyle(), button.text()) == (named, "Update"))
    before = {f: np.array(document.labels(f)) for f in range(FRAMES)}
    press(qtbot, parts, Qt.Key.Key_R)
    wait_for_jobs(qtbot, parts)
    assert [(group[0], group[2], group[3]) for group in seen[-1]] == [
        ({1}, "both", (5, 8)),
        ({1}, "forward", (9, 11)),
    ]
    assert not document.stale_objects()
    qtbot.waitUntil(lambda: button.toolButtonStyle() == Qt.ToolButtonStyle.ToolButtonIconOnly)
    assert np.array_equal(document.labels(11), locked)
    for frame in (0, 1, 2, 3, 4, 8):
        assert np.array_equal(document.labels(frame), before[frame])
    assert (document.labels(9)[28, 22], document.status(9, 1)) == (1, FrameStatus.PROPAGATED)
    assert all(document.status(f, 2) == FrameStatus.PROPAGATED for f in range(1, FRAMES))
    press(qtbot, parts, Qt.Key.Key_Z, CONTROL)
    assert [f for f in range(FRAMES) if document.status(f, 1) == FrameStatus.STALE] == stale


def test_the_status_bar_says_where_a_label_comes_from(runs, qtbot):
    parts, _ = runs
    paint_object(qtbot, parts, 20, 20)
    press(qtbot, parts, Qt.Key.Key_F)
    wait_for_jobs(qtbot, parts)
    show_frame(qtbot, parts, 3)
    qtbot.mouseMove(parts.window.canvas, canvas_point(parts, 22, 20))
    label = parts.window.status_labels.cursor_
    qtbot.waitUntil(lambda: "object 1 · propagated from frame 0 · 85% sure" in label.text())
    show_frame(qtbot, parts, 0)  # the cursor rests
    qtbot.waitUntil(lambda: label.text().endswith("object 1 · drawn by hand"))
    press(qtbot, parts, Qt.Key.Key_Z, CONTROL)
    press(qtbot, parts, Qt.Key.Key_Z, CONTROL)
    qtbot.waitUntil(lambda: "object" not in label.text())


@pytest.mark.parametrize(
    ("status", "confidence", "sources", "text"),
    [
        (FrameStatus.ABSENT, None, (), ""),
        (FrameStatus.MANUAL, None, (), " · drawn by hand"),
        (FrameStatus.PROPOSED, None, (), " · accepted proposal"),
        (FrameStatus.STALE, 0.5, (0, 8), " · out of date, propagated from frames 0 and 8 · 50% sure"),
    ],
)
def test_provenance_in_words(status, confidence, sources, text):
    assert provenance(status, confidence, sources) == text
