"""What edits, propagation and locks mean for labels and statuses."""

from __future__ import annotations

import numpy as np
import pytest

from smtc_app.core.annotation import FrameStatus, ProposalMask
from smtc_app.core.commands import (
    AcceptProposals,
    AddObject,
    ApplyPropagation,
    ClearObjects,
    Compound,
    ExtendSplit,
    LockFrames,
    MergeObjects,
    PaintStroke,
    RecolourObject,
    RejectProposals,
    RemoveObjects,
    RenameObject,
    ReorderObjects,
    SetKeyframe,
    SetLabels,
    SetObjectProperty,
    SplitObject,
)
from smtc_app.core.document import Document
from smtc_app.core.errors import UserError
from smtc_app.core.palette import object_colour
from smtc_app.core.undo import UndoStack

H, W, FRAMES = 12, 20, 60
A, B = 1, 2
LEFT = (slice(2, 10), slice(1, 8))
RIGHT = (slice(2, 10), slice(11, 19))
S = FrameStatus


@pytest.fixture
def document():
    return Document(FRAMES, (W, H))


@pytest.fixture
def stack(document):
    stack = UndoStack(document)
    stack.push(AddObject("dog"))
    stack.push(AddObject("cat"))
    return stack


def labelled(**places):
    labels = np.zeros((H, W), np.uint16)
    for name, place in places.items():
        labels[place] = {"a": A, "b": B}[name]
    return labels


def paint(stack, frame, place, object_id):
    labels = np.array(stack.document.labels(frame))
    labels[place] = object_id
    stack.push(PaintStroke(frame, labels, object_id or None))


def propagate(stack, frames, sources, labels=None, objects=(A, B), **options):
    labels = labelled(a=LEFT, b=RIGHT) if labels is None else labels
    confidence = dict.fromkeys(objects, 0.5)
    for frame in frames:
        stack.push(ApplyPropagation([(frame, labels, confidence, sources)], objects=objects, **options))
    stack.close_step()


def statuses(document, object_id):
    return [S(value) for value in document.status_array(object_id)]


def test_masks_are_read_only_and_shared(stack, document):
    paint(stack, 3, LEFT, A)
    labels = document.labels(3)
    assert labels.dtype == np.uint16
    assert labels.shape == (H, W)
    with pytest.raises(ValueError, match="read-only"):
        labels[0, 0] = 1
    assert document.labels(4).max() == 0
    assert not document.has_labels(4)
    paint(stack, 3, RIGHT, B)
    assert (labels[RIGHT] == 0).all(), "an array given out must not follow later edits"


def test_painting_makes_the_object_manual_and_the_frame_a_keyframe(stack, document):
    paint(stack, 3, LEFT, A)
    assert document.status(3, A) is S.MANUAL
    assert document.status(3, B) is S.ABSENT
    assert document.keyframes == (3,)
    assert document.has_labels(3)
    assert stack.undo_text == "Paint 'dog'"
    paint(stack, 3, LEFT, 0)
    assert stack.undo_text == "Erase"
    assert document.status(3, A) is S.ABSENT
    assert document.keyframes == (), "nothing is left to propagate from"


def test_a_stroke_that_changes_nothing_is_no_step(stack, document):
    paint(stack, 3, LEFT, A)
    texts, revision = stack.texts, document.revision
    paint(stack, 3, LEFT, A)
    assert (stack.texts, document.revision) == (texts, revision)


def test_propagation_records_sources_and_confidence(stack, document):
    paint(stack, 0, LEFT, A)
    propagate(stack, range(1, 5), (0,), objects=(A,), labels=labelled(a=LEFT))
    assert statuses(document, A)[:6] == [S.MANUAL, *[S.PROPAGATED] * 4, S.ABSENT]
    assert document.sources(2, A) == (0,)
    assert document.confidence(2, A) == pytest.approx(0.5, abs=1e-4)
    assert document.confidence(0, A) is None
    assert np.isnan(document.confidence_array(A)[0])
    assert document.keyframes == (0,)


def test_a_run_is_one_step_however_many_frames_arrive(stack, document):
    paint(stack, 0, LEFT, A)
    before = stack.texts
    propagate(stack, range(1, 41), (0,), run="first")
    assert stack.texts == (*before, "Propagate 40 frames")
    propagate(stack, [41], (0,), run="second")
    assert stack.texts[-2:] == ("Propagate 40 frames", "Propagate 1 frame")
    stack.undo()
    stack.undo()
    assert document.labelled_frames == (0,)
    assert set(statuses(document, A)[1:]) == {S.ABSENT}


