"""Decisions of the canvas that need no widget: tools, gestures, zoom, stroke preview."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtc_app.core import mask_ops
from smtc_app.ui import view_transform
from smtc_app.ui.gestures import Gestures, Pick
from smtc_app.ui.stroke_preview import StrokePreview
from smtc_app.ui.tools import (
    MAX_RADIUS_PX,
    MIN_RADIUS_PX,
    TOOLS,
    Button,
    Intent,
    Outline,
    Stroke,
    StrokeEvent,
    intent_of,
    stepped_radius,
)
from smtc_app.ui.view_transform import ViewTransform

HAND = {"radius_px": 5.0, "reach_px": 3.0}
points = st.tuples(st.floats(-20, 60), st.floats(-20, 50))


@pytest.mark.parametrize("tool", TOOLS)
def test_the_middle_button_and_space_pan_with_every_tool(tool):
    assert intent_of(tool, Button.MIDDLE) is Intent.PAN
    assert intent_of(tool, Button.LEFT, space=True) is Intent.PAN


@pytest.mark.parametrize(
    ("tool", "intent"),
    [
        ("pick", Intent.PICK),
        ("brush", Intent.STROKE),
        ("eraser", Intent.ERASE),
        ("fill", Intent.FILL),
        ("polygon", Intent.CORNER),
        ("lasso", Intent.LASSO),
    ],
)
def test_the_left_button_does_what_the_tool_is_for_and_alt_picks(tool, intent):
    assert intent_of(tool, Button.LEFT) is intent
    assert intent_of(tool, Button.LEFT, alt=True) is Intent.PICK


def test_the_right_button_erases_while_brushing_and_takes_corners_back():
    assert intent_of("brush", Button.RIGHT) is Intent.ERASE
    assert intent_of("polygon", Button.RIGHT) is Intent.UNDO_CORNER
    assert intent_of("pick", Button.RIGHT) is Intent.NOTHING


@given(st.floats(MIN_RADIUS_PX, MAX_RADIUS_PX), st.sampled_from([-1, 1]))
def test_a_step_changes_the_radius_in_its_direction_within_bounds(radius, step):
    new = stepped_radius(radius, step)
    assert MIN_RADIUS_PX <= new <= MAX_RADIUS_PX
    assert (new - radius) * step >= 0
    if MIN_RADIUS_PX + 1 < radius < 400:
        assert new != radius


def test_every_radius_is_reached_by_steps():
    radius, seen = MIN_RADIUS_PX, 0
    while radius < MAX_RADIUS_PX and seen < 200:
        radius, seen = stepped_radius(radius, 1), seen + 1
    assert radius == MAX_RADIUS_PX
    assert seen < 60


def test_a_stroke_gives_pieces_and_leaves_out_what_changes_nothing():
    stroke = Stroke(4.0)
    assert stroke.add((1.0, 1.0)) == ((1.0, 1.0),)
    assert stroke.add((1.1, 1.0)) is None
    assert stroke.add((5.0, 1.0)) == ((1.0, 1.0), (5.0, 1.0))
    assert stroke.points == [(1.0, 1.0), (5.0, 1.0)]


def test_an_outline_closes_at_its_first_corner_only_when_it_encloses_something():
    outline = Outline([(0.0, 0.0), (10.0, 0.0)])
    assert not outline.closes_at((0.5, 0.0), 2.0)
    outline.add((10.0, 10.0))
    assert outline.closes_at((0.5, 0.0), 2.0)
    assert not outline.closes_at((9.0, 9.0), 2.0)


class TestGestures:
    def test_a_brush_stroke_ends_with_its_path(self):
        hand = Gestures()
        hand.press(Intent.STROKE, (1, 1), **HAND)
        assert hand.move((1, 1), dragged=False, spacing_px=1) == ((1, 1),)
        assert hand.move((9, 1), dragged=True, spacing_px=1) == ((1, 1), (9, 1))
        finished = hand.release((9, 1), dragged=True, inside=True, **HAND)
        assert finished == StrokeEvent("brush", ((1, 1), (9, 1)), 5.0)
        assert not hand.in_progress

    def test_erasing_is_told_as_the_eraser_also_with_the_brush_in_hand(self):
        hand = Gestures()
        hand.press(Intent.ERASE, (1, 1), **HAND)
        assert hand.erasing
        hand.move((1, 1), dragged=False, spacing_px=1)
        assert hand.release((1, 1), dragged=False, inside=True, **HAND).tool == "eraser"

    @pytest.mark.parametrize("intent", [Intent.REGION, Intent.REGION_OFF])
    def test_a_click_or_a_drag_of_the_region_tool_ends_with_its_places(self, intent):
        hand = Gestures()
        hand.press(intent, (1, 1), **HAND)
        hand.move((1, 1), dragged=False, spacing_px=1)
        assert (hand.sweep, hand.painting) == ((((1, 1),), intent is Intent.REGION_OFF), False)
        hand.move((9, 1), dragged=True, spacing_px=1)
        event = hand.release((9, 1), dragged=True, inside=False, **HAND)
        assert (event.tool, event.points) == ("region", ((1, 1), (9, 1)))
        assert event.erasing == (intent is Intent.REGION_OFF)
        assert hand.sweep is None

    def test_clicks_set_corners_and_one_on_the_first_closes(self):
        hand = Gestures()
        for corner in ((0, 0), (20, 0), (20, 20)):
            assert hand.press(Intent.CORNER, corner, **HAND) is None
            assert hand.release(corner, dragged=False, inside=True, **HAND) is None
        event = hand.press(Intent.CORNER, (1, 1), **HAND)
        assert event == StrokeEvent("polygon", ((0, 0), (20, 0), (20, 20)), 5.0)
        assert hand.outline is None

    def test_dragging_with_the_polygon_traces_a_line(self):
        hand = Gestures()
        hand.press(Intent.CORNER, (0, 0), **HAND)
        for x in range(1, 11):
            hand.move((x, 0), dragged=True, spacing_px=4)
        assert hand.outline.points == [(0, 0), (4, 0), (8, 0)]

    def test_a_lasso_is_closed_by_letting_go_and_forgotten_when_it_encloses_nothing(self):
        hand = Gestures()
        hand.press(Intent.LASSO, (0, 0), **HAND)
        for point in ((10, 0), (10, 10), (0, 10)):
            hand.move(point, dragged=True, spacing_px=1)
        event = hand.release((0, 10), dragged=True, inside=True, **HAND)
        assert event.tool == "lasso"
        assert event.points == ((0, 0), (10, 0), (10, 10), (0, 10))
        hand.press(Intent.LASSO, (0, 0), **HAND)
        assert hand.release((0, 0), dragged=False, inside=True, **HAND) is None
        assert not hand.in_progress

    def test_a_pick_and_a_fill_count_only_inside_the_frame_and_without_a_drag(self):
        hand = Gestures()
        hand.press(Intent.PICK, (3, 3), **HAND)
        assert hand.release((3, 3), dragged=False, inside=True, **HAND) == Pick((3, 3))
        hand.press(Intent.PICK, (3, 3), **HAND)
        assert hand.release((3, 3), dragged=False, inside=False, **HAND) is None
        hand.press(Intent.FILL, (3, 3), **HAND)
        assert hand.release((9, 3), dragged=True, inside=True, **HAND) is None
        hand.press(Intent.FILL, (3, 3), **HAND)
        assert hand.release((3, 3), dragged=False, inside=True, **HAND).points == ((3, 3),)

    def test_taking_the_last_corner_back_ends_the_outline(self):
        hand = Gestures()
        hand.press(Intent.CORNER, (0, 0), **HAND)
        hand.press(Intent.UNDO_CORNER, (5, 5), **HAND)
        assert hand.outline is None

    def test_dropping_says_whether_there_was_anything(self):
        hand = Gestures()
        assert not hand.drop()
        hand.press(Intent.STROKE, (0, 0), **HAND)
        assert hand.drop()
        assert hand.release((0, 0), dragged=False, inside=True, **HAND) is None


class TestViewTransform:
    @given(
        st.floats(0.05, 60),
        st.integers(-500, 500),
        st.integers(-500, 500),
        st.tuples(st.floats(0, 900), st.floats(0, 700)),
        st.floats(0.3, 3),
    )
    def test_zooming_keeps_the_point_under_the_cursor(self, scale, x, y, anchor, factor):
        view = ViewTransform(scale, x, y)
        before = view.to_frame(anchor)
        after = view.zoomed_at(factor, anchor, smallest=0.01, largest=64).to_view(before)
        assert math.dist(after, anchor) <= math.sqrt(0.5) + 1e-6

    @given(st.floats(0.05, 60), st.integers(-300, 300), points)
    def test_frame_and_view_coordinates_are_inverse(self, scale, x, point):
        view = ViewTransform(scale, x, -x)
        assert view.to_frame(view.to_view(point)) == pytest.approx(point, abs=1e-6)

    @given(st.integers(1, 5000), st.integers(1, 5000), st.integers(30, 3000), st.integers(30, 3000))
    def test_fitting_shows_the_whole_frame_centred(self, width, height, view_width, view_height):
        view = view_transform.fitted((width, height), (view_width, view_height), 8)
        x0, y0, x1, y1 = view.frame_region((width, height))
        assert x0 >= 0
        assert y0 >= 0
        assert x1 <= view_width
        assert y1 <= view_height
        assert abs((view_width - x1) - x0) <= 2
        assert abs((view_height - y1) - y0) <= 2

    @given(st.integers(-5000, 5000), st.integers(-5000, 5000))
    def test_the_frame_cannot_be_lost(self, x, y):
        frame, view = (400, 300), (800, 600)
        kept = ViewTransform(1.5, x, y).kept_visible(frame, view)
        visible = view_transform.intersection(kept.frame_region(frame), (0, 0, *view))
        assert visible is not None
        assert visible[2] - visible[0] >= view_transform.MIN_VISIBLE_PX - 1
        assert visible[3] - visible[1] >= view_transform.MIN_VISIBLE_PX - 1
        if 0 <= x <= 200 and 0 <= y <= 150:
            assert kept == ViewTransform(1.5, x, y)

    def test_each_view_pixel_shows_the_frame_pixel_under_its_centre(self):
        view = ViewTransform(2.0, 3, 0)
        assert view.columns(3, 9, 100).tolist() == [0, 0, 1, 1, 2, 2]
        assert ViewTransform(0.5, 0, 0).rows(0, 4, 100).tolist() == [1, 3, 5, 7]
        assert view.columns(0, 3, 100).tolist() == [0, 0, 0]

    def test_what_was_in_the_middle_stays_there_when_the_view_grows(self):
        view = view_transform.resized(ViewTransform(2.0, 10, 20), (100, 100), (200, 160))
        assert view.to_frame((100, 80)) == ViewTransform(2.0, 10, 20).to_frame((50, 50))


class TestStrokePreview:
    @given(
        st.lists(points, min_size=1, max_size=6),
        st.floats(0, 9),
        st.sampled_from([0, 3, 700]),
        st.sampled_from([(), (2,), (2, 3)]),
    )
    def test_it_shows_exactly_what_the_edit_will_do(self, path, radius, value, locked):
        labels = np.zeros((30, 40), np.uint16)
        labels[5:20, 5:15], labels[10:28, 20:38] = 2, 700
        preview = StrokePreview(labels, value, radius, locked_ids=locked)
        preview.paint(path[:1])
        for piece in itertools.pairwise(path):
            preview.paint(piece)
        edited = mask_ops.brush_stroke(labels, path, radius, value, locked_ids=locked)
        np.testing.assert_array_equal(preview.labels, edited.labels)
        if edited.box is not None:
            assert preview.box == edited.box

    def test_the_given_labels_stay_as_they_are(self):
        labels = np.zeros((20, 20), np.uint16)
        labels.setflags(write=False)
        preview = StrokePreview(labels, 4, 3.0)
        assert preview.paint([(10.0, 10.0)]) == (7, 7, 13, 13)
        assert not labels.any()
        assert preview.paint([(-40.0, 3.0)]) is None


def test_a_corner_behind_an_edge_is_taken_back_with_its_edge():
    outline = Outline([(0, 0)])
    outline.add((9, 0), [(3, 1), (6, 1)])
    outline.add((9, 9))
    assert outline.points == [(0, 0), (3, 1), (6, 1), (9, 0), (9, 9)]
    assert outline.corners == [(0, 0), (9, 0), (9, 9)]
    outline.undo()
    outline.undo()
    assert outline.points == [(0, 0)]
    outline.undo()
    assert outline.points == []


def test_a_polygon_closes_through_the_edge_back_to_its_first_corner():
    gestures = Gestures()
    for point in ((0, 0), (20, 0), (20, 20)):
        gestures.press(Intent.CORNER, point, radius_px=5, reach_px=2)
    event = gestures.press(Intent.CORNER, (1, 0), radius_px=5, reach_px=2, via=[(10, 12)])
    assert event.points == ((0, 0), (20, 0), (20, 20), (10, 12))
