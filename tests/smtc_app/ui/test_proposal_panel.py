"""The list of proposals by itself: cards in, answers out."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMainWindow

from smtc_app.ui.actions import ActionTable
from smtc_app.ui.proposal_panel import THUMBNAIL_PX, ProposalPanel, ProposalRow, make_thumbnail

LEFT = Qt.MouseButton.LeftButton
ROWS = tuple(ProposalRow(i, f"Proposal {i}", 1 - i / 10, 0.1, (255, 0, 0)) for i in (1, 2, 3))


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


@pytest.mark.parametrize(
    ("part", "signal"), [("accept", "accepted"), ("title", "accepted"), ("reject", "rejected")]
)
def test_cards_answer_to_clicks(panel, qtbot, part, signal):
    panel.set_rows(ROWS)
    with qtbot.waitSignal(getattr(panel, signal)) as told:
        qtbot.mouseClick(panel.view.viewport(), LEFT, pos=panel.card_centre(2, part))
    assert told.args == [2]


def test_the_buttons_say_how_many_and_go_with_the_cards(panel):
    panel.set_rows(ROWS)
    assert panel.accept_button.isVisible()
    assert "all 3" in panel.accept_button.text()
    panel.set_rows(ROWS[:1])
    assert "1 object" in panel.accept_button.text()
    panel.set_rows(())
    assert not panel.accept_button.isVisible()


def test_dragging_the_slider_asks_once_it_is_let_go(panel, qtbot):
    panel.granularity.setSliderDown(True)
    with qtbot.assertNotEmitted(panel.settings_changed):
        panel.granularity.setValue(15)
    panel.granularity.setSliderDown(False)
    with qtbot.waitSignal(panel.settings_changed) as told:
        panel.most.setValue(7)
    assert told.args == [(7, 0.75)]


def test_a_thumbnail_shows_the_object_bright_and_the_rest_dim():
    frame = np.full((60, 80, 3), 200, np.uint8)
    mask = np.zeros((60, 80), bool)
    mask[20:40, 30:50] = True
    image = make_thumbnail(frame, mask, (255, 0, 0)).toImage()
    middle = image.pixelColor(THUMBNAIL_PX[0] // 2, THUMBNAIL_PX[1] // 2)
    corner = image.pixelColor(THUMBNAIL_PX[0] // 2 - 30, THUMBNAIL_PX[1] // 2)
    assert middle.red() == 200
    assert corner.red() == 70


@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_thumbnails_have_their_size_at_any_resolution(ratio):
    mask = np.zeros((60, 80), bool)
    mask[:2, :2] = True
    thumbnail = make_thumbnail(np.zeros((60, 80, 3), np.uint8), mask, (0, 255, 0), ratio=ratio)
    assert (thumbnail.width(), thumbnail.height()) == tuple(round(side * ratio) for side in THUMBNAIL_PX)
    assert thumbnail.deviceIndependentSize().toSize().toTuple() == THUMBNAIL_PX


def test_an_empty_mask_gives_a_black_thumbnail():
    thumbnail = make_thumbnail(np.full((6, 8, 3), 255, np.uint8), np.zeros((6, 8), bool), (0, 255, 0))
    assert thumbnail.toImage().pixelColor(5, 5).red() == 0