def test_propagation_keeps_other_objects_locked_ones_and_what_a_person_made(stack, document):
    paint(stack, 0, LEFT, A)
    paint(stack, 5, RIGHT, B)  # not propagated below
    paint(stack, 6, (slice(0, 2), slice(0, 2)), A)  # corrected by hand below
    everything_a = np.full((H, W), A, np.uint16)
    propagate(stack, [5, 6], (0,), labels=everything_a, objects=(A,))
    assert (document.labels(5)[RIGHT] == B).all()
    assert (document.labels(5) == A).sum() == H * W - document.labels(5)[RIGHT].size
    assert (document.labels(6) == A).sum() == 4, "a manual frame stays"
    stack.push(SetObjectProperty(A, locked=True))
    propagate(stack, [7], (0,), labels=everything_a, objects=(A,))
    assert not document.has_labels(7)


def test_locked_frames_never_change(stack, document):
    paint(stack, 5, LEFT, A)
    stack.push(LockFrames([5, 6]))
    before = document.labels(5)
    edits = [
        PaintStroke(5, labelled(a=RIGHT), A),
        SetLabels(5, labelled()),
        RemoveObjects(A),
        MergeObjects(A, B),
        SplitObject(5, A, [np.arange(W)[None] < 4, np.arange(W)[None] >= 4]),
        ClearObjects(A, [5]),
    ]
    for edit in edits:
        texts, revision = stack.texts, document.revision
        with pytest.raises(UserError, match="Frame 5 is locked"):
            stack.push(edit)
        assert (stack.texts, document.revision) == (texts, revision)
    propagate(stack, [6], (5,))
    assert not document.has_labels(6), "a run passes over locked frames"
    assert document.labels(5) is before
    stack.push(LockFrames(5, False))
    stack.push(SetLabels(5, labelled()))
    assert not document.has_labels(5)


def test_locked_objects_are_refused(stack, document):
    paint(stack, 0, LEFT, A)
    stack.push(SetObjectProperty(A, locked=True))
    for edit in (PaintStroke(0, labelled(b=LEFT), B), RemoveObjects([A, B]), MergeObjects(A, B)):
        with pytest.raises(UserError, match="'dog' is locked"):
            stack.push(edit)
    assert (document.labels(0)[LEFT] == A).all()


def test_unknown_objects_are_refused(stack):
    labels = labelled()
    labels[0, 0] = 77
    with pytest.raises(UserError, match="no object 77"):
        stack.push(SetLabels(0, labels))
    with pytest.raises(UserError, match="no frame 60"):
        stack.push(SetLabels(FRAMES, labelled()))


def test_a_correction_makes_only_its_object_and_span_stale(stack, document):
    for place, object_id in ((LEFT, A), (RIGHT, B)):
        paint(stack, 0, place, object_id)
        paint(stack, 40, place, object_id)
    propagate(stack, range(1, 40), (0,))
    propagate(stack, range(41, FRAMES), (40,), run=2)
    paint(stack, 10, (slice(3, 5), slice(1, 8)), 0)  # erases part of A
    assert document.status(10, A) is S.CORRECTED
    assert document.keyframes == (0, 10, 40)
    # Frames came from 0; those nearer to 10 than to 0 are out of date, up to the neighbouring keyframes.
    assert document.stale_spans(A) == [(6, 10), (11, 40)]
    assert document.stale_spans(B) == []
    assert document.stale_objects() == (A,)
    stack.undo()
    assert document.stale_spans(A) == []


def test_editing_a_source_keyframe_makes_everything_from_it_stale(stack, document):
    paint(stack, 20, LEFT, A)
    propagate(stack, [*range(21, 30), *range(19, 9, -1)], (20,), labels=labelled(a=LEFT), objects=(A,))
    paint(stack, 20, (0, 0), A)
    assert document.stale_spans(A) == [(10, 20), (21, 30)]
    propagate(stack, range(21, 30), (20,), labels=labelled(a=LEFT), objects=(A,), run=2)
    assert document.stale_spans(A) == [(10, 20)], "propagating again brings a span up to date"


