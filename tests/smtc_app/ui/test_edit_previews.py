"""Previews of edits before they are made, and outlines that follow edges, by real mouse and keys."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from window_fakes import SIZE, FakeSource, square

from smtc_app.core import commands, mask_ops
from smtc_app.core.document import Document
from smtc_app.jobs.opened import Opened

CENTRE, RADIUS = (32, 24), 16
LEFT = Qt.MouseButton.LeftButton


class DiskSource(FakeSource):
    """A bright disk on every frame."""

    def __getitem__(self, index: int) -> np.ndarray:
        frame = np.full((SIZE[1], SIZE[0], 3), 40, np.uint8)
        cv2.circle(frame, CENTRE, RADIUS, (220, 190, 60), -1)
        return frame

    def reopen(self):
        return DiskSource(self.path)


def open_task(ctx, path, demo=False, footage=None):
    source = DiskSource(path)
    return Opened(source, Document(len(source), source.size), demo=demo)


@pytest.fixture
def window(make_application, qtbot):
    parts = make_application(open_task=open_task)
    parts.project.open("clip.mp4")
    _until(qtbot, lambda: parts.session.pixels is not None)
    parts.window.canvas.setFocus()
    return parts


def _until(qtbot, condition) -> None:
    """Patient, for machines with other work to do."""
    qtbot.waitUntil(condition, timeout=30_000)


def _hover(parts, x: float, y: float) -> None:
    """Come from elsewhere: the cursor may be there already, from another test."""
    QTest.mouseMove(parts.window.canvas, _place(parts, 2, 2))
    QTest.mouseMove(parts.window.canvas, _place(parts, x, y))


def _place(parts, x: float, y: float):
    return parts.window.canvas.widget_position(x, y).toPoint()


def _rim(degrees: float, radius: float = RADIUS) -> tuple[float, float]:
    angle = math.radians(degrees)
    return CENTRE[0] + 0.5 + radius * math.cos(angle), CENTRE[1] + 0.5 + radius * math.sin(angle)


def _disk_share(parts) -> float:
    """Overlap of what is labelled with the disk: intersection over union."""
    truth = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    cv2.circle(truth, CENTRE, RADIUS, 1, -1)
    mask = parts.session.document.labels(0) > 0
    return (mask & (truth > 0)).sum() / (mask | (truth > 0)).sum()


def _shown(parts, x: int, y: int) -> int:
    return parts.window.canvas._scene.label_at(x, y)


def test_fill_shows_what_it_would_fill_and_fills_just_that(window, qtbot):
    canvas, document = window.window.canvas, window.session.document
    QTest.keyClick(canvas, Qt.Key.Key_G)
    _hover(window, 32, 24)
    _until(qtbot, lambda: _shown(window, 40, 24) == 1)
    assert _shown(window, 5, 5) == 0
    assert not document.has_labels(0)
    shown = canvas._scene._labels.copy()
    _hover(window, 5, 5)
    _until(qtbot, lambda: _shown(window, 40, 24) == 0 and _shown(window, 60, 40) == 1)
    _hover(window, 32, 24)
    _until(qtbot, lambda: _shown(window, 40, 24) == 1)
    QTest.mouseClick(canvas, LEFT, pos=_place(window, 32, 24))
    assert np.array_equal(document.labels(0), shown)
    assert _disk_share(window) == 1


def test_the_tolerance_of_the_fill_is_seen_and_set_by_slider_and_keys(window, qtbot):
    canvas, slider = window.window.canvas, window.window.tolerance_slider
    brush = window.window.brush_slider
    assert (slider.isVisible(), brush.isVisible()) == (False, False)
    QTest.keyClick(canvas, Qt.Key.Key_G)
    _until(qtbot, lambda: (slider.isVisible(), brush.isVisible()) == (True, False))
    radius_px, tolerance = canvas.brush_radius_px, slider.value()
    QTest.keyClick(canvas, Qt.Key.Key_BracketRight)
    assert slider.value() > tolerance
    QTest.keyClick(canvas, Qt.Key.Key_BracketLeft)
    assert (slider.value(), canvas.brush_radius_px) == (tolerance, radius_px)
    frame = np.array(window.session.pixels)
    frame[20:28, 28:36] = (200, 170, 40)
    window.session.pixels = frame
    _hover(window, 32, 24)
    _until(qtbot, lambda: _shown(window, 32, 24) == 1)
    assert _shown(window, 20, 24) == 0
    slider.setValue(30)
    _until(qtbot, lambda: _shown(window, 20, 24) == 1)
    QTest.mouseClick(canvas, LEFT, pos=_place(window, 32, 24))
    assert _disk_share(window) == 1
    QTest.keyClick(canvas, Qt.Key.Key_P)
    _until(qtbot, lambda: (slider.isVisible(), brush.isVisible()) == (False, True))


def test_a_preview_shows_the_object_that_is_selected(window, qtbot):
    for object_id in (1, 2):
        window.session.push(commands.AddObject(object_id=object_id))
    window.session.select((1,))
    QTest.keyClick(window.window.canvas, Qt.Key.Key_G)
    _hover(window, 32, 24)
    _until(qtbot, lambda: _shown(window, 40, 24) == 1)
    QTest.keyClick(window.window.canvas, Qt.Key.Key_2)
    _until(qtbot, lambda: _shown(window, 40, 24) == 2)


def test_a_preview_goes_with_its_tool_and_its_frame(window, qtbot):
    canvas = window.window.canvas
    QTest.keyClick(canvas, Qt.Key.Key_G)
    _hover(window, 32, 24)
    _until(qtbot, lambda: _shown(window, 40, 24) == 1)
    QTest.keyClick(canvas, Qt.Key.Key_I)
    assert _shown(window, 40, 24) == 0
    QTest.keyClick(canvas, Qt.Key.Key_G)
    _hover(window, 33, 24)
    _until(qtbot, lambda: _shown(window, 40, 24) == 1)
    window.frames.go_to(1)
    _until(qtbot, lambda: window.session.frame == 1)
    assert _shown(window, 40, 24) == 0


@pytest.mark.parametrize(
    ("action_id", "operation"),
    [
        ("fill_holes", lambda labels: mask_ops.fill_holes(labels, 1)),
        ("remove_specks", lambda labels: mask_ops.remove_specks(labels, 1, 64)),
        ("grow", lambda labels: mask_ops.grow(labels, 1, 1)),
        ("shrink", lambda labels: mask_ops.shrink(labels, 1, 1)),
    ],
)
def test_the_menu_shows_what_a_refinement_gives_and_its_key_does_it(window, qtbot, action_id, operation):
    labels = square(10, 10, 16).astype(np.uint16)
    labels[14:18, 14:18] = 0
    labels[40, 50] = 1
    expected = operation(labels).labels
    assert not np.array_equal(expected, labels)
    window.session.push(commands.AddObject(object_id=1))
    window.session.push(commands.SetLabels(0, labels, "Square", objects=(1,)))
    window.session.select((1,))
    menu, action = window.window.menus["Objects"], window.window.actions_table[action_id]
    action.hover()
    _until(qtbot, lambda: np.array_equal(window.window.canvas._scene._labels, expected))
    assert np.array_equal(window.session.document.labels(0), labels)
    menu.aboutToHide.emit()
    _until(qtbot, lambda: np.array_equal(window.window.canvas._scene._labels, labels))
    action.trigger()
    assert np.array_equal(window.session.document.labels(0), expected)


def test_a_polygon_of_four_corners_follows_the_rim_when_it_is_magnetic(window, qtbot):
    canvas = window.window.canvas
    QTest.keyClick(canvas, Qt.Key.Key_L)
    QTest.keyClick(canvas, Qt.Key.Key_U)
    for degrees in (0, 90, 180, 270):
        place = _place(window, *_rim(degrees, RADIUS + 1))
        QTest.mouseMove(canvas, place)
        QTest.mouseClick(canvas, LEFT, pos=place)
        corner = canvas._gestures.outline.points[-1]
        _until(
            qtbot,
            lambda corner=corner: canvas._magnet.wire is not None and canvas._magnet.wire.anchor == corner,
        )
    QTest.keyClick(canvas, Qt.Key.Key_Return)
    assert _disk_share(window) > 0.9
    window.session.step_history(False)
    QTest.keyClick(canvas, Qt.Key.Key_U)
    for degrees in (0, 90, 180, 270):
        QTest.mouseClick(canvas, LEFT, pos=_place(window, *_rim(degrees)))
    QTest.keyClick(canvas, Qt.Key.Key_Return)
    assert _disk_share(window) < 0.75


def test_the_way_to_the_cursor_is_shown_before_the_click(window, qtbot):
    canvas = window.window.canvas
    QTest.keyClick(canvas, Qt.Key.Key_L)
    QTest.keyClick(canvas, Qt.Key.Key_U)
    QTest.mouseClick(canvas, LEFT, pos=_place(window, *_rim(0)))
    QTest.mouseMove(canvas, _place(window, *_rim(80)))
    _until(qtbot, lambda: len(canvas._gestures.outline.wire) > 10)
    QTest.mouseClick(canvas, LEFT, pos=_place(window, *_rim(80)))
    assert len(canvas._gestures.outline.corners) == 2
    QTest.keyClick(canvas, Qt.Key.Key_Backspace)
    assert len(canvas._gestures.outline.points) == 1


@pytest.mark.parametrize("magnetic", [False, True])
def test_a_lasso_drawn_a_little_beside_the_rim_is_drawn_to_it(window, qtbot, magnetic):
    canvas = window.window.canvas
    QTest.keyClick(canvas, Qt.Key.Key_Q)
    if magnetic:
        QTest.keyClick(canvas, Qt.Key.Key_U)
    QTest.mousePress(canvas, LEFT, pos=_place(window, *_rim(0, RADIUS - 1.5)))
    for degrees in range(3, 360, 3):
        QTest.mouseMove(canvas, _place(window, *_rim(degrees, RADIUS - 1.5 + math.sin(degrees))))
    QTest.mouseRelease(canvas, LEFT, pos=_place(window, *_rim(358, RADIUS - 1.5)))
    share = _disk_share(window)
    assert share > 0.93 if magnetic else share < 0.88
