"""Numbers on objects whose colours cannot be told apart, and on no others."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PySide6.QtCore import Qt
from window_fakes import SIZE
from window_hands import press, show_frame

from smtc_app.core import commands
from smtc_app.core.palette import object_colour
from smtc_app.ui import object_tags
from smtc_app.ui.object_tags import Tag, places, tags, twins


def default_colours(*ids):
    return {i: object_colour(i) for i in ids}


def test_the_first_seven_colours_are_told_apart_and_the_next_are_not():
    assert twins(default_colours(*range(1, 8))) == frozenset()
    assert twins(default_colours(1, 2, 8, 9)) == {1, 8, 9}
    assert twins(default_colours(1)) == twins({}) == frozenset()
    assert twins({1: (10, 20, 200), 2: (12, 22, 205), 3: (200, 20, 10)}) == {1, 2}


def test_colours_are_compared_as_people_see_them():
    rgb = np.random.default_rng(1).integers(0, 256, (200, 3), dtype=np.uint8)
    expected = cv2.cvtColor((rgb / 255).astype(np.float32)[None], cv2.COLOR_RGB2LAB)[0]
    assert np.abs(object_tags._lab(rgb) - expected).max() < 0.5


@pytest.mark.parametrize("shape", [(60, 80), (1080, 1920)])
def test_a_number_stands_inside_of_its_object_near_the_middle(shape):
    height, width = shape
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - height / 2, x - width / 2)
    labels = np.zeros(shape, np.uint16)
    labels[(distance > height / 4) & (distance < height / 2.5)] = 300
    labels[: height // 8, : width // 8] = 2
    labels[-1, -1] = 3
    found = places(labels)
    assert set(found) == {2, 300}, "nobody would see an object of one pixel under its number"
    for object_id, (px, py) in found.items():
        assert labels[int(py), int(px)] == object_id
    assert found[2] == pytest.approx((width / 16, height / 16), abs=height / 40 + 1)
    assert places(np.zeros(shape, np.uint16)) == {}


def test_only_twins_on_the_same_frame_have_numbers():
    labels = np.zeros((60, 80), np.uint16)
    labels[:20, :20], labels[30:50, 30:50], labels[:20, 50:70] = 1, 2, 9
    colours = default_colours(1, 2, 9)
    assert [tag.text for tag in tags(labels, colours)] == ["1", "9"]
    labels[labels == 9] = 0
    assert tags(labels, colours) == []


@pytest.fixture
def alike(application, qtbot):
    """Three reds on frame 0, two of them on frame 1, one on frame 2."""
    session = application.session
    for object_id in (1, 2, 8, 9):
        session.push(commands.AddObject(object_id=object_id))
    for frame, ids in ((0, (1, 8, 9)), (1, (1, 9)), (2, (9, 2))):
        labels = np.zeros((SIZE[1], SIZE[0]), np.uint16)
        for place, object_id in enumerate(ids):
            labels[8:20, 4 + 18 * place : 16 + 18 * place] = object_id
        session.push(commands.SetLabels(frame, labels))
    session.select((2,))
    return application


def shown(parts):
    return [tag.text for tag in parts.window.canvas._tags]


def test_the_canvas_numbers_what_is_on_the_frame(alike, qtbot):
    assert shown(alike) == ["1", "8", "9"]
    show_frame(qtbot, alike, 1)
    assert shown(alike) == ["1", "9"]
    show_frame(qtbot, alike, 2)
    assert shown(alike) == []
    show_frame(qtbot, alike, 0)
    alike.annotation.recolour((9,), (0, 200, 200))
    assert shown(alike) == ["1", "8"]
    alike.annotation.toggle_visible((8,))
    assert shown(alike) == []
    alike.annotation.toggle_visible((8,))
    alike.session.select((1,))
    alike.annotation.clear_here()
    assert shown(alike) == []


def test_numbers_are_painted_and_go_with_the_masks_or_by_their_own_key(alike, qtbot):
    canvas = alike.window.canvas
    plain = canvas.grab().toImage()
    press(qtbot, alike, Qt.Key.Key_H, Qt.KeyboardModifier.ShiftModifier)
    assert shown(alike) == []
    without = canvas.grab().toImage()
    assert without != plain
    press(qtbot, alike, Qt.Key.Key_H, Qt.KeyboardModifier.ShiftModifier)
    assert shown(alike) == ["1", "8", "9"]
    assert canvas.grab().toImage() == plain
    canvas.set_masks_visible(False)
    bare = canvas.grab().toImage()
    canvas.set_tags([])
    assert canvas.grab().toImage() == bare
    canvas.set_tags([Tag(5.0, 5.0, "7")])
    assert canvas.grab().toImage() == bare


def test_the_frame_beside_is_numbered_as_well(alike, qtbot):
    show_frame(qtbot, alike, 2)
    companion = alike.window.companion

    def beside():
        return [tag.text for tag in companion.view._tags]

    press(qtbot, alike, Qt.Key.Key_J)
    qtbot.waitUntil(lambda: companion.caption.text() == "Frame 1 · keyframe")
    assert shown(alike) == []
    assert beside() == ["1", "9"]
    press(qtbot, alike, Qt.Key.Key_H, Qt.KeyboardModifier.ShiftModifier)
    assert beside() == []
    press(qtbot, alike, Qt.Key.Key_H, Qt.KeyboardModifier.ShiftModifier)
    alike.annotation.toggle_visible((9,))
    assert beside() == []