def test_frames_where_propagation_found_nothing_become_stale_too(stack, document):
    paint(stack, 0, LEFT, A)
    propagate(stack, range(1, 10), (0,), labels=labelled(), objects=(A,))
    assert document.status(5, A) is S.ABSENT
    assert document.sources(5, A) == (0,)
    paint(stack, 5, LEFT, A)
    assert document.stale_spans(A) == [(3, 5), (6, 10)]


def test_locked_frames_never_become_stale(stack, document):
    paint(stack, 0, LEFT, A)
    propagate(stack, range(1, 6), (0,))
    stack.push(LockFrames([2, 3]))
    paint(stack, 0, (0, 0), A)
    assert document.stale_spans(A) == [(1, 2), (4, 6)]


def test_frames_from_a_keyframe_edited_during_the_run_arrive_stale(stack, document):
    paint(stack, 0, LEFT, A)
    paint(stack, 0, RIGHT, B)
    started = document.revision
    propagate(stack, [1], (0,), revision=started)
    paint(stack, 0, (0, 0), A)
    propagate(stack, [2], (0,), revision=started)
    assert [document.status(frame, A) for frame in (1, 2)] == [S.STALE, S.STALE]
    assert [document.status(frame, B) for frame in (1, 2)] == [S.PROPAGATED, S.PROPAGATED]


def test_marking_a_keyframe_confirms_what_is_there(stack, document):
    paint(stack, 0, LEFT, A)
    propagate(stack, range(1, 20), (0,), labels=labelled(a=LEFT), objects=(A, B))
    stack.push(SetKeyframe(10, True))
    assert document.status(10, A) is S.CORRECTED
    assert document.status(10, B) is S.CORRECTED, "that it is not there is confirmed too"
    assert document.anchors(A).tolist() == [0, 10]
    stack.push(SetKeyframe(10, False))
    assert document.anchors(A).tolist() == [0]


def test_propagation_groups_keep_objects_with_other_keyframes_apart(stack, document):
    stack.push(AddObject("bird"))
    paint(stack, 0, LEFT, A)
    paint(stack, 0, (0, slice(None)), 3)
    paint(stack, 50, RIGHT, B)
    groups = dict(document.propagation_groups())
    assert set(groups) == {frozenset({A, 3}), frozenset({B})}
    assert list(groups[frozenset({B})]) == [50]
    assert set(np.unique(groups[frozenset({A, 3})][0])) == {0, A, 3}
    assert document.propagation_groups([B])[0][0] == {B}
    stack.push(SetObjectProperty(B, locked=True))
    assert document.propagation_groups([B]) == []


def test_painting_over_another_object_keeps_its_status_until_its_last_pixel(stack, document):
    paint(stack, 0, RIGHT, B)
    propagate(stack, [1], (0,), labels=labelled(b=RIGHT), objects=(B,))
    paint(stack, 1, (slice(2, 4), slice(11, 19)), A)
    assert document.status(1, B) is S.PROPAGATED
    paint(stack, 1, RIGHT, A)
    assert document.status(1, B) is S.ABSENT


def test_removing_an_object_clears_it_everywhere_and_undo_brings_it_back(stack, document):
    paint(stack, 0, LEFT, A)
    paint(stack, 0, RIGHT, B)
    propagate(stack, range(1, 10), (0,))
    masks = [document.labels(frame) for frame in range(12)]
    stack.push(RemoveObjects(A))
    assert stack.undo_text == "Delete 'dog'"
    assert list(document.objects) == [B]
    assert set(np.unique(document.labels(5))) == {0, B}
    with pytest.raises(KeyError):
        document.status(5, A)
    stack.push(RemoveObjects(B))
    assert document.labelled_frames == ()
    stack.undo()
    stack.undo()
    assert all(np.array_equal(document.labels(frame), mask) for frame, mask in enumerate(masks))
    assert document.status(5, A) is S.PROPAGATED
    assert document.sources(5, A) == (0,)


def test_merging_everywhere_moves_pixels_and_keeps_the_better_status(stack, document):
    paint(stack, 0, LEFT, A)
    paint(stack, 4, RIGHT, B)
    propagate(stack, [4], (0,), labels=labelled(a=LEFT), objects=(A,))
    stack.push(MergeObjects([A, B], A))
    assert stack.undo_text == "Merge 'cat' into 'dog'"
    assert list(document.objects) == [A]
    assert (document.labels(4)[RIGHT] == A).all()
    assert (document.labels(4)[LEFT] == A).all()
    assert document.status(4, A) is S.MANUAL
    with pytest.raises(UserError, match="at least two"):
        stack.push(MergeObjects([A], A))


