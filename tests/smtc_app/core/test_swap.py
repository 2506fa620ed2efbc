"""Two objects that changed places get each other's masks, and what is said of them stays true."""

from __future__ import annotations

import numpy as np
import pytest

from smtc_app.core.annotation import FrameStatus as S
from smtc_app.core.commands import (
    AddObject,
    ApplyPropagation,
    LockFrames,
    PaintStroke,
    SetObjectProperty,
    SwapObjects,
)
from smtc_app.core.document import Document
from smtc_app.core.errors import UserError
from smtc_app.core.replay import PropagationRun, plan_replay
from smtc_app.core.undo import UndoStack

H, W, FRAMES = 8, 12, 30
A, B, C = 1, 2, 3
LEFT, RIGHT, BELOW = np.s_[1:5, 1:5], np.s_[1:5, 7:11], np.s_[6:8, 2:9]
SWITCH = 10
"""From this frame on the propagation has taken one for the other."""


def label_map(left, right):
    labels = np.zeros((H, W), np.uint16)
    labels[LEFT], labels[RIGHT], labels[BELOW] = left, right, C
    return labels


@pytest.fixture
def document():
    return Document(FRAMES, (W, H))


@pytest.fixture
def stack(document):
    """Drawn on frame 0, propagated to the end; from SWITCH on A and B are each other's."""
    stack = UndoStack(document)
    for name in ("dog", "cat", "ball"):
        stack.push(AddObject(name))
    stack.push(PaintStroke(0, label_map(A, B), None))
    for frame in range(1, FRAMES):
        labels = label_map(A, B) if frame < SWITCH else label_map(B, A)
        confidence = {A: 0.9, B: 0.4, C: 0.7}
        stack.push(ApplyPropagation([(frame, labels, confidence, (0,))], objects=(A, B, C)))
    stack.close_step()
    return stack


def shown(document, frame):
    labels = document.labels(frame)
    return int(labels[2, 2]), int(labels[2, 8]), int(labels[7, 4])


def test_from_here_on_every_mask_changes_hands_and_nobody_has_to_compute_again(stack, document):
    command = SwapObjects(A, B, SWITCH, stop=FRAMES)
    stack.push(command)
    assert [shown(document, frame) for frame in range(FRAMES)] == [(A, B, C)] * FRAMES
    assert (command.frames, command.last, command.locked) == (FRAMES - SWITCH, FRAMES - 1, 0)
    assert command.drawn is None
    assert command.text == "Swap 'dog' and 'cat' on 20 frames"
    assert document.status(SWITCH, A) is document.status(SWITCH, B) is S.CORRECTED
    assert SWITCH in document.keyframes
    for object_id, confidence in ((A, 0.4), (B, 0.9)):
        assert document.status(SWITCH + 5, object_id) is S.PROPAGATED
        assert document.confidence(SWITCH + 5, object_id) == pytest.approx(confidence, abs=1e-4)
        assert document.sources(SWITCH + 5, object_id) == (SWITCH,), "who they are was said there"
    assert document.sources(SWITCH + 5, C) == (0,)
    assert document.stale_objects() == ()


def test_undo_gives_back_masks_statuses_and_confidences(stack, document):
    def state():
        return [
            (
                document.labels(f).tobytes(),
                *((document.status(f, i), document.confidence(f, i)) for i in (A, B)),
            )
            for f in range(FRAMES)
        ]

    before = state()
    stack.push(SwapObjects(A, B, SWITCH, stop=FRAMES))
    after = state()
    stack.undo()
    assert state() == before
    assert document.keyframes == (0,)
    stack.redo()
    assert state() == after != before


def test_on_this_frame_alone_it_is_a_correction_like_any_other(stack, document):
    stack.push(SwapObjects(B, A, SWITCH))
    assert shown(document, SWITCH) == (A, B, C)
    assert shown(document, SWITCH + 1) == (B, A, C)
    assert document.status(SWITCH, A) is S.CORRECTED
    # Frames nearer to this one than to frame 0, where they came from, depend on it now.
    assert document.stale_spans(A) == document.stale_spans(B) == [(6, SWITCH), (SWITCH + 1, FRAMES)]
    assert document.stale_spans(C) == []


def test_locked_frames_stay_and_are_counted(stack, document):
    stack.push(LockFrames([12, 13]))
    command = SwapObjects(A, B, SWITCH, stop=FRAMES)
    stack.push(command)
    assert shown(document, 12) == (B, A, C)
    assert document.sources(12, A) == (0,)
    assert shown(document, 14) == (A, B, C)
    assert (command.frames, command.locked) == (18, 2)
    with pytest.raises(UserError, match="Frame 12 is locked"):
        stack.push(SwapObjects(A, B, 12, stop=FRAMES))


def test_it_ends_where_a_person_has_said_who_is_who(stack, document):
    labels = label_map(A, B)
    labels[0, 0] = A
    stack.push(PaintStroke(20, labels, A))
    command = SwapObjects(A, B, SWITCH, stop=FRAMES)
    stack.push(command)
    assert (command.drawn, command.last) == (20, 19)
    assert [shown(document, f) for f in (19, 20, 21)] == [(A, B, C), (A, B, C), (B, A, C)]
    assert document.status(15, B) is S.STALE, "the drawing had made this mask out of date, whosever it is"


def test_what_follows_the_end_of_the_range_is_out_of_date(stack, document):
    stack.push(SwapObjects(A, B, SWITCH, stop=15))
    assert shown(document, 14) == (A, B, C)
    assert shown(document, 15) == (B, A, C)
    assert document.stale_spans(A) == document.stale_spans(B) == [(15, FRAMES)]


def test_a_mask_goes_over_to_an_object_that_was_lost(stack, document):
    for frame in range(1, FRAMES):
        labels = label_map(0, A) if frame >= SWITCH else label_map(A, B)
        stack.push(ApplyPropagation([(frame, labels, {A: 0.5}, (0,))], objects=(A, B), run="again"))
    stack.close_step()
    stack.push(SwapObjects(A, B, SWITCH, stop=FRAMES))
    assert shown(document, SWITCH) == shown(document, FRAMES - 1) == (0, B, C)
    assert document.status(SWITCH, A) is S.CORRECTED, "that it is not there has been said"
    assert document.status(20, A) is S.ABSENT
    assert document.status(20, B) is S.PROPAGATED


def test_what_cannot_be_swapped_is_refused_and_nothing_changes(stack, document):
    stack.push(SetObjectProperty((B,), locked=True))
    with pytest.raises(UserError, match="'cat' is locked"):
        stack.push(SwapObjects(A, B, SWITCH, stop=FRAMES))
    stack.undo()
    stack.push(AddObject("bird"))
    stack.push(AddObject("fish"))
    with pytest.raises(UserError, match="Neither 'bird' nor 'fish' is on frame 3"):
        stack.push(SwapObjects(4, 5, 3, stop=FRAMES))
    with pytest.raises(ValueError, match="two objects"):
        SwapObjects(A, A, 3)
    assert shown(document, SWITCH) == (B, A, C)


def test_propagating_the_project_anew_starts_from_what_was_said(stack, document):
    runs = (PropagationRun((A, B, C), (0,), "forward", 0, FRAMES),)
    stack.push(SwapObjects(A, B, SWITCH, stop=FRAMES))
    steps = plan_replay(document.snapshot(), runs)
    for object_id, keyframe in ((A, SWITCH), (B, SWITCH), (C, 0)):
        for frame in (SWITCH + 1, FRAMES - 1):
            (owner,) = [s.run for s in steps if object_id in s.owns and s.owns[object_id][frame]]
            assert keyframe in owner.keyframes
