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
    levels = regions.levels(x, y)
    assert levels[0] == labels[y, x]
    parts = [regions.part(x, y, step) for step in regions.steps(x, y)]
    assert len(parts) == len(levels)
    for level, part in zip(levels, parts, strict=True):
        assert np.array_equal(part, np.isin(labels, under(level, parent, count)))
    for smaller, larger in itertools.pairwise(parts):
        assert larger[smaller].all()
        assert GROWTH * smaller.sum() <= larger.sum() <= LARGEST_SHARE * labels.size
    assert np.array_equal(regions.part(x, y, -99), parts[0])
    assert np.array_equal(regions.part(x, y, 99), parts[-1])


def bands(worth: list[float]) -> FrameRegions:
    """A column of 10, the one of 10 to its right, both, and the rest."""
    labels = np.full((60, 100), 2)
    labels[:, :10], labels[:, 10:20] = 0, 1
    return FrameRegions(labels, np.array([3, 3, 4, 4, -1]), np.array(worth))


def test_what_looks_most_like_a_thing_is_taken_where_one_clicks_in_its_middle():
    assert bands([0.2, 0.2, 0, 0.9, 0]).part(9, 30, 0)[:, :20].all()
    assert bands([0.2, 0.2, 0, 0.9, 0]).part(10, 30, 0)[:, :20].all()
    beside = bands([0.6, 0.2, 0, 0.9, 0]).part(4, 30, 0)
    assert beside[:, :10].all(), "in the middle of the left one, at the rim of both"
    assert not beside[:, 10:].any()


def test_a_frame_of_one_region_has_one_level():
    regions = FrameRegions(np.zeros((4, 6), int), np.array([-1]), np.zeros(1))
    assert list(regions.steps(3, 2)) == [0]
    assert regions.part(3, 2, 0).all()


def test_a_region_that_no_pixel_shows_is_no_harm():
    regions = FrameRegions(np.array([[0, 0, 2, 2]]), np.array([3, 3, 4, 4, -1]), np.array([1, 1, 1, 2, 0]))
    assert regions.part(0, 0, 0).tolist() == [[True, True, False, False]]
    assert regions.part(3, 0, 0).tolist() == [[False, False, True, True]]


def test_worths_that_do_not_fit_the_tree_are_refused():
    with pytest.raises(ValueError, match="each of 3 nodes, got 2"):
        FrameRegions(np.array([[0, 1]]), np.array([2, 2, -1]), np.zeros(2))