def test_merging_on_one_frame_leaves_the_others(stack, document):
    for frame in (0, 1):
        paint(stack, frame, LEFT, A)
        paint(stack, frame, RIGHT, B)
    stack.push(MergeObjects(B, A, frames=[1]))
    assert set(np.unique(document.labels(0))) == {0, A, B}
    assert set(np.unique(document.labels(1))) == {0, A}
    assert set(document.objects) == {A, B}
    assert document.status(1, B) is S.ABSENT


def test_splitting_gives_new_objects_on_every_frame_named(stack, document):
    for frame in (0, 1):
        paint(stack, frame, LEFT, A)
    top, bottom = np.zeros((2, H, W), bool)
    top[:6], bottom[6:] = True, True
    split = SplitObject(0, A, [top, bottom], also={1: [bottom, top]})
    stack.push(split)
    assert split.object_ids == (A, 3)
    assert document.objects[3].name == "dog 2"
    assert document.objects[3].colour == object_colour(3)
    assert (document.labels(0)[6:10, 1:8] == 3).all()
    assert (document.labels(0)[2:6, 1:8] == A).all()
    assert (document.labels(1)[2:6, 1:8] == 3).all()
    assert document.status(1, 3) is S.MANUAL
    with pytest.raises(UserError, match="only one part"):
        stack.push(SplitObject(0, A, [top, bottom]))


def test_object_properties(stack, document):
    stack.push(RenameObject(A, "  big   dog "))
    stack.push(RecolourObject([A, B], (1, 2, 3)))
    stack.push(SetObjectProperty([A, B], visible=False))
    stack.push(SetObjectProperty(A, category="animal"))
    stack.push(ReorderObjects([B]))
    assert stack.texts[2:] == (
        "Rename 'dog' to 'big dog'",
        "Recolour 2 objects",
        "Hide 2 objects",
        "Categorise 'big dog'",
        "Reorder objects",
    )
    assert list(document.objects) == [B, A]
    info = document.objects[A]
    assert (info.name, info.colour, info.visible, info.category) == ("big dog", (1, 2, 3), False, "animal")
    stack.push(RecolourObject(A, None))
    assert document.objects[A].colour == object_colour(A)
    with pytest.raises(UserError, match="needs a name"):
        stack.push(RenameObject(A, "  "))


def test_new_objects_get_free_ids_names_and_palette_colours(stack, document):
    stack.push(AddObject(object_id=9))
    stack.push(AddObject())
    assert list(document.objects) == [A, B, 9, 10]
    assert document.objects[10].name == "object 10"
    with pytest.raises(UserError, match="already is an object 9"):
        stack.push(AddObject(object_id=9))
    for bad in (0, 65535):
        with pytest.raises(UserError, match="no object number"):
            stack.push(AddObject(object_id=bad))


def proposal(frame, number, place, score=0.5, track=None):
    mask = np.zeros((H, W), bool)
    mask[place] = True
    return ProposalMask(frame, number, mask=mask, score=score, track=track)


def test_proposals_enter_the_labels_only_when_accepted(stack, document):
    given = [proposal(0, 1, LEFT), proposal(0, 2, RIGHT)]
    texts = stack.texts
    document.suggest({0: given})
    assert stack.texts == texts, "what the machine suggests is no step"
    assert document.proposals(0) == tuple(given)
    assert not document.has_labels(0)
    accept = AcceptProposals(0, [2])
    stack.push(accept)
    assert accept.object_ids == {2: 3}
    assert (document.labels(0)[RIGHT] == 3).all()
    assert document.status(0, 3) is S.PROPOSED
    assert document.keyframes == (0,)
    assert document.proposals(0) == (given[0],)
    stack.push(RejectProposals(0))
    assert document.proposal_frames == ()
    stack.undo()
    stack.undo()
    assert document.proposals(0) == tuple(given)
    assert 3 not in document.objects
    with pytest.raises(UserError, match="no proposal 7"):
        stack.push(AcceptProposals(0, [7]))
    with pytest.raises(UserError, match="has no proposals"):
        stack.push(AcceptProposals(5))


