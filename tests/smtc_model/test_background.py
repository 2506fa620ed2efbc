"""Running ahead changes when things happen, not what comes out; no thread stays behind."""

from __future__ import annotations

import threading

import pytest

from smtc_model.background import in_background


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "under test"]


def start(items, **settings):
    return in_background(iter(items), depth=2, name="under test", **settings)


def test_items_keep_their_order_and_the_thread_ends():
    assert list(start(range(100))) == list(range(100))
    assert not threads()


def test_it_runs_ahead_by_no_more_than_its_depth():
    made, begun = [], threading.Semaphore(0)

    def items():
        for number in range(50):
            made.append(number)
            begun.release()
            yield number

    running = start(items())
    assert next(running) == 0
    for _ in range(4):  # one given, two in the queue, one in the hand
        assert begun.acquire(timeout=10)
    assert made == [0, 1, 2, 3]
    running.close()
    assert not threads()


def test_an_exception_comes_after_what_was_made_before_it():
    def items():
        yield 1
        yield 2
        raise RuntimeError("the disk is gone")

    running = start(items())
    assert [next(running), next(running)] == [1, 2]
    with pytest.raises(RuntimeError, match="the disk is gone"):
        next(running)
    assert not threads()


def test_closing_early_closes_the_source_too():
    closed = threading.Event()

    def items():
        try:
            while True:
                yield 1
        finally:
            closed.set()

    running = start(items())
    next(running)
    running.close()
    assert closed.is_set()
    assert not threads()


def test_cancelling_ends_a_wait_for_an_item_that_does_not_come():
    release, cancelled = threading.Event(), threading.Event()

    def items():
        yield 1
        release.wait(10)
        yield 2

    def is_cancelled() -> bool:
        if cancelled.is_set():
            release.set()  # what a source that asks too would do
        return cancelled.is_set()

    running = start(items(), cancelled=is_cancelled)
    assert next(running) == 1
    cancelled.set()
    assert list(running) == []
    assert not threads()
