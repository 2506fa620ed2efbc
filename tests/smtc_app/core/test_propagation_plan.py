"""What a propagation computes, for whom and from where."""

from __future__ import annotations

import numpy as np
import pytest

from smtc_app.core.commands import AddObject, ApplyPropagation, LockFrames, PaintStroke, SetObjectProperty
from smtc_app.core.document import Document
from smtc_app.core.propagation_plan import plan_propagation, plan_span, plan_update, why_nothing
from smtc_app.core.undo import UndoStack

FRAMES, W, H = 100, 16, 12


@pytest.mark.parametrize(
    ("direction", "frame", "keyframes", "span"),
    [
        ("forward", 0, (0,), (0, 100)),
        ("forward", 30, (10, 50), (10, 100)),
        ("forward", 50, (10, 50), (50, 100)),
        ("forward", 5, (10,), None),
        ("backward", 30, (10, 50), (0, 51)),
        ("backward", 10, (10, 50), (0, 11)),
        ("backward", 60, (10, 50), None),
        ("both", 60, (10, 50), (0, 100)),
        ("both", 60, (), None),
    ],
)
def test_spans(direction, frame, keyframes, span):
    assert plan_span(direction, frame, keyframes, FRAMES) == span


def test_another_direction_is_an_error():
    with pytest.raises(ValueError, match="sideways"):
        plan_span("sideways", 0, (0,), FRAMES)


@pytest.fixture
def stack():
    """Object 1 on the left from frame 20 on, object 2 on the right from frame 60 on."""
    stack = UndoStack(Document(FRAMES, (W, H)))
    for object_id, frame in ((1, 20), (2, 60)):
        stack.push(AddObject(object_id=object_id))
        paint(stack, frame, object_id)
    return stack


def paint(stack, frame, object_id, rows=6):
    labels = np.array(stack.document.labels(frame))
    half = slice(0, W // 2) if object_id == 1 else slice(W // 2, W)
    labels[:, half][labels[:, half] == object_id] = 0
    labels[:rows, half] = object_id
    stack.push(PaintStroke(frame, labels, object_id))


def propagated(stack, object_id, source, frames):
    labels = np.zeros((H, W), np.uint16)
    labels[:6, slice(0, W // 2) if object_id == 1 else slice(W // 2, W)] = object_id
    stack.push(
        ApplyPropagation([(f, labels, {object_id: 0.9}, (source,)) for f in frames], objects={object_id})
    )


def told(plan):
    return [(set(p.objects), sorted(p.keyframes), p.direction, p.span) for p in plan]


def test_objects_of_other_keyframes_have_parts_of_their_own(stack):
    assert told(plan_propagation(stack.document, "both", 0)) == [
        ({1}, [20], "both", (0, 100)),
        ({2}, [60], "both", (0, 100)),
    ]
    assert told(plan_propagation(stack.document, "forward", 30)) == [({1}, [20], "forward", (20, 100))]
    assert told(plan_propagation(stack.document, "both", 0, objects=[2], bounds=(50, 70))) == [
        ({2}, [60], "both", (50, 70))
    ]
    stack.push(SetObjectProperty(1, locked=True))
    assert told(plan_propagation(stack.document, "forward", 30)) == []


def test_nothing_is_stale_before_a_correction(stack):
    propagated(stack, 1, 20, range(21, 100))
    assert plan_update(stack.document) == []


def test_an_update_computes_what_depends_on_the_correction_only(stack):
    propagated(stack, 1, 20, [*range(20), *range(21, 100)])
    propagated(stack, 2, 60, range(61, 100))
    paint(stack, 40, 1, rows=3)
    # Between 20 and 40, frames nearer to 40 depend on it; so does all that follows.
    assert told(plan_update(stack.document)) == [
        ({1}, [20, 40], "both", (31, 40)),
        ({1}, [20, 40], "forward", (41, 100)),
    ]
    assert told(plan_update(stack.document, bounds=(35, 60))) == [
        ({1}, [20, 40], "both", (35, 40)),
        ({1}, [20, 40], "forward", (41, 60)),
    ]


def test_an_update_before_the_first_keyframe_comes_from_backward(stack):
    propagated(stack, 2, 60, [*range(60), *range(61, 100)])
    paint(stack, 60, 2, rows=3)
    assert told(plan_update(stack.document)) == [
        ({2}, [60], "backward", (0, 60)),
        ({2}, [60], "forward", (61, 100)),
    ]


def test_locked_frames_and_objects_are_not_computed(stack):
    propagated(stack, 1, 20, range(21, 100))
    stack.push(LockFrames(range(50, 100)))
    paint(stack, 40, 1, rows=3)
    assert told(plan_update(stack.document))[-1] == ({1}, [20, 40], "forward", (41, 50))
    stack.push(SetObjectProperty(1, locked=True))
    assert plan_update(stack.document) == []


@pytest.mark.parametrize(
    ("direction", "frame", "bounds", "said"),
    [
        ("forward", 5, None, "No keyframe lies on this frame or before it: propagate backward (B)"),
        ("backward", 70, None, "No keyframe lies on this frame or after it: propagate forward (F)"),
        ("forward", 30, (20, 21), "up to the end of the range there are only keyframes"),
        ("both", 30, (20, 21), "in the whole range there are only keyframes"),
    ],
)
def test_an_empty_plan_is_explained(stack, direction, frame, bounds, said):
    assert plan_propagation(stack.document, direction, frame, objects=(1,), bounds=bounds) == []
    assert said in why_nothing(stack.document, direction, frame, objects=(1,), bounds=bounds)


def test_a_video_of_one_frame_has_nothing_to_propagate_to():
    stack = UndoStack(Document(1, (W, H)))
    stack.push(AddObject(object_id=1))
    paint(stack, 0, 1)
    assert plan_propagation(stack.document, "forward", 0) == []
    assert "up to the end of the video there are only keyframes" in why_nothing(stack.document, "forward", 0)
