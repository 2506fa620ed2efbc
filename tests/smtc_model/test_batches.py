"""Batches made ahead: the same ones in the same order, and errors where they are taken."""

from __future__ import annotations

import threading

import pytest

from smtc_model.batches import BatchesAhead


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_each_step_and_part_gets_its_own_batch(workers):
    batches = BatchesAhead(lambda step, part: (step, part), parts=2, workers=workers)
    order = [(step, part) for step in range(4, 9) for part in range(2)]
    assert [batches.take(*place) for place in order] == order
    assert batches.take(40, 1) == (40, 1)  # out of order, too
    batches.close()


def test_the_next_batch_is_made_while_one_is_in_use():
    made = threading.Event()

    def make(step, part):
        if step == 1:
            made.set()
        return step

    batches = BatchesAhead(make, parts=1, workers=1)
    assert batches.take(0, 0) == 0
    assert made.wait(10)
    batches.close()


def test_an_error_is_raised_where_the_batch_is_taken():
    def make(step, part):
        if step == 1:
            raise ValueError("no such clip")
        return step

    batches = BatchesAhead(make, parts=1, workers=2)
    assert batches.take(0, 0) == 0
    with pytest.raises(ValueError, match="no such clip"):
        batches.take(1, 0)
    batches.close()


def test_workers_are_not_negative():
    with pytest.raises(ValueError, match="workers"):
        BatchesAhead(lambda step, part: step, parts=1, workers=-1)