def test_accepted_proposals_keep_existing_labels_and_the_higher_score_wins(stack, document):
    paint(stack, 0, (slice(2, 4), slice(1, 8)), A)
    weak, strong = proposal(0, 1, (slice(0, 12), slice(0, 10)), 0.2), proposal(0, 2, LEFT, 0.9)
    document.suggest({0: [weak, strong]})
    accept = AcceptProposals(0)
    stack.push(accept)
    labels = document.labels(0)
    assert (labels[2:4, 1:8] == A).all()
    assert (labels[4:10, 1:8] == accept.object_ids[2]).all()
    assert labels[0, 0] == accept.object_ids[1]


def test_accepting_a_linked_proposal_accepts_the_object_on_all_frames(stack, document):
    document.suggest(
        {
            0: [proposal(0, 1, LEFT, track=5), proposal(0, 2, RIGHT, track=6)],
            8: [proposal(8, 1, RIGHT, track=5)],
            9: [proposal(9, 1, RIGHT, track=5)],
        }
    )
    stack.push(LockFrames(9))
    stack.push(AcceptProposals(0, [1], into={1: A}, linked=True))
    assert (document.labels(8)[RIGHT] == A).all()
    assert document.keyframes == (0, 8)
    assert not document.has_labels(9)
    assert document.proposal_frames == (0, 9)
    stack.push(RejectProposals(0, [2], linked=True))
    assert document.proposal_frames == (9,)


def test_suggestions_are_announced_and_checked(stack, document):
    stack.mark_clean()
    changes = []
    document.subscribe(changes.append)
    given, revision = [proposal(2, 1, LEFT)], document.revision
    document.suggest({2: given, 3: []})
    assert [(change.kind, set(change.frames)) for change in changes] == [("proposals", {2})]
    assert document.revision > revision
    assert not document.modified
    document.suggest({2: given})
    assert len(changes) == 1, "the same again is no change"
    for wrong in ([proposal(2, 1, LEFT), proposal(2, 1, RIGHT)], [ProposalMask(2, 1, mask=np.ones((2, 2)))]):
        with pytest.raises(ValueError, match="proposal"):
            document.suggest({2: wrong})
    with pytest.raises(IndexError):
        document.suggest({FRAMES: given})
    document.suggest({2: ()})
    assert document.proposal_frames == ()


def test_an_undone_answer_brings_the_proposals_back(stack, document):
    first, second = [proposal(0, 1, LEFT)], [proposal(0, 1, RIGHT), proposal(0, 2, LEFT)]
    document.suggest({0: first})
    stack.push(AcceptProposals(0))
    stack.undo()
    assert document.proposals(0) == tuple(first)
    stack.redo()
    document.suggest({0: second})
    stack.push(RejectProposals(0))
    stack.undo()
    assert document.proposals(0) == tuple(second)
    stack.undo()
    assert document.proposals(0) == tuple(first)
    assert not document.has_labels(0)
    stack.redo()
    assert document.has_labels(0)


def test_a_proposal_mask_survives_packing():
    mask = np.random.default_rng(0).random((H, W)) > 0.7
    packed = ProposalMask(3, 1, mask=mask, score=0.25, slot=4)
    assert np.array_equal(packed.mask, mask)
    assert packed.area == mask.sum()
    assert np.array_equal(packed.crop, mask[packed.window])
    assert all(packed.covers(x, y) == mask[y, x] for y in range(H) for x in range(W))
    again = ProposalMask.from_packed(
        3, 1, shape=(H, W), box=packed.box, packed=packed.packed, score=0.25, slot=4
    )
    assert np.array_equal(again.mask, mask)
    assert (again.area, again.box, again.shape) == (packed.area, packed.box, packed.shape)
    for box, data in (((0, 0, W + 1, H), packed.packed), (packed.box, b"x"), ((0, 0, 2, 2), packed.packed)):
        with pytest.raises(ValueError, match="mask"):
            ProposalMask.from_packed(3, 1, shape=(H, W), box=box, packed=data, score=1)
    empty = ProposalMask(3, 2, mask=np.zeros((H, W), bool))
    assert empty.box == (0, 0, 0, 0)
    assert not empty.mask.any()


