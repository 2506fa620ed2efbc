"""What is being drawn when something comes in between: frames, tools, sizes, results, a lost release."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication, QMessageBox
from window_fakes import FRAMES, SIZE
from window_hands import canvas_point, drag, press, show_frame

from smtc_app.core import commands, mask_ops

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def parts(application, qtbot):
    """An object to paint, the brush in the hand."""
    application.session.push(commands.AddObject("dog"))
    application.session.select((1,))
    application.canvas_controller.set_tool("brush")
    application.window.canvas.set_brush_radius_px(2)
    application.window.banner.hide()
    return application


def begin(qtbot, parts, *points):
    canvas = parts.window.canvas
    qtbot.mousePress(canvas, LEFT, pos=canvas_point(parts, *points[0]))
    for point in points[1:]:
        qtbot.mouseMove(canvas, canvas_point(parts, *point))


def go_on(qtbot, parts, *points):
    canvas = parts.window.canvas
    for point in points:
        qtbot.mouseMove(canvas, canvas_point(parts, *point))
    qtbot.mouseRelease(canvas, LEFT, pos=canvas_point(parts, *points[-1]))


def painted(parts, frame):
    return parts.session.document.labels(frame) == 1


def test_another_frame_ends_the_stroke_and_keeps_it_where_it_was_drawn(parts, qtbot):
    begin(qtbot, parts, (10, 10), (20, 10))
    parts.frames.step(1)
    qtbot.waitUntil(lambda: parts.session.frame == 1)
    go_on(qtbot, parts, (30, 30), (40, 30))
    assert painted(parts, 0)[10, 10:21].all()
    assert not painted(parts, 0)[30].any()
    assert not painted(parts, 1).any()
    drag(qtbot, parts, [(10, 40), (20, 40)])
    assert painted(parts, 1)[40, 15], "the next stroke is one as ever"


def test_painting_stops_the_film_at_the_frame_in_sight(parts, qtbot):
    parts.frames.toggle_play()
    qtbot.waitUntil(lambda: parts.frames.shown_index >= 2)
    begin(qtbot, parts, (10, 10), (20, 10))
    assert not parts.frames.playing
    frame = parts.session.frame
    assert parts.frames.wanted == frame
    go_on(qtbot, parts, (30, 10))
    assert painted(parts, frame)[10, 10:31].all()
    others = [f for f in range(FRAMES) if f != frame]
    assert not any(painted(parts, f).any() for f in others)


def test_taking_another_tool_ends_the_stroke_and_keeps_it(parts, qtbot):
    begin(qtbot, parts, (10, 10), (20, 10))
    press(qtbot, parts, Qt.Key.Key_E)
    assert parts.window.canvas.tool == "eraser"
    go_on(qtbot, parts, (12, 10), (10, 10))
    assert painted(parts, 0)[10, 10:21].all(), "and the new tool has not begun"


def test_choosing_another_object_ends_the_stroke_and_gives_it_to_the_one_it_began_with(parts, qtbot):
    parts.session.push(commands.AddObject("cat"))
    parts.session.select((1,))
    begin(qtbot, parts, (10, 10), (20, 10))
    press(qtbot, parts, Qt.Key.Key_2)
    assert parts.session.selection == (2,)
    assert painted(parts, 0)[10, 10:21].all()
    go_on(qtbot, parts, (30, 30), (40, 30))
    assert not (parts.session.document.labels(0) == 2).any()
    drag(qtbot, parts, [(10, 40), (20, 40)])
    assert (parts.session.document.labels(0) == 2)[40, 10:21].all(), "the next stroke is the other one's"


def test_a_new_object_asked_for_meanwhile_is_not_what_was_being_drawn(parts, qtbot):
    begin(qtbot, parts, (10, 10), (20, 10))
    press(qtbot, parts, Qt.Key.Key_N)
    go_on(qtbot, parts, (30, 10))
    assert painted(parts, 0)[10, 10:21].all()
    assert not (parts.session.document.labels(0) == 2).any()


def test_undo_in_the_middle_of_a_stroke_takes_the_stroke_back(parts, qtbot):
    drag(qtbot, parts, [(10, 40), (20, 40)])
    begin(qtbot, parts, (10, 10), (20, 10))
    press(qtbot, parts, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    go_on(qtbot, parts, (30, 10))
    assert painted(parts, 0)[40, 10:21].all()
    assert not painted(parts, 0)[10].any()


def test_what_only_changes_the_looks_lets_the_stroke_go_on(parts, qtbot):
    begin(qtbot, parts, (10, 10), (20, 10))
    press(qtbot, parts, Qt.Key.Key_Tab)
    press(qtbot, parts, Qt.Key.Key_BracketRight)
    go_on(qtbot, parts, (30, 10))
    assert painted(parts, 0)[10, 10:31].all()


def test_an_outline_that_another_frame_ends_is_told(parts, qtbot):
    press(qtbot, parts, Qt.Key.Key_L)
    for point in ((10, 10), (30, 10), (30, 30)):
        qtbot.mouseClick(parts.window.canvas, LEFT, pos=canvas_point(parts, *point))
    show_frame(qtbot, parts, 1)
    assert "outline was given up" in parts.window.banner.text
    assert parts.window.canvas.corner_count == 0
    assert not painted(parts, 0).any()


def test_a_release_that_went_elsewhere_ends_the_stroke_at_the_next_move(parts, qtbot):
    canvas = parts.window.canvas
    begin(qtbot, parts, (10, 10), (20, 10))
    where = QPointF(canvas_point(parts, 40, 40))
    none = Qt.MouseButton.NoButton
    move = QMouseEvent(
        QEvent.Type.MouseMove,
        where,
        QPointF(canvas.mapToGlobal(where.toPoint())),
        none,
        none,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(canvas, move)
    assert painted(parts, 0)[10, 10:21].all()
    assert not painted(parts, 0)[40].any()
    drag(qtbot, parts, [(10, 30), (20, 30)])
    assert painted(parts, 0)[30, 15]


def test_esc_drops_the_stroke_and_the_rest_of_the_drag_paints_nothing(parts, qtbot):
    begin(qtbot, parts, (10, 10), (20, 10))
    press(qtbot, parts, Qt.Key.Key_Escape)
    go_on(qtbot, parts, (30, 30), (40, 30))
    assert not painted(parts, 0).any()
    assert parts.session.undo.undo_text == "Add 'dog'"


def test_a_window_of_another_size_moves_the_frame_under_the_stroke_and_not_the_stroke(parts, qtbot):
    canvas = parts.window.canvas
    begin(qtbot, parts, (10, 10), (20, 10))
    scale = canvas.scale
    parts.window.resize(1000, 620)
    qtbot.waitUntil(lambda: canvas.scale != scale)
    go_on(qtbot, parts, (30, 10))
    assert painted(parts, 0)[10, 10:31].all()
    ys, _ = np.nonzero(painted(parts, 0))
    assert (ys.min(), ys.max()) in ((8, 12), (8, 11), (9, 12)), "a straight line still"


def test_results_that_arrive_meanwhile_stay_and_the_stroke_too(parts, qtbot):
    document = parts.session.document
    parts.session.push(commands.AddObject("cat"))
    parts.session.select((1,))
    begin(qtbot, parts, (10, 10), (20, 10))
    for frame in range(FRAMES):
        labels = np.zeros((SIZE[1], SIZE[0]), np.uint16)
        labels[5:40, 15:35] = 2
        parts.session.push(commands.ApplyPropagation([(frame, labels, {2: 0.7}, (3,))], objects=(2,)))
    go_on(qtbot, parts, (30, 10))
    assert painted(parts, 0)[10, 10:31].all()
    assert (document.labels(0) == 2).sum() > 500


@pytest.mark.parametrize("tool", ["brush", "eraser"])
def test_a_stroke_is_taken_as_it_was_shown_and_not_drawn_a_second_time(parts, qtbot, monkeypatch, tool):
    drag(qtbot, parts, [(8, 10), (40, 10)])
    parts.canvas_controller.set_tool(tool)
    begin(qtbot, parts, (20, 5), (22, 12), (31, 30))
    shown = parts.window.canvas._preview.labels.copy()
    before = parts.session.document.labels(0)
    assert not np.array_equal(shown, before)

    def again(*_arguments, **_settings):
        raise AssertionError("a stroke across a large frame takes long enough the first time")

    monkeypatch.setattr(mask_ops, "brush_stroke", again)
    qtbot.mouseRelease(parts.window.canvas, LEFT, pos=canvas_point(parts, 31, 30))
    assert np.array_equal(parts.session.document.labels(0), shown)
    parts.session.step_history(False)
    assert np.array_equal(parts.session.document.labels(0), before)
    parts.session.step_history(True)
    assert np.array_equal(parts.session.document.labels(0), shown)


def test_fifty_strokes_are_fifty_steps_back(parts, qtbot):
    rng = np.random.default_rng(0)
    document, before = parts.session.document, []
    for _ in range(50):
        before.append(document.labels(0).tobytes())
        points = rng.integers((2, 2), (SIZE[0] - 2, SIZE[1] - 2), (5, 2)).tolist()
        seen = document.revision
        drag(qtbot, parts, points)
        if document.revision == seen:
            before.pop()
    for expected in reversed(before):
        press(qtbot, parts, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        assert document.labels(0).tobytes() == expected
    assert not painted(parts, 0).any()


def test_opening_something_else_drops_what_was_being_drawn(parts, qtbot, monkeypatch):
    monkeypatch.setattr(QMessageBox, "exec", lambda _box: QMessageBox.StandardButton.Discard)
    before = parts.session.document
    begin(qtbot, parts, (10, 10), (20, 10))
    parts.project.switch_to(parts.session.source.path.with_name("other.mp4"))
    qtbot.waitUntil(lambda: parts.session.document is not before and parts.session.pixels is not None)
    go_on(qtbot, parts, (30, 30), (40, 30))
    assert not parts.session.document.has_labels(0)
