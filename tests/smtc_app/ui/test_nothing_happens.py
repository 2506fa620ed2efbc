"""A tool that changes nothing, or nothing that is seen, says why and what to do."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from window_fakes import SIZE, square
from window_hands import canvas_point, drag, press

from smtc_app.core import commands

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def parts(application, qtbot):
    """Two objects on frame 0, the first one selected."""
    session = application.session
    labels = np.zeros((SIZE[1], SIZE[0]), np.uint16)
    labels[square(8, 8)], labels[square(40, 8)] = 1, 2
    session.push(commands.AddObject("dog"))
    session.push(commands.AddObject("cat"))
    session.push(commands.SetLabels(0, labels))
    session.select((1,))
    application.window.banner.hide()
    return application


def click(qtbot, parts, x, y):
    qtbot.mouseClick(parts.window.canvas, LEFT, pos=canvas_point(parts, x, y))


def unchanged(parts, action):
    """The banner's text after an action that must leave the labels as they are."""
    document = parts.session.document
    before, objects = document.packed(0), dict(document.objects)
    parts.window.banner.hide()
    action()
    assert document.packed(0) is before
    assert dict(document.objects) == objects
    return parts.window.banner.text


def test_fill_inside_the_object_itself(parts, qtbot):
    press(qtbot, parts, Qt.Key.Key_G)
    text = unchanged(parts, lambda: click(qtbot, parts, 14, 14))
    assert "'dog' already" in text
    assert "Ctrl+H" in text


def test_painting_over_what_is_locked_or_ones_own(parts, qtbot):
    press(qtbot, parts, Qt.Key.Key_P)
    parts.window.canvas.set_brush_radius_px(1)
    assert (
        unchanged(parts, lambda: drag(qtbot, parts, [(12, 14), (15, 14)])) == "All of that is 'dog' already."
    )
    parts.session.push(commands.SetObjectProperty((2,), locked=True))
    text = unchanged(parts, lambda: drag(qtbot, parts, [(44, 14), (47, 14)]))
    assert text == "'cat' is locked: unlock it to change it (Shift+L)."
    parts.session.select((2,))
    assert "'cat' is locked" in unchanged(parts, lambda: drag(qtbot, parts, [(30, 30), (33, 30)]))


def test_painting_nothing_makes_no_object(parts, qtbot):
    parts.session.push(commands.SetObjectProperty((1, 2), locked=True))
    parts.session.select(())
    press(qtbot, parts, Qt.Key.Key_G)
    text = unchanged(parts, lambda: click(qtbot, parts, 14, 14))
    assert text == "'dog' is locked: unlock it to change it (Shift+L)."


def test_erasing_where_nothing_is_or_what_is_locked(parts, qtbot):
    press(qtbot, parts, Qt.Key.Key_E)
    parts.window.canvas.set_brush_radius_px(1)
    text = unchanged(parts, lambda: drag(qtbot, parts, [(30, 40), (34, 40)]))
    assert text == "There is no mask to erase there."
    parts.session.push(commands.SetObjectProperty((1,), locked=True))
    text = unchanged(parts, lambda: drag(qtbot, parts, [(12, 14), (15, 14)]))
    assert "'dog' is locked" in text


def test_a_polygon_with_two_corners_and_a_lasso_that_is_only_clicked(parts, qtbot):
    press(qtbot, parts, Qt.Key.Key_L)
    for x in (20, 30):
        click(qtbot, parts, x, 30)
    text = unchanged(parts, lambda: press(qtbot, parts, Qt.Key.Key_Return))
    assert "three corners" in text
    assert parts.window.canvas.corner_count == 2, "it goes on"
    press(qtbot, parts, Qt.Key.Key_Escape)
    parts.canvas_controller.set_tool("lasso")
    assert "Hold the button" in unchanged(parts, lambda: click(qtbot, parts, 30, 30))


def test_picking_where_nothing_is(parts, qtbot):
    press(qtbot, parts, Qt.Key.Key_I)
    parts.window.banner.hide()
    click(qtbot, parts, 30, 40)
    assert parts.session.selection == ()
    assert not parts.window.banner.text, "that it is deselected can be seen"
    assert "no object at this place" in unchanged(parts, lambda: click(qtbot, parts, 30, 40))


def test_painting_what_is_hidden(parts, qtbot):
    parts.session.push(commands.SetObjectProperty((1,), visible=False))
    press(qtbot, parts, Qt.Key.Key_P)
    parts.window.banner.hide()
    drag(qtbot, parts, [(20, 40), (26, 40)])
    assert parts.session.document.labels(0)[40, 22] == 1
    assert "'dog' is hidden" in parts.window.banner.text
    parts.session.push(commands.SetObjectProperty((1,), visible=True))
    parts.session.push(commands.SetObjectProperty((2,), visible=False))
    drag(qtbot, parts, [(42, 12), (44, 12)])
    assert "took pixels from 'cat', which is hidden" in parts.window.banner.text


def test_painting_while_masks_are_switched_off(parts, qtbot):
    press(qtbot, parts, Qt.Key.Key_P)
    press(qtbot, parts, Qt.Key.Key_H)
    parts.window.banner.hide()
    drag(qtbot, parts, [(20, 40), (26, 40)])
    assert "switched off" in parts.window.banner.text


def test_refining_what_is_not_here_or_locked(parts, qtbot):
    assert unchanged(parts, lambda: parts.annotation.refine("remove_specks")).endswith(
        "nothing to change on this frame."
    )
    parts.session.push(commands.SetObjectProperty((1,), locked=True))
    assert "'dog' is locked" in unchanged(parts, lambda: parts.annotation.refine("grow"))
    parts.session.push(commands.AddObject("bird"))
    parts.session.select((3,))
    assert unchanged(parts, lambda: parts.annotation.refine("smooth")) == "Smooth 'bird': not on this frame."
    assert "nothing to erase" in unchanged(parts, parts.annotation.clear_here)


def test_the_size_keys_without_a_tool_that_has_a_size(parts, qtbot):
    press(qtbot, parts, Qt.Key.Key_I)
    radius_px = parts.window.canvas.brush_radius_px
    text = unchanged(parts, lambda: press(qtbot, parts, Qt.Key.Key_BracketRight))
    assert "brush, eraser, fill and region" in text
    assert parts.window.canvas.brush_radius_px == radius_px


def test_every_tool_shows_its_own_options_and_nothing_moves(parts, qtbot):
    window = parts.window
    sliders = window.brush_slider, window.tolerance_slider, window.region_slider
    places = set()
    for tool, shown in {
        "pick": None,
        "brush": window.brush_slider,
        "eraser": window.brush_slider,
        "fill": window.tolerance_slider,
        "region": window.region_slider,
        "polygon": None,
        "lasso": None,
    }.items():
        parts.canvas_controller.set_tool(tool)
        qtbot.waitUntil(
            lambda shown=shown: (
                [slider for slider in sliders if slider.isVisible()] == ([] if shown is None else [shown])
            )
        )
        places.add((window.opacity_slider.mapTo(window, window.opacity_slider.pos()).x(), window.canvas.x()))
    assert len(places) == 1
