"""The list of proposals by itself: cards in, answers out; and the pictures on the cards."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtWidgets import QApplication, QMainWindow

from smtc_app.core.annotation import ProposalMask
from smtc_app.ui.actions import ActionTable
from smtc_app.ui.proposal_cards import ProposalRow, tooltip
from smtc_app.ui.proposal_panel import ProposalPanel
from smtc_app.ui.proposal_thumbnails import THUMBNAIL_PX, ProposalThumbnails, Request, make_thumbnail
from smtc_app.ui.style_sheet import style_sheet
from smtc_app.ui.theme import DARK

LEFT = Qt.MouseButton.LeftButton
CONTROL, NONE = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.NoModifier
ROWS = tuple(ProposalRow(i, f"Proposal {i}", 1 - i / 10, 0.1, (255, 0, 0)) for i in (1, 2, 3))
LINKED = ProposalRow(1, "Proposal 1", 0.8, 0.1, (255, 0, 0), frames=4, of=6, stability=0.9)
ELSEWHERE = ProposalRow(1, "On frame 7", 0.8, 0.1, (255, 0, 0), frame=7, frames=4, of=6, stability=0.9)


@pytest.fixture
def panel(qtbot):
    window = QMainWindow()
    qtbot.addWidget(window)
    widget = ProposalPanel(ActionTable(window))
    window.setCentralWidget(widget)
    window.resize(320, 500)
    window.show()
    qtbot.waitExposed(window)
    yield widget
    window.close()


@pytest.mark.parametrize("count", [1, 3, 12])
@pytest.mark.parametrize("width_px", [270, 312, 480])
def test_the_button_says_no_more_than_it_has_room_for(panel, qtbot, count, width_px):
    sheet = QApplication.instance().styleSheet()
    QApplication.instance().setStyleSheet(style_sheet(DARK))
    try:
        panel.setMinimumWidth(200)  # as the window's side does
        panel.window().resize(width_px, 500)
        qtbot.waitUntil(lambda: panel.width() == width_px)
        panel.set_rows(tuple(replace(ROWS[0], id=i) for i in range(count)))
        button = panel.accept_button
        qtbot.waitUntil(lambda: button.isVisible() and button.width() > 0)
        assert button.text().startswith("Accept")
        qtbot.waitUntil(lambda: button.width() >= button.sizeHint().width())
        assert "(Enter)" in button.text() or width_px == 270, "at its usual width it names the key"
        panel.window().resize(480, 500)
        qtbot.waitUntil(lambda: "(Enter)" in button.text())
    finally:
        QApplication.instance().setStyleSheet(sheet)


@pytest.mark.parametrize(
    ("row", "part", "modifiers", "answer"),
    [
        (ROWS[1], "accept", NONE, ("accept", 2, None, True)),
        (ROWS[1], "title", NONE, ("accept", 2, None, True)),
        (ROWS[1], "reject", NONE, ("reject", 2, None, True)),
        (LINKED, "title", CONTROL, ("accept", 1, None, False)),
        (LINKED, "reject", CONTROL, ("reject", 1, None, False)),
        (ELSEWHERE, "title", NONE, ("visit", 1, 7, True)),
        (ELSEWHERE, "reject", NONE, ("reject", 1, 7, True)),
    ],
)
def test_cards_answer_to_clicks(panel, qtbot, row, part, modifiers, answer):
    panel.set_rows([*ROWS, ELSEWHERE] if row is not LINKED else [LINKED])
    place = panel.card_centre(row.id, part, frame=row.frame)
    with qtbot.waitSignal(panel.answered) as told:
        qtbot.mouseClick(panel.view.viewport(), LEFT, modifiers, place)
    assert told.args == [answer]


def test_the_buttons_say_how_many_and_go_with_the_cards(panel):
    panel.set_rows(ROWS)
    assert panel.accept_button.isVisible()
    assert "all 3" in panel.accept_button.text()
    panel.set_rows([LINKED, ELSEWHERE])
    assert "Accept 1 " in panel.accept_button.text(), "what is elsewhere is not accepted unseen"
    assert "on all frames" in panel.accept_button.toolTip()
    panel.set_rows([ELSEWHERE])
    assert not panel.accept_button.isVisible()
    assert panel.view.isVisible()
    panel.set_rows(())
    assert not panel.accept_button.isVisible()


def test_every_move_of_the_slider_asks(panel, qtbot):
    panel.granularity.setSliderDown(True)
    with qtbot.waitSignal(panel.settings_changed) as told:
        panel.granularity.setValue(15)
    assert told.args == [(10, 0.75)]
    with qtbot.waitSignal(panel.settings_changed) as told:
        panel.most.setValue(7)
    assert told.args == [(7, 0.75)]


def test_cards_say_where_a_proposal_goes(panel):
    assert LINKED.detail == "4 of 6 frames · 90% steady"
    assert ROWS[0].detail == ""
    assert "on 4 frames, Ctrl+click on this one only" in tooltip(LINKED, "accept")
    assert "frame 7" in tooltip(ELSEWHERE, "visit")
    assert "Ctrl" not in tooltip(ROWS[0], "reject")


def test_what_is_hovered_on_the_canvas_lights_up_its_card(panel):
    panel.set_rows(ROWS)
    place = panel.view.visualRect(panel.view.model().index(1))
    corner = QRect(place.right() - 3, place.top() + 2, 1, 1)

    def shade():
        return panel.view.viewport().grab(corner).toImage().pixelColor(0, 0)

    before = shade()
    panel.highlight(2)
    assert shade() != before
    panel.highlight(None)
    assert shade() == before


def proposal(mask):
    return ProposalMask(0, 1, mask=mask)


def test_a_thumbnail_shows_the_object_bright_and_the_rest_dim():
    frame = np.full((60, 80, 3), 200, np.uint8)
    mask = np.zeros((60, 80), bool)
    mask[20:40, 30:50] = True
    image = make_thumbnail(frame, proposal(mask), (255, 0, 0))
    middle = image.pixelColor(THUMBNAIL_PX[0] // 2, THUMBNAIL_PX[1] // 2)
    corner = image.pixelColor(THUMBNAIL_PX[0] // 2 - 30, THUMBNAIL_PX[1] // 2)
    assert middle.red() == 200
    assert corner.red() == 70


@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_thumbnails_have_their_size_at_any_resolution(ratio):
    mask = np.zeros((60, 80), bool)
    mask[:2, :2] = True
    thumbnail = make_thumbnail(np.zeros((60, 80, 3), np.uint8), proposal(mask), (0, 255, 0), ratio=ratio)
    assert (thumbnail.width(), thumbnail.height()) == tuple(round(side * ratio) for side in THUMBNAIL_PX)
    assert thumbnail.deviceIndependentSize().toSize().toTuple() == THUMBNAIL_PX


def test_an_empty_mask_gives_a_black_thumbnail():
    empty = proposal(np.zeros((6, 8), bool))
    assert make_thumbnail(np.full((6, 8, 3), 255, np.uint8), empty, (0, 255, 0)).pixelColor(5, 5).red() == 0


class Footage(list):
    def close(self):
        self.append("closed")


def test_pictures_are_made_in_a_thread_from_the_frame_or_the_footage(qtbot):
    masks = [np.zeros((60, 80), bool) for _ in range(2)]
    masks[0][20:40, 30:50] = masks[1][20:40, 30:50] = True
    here, there = ProposalMask(0, 1, mask=masks[0]), ProposalMask(1, 1, mask=masks[1])
    footage, threads = Footage(np.full((60, 80, 3), v, np.uint8) for v in (10, 90)), []

    def open_source():
        threads.append(threading.current_thread())
        return footage

    maker = ProposalThumbnails()
    maker.open(open_source)
    pixels = np.full((60, 80, 3), 200, np.uint8)
    shown, unseen = Request(here, (1, 2, 3), 1.0, pixels), Request(there, (1, 2, 3))
    assert maker.get(shown) is None
    maker.want([shown, unseen])
    qtbot.waitUntil(lambda: maker.get(unseen) is not None)
    middle = QPoint(THUMBNAIL_PX[0] // 2, THUMBNAIL_PX[1] // 2)
    assert maker.get(shown).pixelColor(middle).red() == 200
    assert maker.get(unseen).pixelColor(middle).red() == 90
    assert threads != [threading.main_thread()]
    maker.want([unseen])
    assert maker.get(shown) is None, "what is not shown is not kept"
    maker.close()
    assert footage[-1] == "closed"


def test_a_frame_that_cannot_be_read_costs_its_picture_only(qtbot, caplog):
    mask = np.ones((6, 8), bool)
    maker = ProposalThumbnails()
    maker.open(lambda: Footage([np.zeros((6, 8, 3), np.uint8)]))
    broken, whole = Request(ProposalMask(5, 1, mask=mask), (1, 2, 3)), Request(proposal(mask), (1, 2, 3))
    maker.want([broken, whole])
    qtbot.waitUntil(lambda: maker.get(whole) is not None)
    assert maker.get(broken) is None
    assert "no thumbnail" in caplog.text
    maker.close()
