"""The sentence that says why a pixel has its label: never at odds with the label."""

from __future__ import annotations

import pytest

from smtc_app.core.views import LabelReasons, LabelVote, LabelVotes, Opinion, reason_sentence, step_sentence

NAMES = {0: "background", 1: "dog", 2: "cat"}


def sentence(label, votes, opinions, together, **options):
    voted = LabelVotes(5, (1.0, 2.0), label, tuple(LabelVote(4, 0, 0, k, w, 0.9) for k, w in votes.items()))
    found = tuple(Opinion(kind, weight, {said: 1.0}) for kind, weight, said in opinions)
    reasons = LabelReasons(5, (1.0, 2.0), found, together)
    return reason_sentence(voted, reasons, NAMES.__getitem__, **options)


@pytest.mark.parametrize(
    ("votes", "opinions", "expected"),
    [
        ({1: 1.0}, [], "Votes say dog"),
        (
            {1: 1.0},
            [("match", 0.4, 1), ("appearance", 0.5, 1), ("motion", 0.1, 1)],
            "Votes, appearance and motion all say dog",
        ),
        (
            {1: 1.0},
            [("match", 0.3, 1), ("appearance", 0.7, 1), ("motion", 0.0, 0)],
            "Votes and appearance say dog",
        ),
        (
            {0: 0.6, 1: 0.4},
            [("appearance", 0.7, 1), ("match", 0.3, 0)],
            "Appearance says dog and outweighs votes (background)",
        ),
        (
            {1: 1.0},
            [("match", 0.4, 0), ("appearance", 0.4, 2), ("motion", 0.2, 0)],
            "Votes say dog and outweigh appearance (cat) and motion (background)",
        ),
        (
            {0: 1.0},
            [("match", 0.5, 0), ("appearance", 0.5, 2)],
            "None of it alone says dog, but the product of votes (background) and appearance (cat) does",
        ),
    ],
)
def test_it_names_what_agrees_and_what_is_outweighed(votes, opinions, expected):
    # For the votes the listed ones count, not what the engine had of them.
    assert sentence(1, votes, opinions, {1: 0.6, 0: 0.4}) == expected


@pytest.mark.parametrize(("edited", "said"), [(False, "changed since"), (True, "painting on this frame")])
def test_a_label_that_cannot_be_repeated_is_owned_up_to(edited, said):
    text = sentence(1, {0: 1.0}, [("match", 1.0, 0)], {0: 0.72, 1: 0.28}, edited=edited)
    assert text.startswith("Together they would say background (72%) here")
    assert said in text
    assert text.endswith("made it dog")


def test_it_says_whether_the_votes_are_the_whole_way():
    votes = LabelVotes(5, (1.0, 2.0), 1, tuple(LabelVote(f, 0, 0, 1, 0.5, 0.9) for f in (0, 4)))
    assert "last step only" in step_sentence(votes, (0, 9))
    assert "whole way" in step_sentence(votes, (0, 4))
