"""Places, queue and loader of thumbnails, without a widget."""

from __future__ import annotations

import itertools
import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from smtc_app.ui.thumbnails import ThumbnailLoader, ThumbnailQueue, places, shrunk
from smtc_app.ui.timeline_model import TimeAxis


@given(st.integers(1, 200_000), st.integers(80, 2000), st.floats(1, 1e5), st.floats(20, 150))
def test_thumbnails_stand_side_by_side_with_room_and_at_fixed_frames(count, width, zoom, thumbnail):
    axis = TimeAxis(count, width).fitted().zoomed_at(zoom, width / 2)
    shown = places(axis, thumbnail)
    assert len(shown) <= width / thumbnail + 2
    for place, following in itertools.pairwise(shown):
        assert np.isclose(place.x + place.width, following.x)
        assert place.width >= min(thumbnail, axis.px_per_frame) * (1 - 1e-6)
    scrolled = {place.frame for place in places(axis.scrolled(thumbnail / 2), thumbnail)}
    steps = {b.frame - a.frame for a, b in itertools.pairwise(shown)}
    assert len(steps) <= 1
    assert all(frame % step == 0 for step in steps for frame in scrolled)


def test_the_queue_asks_for_a_few_at_a_time_for_what_is_in_sight_now():
    queue = ThumbnailQueue(max_in_flight=2)
    queue.want([1, 2, 3, 4])
    assert queue.next_requests() == [1, 2]
    assert queue.next_requests() == []
    queue.want([9, 2, 8])
    queue.put(1, "one")
    assert queue.next_requests() == [9]
    queue.put(2, "two")
    assert queue.next_requests() == [8]
    assert queue.get(1) == "one"


def test_the_queue_keeps_what_was_used_last():
    queue = ThumbnailQueue(max_kept=3)
    for frame in (1, 2, 3):
        queue.put(frame, f"{frame}")
    assert queue.get(1) == "1"
    queue.put(4, "4")
    assert queue.get(2) is None
    assert queue.get(1) == "1"
    assert queue.nearest(6, 2) == "4"
    assert queue.nearest(60, 2) is None


def test_a_shrunk_picture_keeps_its_shape():
    assert shrunk(np.zeros((480, 854, 3), np.uint8), 40).shape == (40, 71, 3)
    assert shrunk(np.zeros((900, 3, 3), np.uint8), 40).shape == (40, 1, 3)


class Footage:
    def __init__(self):
        self.closed = False
        self.thread = threading.current_thread()

    def __getitem__(self, index):
        assert threading.current_thread() is self.thread
        if index == 13:
            raise OSError("damaged")
        return np.full((4, 4, 3), index, np.uint8)

    def close(self):
        self.closed = True


def test_the_loader_decodes_in_its_own_thread_and_says_when_it_cannot():
    opened, got, done = [], {}, threading.Event()

    def open_source():
        opened.append(Footage())
        return opened[0]

    def deliver(frame, picture):
        got[frame] = picture
        if len(got) == 3:
            done.set()

    loader = ThumbnailLoader(open_source)
    for frame in (5, 13, 7):
        loader(frame, deliver)
    assert done.wait(20)
    loader.close()
    assert opened[0].thread is not threading.current_thread()
    assert opened[0].closed
    assert got[13] is None
    assert (got[5] == 5).all()


def test_footage_that_cannot_be_opened_twice_gives_no_thumbnails():
    done = threading.Event()

    def open_source():
        raise OSError("gone")

    loader = ThumbnailLoader(open_source)
    loader(1, lambda frame, picture: done.set() if picture is None else None)
    assert done.wait(20)
    loader.close()
