"""Proposals of several frames as the objects they show."""

from __future__ import annotations

import numpy as np
import pytest

from smtc_app.core.annotation import ProposalMask
from smtc_app.core.proposal_tracks import highest_track, proposed_objects, sampled_frames


def proposal(frame, number, area, score=0.5, track=None):
    mask = np.zeros((10, 20), bool)
    mask.ravel()[:area] = True
    return ProposalMask(frame, number, mask=mask, score=score, track=track)


def test_one_track_is_one_object_those_here_come_first():
    proposals = {
        0: (proposal(0, 1, 40, 0.2, track=7), proposal(0, 2, 10, 0.9, track=8)),
        5: (proposal(5, 1, 50, 0.6, track=9), proposal(5, 2, 20, 0.6, track=7)),
        9: (proposal(9, 1, 20, 0.4, track=7),),
    }
    found = proposed_objects(proposals, 5)
    assert [(o.track, o.here, o.frames) for o in found] == [
        (9, True, (5,)),
        (7, True, (0, 5, 9)),
        (8, False, (0,)),
    ]
    assert found[1].shown is proposals[5][1]
    assert found[1].score == pytest.approx(0.4)
    assert found[1].stability == pytest.approx((20 / 40 + 20 / 20) / 2)
    assert found[0].stability is None
    assert highest_track(proposals) == 9


def test_away_from_a_track_its_best_proposal_stands_for_it():
    proposals = {0: (proposal(0, 1, 9, 0.2, track=1),), 4: (proposal(4, 1, 9, 0.8, track=1),)}
    (found,) = proposed_objects(proposals, 2)
    assert (found.here, found.shown.frame) == (False, 4)


def test_proposals_without_a_track_stand_for_themselves():
    proposals = {0: (proposal(0, 1, 9), proposal(0, 2, 9)), 1: (proposal(1, 1, 9),)}
    assert [o.frames for o in proposed_objects(proposals, 0)] == [(0,), (0,), (1,)]
    assert highest_track(proposals) == 0
    assert proposed_objects({}, 0) == ()


@pytest.mark.parametrize(
    ("span", "most", "including", "expected"),
    [
        ((0, 11), 3, None, [0, 5, 10]),
        ((0, 11), 3, 4, [0, 4, 10]),
        ((0, 11), 3, 0, [0, 5, 10]),
        ((4, 8), 16, 20, [4, 5, 6, 7]),
        ((3, 9), 1, 5, [5]),
        ((3, 4), 16, None, [3]),
    ],
)
def test_frames_are_spread_over_a_span(span, most, including, expected):
    assert sampled_frames(span, most, including=including) == expected


def test_an_empty_span_has_no_frames():
    with pytest.raises(ValueError, match="no frames"):
        sampled_frames((3, 3), 4)
