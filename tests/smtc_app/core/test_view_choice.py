"""Which frame is compared with, which frames voted, and the bounded cache."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtc_app.core.byte_cache import ByteCache
from smtc_app.core.views import LabelVote, LabelVotes, OtherFrame, other_frame, voting_frames


@pytest.mark.parametrize(
    ("choice", "frame", "keyframes", "expected"),
    [
        (OtherFrame.PREVIOUS_KEYFRAME, 10, (0, 8, 10, 20), 8),
        (OtherFrame.PREVIOUS_KEYFRAME, 0, (0, 8), 8),
        (OtherFrame.NEXT_KEYFRAME, 10, (0, 8, 20), 20),
        (OtherFrame.NEXT_KEYFRAME, 30, (0, 8, 20), 20),
        (OtherFrame.PREVIOUS_KEYFRAME, 10, (10,), 9),
        (OtherFrame.PREVIOUS_KEYFRAME, 0, (), 1),
        (OtherFrame.PREVIOUS_FRAME, 10, (0, 8), 9),
        (OtherFrame.PREVIOUS_FRAME, 0, (), 1),
        (OtherFrame.FIXED, 10, (0,), 4),
    ],
)
def test_the_frame_to_compare_with(choice, frame, keyframes, expected):
    assert other_frame(choice, frame, keyframes=keyframes, fixed=4, count=40) == expected


def test_a_single_frame_has_nothing_to_compare_with():
    assert other_frame(OtherFrame.PREVIOUS_FRAME, 0, keyframes=(0,), fixed=0, count=1) is None


def test_labels_are_voted_on_by_their_keyframes_and_the_last_frames_on_the_way():
    assert voting_frames(10, (2,), recent=3) == (2, 7, 8, 9)
    assert voting_frames(10, (12,), recent=3) == (11, 12)
    assert voting_frames(10, (8, 20), recent=2) == (8, 9, 11, 12, 20)
    assert voting_frames(10, (10,), recent=3) == ()


def test_votes_are_summed_by_label():
    votes = [LabelVote(0, 1, 1, label, weight, 0.9) for label, weight in ((2, 0.5), (0, 0.2), (2, 0.3))]
    assert LabelVotes(5, (1, 1), 2, tuple(votes)).shares == pytest.approx({2: 0.8, 0: 0.2})


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 60))))
def test_a_cache_never_exceeds_its_bound_and_gives_back_what_was_put_last(puts):
    cache = ByteCache(100)
    for key, nbytes in puts:
        cache.put(key, (key, nbytes), nbytes)
        assert cache.used_bytes <= 100
        assert cache.get(key) == (key, nbytes)


def test_the_least_recently_used_goes_first_and_giants_are_not_kept():
    cache = ByteCache(100)
    for key in "abc":
        cache.put(key, key, 33)
    assert cache.get("a") == "a"
    cache.put("d", "d", 33)
    assert cache.get("b") is None
    assert cache.get("a") == "a"
    cache.put("e", "e", 101)
    assert cache.get("e") is None
    assert len(cache) == 3
    cache.clear()
    assert cache.used_bytes == 0
