"""Answers to proposals on many frames: the window goes on living, and the edit is one step."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox
from window_fakes import FRAMES, square
from window_hands import drag, press, wait_for_jobs

from smtc_app.core import mask_ops
from smtc_app.core.change_command import ChangePart
from smtc_app.core.proposal_commands import FramePart
from smtc_app.ui import annotation_controller, long_edit
from smtc_app.ui.tools import StrokeEvent


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


def test_an_error_in_what_waits_for_an_edit_stops_nothing_behind_it(held, qtbot):
    order = []

    def broken():
        order.append("broken")
        raise RuntimeError("broken")

    held.session.settle(broken)
    held.session.settle(lambda: order.append("save"))
    with qtbot.captureExceptions() as errors:
        held.gate.set()
        wait_for_jobs(qtbot, held)
    assert [str(error[1]) for error in errors] == ["broken"]
    held.session.settle(lambda: order.append("close"))
    assert order == ["broken", "save", "close"]
    assert not held.edits.busy


def test_undo_takes_back_the_answer_that_is_not_there_yet(held, qtbot):
    held.session.step_history(False)
    held.gate.set()
    wait_for_jobs(qtbot, held)
    assert not held.session.document.objects
    assert "Accept" in held.session.undo.redo_text


def test_a_propagation_right_after_the_answer_has_its_objects(held, qtbot):
    press(qtbot, held, Qt.Key.Key_F)
    held.gate.set()
    wait_for_jobs(qtbot, held)
    assert len(held.session.document.objects) == 2
    assert "no frame to propagate to" in held.window.banner.text, "all frames are keyframes of them"


def test_what_is_saved_holds_the_answer(held, qtbot, tmp_path):
    held.project.usual_project = lambda: tmp_path / "work.smtc"
    press(qtbot, held, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    held.gate.set()
    wait_for_jobs(qtbot, held)
    assert len(held.session.document.objects) == 2
    assert held.session.project is not None
    assert not held.session.document.modified


@pytest.fixture
def refining(application, qtbot, monkeypatch):
    """A window with a painted object, whose worker waits in the middle of growing it."""
    monkeypatch.setattr(annotation_controller, "REFINED_AT_ONCE_PX", 0)
    parts = application
    press(qtbot, parts, Qt.Key.Key_N)
    drag(qtbot, parts, [(20, 20), (24, 20)])
    gate, inside, threads = threading.Event(), threading.Event(), []
    compute = ChangePart.compute

    def slow(part):
        threads.append(threading.current_thread())
        if threads[-1] is not threading.main_thread():
            inside.set()
            assert gate.wait(10)
        return compute(part)

    monkeypatch.setattr(ChangePart, "compute", slow)
    parts.gate, parts.threads = gate, threads
    press(qtbot, parts, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(inside.is_set)
    yield parts
    gate.set()


def areas(parts):
    return [parts.session.document.area(0, i) for i in parts.session.document.objects]


def test_a_large_mask_is_refined_by_the_worker_and_is_one_step(refining, qtbot):
    before = refining.session.document.labels(0)
    expected = mask_ops.grow(before, 1, 1).labels
    assert "Grow 'object 1'" in refining.window.job_bar.text
    refining.gate.set()
    wait_for_jobs(qtbot, refining)
    assert np.array_equal(refining.session.document.labels(0), expected)
    assert refining.session.undo.undo_text == "Grow 'object 1'"
    assert threading.main_thread() not in refining.threads
    refining.session.step_history(False)
    assert np.array_equal(refining.session.document.labels(0), before)


def test_refinements_wait_for_each_other(refining, qtbot):
    before = refining.session.document.labels(0)
    for _ in range(2):
        press(qtbot, refining, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    refining.gate.set()
    wait_for_jobs(qtbot, refining)
    for _ in range(3):
        before = mask_ops.grow(before, 1, 1).labels
    assert np.array_equal(refining.session.document.labels(0), before)
    assert threading.main_thread() not in refining.threads
    assert refining.session.undo.texts[-3:] == ("Grow 'object 1'",) * 3


def test_what_is_painted_while_a_mask_is_refined_is_refined_too_and_not_in_the_windows_thread(
    refining, qtbot
):
    drag(qtbot, refining, [(50, 40), (54, 40)])
    painted = refining.session.document.labels(0)
    refining.gate.set()
    wait_for_jobs(qtbot, refining)
    assert np.array_equal(refining.session.document.labels(0), mask_ops.grow(painted, 1, 1).labels)
    assert threading.main_thread() not in refining.threads


def test_undo_takes_back_the_last_of_the_refinements_that_are_waited_for(refining, qtbot):
    before = refining.session.document.labels(0)
    press(qtbot, refining, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    grown = mask_ops.grow(before, 1, 1).labels
    refining.session.step_history(False)
    refining.gate.set()
    wait_for_jobs(qtbot, refining)
    assert np.array_equal(refining.session.document.labels(0), grown)
    assert threading.main_thread() not in refining.threads


def test_escape_leaves_the_mask_as_it_was(refining, qtbot):
    before = areas(refining)
    press(qtbot, refining, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    press(qtbot, refining, Qt.Key.Key_Escape)
    refining.gate.set()
    wait_for_jobs(qtbot, refining)
    assert areas(refining) == before


def test_an_undo_that_waits_for_a_refinement_goes_with_it(refining, qtbot):
    before = areas(refining)
    refining.session.step_history(False)
    press(qtbot, refining, Qt.Key.Key_Escape)
    refining.gate.set()
    wait_for_jobs(qtbot, refining)
    assert areas(refining) == before
    assert not refining.session.undo.can_redo


def test_the_window_closes_after_the_refinement_and_asks_once(refining, qtbot, monkeypatch):
    asked = []

    def answer(_box):
        asked.append(refining.session.undo.undo_text)
        return QMessageBox.StandardButton.Discard

    monkeypatch.setattr(QMessageBox, "exec", answer)
    refining.window.close()
    assert refining.window.isVisible()
    assert not asked
    refining.gate.set()
    qtbot.waitUntil(lambda: not refining.window.isVisible())
    assert asked == ["Grow 'object 1'"]
    assert threading.main_thread() not in refining.threads


def test_another_video_is_opened_after_the_refinement_is_saved(refining, qtbot, tmp_path):
    refining.project.usual_project = lambda: tmp_path / "work.smtc"
    document, gone = refining.session.document, []
    refining.project.switch_to(tmp_path / "other.mp4", lambda: gone.append("stayed"))
    assert not refining.project.is_opening
    refining.gate.set()
    qtbot.waitUntil(lambda: refining.session.document is not document)
    assert (tmp_path / "saved").read_text() == str(tmp_path / "work.smtc")
    assert not gone


@pytest.fixture
def large(application, qtbot, monkeypatch):
    """A window whose frames are too large for shapes to be drawn at once."""
    monkeypatch.setattr(long_edit, "AT_ONCE_PX", 0)
    return application


CORNERS = [(10.0, 10.0), (50.0, 12.0), (30.0, 40.0)]


def test_a_lasso_on_a_large_frame_is_worked_out_beside_the_window_and_makes_its_object(large, qtbot):
    parts, document = large, large.session.document
    before = document.labels(0)
    parts.annotation.fill_polygon(CORNERS)
    assert document.labels(0) is before
    wait_for_jobs(qtbot, parts)
    expected = mask_ops.fill_polygon(before, CORNERS, 1).labels
    assert np.array_equal(document.labels(0), expected)
    assert parts.session.selection == (1,)
    assert parts.session.undo.texts == ("Paint new object 1",)
    parts.annotation.fill_polygon([(x + 6, y) for x, y in CORNERS])
    wait_for_jobs(qtbot, parts)
    assert parts.session.undo.texts[-1] == "Polygon 'object 1'"
    parts.session.step_history(False)
    parts.session.step_history(False)
    assert not document.objects
    assert not document.labels(0).any()


def test_a_lasso_without_effect_is_told_and_makes_no_object(large, qtbot):
    parts = large
    parts.annotation.fill_polygon(CORNERS)
    wait_for_jobs(qtbot, parts)
    parts.annotation.toggle_locked((1,))
    parts.session.select(())
    parts.annotation.fill_polygon(CORNERS)
    wait_for_jobs(qtbot, parts)
    assert list(parts.session.document.objects) == [1]
    assert "locked" in parts.window.banner.text


@pytest.mark.parametrize("cancelled", [False, True])
def test_an_outline_stays_in_sight_until_its_labels_come_or_will_not(large, qtbot, monkeypatch, cancelled):
    parts, canvas = large, large.window.canvas
    gate, compute = threading.Event(), ChangePart.compute
    monkeypatch.setattr(ChangePart, "compute", lambda part: gate.wait(10) and compute(part))
    plain = canvas.grab().toImage()
    canvas.stroke_finished.emit(StrokeEvent("lasso", CORNERS, 4.0))
    assert canvas.grab().toImage() != plain
    if cancelled:
        press(qtbot, parts, Qt.Key.Key_Escape)
    gate.set()
    wait_for_jobs(qtbot, parts)
    assert canvas._held == ()
    assert not parts.annotation.drawing
    assert bool(parts.session.document.objects) is not cancelled
    if cancelled:
        assert canvas.grab().toImage() == plain


def test_an_object_that_is_deleted_while_a_shape_of_it_is_worked_out_stays_deleted(large, qtbot):
    parts = large
    parts.annotation.fill_polygon(CORNERS)
    wait_for_jobs(qtbot, parts)
    parts.annotation.fill_polygon([(x + 6, y) for x, y in CORNERS])
    parts.annotation.delete()
    wait_for_jobs(qtbot, parts)
    assert not parts.session.document.objects
    assert not parts.session.document.labels(0).any()
    assert "no object 1" in parts.window.banner.text


class Broken:
    """A command that breaks when its parts are asked for, or when it is done."""

    def __init__(self, when):
        self._when = when

    def parts(self, document):
        if self._when == "parts":
            raise RuntimeError("broken")
        return ()

    def take(self, part, result):
        pass

    def do(self, document):
        raise RuntimeError("broken")


@pytest.mark.parametrize("when", ["parts", "do"])
def test_an_edit_that_breaks_is_given_up_with_all_that_waits_for_it(application, when):
    heard = []
    with pytest.raises(RuntimeError, match="broken"):
        application.edits.push(
            Broken(when), "Breaking", lambda: heard.append("done"), or_else=lambda: heard.append("given up")
        )
    assert heard == ["given up"]
    assert not application.edits.busy
    application.edits.settle(lambda: heard.append("went on"))
    assert heard == ["given up", "went on"]
