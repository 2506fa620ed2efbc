"""Axis, ticks and lanes of the timeline, without a widget."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtc_app.core.annotation import FrameStatus
from smtc_app.ui.time_text import format_time, parse_time
from smtc_app.ui.timeline_model import (
    MAX_FRAME_WIDTH_PX,
    PRIORITY,
    ColumnPlan,
    Lane,
    TimeAxis,
    decoded,
    marked_columns,
    tick_step,
    ticks,
)

axes = st.builds(
    lambda count, width, zoom, x: TimeAxis(count, width).fitted().zoomed_at(zoom, x * width),
    st.integers(1, 200_000),
    st.integers(1, 2000),
    st.floats(1, 1e5),
    st.floats(0, 1),
)


class TestTimeAxis:
    @given(axes, st.integers(0, 199_999))
    def test_a_frame_is_found_where_it_is_drawn(self, axis, frame):
        frame = min(frame, axis.count - 1)
        assert axis.frame_at(axis.x_of(frame + 0.5)) == frame

    @given(axes, st.floats(0.2, 5), st.floats(0, 1))
    def test_zooming_keeps_the_frame_under_the_cursor_unless_an_end_is_in_the_way(self, axis, factor, at):
        x = at * axis.width
        before = axis.first + x / axis.px_per_frame
        zoomed = axis.zoomed_at(factor, x)
        after = zoomed.first + x / zoomed.px_per_frame
        at_an_end = zoomed.first == 0 or zoomed.first == pytest.approx(axis.count - zoomed.visible_frames)
        assert after == pytest.approx(before, rel=1e-6, abs=1e-6) or at_an_end

    @given(axes, st.floats(-1e5, 1e5))
    def test_scrolling_never_leaves_the_video(self, axis, dx):
        scrolled = axis.scrolled(dx)
        assert scrolled.first >= 0
        if scrolled.visible_frames < axis.count:
            assert scrolled.first + scrolled.visible_frames <= axis.count * (1 + 1e-9)
        else:
            assert scrolled.first == 0

    @given(axes, st.integers(0, 199_999))
    def test_a_frame_can_be_brought_into_sight_and_stays_there(self, axis, frame):
        frame = min(frame, axis.count - 1)
        showing = axis.showing(frame)
        low, high = showing.shown()
        assert low <= frame < high
        assert showing.showing(frame) == showing

    def test_what_fits_goes_on_fitting_in_another_width(self):
        axis = TimeAxis(1000, 500).fitted()
        assert axis.resized(2000).px_per_frame == pytest.approx(2.0)
        zoomed = axis.zoomed_at(4, 0)
        assert zoomed.resized(800).px_per_frame == zoomed.px_per_frame

    def test_zooming_ends_where_a_frame_is_wide_enough(self):
        assert TimeAxis(9999, 1000).fitted().zoomed_at(1e9, 3).px_per_frame == MAX_FRAME_WIDTH_PX
        assert TimeAxis(4, 1000).fitted().zoomed_at(9, 3) == TimeAxis(4, 1000).fitted()


class TestTicks:
    @given(axes, st.floats(20, 200))
    def test_labels_have_room_and_are_round(self, axis, spacing):
        step = tick_step(axis, spacing)
        assert step * axis.px_per_frame >= spacing * (1 - 1e-9)
        assert step in {f * 10**p for f in (1, 2, 5) for p in range(9)}
        frames = [tick.frame for tick in ticks(axis, spacing)]
        assert frames == sorted(set(frames))
        assert len(frames) <= axis.width / 6 + 3
        assert all(
            tick.label == (str(tick.frame) if tick.frame % step == 0 else "") for tick in ticks(axis, spacing)
        )

    def test_an_hour_at_25_frames_has_ticks_every_ten_thousand(self):
        axis = TimeAxis(90_000, 1000).fitted()
        assert [tick.label for tick in ticks(axis, 72) if tick.label] == [str(i * 10_000) for i in range(9)]


def brute_force(codes, axis, ratio):
    """Largest code of the frames in each column; of wide frames the code of the one in its middle."""
    result, per_column = [], 1 / (axis.px_per_frame * ratio)
    for column in range(round(axis.width * ratio)):
        low, high = axis.first + column * per_column, axis.first + (column + 1) * per_column
        if per_column <= 1:
            low = int(np.floor(axis.first + (column + 0.5) * per_column))
            high = low + 1
        else:
            low, high = int(np.floor(low + 1e-9)), int(np.ceil(high - 1e-9))
        result.append(codes[low:high].max(initial=0))
    return np.array(result)


class TestLane:
    def lane(self, count, seed=0):
        rng = np.random.default_rng(seed)
        states = rng.integers(0, 6, count).astype(np.uint8)
        confidence = rng.random(count).astype(np.float32)
        confidence[rng.random(count) < 0.3] = np.nan
        lane = Lane(count)
        lane.set_states(states)
        lane.set_confidence(confidence)
        return lane, states, confidence

    @given(st.integers(1, 60), st.integers(1, 80), st.floats(1, 30), st.sampled_from([1.0, 1.5, 2.0]))
    def test_few_frames_are_summed_up_exactly(self, count, width, zoom, ratio):
        lane, states, confidence = self.lane(count)
        axis = TimeAxis(count, width).fitted().zoomed_at(zoom, width / 3)
        doubt = np.where(np.isnan(confidence), 0, 1 + np.rint((1 - confidence) * 254)).astype(int)
        rank = np.array([PRIORITY[FrameStatus(int(state))] for state in states])
        if 1 / (axis.px_per_frame * ratio) >= 16:
            return
        np.testing.assert_array_equal(
            lane.columns(ColumnPlan(axis, ratio)), brute_force(rank * 256 + doubt, axis, ratio)
        )

    def test_one_bad_frame_in_a_hundred_thousand_is_seen(self):
        for frame in (0, 31_415, 99_999):
            lane = Lane(100_000)
            states = np.full(100_000, FrameStatus.PROPAGATED, np.uint8)
            states[frame] = FrameStatus.STALE
            lane.set_states(states)
            axis = TimeAxis(100_000, 900).fitted()
            rank, _ = decoded(lane.columns(ColumnPlan(axis)))
            (columns,) = (rank == PRIORITY[FrameStatus.STALE]).nonzero()
            assert 1 <= len(columns) <= 3
            assert abs(columns.mean() - axis.x_of(frame + 0.5)) <= 2

    def test_the_least_confident_frame_of_a_column_counts(self):
        lane = Lane(10_000)
        confidence = np.full(10_000, 0.9, np.float32)
        confidence[5000] = 0.1
        lane.set_states(np.full(10_000, FrameStatus.PROPAGATED, np.uint8))
        lane.set_confidence(confidence)
        _, shown = decoded(lane.columns(ColumnPlan(TimeAxis(10_000, 100).fitted())))
        assert shown.min() == pytest.approx(0.1, abs=0.005)
        assert np.median(shown) == pytest.approx(0.9, abs=0.005)

    @given(st.integers(1, 5000), st.integers(0, 4999), st.sampled_from(list(FrameStatus)), st.floats(0, 1))
    def test_one_frame_at_a_time_is_the_same_as_all_at_once(self, count, frame, state, confidence):
        frame = min(frame, count - 1)
        lane, states, confidences = self.lane(count)
        plan = ColumnPlan(TimeAxis(count, 50).fitted())
        lane.columns(plan)
        lane.update(frame, state, confidence)
        states[frame], confidences[frame] = state, confidence
        whole = Lane(count)
        whole.set_states(states)
        whole.set_confidence(confidences)
        np.testing.assert_array_equal(lane.columns(plan), whole.columns(plan))
        assert lane.state(frame) == state
        assert lane.confidence(frame) == pytest.approx(confidence, abs=0.003)

    def test_the_lane_keeps_what_it_was_given_when_the_caller_goes_on_writing(self):
        states = np.full(10, FrameStatus.MANUAL, np.uint8)
        lane = Lane(10)
        lane.set_states(states)
        states[:] = 0
        assert lane.state(3) is FrameStatus.MANUAL
        assert lane.anchored(np.array([3, 4])).all()

    def test_arrays_of_another_length_are_refused(self):
        with pytest.raises(ValueError, match=r"states must be \(10,\), got \(9,\)"):
            Lane(10).set_states(np.zeros(9, np.uint8))

    def test_the_cost_of_a_column_does_not_grow_with_the_video(self):
        for count in (1000, 100_000, 1_000_000):
            plan = ColumnPlan(TimeAxis(count, 800).fitted())
            assert (plan._stops - plan._starts).max() <= 18


@given(axes, st.lists(st.integers(0, 199_999), max_size=50, unique=True), st.floats(1, 30))
def test_marks_are_in_sight_apart_and_none_is_forgotten(axis, frames, spacing):
    frames = np.array(sorted(frame for frame in frames if frame < axis.count), np.int64)
    shown = marked_columns(frames, axis, spacing)
    low, high = axis.shown()
    visible = [frame for frame in frames.tolist() if low <= frame < high]
    assert set(shown.tolist()) <= set(visible)
    for frame in visible:
        assert min(abs(frame - mark) for mark in shown.tolist()) * axis.px_per_frame <= spacing * (1 + 1e-6)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12.5", 12.5),
        ("1:02.5", 62.5),
        ("1:00:02", 3602),
        ("1,5", 1.5),
        ("", None),
        ("x", None),
        ("-3", None),
        ("1:2:3:4", None),
        ("nan", None),
    ],
)
def test_times_are_read(text, seconds):
    assert parse_time(text) == seconds


@given(st.integers(0, 10**7))
def test_a_written_time_is_read_back(hundredths):
    assert parse_time(format_time(hundredths / 100)) == pytest.approx(hundredths / 100, abs=1e-6)
