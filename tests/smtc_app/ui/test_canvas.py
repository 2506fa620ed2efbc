"""The canvas by real mouse and key events."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("PySide6")

from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QImage, QKeyEvent, QWheelEvent
from PySide6.QtWidgets import QApplication

from smtc_app.core import mask_ops
from smtc_app.ui.canvas import Canvas
from smtc_app.ui.overlay import Proposal
from smtc_app.ui.tools import HoverEvent

LEFT, MIDDLE, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton, Qt.MouseButton.RightButton
SIZE = 120, 80  # of the frame


@pytest.fixture
def canvas(qtbot):
    widget = Canvas()
    qtbot.addWidget(widget)
    widget.resize(504, 344)  # four dots a pixel, with the margins of fit
    widget.show()
    rng = np.random.default_rng(0)
    widget.set_frame(rng.integers(0, 90, (SIZE[1], SIZE[0], 3), dtype=np.uint8))
    widget.set_labels(labels())
    widget.set_lut(np.array([(0, 0, 0, 0), (250, 0, 0, 255), (0, 250, 0, 255), (0, 0, 250, 255)], np.uint8))
    widget.set_active(1, (250, 0, 0))
    qtbot.waitExposed(widget)
    return widget


def labels():
    result = np.zeros((SIZE[1], SIZE[0]), np.uint16)
    result[20:40, 30:60] = 2
    result[50:70, 80:110] = 3
    result.setflags(write=False)
    return result


def at(canvas, x, y) -> QPoint:
    return canvas.widget_position(x, y).toPoint()


def drag(qtbot, canvas, points, button=LEFT, modifier=Qt.KeyboardModifier.NoModifier):
    qtbot.mousePress(canvas, button, modifier, at(canvas, *points[0]))
    for point in points[1:]:
        qtbot.mouseMove(canvas, at(canvas, *point))
    qtbot.mouseRelease(canvas, button, modifier, at(canvas, *points[-1]))


def wheel(canvas, position: QPoint, notches: float, modifiers=Qt.KeyboardModifier.NoModifier):
    event = QWheelEvent(
        QPointF(position),
        QPointF(canvas.mapToGlobal(position)),
        QPoint(),
        QPoint(0, round(120 * notches)),
        Qt.MouseButton.NoButton,
        modifiers,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(canvas, event)


def shown(canvas):
    """uint8 (h, w, 3) of what is on the screen."""
    image = canvas.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def colour_at(canvas, x, y):
    point = at(canvas, x, y)
    return shown(canvas)[point.y(), point.x()].astype(int)


def collect(signal):
    received = []
    signal.connect(received.append)
    return received


def test_it_fits_the_frame_and_shows_masks_over_it(canvas):
    assert canvas.scale == pytest.approx(4.0)
    red, green, blue = colour_at(canvas, 45.5, 30.5)
    assert green > 120 > max(red, blue)
    assert max(colour_at(canvas, 10.5, 10.5)) < 95


def test_a_stroke_is_previewed_and_told_at_its_end_only(qtbot, canvas):
    strokes = collect(canvas.stroke_finished)
    canvas.set_tool("brush")
    canvas.set_brush_radius_px(3)
    qtbot.mousePress(canvas, LEFT, pos=at(canvas, 10, 60))
    qtbot.mouseMove(canvas, at(canvas, 30, 60))
    assert strokes == []
    assert colour_at(canvas, 20.5, 60.5)[0] > 120
    qtbot.mouseRelease(canvas, LEFT, pos=at(canvas, 30, 60))
    (stroke,) = strokes
    assert stroke.tool == "brush"
    assert stroke.radius_px == 3
    assert stroke.points[0] == pytest.approx((10, 60), abs=0.2)
    assert stroke.points[-1] == pytest.approx((30, 60), abs=0.2)


def test_a_stroke_that_nobody_takes_disappears(qtbot, canvas):
    before = shown(canvas)
    canvas.set_tool("brush")
    drag(qtbot, canvas, [(10, 60), (30, 60)])
    canvas.set_tool("pick")
    np.testing.assert_array_equal(shown(canvas), before)


def test_the_screen_after_an_edit_is_the_screen_of_the_edited_labels(qtbot, canvas):
    canvas.set_tool("brush")
    canvas.set_brush_radius_px(4)
    taken = []

    def edit(stroke):
        edited = mask_ops.brush_stroke(labels(), stroke.points, stroke.radius_px, 1, locked_ids={2})
        taken.append(edited.labels)
        canvas.set_labels(edited.labels, edited.box)

    canvas.stroke_finished.connect(edit)
    canvas.set_active(1, (250, 0, 0), locked_ids={2})
    drag(qtbot, canvas, [(20, 30), (50, 25), (70, 60), (95, 60)])
    canvas.set_tool("pick")
    after = shown(canvas)
    assert (taken[0] == 2).sum() == (labels() == 2).sum()
    assert (taken[0] == 3).sum() < (labels() == 3).sum()
    canvas.set_labels(taken[0])
    np.testing.assert_array_equal(shown(canvas), after)


def test_a_stroke_goes_on_when_the_labels_under_it_change(qtbot, canvas):
    strokes = collect(canvas.stroke_finished)
    canvas.set_tool("brush")
    canvas.set_brush_radius_px(3)
    qtbot.mousePress(canvas, LEFT, pos=at(canvas, 10, 60))
    qtbot.mouseMove(canvas, at(canvas, 30, 60))
    propagated = labels().copy()
    propagated[2:12, 90:110] = 2
    canvas.set_labels(propagated)
    qtbot.mouseMove(canvas, at(canvas, 40, 60))
    assert colour_at(canvas, 20.5, 60.5)[0] > 120
    assert colour_at(canvas, 38.5, 60.5)[0] > 120
    assert colour_at(canvas, 100.5, 7.5)[1] > 120
    qtbot.mouseRelease(canvas, LEFT, pos=at(canvas, 40, 60))
    assert len(strokes[0].points) == 3
    assert colour_at(canvas, 20.5, 60.5)[0] < 95


def test_the_right_button_erases_and_a_second_button_does_not_end_the_stroke(qtbot, canvas):
    strokes = collect(canvas.stroke_finished)
    canvas.set_tool("brush")
    drag(qtbot, canvas, [(35, 25), (50, 35)], button=RIGHT)
    assert [stroke.tool for stroke in strokes] == ["eraser"]
    qtbot.mousePress(canvas, LEFT, pos=at(canvas, 10, 10))
    qtbot.mouseClick(canvas, RIGHT, pos=at(canvas, 12, 10))
    assert len(strokes) == 1
    qtbot.mouseRelease(canvas, LEFT, pos=at(canvas, 12, 10))
    assert [stroke.tool for stroke in strokes] == ["eraser", "brush"]


def test_esc_gives_a_stroke_up(qtbot, canvas):
    strokes = collect(canvas.stroke_finished)
    before = shown(canvas)
    canvas.set_tool("brush")
    qtbot.mousePress(canvas, LEFT, pos=at(canvas, 10, 60))
    qtbot.mouseMove(canvas, at(canvas, 30, 60))
    qtbot.keyClick(canvas, Qt.Key.Key_Escape)
    qtbot.mouseRelease(canvas, LEFT, pos=at(canvas, 30, 60))
    assert strokes == []
    canvas.set_tool("pick")
    np.testing.assert_array_equal(shown(canvas), before)


def test_another_frame_ends_the_stroke_that_was_meant_for_this_one(qtbot, canvas):
    strokes = collect(canvas.stroke_finished)
    canvas.set_tool("brush")
    qtbot.mousePress(canvas, LEFT, pos=at(canvas, 10, 60))
    canvas.set_frame(np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    qtbot.mouseRelease(canvas, LEFT, pos=at(canvas, 30, 60))
    assert strokes == []


def test_picking_tells_the_pixel_and_the_modifiers_inside_the_frame_only(qtbot, canvas):
    clicks = collect(canvas.clicked)
    qtbot.mouseClick(canvas, LEFT, Qt.KeyboardModifier.ShiftModifier, at(canvas, 45.5, 30.5))
    qtbot.mouseClick(canvas, LEFT, pos=QPoint(2, 2))
    ((position, modifiers),) = clicks
    assert position == (45, 30)
    assert modifiers == Qt.KeyboardModifier.ShiftModifier


def test_alt_picks_with_a_brush_in_the_hand(qtbot, canvas):
    clicks, strokes = collect(canvas.clicked), collect(canvas.stroke_finished)
    canvas.set_tool("brush")
    qtbot.mouseClick(canvas, LEFT, Qt.KeyboardModifier.AltModifier, at(canvas, 45.5, 30.5))
    assert len(clicks) == 1
    assert strokes == []


def test_a_fill_is_told_with_its_point(qtbot, canvas):
    strokes = collect(canvas.stroke_finished)
    canvas.set_tool("fill")
    qtbot.mouseClick(canvas, LEFT, pos=at(canvas, 7.5, 8.5))
    assert strokes[0].tool == "fill"
    assert tuple(map(int, strokes[0].points[0])) == (7, 8)


def test_a_polygon_is_closed_on_its_first_corner(qtbot, canvas):
    strokes = collect(canvas.stroke_finished)
    canvas.set_tool("polygon")
    for corner in ((10, 10), (50, 12), (45, 60)):
        qtbot.mouseClick(canvas, LEFT, pos=at(canvas, *corner))
    assert strokes == []
    qtbot.mouseClick(canvas, LEFT, pos=at(canvas, 10.5, 10.5))
    assert strokes[0].tool == "polygon"
    np.testing.assert_allclose(strokes[0].points, [(10, 10), (50, 12), (45, 60)], atol=0.2)
    assert not canvas.gesture_in_progress


def test_a_polygon_is_closed_by_a_double_click_where_it_ends(qtbot, canvas):
    strokes = collect(canvas.stroke_finished)
    canvas.set_tool("polygon")
    for corner in ((10, 10), (50, 12), (45, 60)):
        qtbot.mouseClick(canvas, LEFT, pos=at(canvas, *corner))
    qtbot.mouseDClick(canvas, LEFT, pos=at(canvas, 45, 60))
    assert len(strokes) == 1
    assert len(strokes[0].points) == 3


def test_keys_of_a_polygon_are_its_own_while_it_is_drawn(qtbot, canvas):
    def claimed(key):
        event = QKeyEvent(QEvent.Type.ShortcutOverride, key, Qt.KeyboardModifier.NoModifier)
        event.ignore()
        QApplication.sendEvent(canvas, event)
        return event.isAccepted()

    strokes = collect(canvas.stroke_finished)
    canvas.set_tool("polygon")
    keys = (Qt.Key.Key_Return, Qt.Key.Key_Escape, Qt.Key.Key_Backspace)
    assert not any(claimed(key) for key in keys)
    for corner in ((10, 10), (50, 12), (45, 60), (20, 50)):
        qtbot.mouseClick(canvas, LEFT, pos=at(canvas, *corner))
    assert all(claimed(key) for key in keys)
    qtbot.keyClick(canvas, Qt.Key.Key_Backspace)
    qtbot.keyClick(canvas, Qt.Key.Key_Return)
    assert len(strokes[0].points) == 3
    qtbot.mouseClick(canvas, LEFT, pos=at(canvas, 10, 10))
    qtbot.keyClick(canvas, Qt.Key.Key_Escape)
    assert not canvas.gesture_in_progress
    assert len(strokes) == 1


def test_a_lasso_follows_the_drag(qtbot, canvas):
    strokes = collect(canvas.stroke_finished)
    canvas.set_tool("lasso")
    drag(qtbot, canvas, [(10, 10), (40, 10), (40, 40), (10, 40)])
    assert strokes[0].tool == "lasso"
    edited = mask_ops.fill_polygon(labels() * 0, strokes[0].points, 1)
    assert edited.labels[25, 25] == 1


def test_the_wheel_zooms_at_the_cursor_and_fit_shows_all_again(canvas):
    zooms = collect(canvas.zoom_changed)
    cursor = at(canvas, 100, 20)
    before = canvas.frame_position(QPointF(cursor))
    for _ in range(3):
        wheel(canvas, cursor, 1)
    assert canvas.scale == pytest.approx(4 * 1.25**3)
    assert zooms[-1] == canvas.scale
    assert canvas.frame_position(QPointF(cursor)) == pytest.approx(before, abs=0.5)
    canvas.fit()
    assert canvas.scale == pytest.approx(4.0)
    canvas.actual_size()
    assert canvas.scale == pytest.approx(1.0)


def test_with_ctrl_the_wheel_changes_the_brush(qtbot, canvas):
    radii = collect(canvas.brush_radius_changed)
    canvas.set_tool("brush")
    canvas.set_brush_radius_px(10)
    wheel(canvas, at(canvas, 50, 50), 1, Qt.KeyboardModifier.ControlModifier)
    assert canvas.brush_radius_px == radii[-1] > 10
    assert canvas.scale == pytest.approx(4.0)


def test_the_middle_button_pans(qtbot, canvas):
    canvas.zoom_by(3)
    spot = canvas.frame_position(QPointF(200, 150))
    qtbot.mousePress(canvas, MIDDLE, pos=QPoint(200, 150))
    qtbot.mouseMove(canvas, QPoint(240, 130))
    qtbot.mouseRelease(canvas, MIDDLE, pos=QPoint(240, 130))
    assert canvas.frame_position(QPointF(240, 130)) == pytest.approx(spot, abs=0.01)


def test_space_held_pans_and_tapped_asks_to_play(qtbot, canvas):
    plays, strokes = collect(canvas.play_requested), collect(canvas.stroke_finished)
    canvas.set_tool("brush")
    canvas.zoom_by(3)
    spot = canvas.frame_position(QPointF(200, 150))
    qtbot.keyPress(canvas, Qt.Key.Key_Space)
    drag_from, drag_to = QPoint(200, 150), QPoint(260, 170)
    qtbot.mousePress(canvas, LEFT, pos=drag_from)
    qtbot.mouseMove(canvas, drag_to)
    qtbot.mouseRelease(canvas, LEFT, pos=drag_to)
    for _ in range(3):  # a held key repeats on X11 as if it were let go and pressed again
        qtbot.keyRelease(canvas, Qt.Key.Key_Space)
        qtbot.keyPress(canvas, Qt.Key.Key_Space)
    qtbot.keyRelease(canvas, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: canvas.cursor().shape() == Qt.CursorShape.CrossCursor)
    assert canvas.frame_position(QPointF(drag_to)) == pytest.approx(spot, abs=0.01)
    assert strokes == []
    assert plays == []
    with qtbot.waitSignal(canvas.play_requested):
        qtbot.keyClick(canvas, Qt.Key.Key_Space)
    assert plays == [None]


def test_hovering_tells_pixel_and_label_once_each(qtbot, canvas):
    hovers = collect(canvas.hovered)
    qtbot.mouseMove(canvas, at(canvas, 45.4, 30.4))
    qtbot.mouseMove(canvas, at(canvas, 45.6, 30.6))
    qtbot.mouseMove(canvas, at(canvas, 5.5, 6.5))
    qtbot.mouseMove(canvas, QPoint(1, 1))
    assert hovers == [HoverEvent(45, 30, 2), HoverEvent(5, 6, 0), None]


def test_the_brush_circle_is_as_large_as_what_it_paints(qtbot, canvas):
    canvas.set_tool("brush")
    canvas.set_brush_radius_px(8)
    qtbot.mouseMove(canvas, at(canvas, 20, 62))
    ring = (shown(canvas).min(axis=2) > 200).nonzero()
    centre = at(canvas, 20, 62)
    distance = np.hypot(ring[1] - centre.x(), ring[0] - centre.y())
    assert len(distance) > 50
    assert distance.mean() == pytest.approx(8 * canvas.scale, abs=1.5)


def test_masks_can_be_hidden_outlined_and_made_faint(canvas):
    filled = colour_at(canvas, 45.5, 30.5)
    canvas.set_opacity(0.1)
    assert colour_at(canvas, 45.5, 30.5)[1] < filled[1]
    canvas.set_opacity(0.5)
    canvas.set_outline(True)
    assert colour_at(canvas, 45.5, 30.5)[1] < 95
    assert colour_at(canvas, 30.2, 30.5)[1] > 200
    canvas.set_masks_visible(False)
    assert colour_at(canvas, 30.2, 30.5)[1] < 95


def test_proposals_are_drawn_and_go_with_a_frame_of_another_size(canvas):
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    mask[5:15, 5:25] = True
    before = colour_at(canvas, 15.5, 10.5)
    canvas.set_proposals([Proposal(1, mask, (0, 0, 255))])
    faint = colour_at(canvas, 15.5, 10.5)
    canvas.set_selected_proposals((1,))
    assert before[2] < faint[2] < colour_at(canvas, 15.5, 10.5)[2]
    canvas.set_frame(np.zeros((60, 60, 3), np.uint8))
    assert max(colour_at(canvas, 10.5, 10.5)) == 0


def test_going_from_proposal_to_proposal_draws_only_these_two_again_and_looks_as_if_all_were(canvas):
    proposals = []
    for number, (x, y) in enumerate([(4, 4), (50, 50), (90, 10)], 1):
        box = x, y, x + 20, y + 20
        proposals.append(Proposal(number, np.ones((20, 20), bool), (250, 200, 0), number == 3, box))
    canvas.set_proposals(proposals)
    canvas.set_selected_proposals((1,))
    shown(canvas)
    drawn = []
    layer = canvas._scene._proposed
    source = layer.source
    layer.source = lambda view, region, into: (drawn.append(region), source(view, region, into))
    canvas.set_selected_proposals((2,))
    now = shown(canvas)
    ((x0, y0, x1, y1),) = drawn
    assert (x1 - x0) * (y1 - y0) < 0.5 * canvas.width() * canvas.height()
    canvas.set_proposals(proposals)
    np.testing.assert_array_equal(shown(canvas), now)


def test_view_modes_take_the_place_of_the_frame(canvas):
    canvas.set_labels(None)
    canvas.set_alternative_image(np.full((8, 12, 3), 222, np.uint8))
    assert colour_at(canvas, 60.5, 10.5).tolist() == [222, 222, 222]
    canvas.set_alternative_image(None)
    canvas.set_heat_map(np.ones((4, 6)))
    assert max(colour_at(canvas, 60.5, 10.5)) > 150
    canvas.set_heat_map(None)
    canvas.set_onion_skin(np.full((SIZE[1], SIZE[0], 3), 200, np.uint8), 0.5)
    assert 95 < colour_at(canvas, 60.5, 10.5)[0] < 200
    with pytest.raises(ValueError, match="onion skin"):
        canvas.set_onion_skin(np.zeros((3, 3, 3), np.uint8))


def test_masks_do_not_hide_a_view(canvas):
    def inside_and_edge():
        return tuple(colour_at(canvas, 45, 30)), tuple(colour_at(canvas, 45, 20))

    filled = inside_and_edge()
    grey = np.full((SIZE[1], SIZE[0], 3), 100, np.uint8)
    canvas.set_alternative_image(grey)
    assert inside_and_edge()[0] == (100, 100, 100)
    assert inside_and_edge()[1] != (100, 100, 100), "outlines stay"
    canvas.set_alternative_image(None)
    assert inside_and_edge() == filled
    canvas.set_masks_visible(False)
    canvas.set_heat_map(np.ones((4, 6)))
    heat = inside_and_edge()[0]
    canvas.set_masks_visible(True)
    assert inside_and_edge()[0] == heat
    canvas.set_heat_map(None)
    assert inside_and_edge() == filled


def test_labels_of_another_size_are_refused(canvas):
    with pytest.raises(ValueError, match=r"labels must be \(80, 120\), got \(3, 3\)"):
        canvas.set_labels(np.zeros((3, 3), np.uint16))
    with pytest.raises(ValueError, match="tool 'spray'"):
        canvas.set_tool("spray")


def test_fitting_follows_the_window_and_zoom_does_not(canvas, qtbot):
    canvas.resize(264, 184)
    qtbot.waitUntil(lambda: canvas.scale == pytest.approx(2.0))
    canvas.zoom_by(2)
    canvas.resize(504, 344)
    qtbot.waitUntil(lambda: canvas.width() == 504)
    assert canvas.scale == pytest.approx(4.0)
    assert canvas.frame_position(QPointF(252, 172)) == pytest.approx((60, 40), abs=0.6)


def test_nothing_happens_without_a_frame(qtbot):
    canvas = Canvas()
    qtbot.addWidget(canvas)
    canvas.show()
    canvas.set_tool("brush")
    strokes = collect(canvas.stroke_finished)
    qtbot.mouseClick(canvas, LEFT, pos=QPoint(40, 40))
    wheel(canvas, QPoint(40, 40), 1)
    canvas.fit()
    canvas.actual_size()
    assert strokes == []
    assert canvas.scale == 1.0
