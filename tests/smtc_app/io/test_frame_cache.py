"""The decoder thread of the window."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from smtc_app.core.errors import UserError
from smtc_app.io.frame_cache import FrameCache
from smtc_app.io.source import FrameSource

WAIT_S = 20


class NumberedFrames(FrameSource):
    """Frames whose pixels are their index; reading can be held back, and frame 13 is damaged."""

    kind = "video"
    size, fps, path = (16, 8), 25.0, Path("numbered")

    def __init__(self, count: int = 100) -> None:
        self.count = count
        self.may_read = threading.Event()
        self.may_read.set()
        self.read: list[int] = []
        self.threads: set[str] = set()
        self.closed = threading.Event()

    def __len__(self) -> int:
        return self.count

    def _read(self, index: int) -> np.ndarray:
        self.threads.add(threading.current_thread().name)
        self.read.append(index)
        assert self.may_read.wait(WAIT_S)
        if index == 13:
            raise UserError("Frame 13 is damaged.")
        return np.full((8, 16, 3), index, np.uint8)

    def name(self, index: int) -> str:
        return str(index)

    def timestamp(self, index: int) -> float:
        return index / self.fps

    def fingerprint(self) -> str:
        return "numbered"

    def reopen(self) -> NumberedFrames:
        return self

    def close(self) -> None:
        self.closed.set()


FRAME_BYTES = 8 * 16 * 3


class Receiver:
    def __init__(self) -> None:
        self.frames: list[int] = []
        self.errors: list[str] = []
        self.changed = threading.Condition()

    def on_frame(self, index: int, frame: np.ndarray) -> None:
        assert (frame == index).all()
        assert not frame.flags.writeable
        with self.changed:
            self.frames.append(index)
            self.changed.notify()

    def on_error(self, index: int, sentence: str) -> None:
        with self.changed:
            self.errors.append(sentence)
            self.changed.notify()

    def wait(self, condition) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, WAIT_S)


@pytest.fixture
def started():
    caches = []

    def start(source: NumberedFrames, **options) -> tuple[FrameCache, Receiver]:
        receiver = Receiver()
        cache = FrameCache(source, on_frame=receiver.on_frame, on_error=receiver.on_error, **options)
        caches.append((cache, source))
        return cache, receiver

    yield start
    for cache, source in caches:
        source.may_read.set()
        cache.close()


def test_a_requested_frame_arrives_and_is_cached(started):
    source = NumberedFrames()
    cache, receiver = started(source)
    assert cache.get(5) is None
    cache.request(5)
    receiver.wait(lambda: receiver.frames == [5])
    assert (cache.get(5) == 5).all()
    assert source.threads == {"smtc-frames"}


def test_the_latest_request_wins(started):
    source = NumberedFrames()
    source.may_read.clear()
    cache, receiver = started(source, limit_bytes=4 * FRAME_BYTES)
    cache.request(40)
    with receiver.changed:
        receiver.changed.wait_for(lambda: source.read == [40], 0.2)
    for index in (50, 60, 70, 80):
        cache.request(index)
    source.may_read.set()
    receiver.wait(lambda: 80 in receiver.frames)
    assert not {50, 60, 70} & set(receiver.frames)


def test_frames_ahead_in_the_direction_of_travel_are_prefetched(started):
    source = NumberedFrames()
    cache, receiver = started(source)
    cache.request(50)
    receiver.wait(lambda: 50 in receiver.frames)
    cache.request(49)
    receiver.wait(lambda: 49 in receiver.frames)
    cache.request(20)
    receiver.wait(lambda: 20 in receiver.frames)
    done = threading.Event()
    for _ in range(WAIT_S * 100):
        if cache.get(15) is not None:
            done.set()
            break
        threading.Event().wait(0.01)
    assert done.is_set()
    assert 15 not in receiver.frames  # prefetched, not announced


def test_the_cache_stays_within_its_bytes(started):
    source = NumberedFrames()
    cache, receiver = started(source, limit_bytes=10 * FRAME_BYTES)
    for index in range(20, 60):
        cache.request(index)
        receiver.wait(lambda index=index: receiver.frames[-1:] == [index])
        assert cache.used_bytes <= 10 * FRAME_BYTES
    assert (cache.get(59) == 59).all()
    assert cache.get(20) is None


def test_an_unreadable_frame_is_told_and_the_thread_goes_on(started):
    cache, receiver = started(NumberedFrames())
    cache.request(13)
    receiver.wait(lambda: receiver.errors == ["Frame 13 is damaged."])
    cache.request(14)
    receiver.wait(lambda: 14 in receiver.frames)


def test_a_frame_that_does_not_exist_is_refused(started):
    cache, _ = started(NumberedFrames())
    with pytest.raises(IndexError, match=r"0\.\.99, got 100"):
        cache.request(100)


def test_after_closing_nothing_is_called_and_the_source_is_released(started):
    source = NumberedFrames()
    source.may_read.clear()
    cache, receiver = started(source)
    cache.request(3)
    threading.Timer(0.05, source.may_read.set).start()
    cache.close()
    cache.close()
    assert source.closed.is_set()
    count = len(receiver.frames)
    cache.request(4)
    assert len(receiver.frames) == count
    assert cache.used_bytes == 0
