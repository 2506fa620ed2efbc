"""The region tool by real mouse, wheel and keys: it shows what it takes, and takes just that."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from window_fakes import SIZE, regions_task, square

from smtc_app.core import commands

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
WIDTH, HEIGHT = SIZE


def _until(qtbot, condition) -> None:
    qtbot.waitUntil(condition, timeout=30_000)


def _place(parts, x: float, y: float) -> QPoint:
    return parts.window.canvas.widget_position(x + 0.5, y + 0.5).toPoint()


def _hover(parts, x: float, y: float) -> None:
    QTest.mouseMove(parts.window.canvas, _place(parts, WIDTH - 2, HEIGHT - 2))
    QTest.mouseMove(parts.window.canvas, _place(parts, x, y))


def _turn(parts, x: float, y: float, notches: float) -> None:
    canvas = parts.window.canvas
    position = QPointF(_place(parts, x, y))
    event = QWheelEvent(
        position,
        canvas.mapToGlobal(position),
        QPoint(),
        QPoint(0, round(120 * notches)),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.ControlModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(canvas, event)


def _shown(parts) -> np.ndarray:
    return parts.window.canvas._scene._labels > 0


@pytest.fixture
def parts(application, qtbot):
    application.window.canvas.setFocus()
    QTest.keyClick(application.window.canvas, Qt.Key.Key_G, Qt.KeyboardModifier.ShiftModifier)
    _until(qtbot, lambda: application.regions.part_at(3, 3) is not None)
    return application


def test_what_is_shown_is_what_a_click_takes_and_undo_gives_back(parts, qtbot):
    document = parts.session.document
    _hover(parts, 3, 3)
    _until(qtbot, lambda: _shown(parts).any())
    shown = _shown(parts).copy()
    assert shown[:, : WIDTH // 2].all()
    assert not shown[:, WIDTH // 2 :].any()
    assert not document.has_labels(0), "nothing is taken before the click"
    QTest.mouseClick(parts.window.canvas, LEFT, pos=_place(parts, 3, 3))
    assert np.array_equal(document.labels(0) > 0, shown)
    assert (parts.session.selection, list(document.objects)) == ((1,), [1])
    assert document.keyframes == (0,)
    parts.session.step_history(False)
    assert not document.has_labels(0)
    assert not document.objects


@pytest.mark.parametrize("way", ["wheel", "keys", "slider"])
def test_less_is_taken_by_wheel_keys_and_slider(parts, qtbot, way):
    canvas, slider = parts.window.canvas, parts.window.region_slider
    _until(qtbot, slider.isVisible)
    scale = canvas.scale
    if way == "wheel":
        for _ in range(4):
            _turn(parts, 3, 3, -0.25)
    elif way == "keys":
        QTest.keyClick(canvas, Qt.Key.Key_BracketLeft)
    else:
        slider.setValue(-1)
    assert (slider.value(), canvas.scale) == (-1, scale)
    _hover(parts, 3, 3)
    _until(qtbot, lambda: _shown(parts).any())
    QTest.mouseClick(canvas, LEFT, pos=_place(parts, 3, 3))
    labels = parts.session.document.labels(0)
    assert labels[: HEIGHT // 2, : WIDTH // 2].all()
    assert not labels[HEIGHT // 2 :].any()
    QTest.keyClick(canvas, Qt.Key.Key_BracketRight)
    QTest.mouseClick(canvas, LEFT, pos=_place(parts, 3, 3))
    assert parts.session.document.labels(0)[:, : WIDTH // 2].all()


def test_other_objects_keep_what_they_have_unless_they_are_clicked(parts):
    document = parts.session.document
    parts.session.push(commands.AddObject(object_id=7))
    parts.session.push(commands.SetLabels(0, square(10, 10).astype(np.uint16) * 7, "Square", objects=(7,)))
    parts.session.select(())
    QTest.mouseClick(parts.window.canvas, LEFT, pos=_place(parts, 3, 3))
    assert document.area(0, 7) == 12 * 12
    new = parts.session.active
    assert document.area(0, new) == HEIGHT * WIDTH // 2 - 12 * 12
    QTest.mouseClick(parts.window.canvas, LEFT, pos=_place(parts, 12, 12))
    assert document.area(0, 7) == 0
    assert document.area(0, new) == HEIGHT * WIDTH // 2


def test_the_right_button_takes_a_part_away_from_the_object_there(parts, qtbot):
    document, canvas = parts.session.document, parts.window.canvas
    QTest.mouseClick(canvas, RIGHT, pos=_place(parts, 3, 3))
    assert parts.window.banner.text == "There is no mask to erase there."
    QTest.mouseClick(canvas, LEFT, pos=_place(parts, 3, 3))
    QTest.keyClick(canvas, Qt.Key.Key_BracketLeft)
    _hover(parts, 3, 3)
    QTest.mouseClick(canvas, RIGHT, pos=_place(parts, 3, 3))
    labels = document.labels(0)
    qtbot.wait(300)
    assert np.array_equal(_shown(parts), labels > 0), "it is not shown again as what a click would take"
    assert not labels[: HEIGHT // 2].any()
    assert labels[HEIGHT // 2 :, : WIDTH // 2].all()
    parts.session.push(commands.SetObjectProperty((1,), locked=True))
    QTest.mouseClick(canvas, RIGHT, pos=_place(parts, 3, 40))
    assert "is locked" in parts.window.banner.text
    assert document.labels(0)[40, 3] == 1


def _drag(parts, button, *places, release: bool = True) -> None:
    canvas = parts.window.canvas
    QTest.mousePress(canvas, button, pos=_place(parts, *places[0]))
    for place in places[1:]:
        QTest.mouseMove(canvas, _place(parts, *place))
    if release:
        QTest.mouseRelease(canvas, button, pos=_place(parts, *places[-1]))


def test_a_drag_takes_all_that_it_crosses_and_shows_it_meanwhile(parts, qtbot):
    document, canvas = parts.session.document, parts.window.canvas
    parts.window.region_slider.setValue(-1)
    _drag(parts, LEFT, (3, 3), (60, 3), release=False)
    upper, right = np.s_[: HEIGHT // 2, : WIDTH // 2], np.s_[:, WIDTH // 2 :]
    _until(qtbot, lambda: _shown(parts)[upper].all() and _shown(parts)[right].all())
    assert not _shown(parts)[HEIGHT // 2 :, : WIDTH // 2].any()
    assert not document.has_labels(0)
    QTest.mouseRelease(canvas, LEFT, pos=_place(parts, 60, 3))
    labels = document.labels(0)
    assert np.array_equal(labels > 0, _shown(parts))
    assert labels[upper].all()
    assert labels[right].all()
    _drag(parts, RIGHT, (60, 3), (50, 3), release=False)
    _until(qtbot, lambda: not _shown(parts)[right].any())
    QTest.mouseRelease(canvas, RIGHT, pos=_place(parts, 50, 3))
    assert not document.labels(0)[right].any()
    assert document.labels(0)[upper].all()


def test_a_fast_drag_misses_nothing_and_ends_outside_of_the_frame(parts):
    parts.window.region_slider.setValue(-8)
    _drag(parts, LEFT, (3, 3), (3, HEIGHT + 40))
    assert parts.session.document.labels(0)[:, : WIDTH // 2].all()
    assert not parts.session.document.labels(0)[:, WIDTH // 2 :].any()


def test_a_drag_goes_on_only_in_what_it_began_with(parts):
    parts.session.push(commands.AddObject(object_id=7))
    mask = np.zeros((HEIGHT, WIDTH), np.uint16)
    mask[:, WIDTH // 2 :] = 7
    parts.session.push(commands.SetLabels(0, mask, "Right", objects=(7,)))
    parts.session.select(())
    _drag(parts, LEFT, (3, 3), (60, 3))
    assert parts.session.document.area(0, 7) == HEIGHT * WIDTH // 2


def test_the_film_stops_and_a_drag_is_kept_where_it_began(parts, qtbot):
    parts.window.region_slider.setValue(-8)
    _drag(parts, LEFT, (3, 3), (4, 4), release=False)
    parts.frames.go_to(5)
    _until(qtbot, lambda: parts.session.frame == 5)
    document = parts.session.document
    assert document.labels(0)[: HEIGHT // 2, : WIDTH // 2].all()
    assert not document.has_labels(5)


def test_regions_belong_to_their_frame_and_a_click_before_they_are_there_is_answered(make_application, qtbot):
    may_go_on = threading.Event()

    def slow(ctx, source, frame, **settings):
        assert may_go_on.wait(30)
        return regions_task(ctx, source, frame, **settings)

    parts = make_application(regions_task=slow)
    parts.project.open("clip.mp4")
    _until(qtbot, lambda: parts.session.pixels is not None)
    canvas = parts.window.canvas
    parts.canvas_controller.set_tool("region")
    _until(qtbot, lambda: canvas.cursor().shape() == Qt.CursorShape.BusyCursor)
    QTest.mouseClick(canvas, LEFT, pos=_place(parts, 3, 3))
    assert "click again in a moment" in parts.window.banner.text
    assert not parts.session.document.has_labels(0)
    may_go_on.set()
    _until(qtbot, lambda: parts.regions.part_at(3, 3) is not None)
    _until(qtbot, lambda: canvas.cursor().shape() == Qt.CursorShape.CrossCursor)
    parts.frames.go_to(4)
    _until(qtbot, lambda: parts.session.frame == 4)
    assert parts.regions.part_at(3, 3) is None
    _until(qtbot, lambda: parts.regions.part_at(3, 3) is not None)
    parts.frames.go_to(0)
    _until(qtbot, lambda: parts.session.frame == 0)
    assert parts.regions.part_at(3, 3) is not None, "known already"
