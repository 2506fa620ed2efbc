"""Which runs are repeated, and for which frames."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from smtc_app.core.commands import AddObject, ApplyPropagation, SetLabels, SetObjectProperty
from smtc_app.core.document import Document
from smtc_app.core.replay import PropagationRun, as_spans, plan_replay, runs_from_json
from smtc_app.core.undo import UndoStack

COUNT, SIZE = 10, (12, 8)


def label(*ids: int) -> np.ndarray:
    """An object per row."""
    labels = np.zeros((SIZE[1], SIZE[0]), np.uint16)
    for object_id in ids:
        labels[object_id, 2:6] = object_id
    return labels


@pytest.fixture
def stack():
    document = Document(COUNT, SIZE)
    stack = UndoStack(document)
    for _ in range(2):
        stack.push(AddObject())
    stack.push(SetLabels(0, label(1, 2), "paint"))
    yield stack
    document.close()


def sources_of(run: PropagationRun, frame: int) -> tuple[int, ...]:
    before = tuple(k for k in run.keyframes if k < frame)[-1:]
    after = tuple(k for k in run.keyframes if k > frame)[:1]
    return {"forward": before, "backward": after, "both": before + after}[run.direction]


def apply(stack: UndoStack, run: PropagationRun, frames=None) -> None:
    """What a run of the engine leaves in a document."""
    steps = [
        (frame, label(*run.objects), {}, sources_of(run, frame))
        for frame in (range(run.first, run.stop) if frames is None else frames)
        if frame not in run.keyframes and sources_of(run, frame)
    ]
    stack.push(ApplyPropagation(steps, objects=run.objects, run=object()))


def plan(stack: UndoStack, *runs: PropagationRun):
    return plan_replay(stack.document.snapshot(), runs)


def owned(step, object_id: int) -> list[int]:
    return np.flatnonzero(step.owns[object_id]).tolist()


FORWARD = PropagationRun((1, 2), (0,), "forward", 0, COUNT)


def test_a_run_is_repeated_as_it_was(stack):
    apply(stack, FORWARD)
    (step,) = plan(stack, FORWARD)
    assert step.run == FORWARD
    assert owned(step, 1) == owned(step, 2) == list(range(1, COUNT))
    assert step.accepted(0) == frozenset()
    assert step.accepted(4) == {1, 2}


def test_a_cancelled_run_is_repeated_as_far_as_it_came(stack):
    apply(stack, FORWARD, range(1, 4))
    (step,) = plan(stack, FORWARD)
    assert (step.run.first, step.run.stop) == (0, 4)
    assert step.accepted(5) == frozenset()


def test_an_undone_run_is_not_repeated(stack):
    apply(stack, FORWARD)
    stack.push(SetLabels(9, np.roll(label(1, 2), 1, 1), "correct"))
    backward = PropagationRun((1, 2), (0, 9), "both", 0, COUNT)
    apply(stack, backward)
    stack.undo()
    assert [step.run.direction for step in plan(stack, FORWARD, backward)] == ["forward"]
    stack.redo()
    assert [step.run for step in plan(stack, FORWARD, backward)] == [backward]


def test_what_a_later_run_replaces_is_made_first_when_others_met_it(stack):
    one, two = (
        PropagationRun((1,), (0,), "forward", 0, COUNT),
        PropagationRun((2,), (0,), "forward", 0, COUNT),
    )
    for run in (FORWARD, one, two):
        apply(stack, run)
    steps = plan(stack, FORWARD, one, two)
    assert [step.run.objects for step in steps] == [(1, 2), (1,), (2,)]
    assert not any(frames.any() for frames in steps[0].owns.values())
    assert [step.run for step in plan(stack, one, two, FORWARD)] == [FORWARD]


def test_both_ways_between_keyframes(stack):
    stack.push(SetLabels(6, label(1, 2), "paint"))
    run = PropagationRun((1, 2), (0, 6), "both", 2, 9)
    apply(stack, run)
    (step,) = plan(stack, run)
    assert step.run == run
    assert owned(step, 1) == [2, 3, 4, 5, 7, 8]


def test_labels_without_a_run_are_planned_from_their_keyframes(stack):
    apply(stack, FORWARD, range(2, 5))
    (step,) = plan(stack)
    assert (step.run.objects, step.run.keyframes, step.run.direction) == ((1, 2), (0,), "both")
    assert owned(step, 1) == [2, 3, 4]
    assert (step.run.first, step.run.stop) == (0, 5)


def test_where_nothing_was_propagated_everything_is_planned(stack):
    (step,) = plan(stack)
    assert (step.run.first, step.run.stop) == (0, COUNT)
    assert step.accepted(7) == {1, 2}
    stack.push(SetObjectProperty([1], locked=True))
    (step,) = plan(stack)
    assert step.run.objects == (2,)


def test_objects_that_are_gone_are_left_out(stack):
    apply(stack, FORWARD)
    gone = PropagationRun((1, 2, 7), (0, 5), "forward", 0, 99)
    (step,) = plan(stack, gone)
    assert (step.run.objects, step.run.keyframes, step.run.stop) == ((1, 2), (0,), COUNT)


def test_nothing_to_start_from_is_an_empty_plan():
    document = Document(COUNT, SIZE)
    assert plan_replay(document.snapshot(), [FORWARD]) == []
    document.close()


def test_what_a_run_is_known_to_have_written_counts(stack):
    apply(stack, FORWARD)
    again = PropagationRun((1, 2), (0,), "forward", 0, COUNT, written={1: ((3, 5), (7, 8))})
    first, second = plan(stack, FORWARD, again)
    assert owned(second, 1) == [3, 4, 7]
    assert owned(first, 1) == [1, 2, 5, 6, 8, 9]
    assert owned(first, 2) == list(range(1, COUNT))
    assert first.accepted(3) == {1, 2}
    assert second.accepted(5) == frozenset()
    assert as_spans([7, 3, 4, 4]) == ((3, 5), (7, 8))
    assert as_spans([]) == ()


def test_runs_survive_json_and_nonsense_is_left_out():
    run = PropagationRun(
        (1, 4), (0, 9), "both", 0, 10, {"model": None, "preset": "default"}, {"name": "m", "hash": "a"}
    )
    exact = replace(run, written={1: ((0, 3), (5, 9)), 4: ()})
    kept = json.loads(json.dumps([run.to_json(), exact.to_json()]))
    assert runs_from_json(kept) == (run, exact)
    broken = [None, {}, 7, {**run.to_json(), "direction": "up"}, {**run.to_json(), "first": "x"}]
    assert runs_from_json(broken) == ()
    assert runs_from_json(None) == runs_from_json("runs") == ()
