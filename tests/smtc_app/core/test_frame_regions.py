"""Parts of a frame: levels grow and contain one another; the usual one is a thing around the place."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtc_app.core.frame_regions import GROWTH, LARGEST_SHARE, FrameRegions


def merged_at_random(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (H,W) of so many regions, the tree of their merges, worths."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.concatenate([np.arange(count), rng.integers(count, size=240 - count)]))
    parent = np.full(2 * count - 1, -1)
    alive = list(range(count))
    for node in range(count, 2 * count - 1):
        pair = rng.choice(alive, 2, replace=False)
        parent[pair] = node
        alive = [each for each in alive if each not in pair] + [node]
    return labels.reshape(12, 20), parent, rng.random(2 * count - 1)


def under(node: int, parent: np.ndarray, count: int) -> list[int]:
    """Regions below a node, by walking up from each."""
    found = []
    for region in range(count):
        above = region
        while above not in (-1, node):
            above = int(parent[above])
        if above == node:
            found.append(region)
    return found


@given(count=st.integers(2, 30), seed=st.integers(0, 1000), x=st.integers(0, 19), y=st.integers(0, 11))
def test_every_level_is_what_lies_below_its_node(count, seed, x, y):
    labels, parent, worth = merged_at_random(count, seed)
    regions = FrameRegions(labels, parent, worth)
    levels, usual = regions.levels(x, y)
    assert levels[0] == labels[y, x]
    parts = [regions.part([(x, y)], step) for step in regions.steps(x, y)]
    assert len(parts) == len(levels)
    assert np.array_equal(parts[usual], regions.part([(x, y)], 0))
    for level, part in zip(levels, parts, strict=True):
        assert np.array_equal(part, np.isin(labels, under(level, parent, count)))
    for smaller, larger in itertools.pairwise(parts):
        assert larger[smaller].all()
        assert GROWTH * smaller.sum() <= larger.sum() <= LARGEST_SHARE * labels.size
    assert np.array_equal(regions.part([(x, y)], -99), parts[0])
    assert np.array_equal(regions.part([(x, y)], 99), parts[-1])


@given(
    count=st.integers(2, 30),
    seed=st.integers(0, 1000),
    points=st.lists(st.tuples(st.integers(0, 19), st.integers(0, 11)), max_size=8),
    step=st.integers(-3, 3),
)
def test_several_places_take_what_each_of_them_takes(count, seed, points, step):
    regions = FrameRegions(*merged_at_random(count, seed))
    together = np.zeros((12, 20), bool)
    for point in points:
        together |= regions.part([point], step)
    assert np.array_equal(regions.part(points, step), together)


def test_what_looks_most_like_a_thing_is_taken_in_its_middle():
    labels = np.full((60, 100), 2)
    labels[:, :15], labels[:, 15:50] = 0, 1
    regions = FrameRegions(labels, np.array([3, 3, 4, 4, -1]), np.array([0.3, 0.3, 0, 0.9, 0]))
    both = labels < 2
    assert np.array_equal(regions.part([(30, 30)], 0), both)
    assert np.array_equal(regions.part([(5, 30)], 0), labels == 0), "at the rim of both"
    assert np.array_equal(regions.part([(5, 30)], 1), both)


def test_a_frame_of_one_region_has_one_level():
    regions = FrameRegions(np.zeros((4, 6), int), np.array([-1]), np.zeros(1))
    assert list(regions.steps(3, 2)) == [0]
    assert regions.part([(3, 2)], 0).all()


def test_a_region_that_no_pixel_shows_is_no_harm():
    regions = FrameRegions(np.array([[0, 0, 2, 2]]), np.array([3, 3, 4, 4, -1]), np.array([1, 1, 1, 2, 0]))
    assert regions.part([(0, 0)], 0).tolist() == [[True, True, False, False]]
    assert regions.part([(3, 0)], 0).tolist() == [[False, False, True, True]]


def test_a_node_of_one_branch_is_what_lies_below_it():
    regions = FrameRegions(np.array([[0, 1, 1]]), np.array([2, 3, 3, -1]), np.array([1, 1, 2, 0]))
    assert regions.levels(0, 0) == ([0], 0)
    assert regions.part([(0, 0)], 0).tolist() == [[True, False, False]]


def test_worths_that_do_not_fit_the_tree_are_refused():
    with pytest.raises(ValueError, match="each of 3 nodes, got 2"):
        FrameRegions(np.array([[0, 1]]), np.array([2, 2, -1]), np.zeros(2))