def test_a_compound_is_all_or_nothing(stack, document):
    revision, texts = document.revision, stack.texts
    seen = []
    document.subscribe(seen.append)
    with pytest.raises(UserError):
        stack.push(Compound([AddObject("bird"), SetLabels(0, labelled(a=LEFT)), RemoveObjects(99)], "All"))
    assert (document.revision, stack.texts, seen) == (revision, texts, [])
    assert list(document.objects) == [A, B]
    assert not document.has_labels(0)
    stack.push(Compound([AddObject("bird", object_id=7), SetLabels(0, labelled(a=LEFT))], "Import"))
    assert stack.undo_text == "Import"
    stack.undo()
    assert list(document.objects) == [A, B]


def test_changes_are_announced(stack, document):
    changes, steps = [], []
    unsubscribe = document.subscribe(changes.append)
    document.subscribe_steps(steps.append)
    paint(stack, 3, LEFT, A)
    kinds = {change.kind: change for change in changes}
    assert set(kinds) == {"labels", "status", "keyframes"}
    assert set(kinds["labels"].frames) == {3}
    assert set(kinds["labels"].objects) == {A}
    assert len(steps) == 1
    changes.clear()
    stack.undo()
    assert {change.kind for change in changes} == {"labels", "status", "keyframes"}
    unsubscribe()
    stack.redo()
    assert len(changes) == 3
    assert len(steps) == 3


def test_snapshots_do_not_follow_later_changes(stack, document):
    paint(stack, 3, LEFT, A)
    state = document.snapshot()
    paint(stack, 3, RIGHT, B)
    stack.push(RemoveObjects(A))
    assert set(np.unique(state.labels(3))) == {0, A}
    assert state.tracks[A].status[3] == S.MANUAL
    assert [info.id for info in state.objects] == [A, B]
    other = Document(FRAMES, (W, H))
    other.restore(state)
    assert np.array_equal(other.labels(3), state.labels(3))
    assert other.keyframes == (3,)
    with pytest.raises(ValueError, match="does not fit"):
        Document(FRAMES, (W, H + 1)).restore(state)


@pytest.mark.parametrize(("frames", "size"), [(0, (W, H)), (3, (0, H))])
def test_a_document_needs_frames_and_pixels(frames, size):
    with pytest.raises(ValueError, match="needs frames and pixels"):
        Document(frames, size)


def test_frames_outside_are_an_index_error(document):
    for frame in (-1, FRAMES):
        with pytest.raises(IndexError):
            document.labels(frame)


def test_a_split_carried_on_is_one_step_and_keeps_what_is_known(stack, document):
    whole = (slice(2, 10), slice(2, 18))
    paint(stack, 0, whole, A)
    stack.push(ApplyPropagation([(f, labelled(a=whole), {A: 0.8}, (0,)) for f in range(1, 6)], objects={A}))
    stack.push(LockFrames(5))
    left, right = (slice(2, 10), slice(2, 9)), (slice(2, 10), slice(9, 18))
    masks = [np.zeros((H, W), bool) for _ in range(2)]
    masks[0][left], masks[1][right] = True, True
    split = SplitObject(2, A, masks)
    stack.push(split)
    assert document.status(3, A) is S.STALE
    parts = np.zeros((H, W), np.uint16)
    parts[left], parts[right] = split.object_ids
    new, texts = split.object_ids[1], stack.texts
    for frame in (0, 1, 3, 5):
        stack.push(ExtendSplit(split, frame, parts))
    assert stack.texts == texts, "all of it is one step"
    assert np.array_equal(document.labels(3), parts)
    assert [document.status(f, new) for f in (0, 1, 3)] == [S.MANUAL, S.PROPAGATED, S.PROPAGATED]
    assert document.status(3, A) is S.PROPAGATED
    assert document.sources(3, new) == (0,)
    assert document.confidence(3, new) == pytest.approx(0.8, abs=1e-4)
    assert set(np.unique(document.labels(5))) == {0, A}, "it is locked"
    assert document.anchors(new).tolist() == [0, 2]
    only_left = np.where(parts == A, parts, 0).astype(np.uint16)
    stack.push(ExtendSplit(split, 4, only_left))
    assert (document.labels(4)[right] == A).all(), "what no part claims stays"
    assert document.status(4, new) is S.ABSENT
    stack.undo()
    assert set(np.unique(document.labels(3))) == {0, A}
    assert new not in document.objects
    assert document.status(3, A) is S.PROPAGATED
    stack.redo()
    assert np.array_equal(document.labels(3), parts)
