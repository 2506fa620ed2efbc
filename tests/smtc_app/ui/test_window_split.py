"""Splitting in the whole window: on all frames or on one, as one step."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from window_fakes import FRAMES, square
from window_hands import paint_object, press, wait_for_jobs

from smtc_app.core.annotation import FrameStatus
from smtc_app.core.commands import SetLabels

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def propagated(application, qtbot):
    """A window with one square object on all frames."""
    paint_object(qtbot, application)
    application.session.push(SetLabels(0, square(20, 20, 16).astype(np.uint16)))
    press(qtbot, application, Qt.Key.Key_F)
    wait_for_jobs(qtbot, application)
    return application


def test_x_splits_by_slot_on_every_frame(propagated, qtbot):
    document, session = propagated.session.document, propagated.session
    press(qtbot, propagated, Qt.Key.Key_X)
    qtbot.waitUntil(lambda: 2 in document.objects)
    wait_for_jobs(qtbot, propagated)
    for frame in range(FRAMES):
        assert np.array_equal(document.labels(frame), document.labels(0))
        assert set(np.unique(document.labels(frame))) == {0, 1, 2}
    assert document.status(5, 2) == FrameStatus.PROPAGATED
    assert session.selection == (1, 2)
    assert f"Split on {FRAMES} frames." in propagated.window.banner.text
    press(qtbot, propagated, Qt.Key.Key_M)
    assert list(document.objects) == [1]
    assert all((document.labels(f) == 1).sum() == 16 * 16 for f in range(FRAMES))
    for _ in range(2):
        press(qtbot, propagated, Qt.Key.Key_Z, CONTROL)
    assert list(document.objects) == [1]
    assert (document.labels(5) == 1).sum() == 16 * 16


def test_shift_x_splits_on_this_frame_and_says_so(propagated, qtbot):
    document = propagated.session.document
    press(qtbot, propagated, Qt.Key.Key_X, SHIFT)
    qtbot.waitUntil(lambda: 2 in document.objects)
    wait_for_jobs(qtbot, propagated)
    assert not (document.labels(5) == 2).any()
    assert document.status(5, 1) == FrameStatus.STALE
    assert "this frame only" in propagated.window.banner.text


def test_undoing_ends_what_carries_the_split_on(make_application, qtbot):
    def endless(ctx, source, frame, parts, masks, object_id, **settings):
        for index in sorted(masks):
            ctx.partial((index, parts))
        while True:
            ctx.partial((min(masks), parts))

    parts = make_application(extend_split_task=endless)
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    paint_object(qtbot, parts)
    parts.session.push(SetLabels(0, square(20, 20, 16).astype(np.uint16)))
    press(qtbot, parts, Qt.Key.Key_F)
    wait_for_jobs(qtbot, parts)
    document = parts.session.document
    press(qtbot, parts, Qt.Key.Key_X)
    qtbot.waitUntil(lambda: (document.labels(5) == 2).any())
    press(qtbot, parts, Qt.Key.Key_Z, CONTROL)
    wait_for_jobs(qtbot, parts)
    assert list(document.objects) == [1]
    assert all((document.labels(f) == 1).sum() == 16 * 16 for f in range(FRAMES))
