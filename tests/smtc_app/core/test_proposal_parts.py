"""Accepting proposals worked out ahead gives what accepting at once gives, whatever happens in between."""

from __future__ import annotations

import numpy as np
import pytest

from smtc_app.core.annotation import MAX_OBJECT_ID, ProposalMask
from smtc_app.core.commands import AcceptProposals, AddObject, PaintStroke, RemoveObjects
from smtc_app.core.document import Document
from smtc_app.core.errors import UserError
from smtc_app.core.proposal_commands import FramePart
from smtc_app.core.undo import UndoStack

SIZE, FRAMES = (30, 20), 4


@pytest.fixture
def stack():
    document = Document(FRAMES, SIZE)
    stack = UndoStack(document)
    stack.push(AddObject("dog"))
    rng = np.random.default_rng(0)
    document.suggest(
        {
            frame: [
                ProposalMask(frame, k, mask=rng.random((20, 30)) < 0.3, score=k / 9, track=k)
                for k in (1, 2, 3)
            ]
            for frame in range(FRAMES)
        }
    )
    return stack


def contents(document):
    labels = [document.labels(frame).tobytes() for frame in range(FRAMES)]
    statuses = [document.status_array(i).tobytes() for i in document.objects]
    return labels, statuses, tuple(document.objects.values()), document.keyframes, document.proposal_frames


def painted(document, frame):
    labels = np.array(document.labels(frame))
    labels[:10, :10] = 1
    return PaintStroke(frame, labels, 1)


def work_out(command, document):
    for part in command.parts(document):
        command.take(part, part.compute())
    return command


def test_worked_out_ahead_it_is_the_same_and_nothing_is_computed_again(stack, monkeypatch):
    document = stack.document
    stack.push(AcceptProposals(0, linked=True))
    at_once = contents(document)
    stack.undo()
    command = work_out(AcceptProposals(0, linked=True), document)

    def never(_part):
        raise AssertionError("computed twice")

    monkeypatch.setattr(FramePart, "compute", never)
    stack.push(command)
    assert contents(document) == at_once
    assert command.frames == (0, 1, 2, 3)
    stack.undo()
    assert list(document.objects) == [1]
    assert document.proposal_frames == (0, 1, 2, 3)


@pytest.mark.parametrize("between", ["paint", "new object", "rejected"])
def test_what_changes_in_between_is_respected(stack, between):
    document = stack.document
    command = work_out(AcceptProposals(0, linked=True), document)
    if between == "paint":
        stack.push(painted(document, 2))
    elif between == "new object":
        stack.push(AddObject("cat"))
    else:
        document.suggest({3: document.proposals(3)[:1]})
    stack.push(command)
    late = contents(document)
    stack.undo()
    stack.push(AcceptProposals(0, linked=True))
    assert contents(document) == late
    if between == "paint":
        assert (document.labels(2)[:10, :10] == 1).all()


def test_parts_refuse_what_the_command_would_refuse(stack):
    with pytest.raises(UserError, match="no proposal 9"):
        AcceptProposals(0, [9]).parts(stack.document)


def test_new_ids_are_those_that_one_after_the_other_would_get(stack):
    document = stack.document
    assert document.free_object_ids(3) == (2, 3, 4)
    stack.push(AddObject(object_id=MAX_OBJECT_ID - 1))
    assert document.free_object_ids(3) == (MAX_OBJECT_ID, 2, 3)
    stack.push(RemoveObjects(MAX_OBJECT_ID - 1))
    with pytest.raises(UserError, match="65534"):
        document.free_object_ids(MAX_OBJECT_ID)


def test_areas_are_known_without_unpacking(stack):
    document = stack.document
    stack.push(AcceptProposals(0, linked=True))
    for frame in range(FRAMES):
        for object_id in document.objects:
            assert document.area(frame, object_id) == np.count_nonzero(document.labels(frame) == object_id)
    stack.push(RemoveObjects(3))
    assert document.area(1, 3) == 0
    assert document.area(1, 2) == np.count_nonzero(document.labels(1) == 2)
    assert document.area(1, 60_000) == 0
