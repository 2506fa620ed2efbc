"""Answers to proposals on many frames: the window goes on living, and the edit is one step."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from PySide6.QtCore import Qt
from window_fakes import FRAMES, square
from window_hands import drag, press, wait_for_jobs

from smtc_app.core.proposal_commands import FramePart
from smtc_app.ui import long_edit


@pytest.fixture
def held(application, qtbot, monkeypatch):
    """A window with proposals on all frames, whose worker waits on the second frame of an answer."""
    monkeypatch.setattr(long_edit, "AT_ONCE_PX", 0)
    parts = application
    press(qtbot, parts, Qt.Key.Key_S, Qt.KeyboardModifier.ShiftModifier)
    wait_for_jobs(qtbot, parts)
    compute, gate, seen = FramePart.compute, threading.Event(), []

    def slow(part):
        if threading.current_thread() is not threading.main_thread():
            seen.append(part.frame)
            assert len(seen) < 2 or gate.wait(10)
        return compute(part)

    monkeypatch.setattr(FramePart, "compute", slow)
    parts.gate = gate
    press(qtbot, parts, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: len(seen) == 2)
    yield parts
    gate.set()


def test_the_window_lives_while_an_answer_is_worked_out(held, qtbot):
    document = held.session.document
    assert not document.objects
    assert held.window.job_bar.isVisible()
    assert "Accepting 2 proposals" in held.window.job_bar.text
    press(qtbot, held, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: held.session.frame == 1)
    press(qtbot, held, Qt.Key.Key_N)
    drag(qtbot, held, [(8, 8), (10, 8)])
    painted = document.labels(1) == 1
    assert painted.any()
    held.gate.set()
    wait_for_jobs(qtbot, held)
    assert len(document.objects) == 3
    assert (document.labels(1)[painted] == 1).all(), "what was painted in between stays"
    assert np.array_equal(document.labels(5) == 2, square(4, 4))
    assert "2 objects accepted on 12 frames" in held.window.banner.text
    press(qtbot, held, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert list(document.objects) == [1], "one step"
    assert document.proposal_frames == tuple(range(FRAMES))


def test_escape_leaves_everything_as_it_was(held, qtbot):
    press(qtbot, held, Qt.Key.Key_Escape)
    held.gate.set()
    wait_for_jobs(qtbot, held)
    document = held.session.document
    assert not document.objects
    assert document.proposal_frames == tuple(range(FRAMES))
    assert not held.session.undo.can_undo
    assert "nothing was changed" in held.window.banner.text


def test_undo_takes_back_the_answer_that_is_not_there_yet(held, qtbot):
    held.session.step_history(False)
    assert held.session.undo.can_redo
    assert not held.session.document.objects
    held.gate.set()
    wait_for_jobs(qtbot, held)
    assert not held.session.document.objects, "it is not done a second time"


def test_a_propagation_right_after_the_answer_has_its_objects(held, qtbot):
    press(qtbot, held, Qt.Key.Key_F)
    assert len(held.session.document.objects) == 2
    held.gate.set()
    wait_for_jobs(qtbot, held)


def test_what_is_saved_holds_the_answer(held, qtbot, tmp_path):
    held.project.usual_project = lambda: tmp_path / "work.smtc"
    press(qtbot, held, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    assert len(held.session.document.objects) == 2
    held.gate.set()
    wait_for_jobs(qtbot, held)
    assert not held.session.document.modified
