"""Paths along edges, on a picture whose edges are known."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from smtc_app.core.live_wire import LARGEST_PIECE_PX, MAP_SIDE_PX, LiveWire, snapped, snapped_piece

CENTRE, RADIUS = (100, 80), 50


@pytest.fixture(scope="module")
def disk():
    """A bright disk on dark grey, 160 x 200."""
    image = np.full((160, 200, 3), 40, np.uint8)
    cv2.circle(image, CENTRE, RADIUS, (210, 180, 60), -1, cv2.LINE_AA)
    return image


def _on_rim(degrees: float) -> tuple[float, float]:
    angle = math.radians(degrees)
    return CENTRE[0] + 0.5 + RADIUS * math.cos(angle), CENTRE[1] + 0.5 + RADIUS * math.sin(angle)


def _off_rim(points) -> float:
    return max(abs(math.dist(point, (CENTRE[0] + 0.5, CENTRE[1] + 0.5)) - RADIUS) for point in points)


def test_the_path_runs_along_the_rim_where_the_straight_line_would_cut_it(disk):
    wire = LiveWire(disk, _on_rim(0), 150)
    path = wire.path(_on_rim(90))
    assert len(path) > 40
    assert _off_rim(path) < 3
    middle = [(a + b) / 2 for a, b in zip(_on_rim(0), _on_rim(90), strict=True)]
    assert _off_rim([middle]) > 10


def test_the_path_leads_from_the_anchor_to_the_point(disk):
    wire = LiveWire(disk, _on_rim(0), 150)
    path = wire.path(_on_rim(60))
    assert math.dist(path[0], _on_rim(0)) < 4
    assert math.dist(path[-1], _on_rim(60)) < 4


def test_out_of_reach_the_line_is_straight(disk):
    wire = LiveWire(disk, _on_rim(0), 20)
    assert not wire.reaches(_on_rim(180))
    assert wire.path(_on_rim(180)) == []
    assert wire.path(wire.anchor) == []


def test_a_large_picture_is_worked_on_reduced_and_the_path_stays_on_the_edge(disk):
    large = cv2.resize(disk, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
    start, end = ((6 * x, 6 * y) for x, y in (_on_rim(0), _on_rim(90)))
    wire = LiveWire(large, start, 2 * MAP_SIDE_PX)
    assert _off_rim([(x / 6, y / 6) for x, y in wire.path(end)]) < 3


def test_an_anchor_outside_is_refused(disk):
    with pytest.raises(ValueError, match="inside the image"):
        LiveWire(disk, (500, 10), 50)


def test_a_corner_goes_to_the_edge_within_reach_and_only_there(disk):
    x, y = _on_rim(0)
    near = snapped(disk, (x - 4, y), 6)
    assert _off_rim([near]) < 1.6
    assert abs(near[1] - y) < 3
    assert snapped(disk, (x - 20, y), 6) == (x - 20, y)
    assert snapped(disk, (-5, 3), 6) == (-5, 3)


def test_a_wobbly_line_is_drawn_to_the_rim(disk):
    rng = np.random.default_rng(2)
    line = [tuple(np.array(_on_rim(d)) + rng.uniform(-3, 3, 2)) for d in range(0, 50, 5)]
    assert _off_rim(line) > 1.5
    drawn = snapped_piece(disk, line, 6)
    assert drawn[0] == line[0]
    assert _off_rim(drawn[4:]) < 1.6


def test_fast_and_outside_pieces_are_left_alone(disk):
    fast = [(10.0, 10.0), (10.0 + LARGEST_PIECE_PX + 1, 12.0)]
    assert snapped_piece(disk, fast, 6) == fast
    outside = [(195.0, 20.0), (205.0, 22.0)]
    assert snapped_piece(disk, outside, 6) == outside
    assert snapped_piece(disk, [(5.0, 5.0)], 6) == [(5.0, 5.0)]
