"""Frames on their way to the screen: the latest wanted one wins, errors are told, old ones forgotten."""

from __future__ import annotations

import numpy as np
import pytest
from window_fakes import FRAMES, FakeSource

from smtc_app.ui.frame_controller import FrameController


class ManualCache:
    """A frame cache that decodes when told to."""

    def __init__(self, source, *, on_frame, on_error):
        self.source, self.on_frame, self.on_error = source, on_frame, on_error
        self.requests, self.kept, self.closed = [], {}, False

    def request(self, index):
        self.requests.append(index)

    def get(self, index):
        return self.kept.get(index)

    def deliver(self, index):
        self.on_frame(index, self.source[index])

    def close(self):
        self.closed = True


@pytest.fixture
def caches():
    return []


@pytest.fixture
def frames(qtbot, caches):
    def make(source, **callbacks):
        caches.append(ManualCache(source, **callbacks))
        return caches[-1]

    controller = FrameController(make)
    controller.open(FakeSource())
    yield controller
    controller.close()


@pytest.fixture
def shown(frames):
    seen = []
    frames.shown.connect(lambda message: seen.append(message[0]))
    return seen


def test_only_the_latest_wanted_frame_is_shown(frames, caches, shown, qtbot):
    frames.go_to(3)
    frames.go_to(7)
    caches[0].deliver(3)
    caches[0].deliver(7)
    qtbot.waitUntil(lambda: frames.shown_index == 7)
    assert shown == [7]
    assert caches[0].requests == [0, 3, 7]


def test_a_cached_frame_is_shown_at_once(frames, caches, shown):
    caches[0].kept[5] = np.zeros((4, 4, 3), np.uint8)
    frames.go_to(5)
    assert shown == [5]


@pytest.mark.parametrize(("wanted", "index"), [(-5, 0), (99, FRAMES - 1), (4, 4)])
def test_wanted_frames_are_clipped_to_the_footage(frames, wanted, index):
    frames.go_to(wanted)
    assert frames.wanted == index


def test_frames_of_footage_that_was_closed_are_dropped(frames, caches, shown, qtbot):
    frames.open(FakeSource())
    caches[0].deliver(0)
    caches[1].deliver(0)
    qtbot.waitUntil(lambda: shown == [0])
    assert caches[0].closed


def test_an_unreadable_frame_is_told_and_stops_playing(frames, caches, qtbot):
    caches[0].deliver(0)
    qtbot.waitUntil(lambda: frames.shown_index == 0)
    frames.toggle_play()
    qtbot.waitUntil(lambda: frames.wanted == 1)
    with qtbot.waitSignal(frames.failed) as told:
        caches[0].on_error(1, "Frame 1 cannot be decoded.")
    assert told.args == ["Frame 1 cannot be decoded."]
    assert not frames.playing


def test_playing_waits_for_a_late_frame_instead_of_leaving_it_out(frames, caches, shown, qtbot):
    caches[0].deliver(0)
    qtbot.waitUntil(lambda: shown == [0])
    frames.toggle_play()
    for index in (1, 2, 3):
        qtbot.waitUntil(lambda index=index: frames.wanted == index)
        caches[0].deliver(index)
        qtbot.waitUntil(lambda index=index: shown[-1] == index)
    assert shown == [0, 1, 2, 3]
