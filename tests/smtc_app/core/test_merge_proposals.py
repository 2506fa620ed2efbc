"""Merging proposals: one mask, one track, on every frame that proposes one of the parts; undone exactly."""

from __future__ import annotations

import numpy as np
import pytest

from smtc_app.core.annotation import ProposalMask
from smtc_app.core.commands import AcceptProposals, MergeProposals
from smtc_app.core.document import Document
from smtc_app.core.errors import UserError
from smtc_app.core.undo import UndoStack

SHAPE = 10, 20
HEAD, BODY, FAR = np.s_[2:4, 1:5], np.s_[3:8, 4:12], np.s_[0:2, 15:20]


def proposal(frame, number, place, score=0.5, track=None):
    mask = np.zeros(SHAPE, bool)
    mask[place] = True
    return ProposalMask(frame, number, mask=mask, score=score, track=track, slot=number)


@pytest.fixture
def document():
    return Document(6, SHAPE[::-1])


@pytest.fixture
def stack(document):
    return UndoStack(document, limit_bytes=1 << 20)


def union(*places):
    mask = np.zeros(SHAPE, bool)
    for place in places:
        mask[place] = True
    return mask


def test_the_union_takes_the_place_of_the_first_chosen(stack, document):
    far, head, body = proposal(0, 1, FAR), proposal(0, 2, HEAD, 0.2), proposal(0, 3, BODY, 0.8)
    document.suggest({0: [far, head, body]})
    stack.push(MergeProposals([(0, 3), (0, 2)]))
    assert stack.undo_text == "Merge 2 proposals"
    kept, merged = document.proposals(0)
    assert kept is far
    assert (merged.id, merged.track, merged.slot) == (3, None, None)
    assert np.array_equal(merged.mask, union(HEAD, BODY))
    assert merged.area == union(HEAD, BODY).sum()
    assert merged.box == (1, 2, 12, 8)
    assert merged.score == pytest.approx((8 * 0.2 + 40 * 0.8) / 48)
    stack.undo()
    assert document.proposals(0) == (far, head, body)
    stack.redo()
    assert document.proposals(0) == (kept, merged)


def test_linked_proposals_merge_on_all_their_frames_and_are_accepted_as_one(stack, document):
    given = {
        0: [proposal(0, 1, HEAD, track=4), proposal(0, 2, BODY, track=7)],
        2: [proposal(2, 1, BODY, track=7), proposal(2, 5, FAR, track=9)],
        4: [proposal(4, 3, BODY, track=7), proposal(4, 1, HEAD, track=4)],
        5: [proposal(5, 1, FAR, track=9)],
    }
    document.suggest(given)
    stack.push(MergeProposals([(0, 1), (0, 2)]))
    assert {f: [(p.id, p.track) for p in document.proposals(f)] for f in given} == {
        0: [(1, 4)],
        2: [(1, 4), (5, 9)],
        4: [(1, 4)],
        5: [(1, 9)],
    }
    assert np.array_equal(document.proposals(4)[0].mask, union(HEAD, BODY))
    assert document.proposals(2)[0].slot == 1, "alone on its frame it is what it was"
    accept = AcceptProposals(0, [1], linked=True)
    stack.push(accept)
    (object_id,) = accept.object_ids.values()
    assert np.array_equal(document.labels(4) == object_id, union(HEAD, BODY))
    assert np.array_equal(document.labels(2) == object_id, union(BODY))
    stack.undo()
    stack.undo()
    assert {f: list(document.proposals(f)) for f in given} == given


def test_parts_on_different_frames_are_linked(stack, document):
    document.suggest(
        {0: [proposal(0, 1, HEAD)], 3: [proposal(3, 1, BODY)], 5: [proposal(5, 1, FAR, track=2)]}
    )
    stack.push(MergeProposals([(0, 1), (3, 1)]))
    assert [document.proposals(f)[0].track for f in (0, 3, 5)] == [3, 3, 2]
    assert np.array_equal(document.proposals(3)[0].mask, union(BODY))


def test_an_unlinked_one_joins_the_track_of_another(stack, document):
    document.suggest(
        {0: [proposal(0, 1, HEAD), proposal(0, 2, BODY, track=8)], 3: [proposal(3, 1, BODY, track=8)]}
    )
    stack.push(MergeProposals([(0, 1), (0, 2)]))
    assert [(p.id, p.track) for f in (0, 3) for p in document.proposals(f)] == [(1, 8), (1, 8)]


@pytest.mark.parametrize(
    ("chosen", "match"),
    [
        ([], "at least two"),
        ([(0, 1), (0, 1)], "at least two"),
        ([(0, 1), (2, 1)], "at least two"),
        ([(0, 1), (0, 9)], "Frame 0 has no proposal 9"),
    ],
)
def test_what_cannot_be_merged_is_refused_and_changes_nothing(stack, document, chosen, match):
    given = [proposal(0, 1, HEAD, track=4), proposal(0, 2, BODY, track=7)]
    document.suggest({0: given, 2: [proposal(2, 1, HEAD, track=4)]})
    with pytest.raises(UserError, match=match):
        stack.push(MergeProposals(chosen))
    assert document.proposals(0) == tuple(given)
    assert not stack.can_undo


def test_what_was_worked_out_ahead_is_used_only_as_long_as_it_is_true(stack, document):
    document.suggest({0: [proposal(0, 1, HEAD), proposal(0, 2, BODY)]})
    command = MergeProposals([(0, 1), (0, 2)])
    for part in command.parts(document):
        command.take(part, part.compute())
    document.suggest({0: [proposal(0, 1, HEAD), proposal(0, 2, FAR)]})
    stack.push(command)
    assert np.array_equal(document.proposals(0)[0].mask, union(HEAD, FAR))


def test_an_empty_mask_adds_nothing(stack, document):
    empty = ProposalMask(0, 1, mask=np.zeros(SHAPE, bool), score=0.3)
    document.suggest({0: [empty, proposal(0, 2, BODY)]})
    stack.push(MergeProposals([(0, 1), (0, 2)]))
    assert document.proposals(0)[0].box == (4, 3, 12, 8)
