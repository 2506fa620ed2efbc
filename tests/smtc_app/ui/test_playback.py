"""The clock of playing."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtc_app.ui.playback import LATE_S, SPEEDS, PlaybackClock


def play(clock, first, now_s, costs_s):
    """Play as the window does: wait, show, which takes a while; gives [(frame, shown at)]."""
    frame, shown = first, []
    clock.start(first, now_s)
    for cost_s in costs_s:
        following = clock.following(frame)
        if following is None:
            break
        now_s += clock.wait_s(following, now_s)
        shown.append((following, now_s))
        now_s += cost_s
        frame = following
    return shown


def test_frames_are_shown_at_their_presentation_times_over_the_speed():
    times = [0.0, 0.1, 0.15, 0.9, 1.0]
    clock = PlaybackClock(5, times.__getitem__)
    clock.set_speed(2.0, 0, 100.0)
    shown = play(clock, 0, 100.0, [0.001] * 9)
    assert [frame for frame, _ in shown] == [1, 2, 3, 4]
    assert [at for _, at in shown] == pytest.approx([100.05, 100.075, 100.45, 100.5])


def test_a_small_delay_is_made_up_for():
    clock = PlaybackClock(100, lambda i: i / 25)
    shown = play(clock, 0, 0.0, [0.2] + [0.001] * 20)
    assert shown[-1][1] == pytest.approx(shown[-1][0] / 25)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.sampled_from(SPEEDS))
def test_however_slow_the_drawing_no_frame_is_left_out(costs_s, speed):
    clock = PlaybackClock(60, lambda i: i / 25)
    clock.set_speed(speed, 0, 5.0)
    shown = play(clock, 0, 5.0, costs_s)
    assert [frame for frame, _ in shown] == list(range(1, min(len(costs_s), 59) + 1))
    times = [at for _, at in shown]
    assert times == sorted(times)


def test_far_behind_it_slows_down_instead_of_hurrying():
    clock = PlaybackClock(100, lambda i: i / 25)
    shown = play(clock, 0, 0.0, [2.0] + [0.0] * 10)
    gaps = [b[1] - a[1] for a, b in itertools.pairwise(shown[1:])]
    assert gaps == pytest.approx([0.04] * len(gaps))
    assert LATE_S < 2.0


def test_the_end_is_said_and_a_speed_of_nothing_is_refused():
    clock = PlaybackClock(3, float)
    assert clock.following(2) is None
    with pytest.raises(ValueError, match="speed must be above 0, got 0"):
        clock.set_speed(0, 0, 0.0)
