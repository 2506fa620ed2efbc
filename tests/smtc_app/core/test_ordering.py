"""Moving several entries of a list together, and the categories a project knows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtc_app.core.categories import categories_from_json, known_categories
from smtc_app.core.ordering import dropped, moved


@pytest.mark.parametrize(
    ("chosen", "by", "expected"),
    [
        ({3}, -1, [1, 3, 2, 4]),
        ({2, 3}, -1, [2, 3, 1, 4]),
        ({1, 2}, -1, [1, 2, 3, 4]),
        ({1, 3}, 1, [2, 1, 4, 3]),
        ({3, 4}, 1, [1, 2, 3, 4]),
        ({1, 4}, -1, [1, 2, 4, 3]),
    ],
)
def test_the_chosen_move_together_and_stop_at_the_end(chosen, by, expected):
    assert moved([1, 2, 3, 4], chosen, by) == expected


@pytest.mark.parametrize(
    ("chosen", "row", "expected"),
    [({4}, 0, [4, 1, 2, 3]), ({1, 3}, 4, [2, 4, 1, 3]), ({1, 2}, 1, [1, 2, 3, 4]), ({2}, 2, [1, 2, 3, 4])],
)
def test_the_dropped_stand_before_the_row(chosen, row, expected):
    assert dropped([1, 2, 3, 4], chosen, row) == expected


@given(st.lists(st.integers(0, 9), unique=True), st.sets(st.integers(0, 9)), st.integers(0, 10))
def test_nothing_is_lost_and_the_others_keep_their_order(order, chosen, row):
    for result in (moved(order, chosen, 1), moved(order, chosen, -1), dropped(order, chosen, row)):
        assert sorted(result) == sorted(order)
        assert [e for e in result if e not in chosen] == [e for e in order if e not in chosen]
        assert [e for e in result if e in chosen] == [e for e in order if e in chosen]


def test_categories_are_clean_unique_and_sorted():
    assert known_categories(["goat ", "Bear"], ["goat", "", "two  words"]) == ("Bear", "goat", "two words")


@pytest.mark.parametrize("value", [None, "goat", 5, {"a": 1}])
def test_what_is_no_list_of_categories_is_an_empty_one(value):
    assert categories_from_json(value) == ()


def test_names_of_a_list_are_kept():
    assert categories_from_json(["b", 5, "a"]) == ("a", "b")
