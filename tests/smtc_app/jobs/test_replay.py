"""A replay makes what the window made, whatever the order of groups, corrections, cancels and undos was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from smtc_app.core.annotation import FrameStatus
from smtc_app.core.commands import AddObject, ApplyPropagation, SetLabels
from smtc_app.core.document import Document
from smtc_app.core.errors import UserError
from smtc_app.core.replay import PropagationRun
from smtc_app.core.undo import UndoStack
from smtc_app.jobs import window_tasks
from smtc_app.jobs.model_use import ModelSummary, RunSummary
from smtc_app.jobs.replay import replay, soft_maps

COUNT, SIZE = 8, (40, 20)
SUMMARY = ModelSummary("moving", "ab" * 32, False, False, "cpu")


@dataclass
class Moved:
    index: int
    labels: np.ndarray
    confidence: dict[int, float]
    sources: tuple[int, ...]


def moving_propagation(ctx, source, keyframes, *, direction, span, objects, take_soft=None, **settings):
    """Moves each object by its id per frame from the nearest keyframe, so that objects come to overlap."""
    for index in range(*span):
        known = [k for k in keyframes if direction == "both" or (k < index) == (direction == "forward")]
        if index in keyframes or not known:
            continue
        key = min(known, key=lambda k: abs(k - index))
        labels = np.zeros(SIZE[::-1], np.uint16)
        for object_id in sorted(objects):
            labels[np.roll(keyframes[key] == object_id, object_id * (index - key), 1)] = object_id
        if take_soft is not None:
            take_soft(index, {i: (labels == i) * np.float32(0.75) for i in objects})
        ctx.partial(Moved(index, labels, dict.fromkeys(objects, 0.5), (key,)))
    return RunSummary(SUMMARY, 0)


class Context:
    def __init__(self, on_partial=None) -> None:
        self._on_partial = on_partial

    def progress(self, done, total, message="") -> None:
        assert 0 <= done <= total

    def partial(self, result) -> None:
        self._on_partial(result)

    def cancelled(self) -> bool:
        return False


class Work:
    """A document, edited and propagated as the window does it."""

    def __init__(self) -> None:
        self.document = Document(COUNT, SIZE)
        self.stack = UndoStack(self.document)
        self.runs: list[PropagationRun] = []
        for _ in range(3):
            self.stack.push(AddObject())
        labels = np.zeros(SIZE[::-1], np.uint16)
        for object_id in (1, 2, 3):
            labels[4:16, 4 * object_id : 4 * object_id + 4] = object_id
        self.stack.push(SetLabels(0, labels, "paint"))

    def propagate(self, direction: str, span: tuple[int, int], most: int = COUNT) -> None:
        groups = [(ids, k, direction, span) for ids, k in self.document.propagation_groups()]
        token = object()

        def take(message) -> None:
            ids, frame = message
            if frame.index - span[0] < most:
                step = (frame.index, frame.labels, frame.confidence, frame.sources)
                self.stack.push(ApplyPropagation([step], objects=ids, run=token))

        window_tasks.propagate_groups_task(Context(take), None, groups)
        self.stack.close_step()
        self.runs += [
            PropagationRun(tuple(sorted(ids)), tuple(sorted(k)), way, *frames)
            for ids, k, way, frames in groups
        ]

    def correct(self, frame: int, object_id: int) -> None:
        labels = np.array(self.document.labels(frame))
        labels[0:6, 2:30] = object_id
        self.stack.push(SetLabels(frame, labels, "correct"))

    def all_labels(self) -> list[np.ndarray]:
        return [np.array(self.document.labels(i)) for i in range(COUNT)]


@pytest.fixture
def work(monkeypatch):
    monkeypatch.setattr(window_tasks, "propagate_task", moving_propagation)
    made = Work()
    yield made
    made.document.close()


def check(work: Work) -> None:
    before = work.all_labels()
    found = replay(Context(), None, work.document, work.runs)
    for index, labels in enumerate(work.all_labels()):
        np.testing.assert_array_equal(labels, before[index], f"frame {index}")
    assert found.different == 0
    assert found.equal == COUNT - 1  # of frame 4 the objects that were not corrected there
    assert found.summary.model == SUMMARY


def test_one_run(work):
    work.propagate("forward", (0, COUNT))
    check(work)


def test_a_correction_and_a_second_run_in_groups(work):
    work.propagate("forward", (0, COUNT))
    work.correct(4, 2)
    work.propagate("both", (0, COUNT))
    check(work)


def test_undone_and_cancelled_runs(work):
    work.propagate("forward", (0, COUNT))
    work.correct(4, 3)
    work.propagate("both", (0, COUNT))
    work.stack.undo()
    work.propagate("both", (0, COUNT), most=3)
    before = work.all_labels()
    replay(Context(), None, work.document, work.runs)
    for index, labels in enumerate(work.all_labels()):
        np.testing.assert_array_equal(labels, before[index])


def test_lost_labels_come_back(work):
    """Everything but what a person made can be rebuilt."""
    work.propagate("forward", (0, COUNT))
    before = work.all_labels()
    wrong = [(i, np.zeros(SIZE[::-1], np.uint16), {}, (0,)) for i in range(1, COUNT)]
    work.stack.push(ApplyPropagation(wrong, objects={1, 2, 3}))
    found = replay(Context(), None, work.document, work.runs)
    assert (found.equal, found.different) == (0, COUNT - 1)
    for index, labels in enumerate(work.all_labels()):
        np.testing.assert_array_equal(labels, before[index])


def test_stale_frames_are_renewed(work):
    work.propagate("forward", (0, COUNT))
    work.correct(0, 1)
    assert work.document.status(3, 1) == FrameStatus.STALE
    found = replay(Context(), None, work.document, work.runs)
    assert found.renewed == COUNT - 1
    assert work.document.status(3, 1) == FrameStatus.PROPAGATED
    assert (work.document.labels(3)[0:6] == 1).any()


def test_soft_maps_are_given_for_what_the_machine_labelled(work):
    work.propagate("forward", (0, COUNT))
    work.correct(4, 2)
    before = work.all_labels()
    got: dict[int, set[int]] = {}
    compute = soft_maps(Context(), None, work.document.snapshot(), work.runs, {})
    compute(lambda frame, maps: got.setdefault(frame, set()).update(maps))
    assert set(got) == set(range(1, COUNT))
    assert got[3] == {1, 2, 3}
    assert got[4] == {1, 3}
    for index, labels in enumerate(work.all_labels()):
        np.testing.assert_array_equal(labels, before[index])  # the document itself stays


def test_nothing_to_start_from_is_told(monkeypatch):
    document = Document(COUNT, SIZE)
    with pytest.raises(UserError, match="no object on a keyframe"):
        replay(Context(), None, document, [])
    document.close()
