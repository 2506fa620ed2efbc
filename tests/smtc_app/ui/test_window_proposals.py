"""Proposals in the whole window: asked for, previewed, answered, undone."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np
from PySide6.QtCore import Qt, QTimer
from window_fakes import FRAMES, propose_task, square
from window_hands import canvas_point, press, wait_for_jobs

from smtc_app.ui.proposal_presenter import proposal_colour
from smtc_app.ui.proposal_thumbnails import ProposalThumbnails


def test_proposals_wait_until_enter_accepts_them(application, qtbot):
    press(qtbot, application, Qt.Key.Key_S)
    panel = application.window.proposal_panel
    qtbot.waitUntil(lambda: len(panel.rows) == 2)
    document = application.session.document
    assert not document.objects
    assert not document.has_labels(0)
    press(qtbot, application, Qt.Key.Key_Return)
    assert list(document.objects) == [1, 2]
    assert np.array_equal(document.labels(0) == 1, square(4, 4))
    assert document.proposals(0) == ()


def test_the_first_steps_make_room_for_proposals(application, qtbot):
    application.window.actions_table["first_steps"].trigger()
    assert application.window.hint.isVisible()
    press(qtbot, application, Qt.Key.Key_S)
    qtbot.waitUntil(lambda: len(application.window.proposal_panel.rows) == 2)
    assert not application.window.hint.isVisible()
    assert application.settings.hint_shown


def test_a_click_accepts_one_proposal_alt_click_rejects_one(application, qtbot):
    press(qtbot, application, Qt.Key.Key_S)
    document, canvas = application.session.document, application.window.canvas
    qtbot.waitUntil(lambda: len(document.proposals(0)) == 2)
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=canvas_point(application, 35, 25))
    assert list(document.objects) == [1]
    assert document.labels(0)[25, 35] == 1
    alt = Qt.KeyboardModifier.AltModifier
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, alt, canvas_point(application, 8, 8))
    assert document.proposals(0) == ()
    assert list(document.objects) == [1]


def test_escape_rejects_the_proposals(application, qtbot):
    press(qtbot, application, Qt.Key.Key_S)
    document = application.session.document
    qtbot.waitUntil(lambda: len(document.proposals(0)) == 2)
    wait_for_jobs(qtbot, application)
    press(qtbot, application, Qt.Key.Key_Escape)
    assert document.proposals(0) == ()
    assert not document.objects


def test_cards_accept_and_reject(application, qtbot):
    press(qtbot, application, Qt.Key.Key_S)
    panel, document = application.window.proposal_panel, application.session.document
    qtbot.waitUntil(lambda: len(panel.rows) == 2)
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=panel.card_centre(1, "reject"))
    assert [p.id for p in document.proposals(0)] == [2]
    qtbot.waitUntil(lambda: len(panel.rows) == 1)
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=panel.card_centre(2, "accept"))
    assert np.array_equal(document.labels(0) == 1, square(30, 20))


def test_over_the_clip_one_answer_goes_for_all_frames(application, qtbot):
    press(qtbot, application, Qt.Key.Key_S, Qt.KeyboardModifier.ShiftModifier)
    panel, document = application.window.proposal_panel, application.session.document
    wait_for_jobs(qtbot, application)
    assert document.proposal_frames == tuple(range(FRAMES))
    qtbot.waitUntil(lambda: len(panel.rows) == 2)
    assert panel.rows[0].detail == f"{FRAMES} of {FRAMES} frames · 100% steady"
    click = partial(qtbot.mouseClick, panel.view.viewport(), Qt.MouseButton.LeftButton)
    click(pos=panel.card_centre(1))
    assert document.keyframes == tuple(range(FRAMES))
    assert np.array_equal(document.labels(5) == 1, square(4, 4))
    assert "accepted on 12 frames" in application.window.banner.text
    qtbot.waitUntil(lambda: len(panel.rows) == 1)
    press(qtbot, application, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    assert (document.labels(0) == 2).any()
    assert not (document.labels(5) == 2).any()
    qtbot.waitUntil(lambda: [row.frame for row in panel.rows] == [1])
    click(pos=panel.card_centre(2, "title", frame=1))
    qtbot.waitUntil(lambda: application.session.frame == 1)
    for _ in range(2):
        press(qtbot, application, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not document.objects
    assert [len(document.proposals(f)) for f in (0, 5)] == [2, 2]
    press(qtbot, application, Qt.Key.Key_Escape)
    assert document.proposal_frames == ()


def test_the_slider_shows_other_proposals_without_a_step(application, qtbot):
    panel, document = application.window.proposal_panel, application.session.document
    panel.granularity.setValue(0)
    assert not application.prompts.jobs, "nothing to show again"
    press(qtbot, application, Qt.Key.Key_S)
    qtbot.waitUntil(lambda: len(document.proposals(0)) == 2)
    wait_for_jobs(qtbot, application)
    areas = [p.area for p in document.proposals(0)]
    tint = proposal_colour(document.proposals(0)[1])
    for value in (3, 9, 20):
        panel.granularity.setValue(value)
    assert not application.prompts.busy, "moving the slider is no job that a person waits for"
    wait_for_jobs(qtbot, application)
    assert [p.area for p in document.proposals(0)] == [64, areas[1]]
    assert proposal_colour(document.proposals(0)[1]) == tint
    assert not application.session.undo.can_undo
    assert not document.modified


def test_only_the_newest_request_counts(make_application, qtbot):
    go_on = threading.Event()
    seen = []

    def slow(ctx, source, frames, *, granularity, **settings):
        seen.append(granularity)
        if len(seen) == 1:
            assert go_on.wait(10)
        return propose_task(ctx, source, frames, granularity=granularity, **settings)

    parts = make_application(propose_task=slow)
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    press(qtbot, parts, Qt.Key.Key_S)
    qtbot.waitUntil(lambda: bool(seen))
    parts.window.proposal_panel.granularity.setValue(1)
    parts.window.proposal_panel.granularity.setValue(20)
    go_on.set()
    wait_for_jobs(qtbot, parts)
    assert seen == [0.5, 1.0], "what was overtaken in the queue never runs"
    assert parts.session.document.proposals(0)[0].area == 64


def test_the_cursor_on_a_proposal_says_what_it_is(application, qtbot):
    press(qtbot, application, Qt.Key.Key_S)
    qtbot.waitUntil(lambda: len(application.window.proposal_panel.rows) == 2)
    qtbot.mouseMove(application.window.canvas, canvas_point(application, 35, 25))
    label = application.window.status_labels.cursor_
    qtbot.waitUntil(lambda: "proposal 2, score 0.65: click accepts" in label.text())
    press(qtbot, application, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: label.text().endswith("object 2 · accepted proposal"))


def test_a_picture_that_comes_after_the_end_wakes_nothing(application, qtbot):
    presenter = application.proposal_presenter
    qtbot.waitUntil(lambda: not presenter.findChild(QTimer).isActive())
    application.close(discard=True)
    presenter.findChild(ProposalThumbnails).ready.emit(None)
    assert not presenter.findChild(QTimer).isActive()
