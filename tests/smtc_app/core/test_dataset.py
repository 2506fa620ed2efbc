"""The list of a dataset's videos: states, orders, filters, neighbours."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtc_app.core.dataset import (
    SORTS,
    MediaInfo,
    ProjectSummary,
    VideoEntry,
    VideoRow,
    VideoState,
    arranged,
    counted_states,
    neighbour,
    upright_size,
)


def row(name, *, frames=None, size=None, state=None, worst=None, mean=None, done=False):
    media = None if frames is None and size is None else MediaInfo(frames, True, size)
    summary = None if state is None else ProjectSummary(state, 1, 1, mean, worst)
    return VideoRow(VideoEntry(name, Path(name)), media, summary, done)


ROWS = [
    row("bear", frames=80, size=(854, 480), state=VideoState.IN_WORK, worst=0.4, mean=0.9),
    row("Camel", frames=20, size=(1920, 1080), state=VideoState.IN_WORK, worst=0.1, mean=0.95),
    row("dog"),
    row("goat", frames=50, state=VideoState.PROPOSED),
    row("horse", frames=60, state=VideoState.IN_WORK, worst=0.2, mean=0.5, done=True),
]


def names(rows):
    return [each.name for each in rows]


def test_the_state_follows_the_project_until_the_person_says_done():
    states = [each.state for each in ROWS]
    assert states == [
        VideoState.IN_WORK,
        VideoState.IN_WORK,
        VideoState.UNTOUCHED,
        VideoState.PROPOSED,
        VideoState.DONE,
    ]
    assert counted_states(ROWS) == dict(zip(VideoState, (1, 1, 2, 1), strict=True))


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("name", ["bear", "Camel", "dog", "goat", "horse"]),
        ("worst", ["Camel", "bear", "dog", "goat", "horse"]),
        ("mean", ["bear", "Camel", "dog", "goat", "horse"]),
        ("state", ["dog", "goat", "bear", "Camel", "horse"]),
        ("length", ["Camel", "goat", "horse", "bear", "dog"]),
        ("size", ["bear", "Camel", "dog", "goat", "horse"]),
    ],
)
def test_orders_put_the_unknown_last_and_the_done_behind_the_uncertain(sort, expected):
    assert names(arranged(ROWS, sort=sort)) == expected


def test_every_word_must_occur_in_the_name():
    assert names(arranged(ROWS, text="CAM el")) == ["Camel"]
    assert arranged(ROWS, text="cam x") == []


def test_states_filter_the_list():
    shown = arranged(ROWS, states={VideoState.UNTOUCHED, VideoState.DONE})
    assert names(shown) == ["dog", "horse"]


@given(st.permutations(ROWS), st.sampled_from(list(SORTS)))
def test_an_order_loses_and_doubles_nothing(rows, sort):
    assert sorted(names(arranged(rows, sort=sort))) == sorted(names(ROWS))


@pytest.mark.parametrize(
    ("current", "step", "expected"),
    [("a", 1, "b"), ("b", -1, "a"), ("c", 1, None), ("a", -1, None), (None, 1, "a"), ("x", -1, "c")],
)
def test_neighbours_end_at_the_ends(current, step, expected):
    assert neighbour(["a", "b", "c"], current, step) == expected


def test_an_empty_list_has_no_neighbours():
    assert neighbour([], None, 1) is None


def test_sizes_are_turned_to_the_shape_of_the_picture():
    filmed = MediaInfo(10, False, (1920, 1080))
    assert upright_size(filmed, 90, 160).size == (1080, 1920)
    assert upright_size(filmed, 160, 90) is filmed
    assert upright_size(None, 90, 160) is None
