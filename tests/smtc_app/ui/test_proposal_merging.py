"""Proposals are chosen by clicks or keys and merged before anything is accepted."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from window_fakes import FRAMES, square
from window_hands import canvas_point, paint_object, press, show_frame, wait_for_jobs

from smtc_app.ui import long_edit

LEFT, SHIFT = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier
BOTH = square(4, 4) | square(30, 20)


@pytest.fixture
def proposed(application, qtbot):
    """Two proposals on frame 0."""
    press(qtbot, application, Qt.Key.Key_S)
    qtbot.waitUntil(lambda: len(application.window.proposal_panel.rows) == 2)
    wait_for_jobs(qtbot, application)
    return application


@pytest.fixture
def linked(application, qtbot):
    """Two proposals on every frame, linked."""
    press(qtbot, application, Qt.Key.Key_S, SHIFT)
    wait_for_jobs(qtbot, application)
    qtbot.waitUntil(lambda: len(application.window.proposal_panel.rows) == 2)
    return application


def click_card(qtbot, parts, proposal_id, modifier=SHIFT, **where):
    panel = parts.window.proposal_panel
    qtbot.mouseClick(panel.view.viewport(), LEFT, modifier, panel.card_centre(proposal_id, "title", **where))


def chosen(parts):
    return [row.id for row in parts.window.proposal_panel.rows if row.chosen]


def test_shift_clicks_on_cards_choose_and_the_button_merges(proposed, qtbot):
    panel, document = proposed.window.proposal_panel, proposed.session.document
    click_card(qtbot, proposed, 2)
    assert chosen(proposed) == [2]
    assert not panel.merge_button.isVisible()
    click_card(qtbot, proposed, 1)
    qtbot.waitUntil(panel.merge_button.isVisible)
    assert "Merge 2" in panel.merge_button.text()
    assert panel.accept_button.text().startswith("Accept 2")
    qtbot.mouseClick(panel.merge_button, LEFT)
    (merged,) = document.proposals(0)
    assert merged.id == 2, "the first one that was chosen leads"
    assert np.array_equal(merged.mask, BOTH)
    assert not document.objects
    assert chosen(proposed) == []
    assert "2 proposals are one now" in proposed.window.banner.text
    press(qtbot, proposed, Qt.Key.Key_Return)
    assert np.array_equal(document.labels(0) == 1, BOTH)


def test_shift_clicks_on_the_canvas_choose_and_a_key_merges(proposed, qtbot):
    canvas, document = proposed.window.canvas, proposed.session.document
    for point in ((8, 8), (35, 25)):
        qtbot.mouseClick(canvas, LEFT, SHIFT, canvas_point(proposed, *point))
    assert chosen(proposed) == [1, 2]
    assert not document.objects, "nothing is accepted by choosing"
    press(qtbot, proposed, Qt.Key.Key_M)
    assert len(document.proposals(0)) == 1
    press(qtbot, proposed, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert [p.id for p in document.proposals(0)] == [1, 2]


def test_keys_alone_choose_and_merge(proposed, qtbot):
    for key in (Qt.Key.Key_Period, Qt.Key.Key_Z, Qt.Key.Key_Period, Qt.Key.Key_Z, Qt.Key.Key_M):
        press(qtbot, proposed, key)
    (merged,) = proposed.session.document.proposals(0)
    assert np.array_equal(merged.mask, BOTH)


def test_the_steps_go_around_both_ways_and_show_where_they_are(proposed, qtbot):
    lit = []
    for key in (Qt.Key.Key_Comma, Qt.Key.Key_Period, Qt.Key.Key_Period, Qt.Key.Key_Comma):
        press(qtbot, proposed, key)
        lit.append(proposed.proposal_presenter.lit)
        assert proposed.window.proposal_panel._delegate.highlighted == lit[-1]
    assert lit == [2, 1, 2, 1]


def test_over_linked_frames_the_merge_holds_everywhere_and_is_one_step(linked, qtbot, monkeypatch):
    monkeypatch.setattr(long_edit, "AT_ONCE_PX", 0)  # as for frames of 1080p
    document = linked.session.document
    before = {frame: document.proposals(frame) for frame in range(FRAMES)}
    click_card(qtbot, linked, 1)
    click_card(qtbot, linked, 2)
    press(qtbot, linked, Qt.Key.Key_M)
    qtbot.waitUntil(lambda: all(len(document.proposals(f)) == 1 for f in range(FRAMES)))
    assert f"on {FRAMES} frames" in linked.window.banner.text
    assert len({document.proposals(f)[0].track for f in range(FRAMES)}) == 1
    wait_for_jobs(qtbot, linked)
    press(qtbot, linked, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: document.keyframes == tuple(range(FRAMES)))
    assert list(document.objects) == [1]
    assert np.array_equal(document.labels(7) == 1, BOTH)
    for _ in range(2):
        press(qtbot, linked, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert {frame: document.proposals(frame) for frame in range(FRAMES)} == before
    assert not document.objects


def test_the_choice_stays_from_frame_to_frame(linked, qtbot):
    click_card(qtbot, linked, 1)
    show_frame(qtbot, linked, 5)
    qtbot.waitUntil(lambda: chosen(linked) == [1])
    click_card(qtbot, linked, 2)
    press(qtbot, linked, Qt.Key.Key_M)
    assert [len(linked.session.document.proposals(f)) for f in (0, 5)] == [1, 1]


def test_enter_accepts_the_chosen_ones_only(proposed, qtbot):
    click_card(qtbot, proposed, 2)
    press(qtbot, proposed, Qt.Key.Key_Return)
    document = proposed.session.document
    assert np.array_equal(document.labels(0) == 1, square(30, 20))
    assert [p.id for p in document.proposals(0)] == [1]
    assert proposed.proposals.choice.keys == ()


def test_escape_drops_the_choice_before_it_rejects(proposed, qtbot):
    document = proposed.session.document
    click_card(qtbot, proposed, 2)
    press(qtbot, proposed, Qt.Key.Key_Escape)
    assert chosen(proposed) == []
    assert len(document.proposals(0)) == 2
    press(qtbot, proposed, Qt.Key.Key_Escape)
    assert document.proposals(0) == ()


def test_m_merges_objects_as_long_as_no_two_proposals_are_chosen(proposed, qtbot):
    session = proposed.session
    for x in (20, 50):
        paint_object(qtbot, proposed, x, 40)
    session.select((1, 2))
    actions = proposed.window.actions_table
    assert not actions["merge_proposals"].isEnabled()
    assert "Shift+click" in actions["merge_proposals"].toolTip()
    click_card(qtbot, proposed, 1)
    click_card(qtbot, proposed, 2)
    press(qtbot, proposed, Qt.Key.Key_M)
    assert len(session.document.objects) == 2
    assert len(session.document.proposals(0)) == 1
    press(qtbot, proposed, Qt.Key.Key_M)
    assert list(session.document.objects) == [1]


def test_shift_click_on_a_label_goes_on_selecting_objects(proposed, qtbot):
    session, canvas = proposed.session, proposed.window.canvas
    proposed.proposals.accept(1)
    session.select(())
    qtbot.mouseClick(canvas, LEFT, SHIFT, canvas_point(proposed, 8, 8))
    assert session.selection == (1,)
    assert chosen(proposed) == []


def test_another_granularity_forgets_the_choice(proposed, qtbot):
    click_card(qtbot, proposed, 1)
    proposed.window.proposal_panel.set_granularity(1.0)
    qtbot.waitUntil(lambda: proposed.session.document.proposals(0)[0].area < 100)
    assert proposed.proposals.choice.keys == ()


def test_parts_on_different_frames_are_linked_by_a_merge(application, qtbot):
    document = application.session.document
    for frame in (0, 4):
        show_frame(qtbot, application, frame)
        press(qtbot, application, Qt.Key.Key_S)
        qtbot.waitUntil(lambda frame=frame: len(document.proposals(frame)) == 2)
        wait_for_jobs(qtbot, application)
    panel = application.window.proposal_panel
    qtbot.waitUntil(lambda: len(panel.rows) == 4)
    click_card(qtbot, application, 1)
    click_card(qtbot, application, 1, frame=0)
    press(qtbot, application, Qt.Key.Key_M)
    assert document.proposals(0)[0].track == document.proposals(4)[0].track
    show_frame(qtbot, application, 9)
    qtbot.waitUntil(lambda: None not in [row.frame for row in panel.rows])
    assert sorted(row.frames for row in panel.rows) == [1, 1, 2]
    click_card(qtbot, application, 1, frame=panel.rows[0].frame)
    assert chosen(application) == [1]
    assert application.window.actions_table["reject_all"].isEnabled()
    press(qtbot, application, Qt.Key.Key_Escape)
    assert application.proposals.choice.keys == ()
    assert len(document.proposals(0)) == 2
