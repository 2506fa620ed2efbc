"""Pixel tools against brute force and hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from smtc_app.core import mask_ops, mask_regions

H, W = 24, 31
coordinate = st.floats(-8, 40, allow_nan=False).map(lambda value: round(value, 3))
points = st.tuples(coordinate, coordinate)


def empty():
    return np.zeros((H, W), np.uint16)


def random_labels(seed, ids=4):
    small = np.random.default_rng(seed).integers(0, ids, (6, 8))
    return np.kron(small, np.ones((4, 4), int))[:H, :W].astype(np.uint16)


def check_edit(before, edited):
    """The box is exactly the box of what differs."""
    differs = before != edited.labels
    if edited.box is None:
        assert edited.labels is before
        return
    x0, y0, x1, y1 = edited.box
    rows, columns = np.nonzero(differs)
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (x0, y0, x1, y1)


def distance_to_polyline(polyline):
    y, x = np.mgrid[:H, :W] + 0.5
    best = np.full((H, W), np.inf)
    for (ax, ay), (bx, by) in zip(polyline, polyline[1:] or polyline, strict=False):
        length2 = (bx - ax) ** 2 + (by - ay) ** 2
        t = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length2, 0, 1) if length2 else 0
        best = np.minimum(best, np.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay)))
    return best


@settings(max_examples=150, deadline=None)
@given(st.lists(points, min_size=1, max_size=5), st.floats(0.75, 12))
def test_a_stroke_covers_the_pixels_within_its_radius(polyline, radius):
    before = random_labels(0)
    edited = mask_ops.brush_stroke(before, polyline, radius, 7)
    check_edit(before, edited)
    distance = distance_to_polyline(polyline)
    painted = edited.labels == 7
    certain = np.abs(distance - radius) > 1e-3  # float32 inside
    assert np.array_equal(painted[certain], (distance <= radius)[certain])


def test_the_finest_brush_marks_the_pixel_under_it():
    edited = mask_ops.brush_stroke(empty(), [(5.9, 3.1)], 0, 2)
    assert edited.box == (5, 3, 6, 4)
    assert edited.labels[3, 5] == 2


def test_a_stroke_outside_the_frame_changes_nothing():
    before = empty()
    for polyline in ([(-50, -50)], [(100, 3), (200, 8)], []):
        assert mask_ops.brush_stroke(before, polyline, 3, 1) == (before, None)


@pytest.mark.parametrize("operation", ["stroke", "polygon", "flood", "grow", "holes", "merge", "set"])
@pytest.mark.parametrize("seed", range(5))
def test_locked_objects_never_gain_or_lose_a_pixel(operation, seed):
    before = random_labels(seed)
    locked = {1, 2}
    everywhere = [(0, 0), (W, 0), (W, H), (0, H)]
    calls = {
        "stroke": lambda value: mask_ops.brush_stroke(before, everywhere, 40, value, locked_ids=locked),
        "polygon": lambda value: mask_ops.fill_polygon(before, everywhere, value, locked_ids=locked),
        "flood": lambda value: mask_ops.flood_fill(before, (3, 3), value, locked_ids=locked),
        "grow": lambda value: mask_ops.grow(before, value, 4, over_others=True, locked_ids=locked),
        "holes": lambda value: mask_ops.fill_holes(before, value, over_others=True, locked_ids=locked),
        "merge": lambda value: mask_ops.merge(before, [1, 2, 3], value, locked_ids=locked),
        "set": lambda value: mask_ops.set_mask(before, np.ones((H, W), bool), value, locked_ids=locked),
    }
    for value in (1, 3):
        edited = calls[operation](value)
        check_edit(before, edited)
        for object_id in locked:
            assert np.array_equal(edited.labels == object_id, before == object_id)
    for object_id in locked:
        assert mask_ops.shrink(before, object_id, 1, locked_ids=locked).box is None
        assert mask_ops.remove_specks(before, object_id, 1000, locked_ids=locked).box is None


def test_only_restricts_what_is_painted_over():
    before = random_labels(3)
    edited = mask_ops.brush_stroke(before, [(10, 10)], 30, 9, only=2)
    assert np.array_equal(edited.labels == 9, before == 2)
    assert np.array_equal(edited.labels[before != 2], before[before != 2])


@settings(max_examples=100, deadline=None)
@given(st.lists(points, min_size=3, max_size=8))
def test_a_polygon_fills_the_centres_inside(corners):
    edited = mask_ops.fill_polygon(empty(), corners, 3)
    check_edit(empty(), edited) if edited.box else None
    expected = np.zeros((H, W), bool)
    for row in range(H):
        for column in range(W):
            x, y, inside = column + 0.5, row + 0.5, False
            for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
                if (ay > y) != (by > y) and ax + (y - ay) * (bx - ax) / (by - ay) <= x:
                    inside = not inside
            expected[row, column] = inside
    differs = (edited.labels == 3) != expected
    # Centres exactly on an edge may fall either way.
    closed = [*corners, corners[0]]
    assert distance_to_polyline(closed)[differs].max(initial=0) < 1e-6


def test_a_polygon_needs_three_corners():
    before = empty()
    assert mask_ops.fill_polygon(before, [(0, 0), (5, 5)], 1) == (before, None)


@pytest.mark.parametrize("seed", range(4))
def test_flood_fill_takes_the_connected_region(seed):
    before = random_labels(seed, ids=3)
    edited = mask_ops.flood_fill(before, (12, 9), 8)
    regions, _ = ndimage.label(before == before[9, 12])
    assert np.array_equal(edited.labels == 8, regions == regions[9, 12])
    check_edit(before, edited)


def test_flood_fill_on_colour_stays_within_tolerance():
    image = np.zeros((H, W, 3), np.uint8)
    image[:, 10:20] = 100
    image[:, 15:20] = (104, 96, 110)
    image[0, :] = 100  # a bridge of the right colour
    edited = mask_ops.flood_fill(empty(), (12, 5), 1, image=image, tolerance=5)
    expected = np.zeros((H, W), bool)
    expected[:, 10:15] = True
    expected[0, :] = True
    assert np.array_equal(edited.labels == 1, expected)
    wide = mask_ops.flood_fill(empty(), (12, 5), 1, image=image, tolerance=10)
    assert (wide.labels[:, 10:20] == 1).all()
    labels = empty()
    labels[:, 12] = 4
    stopped = mask_ops.flood_fill(labels, (10, 5), 1, image=image, tolerance=0)
    assert (stopped.labels[1:, 13:] == 0).all(), "another label is a border"


def test_flood_fill_outside_changes_nothing():
    before = empty()
    assert mask_ops.flood_fill(before, (W, 0), 1) == (before, None)


def test_holes_are_filled_up_to_a_size_and_only_background():
    before = empty()
    before[2:20, 2:28] = 1
    before[4, 4] = 0
    before[8:12, 8:12] = 0
    before[9, 9] = 2
    small = mask_ops.fill_holes(before, 1, max_area_px=3)
    assert small.box == (4, 4, 5, 5)
    filled = mask_ops.fill_holes(before, 1)
    assert filled.labels[9, 9] == 2
    assert (filled.labels[2:20, 2:28] == 0).sum() == 0
    assert (mask_ops.fill_holes(before, 1, over_others=True).labels[2:20, 2:28] == 1).all()
    notched = before.copy()
    notched[10:12, 0:12] = 0  # opens the hole to the outside
    assert (mask_ops.fill_holes(notched, 1).labels[10:12, 0:12] == 0).all()
    assert mask_ops.fill_holes(before, 5).box is None


def test_specks_go_and_the_largest_part_stays():
    before = empty()
    before[2:6, 2:6] = 1
    before[10, 10] = 1
    before[15:17, 15:17] = 1
    edited = mask_ops.remove_specks(before, 1, 3)
    assert edited.labels[10, 10] == 0
    assert edited.labels[15, 15] == 1
    assert mask_ops.remove_specks(before, 1, 1000).labels.sum() == 16


@pytest.mark.parametrize("radius", [1, 2.5, 4])
def test_grow_and_shrink_are_morphology_with_a_disk(radius):
    before = random_labels(1, ids=2)
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = np.hypot(x, y) <= radius
    grown = mask_ops.grow(before, 1, radius)
    assert np.array_equal(grown.labels == 1, ndimage.binary_dilation(before == 1, disk))
    shrunk = mask_ops.shrink(before, 1, radius)
    assert np.array_equal(shrunk.labels == 1, ndimage.binary_erosion(before == 1, disk, border_value=1))
    check_edit(before, grown)
    check_edit(before, shrunk)


def test_grow_stops_at_other_objects_unless_told():
    before = empty()
    before[5:10, 5:10] = 1
    before[5:10, 10:15] = 2
    assert (mask_ops.grow(before, 1, 3).labels == 2).sum() == 25
    assert (mask_ops.grow(before, 1, 3, over_others=True).labels == 2).sum() == 10


def test_an_object_that_fills_the_frame_does_not_shrink():
    full = np.ones((H, W), np.uint16)
    assert mask_ops.shrink(full, 1, 3).box is None


def test_merge_and_pick():
    before = random_labels(2)
    merged = mask_ops.merge(before, [1, 3], 3).labels
    assert np.array_equal(merged == 3, (before == 1) | (before == 3))
    assert mask_ops.pick(before, (5.99, 7.0)) == before[7, 5]
    assert mask_ops.pick(before, (-0.5, 7)) == 0


def test_inputs_are_never_written_to():
    before = random_labels(4)
    copy = before.copy()
    before.setflags(write=False)
    mask_ops.brush_stroke(before, [(3, 3), (20, 20)], 5, 9)
    mask_ops.fill_polygon(before, [(0, 0), (20, 0), (20, 20)], 9)
    mask_ops.flood_fill(before, (4, 4), 9)
    assert np.array_equal(before, copy)


@pytest.mark.parametrize("seed", range(4))
def test_measures_agree_with_the_plain_count(seed):
    labels = random_labels(seed)
    measures = mask_regions.measure_objects(labels)
    assert set(measures) == mask_regions.label_ids(labels) == set(np.unique(labels)) - {0}
    for object_id, measure in measures.items():
        rows, columns = np.nonzero(labels == object_id)
        assert measure.area_px == len(rows)
        assert measure.box == mask_ops.object_box(labels, object_id)
        assert measure.centroid == pytest.approx((columns.mean() + 0.5, rows.mean() + 0.5))
    assert mask_regions.measure_objects(empty()) == {}
    assert mask_regions.label_ids(empty()) == set()
    assert mask_regions.label_ids(empty() + np.uint16(7)) == {7}


def test_connected_parts_are_the_whole_mask_largest_first():
    mask = np.zeros((H, W), bool)
    mask[1:4, 1:4] = True
    mask[10:20, 10:20] = True
    mask[4, 4] = True  # touches the first by a corner
    mask[22, 12] = True
    parts = mask_regions.connected_parts(mask)
    assert [int(part.sum()) for part in parts] == [100, 10, 1]
    joined = mask_regions.connected_parts(mask, min_area_px=5)
    assert [int(part.sum()) for part in joined] == [101, 10], "the speck joins what is nearest"
    assert np.array_equal(np.any(joined, axis=0), mask)
    assert [int(part.sum()) for part in mask_regions.connected_parts(mask, max_parts=1)] == [111]
    assert mask_regions.connected_parts(empty() > 0) == []
