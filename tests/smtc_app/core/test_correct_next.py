"""The frame that helps most comes first, neighbours do not follow, and the reason says what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from smtc_app.core.correct_next import ObjectEvidence, suggest


def evidence(object_id=1, count=200, *, name="", base=0.95, **low) -> ObjectEvidence:
    """low: f10_20=0.2 sets frames 10 to 19."""
    confidence = np.full(count, base)
    for key, value in low.items():
        first, stop = map(int, key[1:].split("_"))
        confidence[first:stop] = value
    return ObjectEvidence(object_id, name, confidence)


def test_a_long_lost_stretch_beats_one_worse_frame():
    found = suggest([evidence(f20_21=0.0, f100_131=0.25)])
    assert 105 <= found[0].frame <= 125
    assert found[0].reason == "object 1 is lost on 31 frames (100 to 130)"
    assert [s.gain for s in found] == sorted((s.gain for s in found), reverse=True)


def test_the_object_that_wins_most_is_named():
    found = suggest([evidence(1, f50_60=0.5), evidence(2, name="dog", f50_60=0.1)])
    assert found[0].object_id == 2
    assert found[0].reason.startswith("'dog' is lost on 10 frames")


def test_several_doubtful_objects_on_a_frame_add_up():
    alone = evidence(1, f150_160=0.4)
    together = [evidence(i, f30_40=0.5) for i in (2, 3, 4)]
    assert 30 <= suggest([alone, *together])[0].frame < 40


def test_neighbours_do_not_fill_the_queue():
    found = suggest([evidence(f20_40=0.2, f120_140=0.25)], limit=2)
    assert [20 <= found[0].frame < 40, 120 <= found[1].frame < 140] == [True, True]


def test_keyframes_and_locked_frames_are_never_suggested():
    doubtful = evidence(f50_53=0.1)
    assert suggest([doubtful])[0].frame == 51
    found = suggest([doubtful], keyframes=(51,), locked=(50,), limit=1)
    assert found[0].frame == 52


def test_what_does_not_lead_back_is_said():
    unsure = evidence(f50_60=0.5)
    consistency = np.ones(200)
    consistency[50:60] = 0.1
    found = suggest([ObjectEvidence(1, "", unsure.confidence, consistency)])
    assert "does not lead back to its keyframe on 10 frames (50 to 59)" in found[0].reason


def test_nothing_to_do_is_an_empty_queue():
    assert suggest([]) == []
    assert suggest([evidence(base=1.0)]) == []
    assert suggest([ObjectEvidence(1, "", np.full(20, np.nan))]) == []


def test_frames_without_propagated_labels_are_not_suggested():
    confidence = np.full(50, np.nan)
    confidence[30:40] = 0.2
    found = suggest([ObjectEvidence(1, "", confidence)])
    assert all(30 <= s.frame < 40 for s in found)
    assert found


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="one length"):
        suggest([evidence(count=10), evidence(2, count=11)])


@pytest.mark.parametrize(
    ("dips", "reason"),
    [
        ({2: 0.5, 18: 0.4}, "'dog' is unsure before and after this frame, 40% on frame 18"),
        ({2: 0.4}, "'dog' is unsure before this frame, 40% on frame 2"),
        ({18: 0.4, 19: 0.3}, "'dog' is unsure after this frame, 30% on frame 19"),
        ({18: 0.65}, "'dog' could be surer, 70% here, 65% on frame 18"),
        ({10: 0.66}, "'dog' is the least sure here, 66%"),
        ({10: 0.5}, "'dog' is unsure on this frame, 50% here"),
    ],
)
def test_a_reason_never_contradicts_the_curve_around_it(dips, reason):
    confidence = np.full(30, 0.7)
    confidence[0] = np.nan
    for frame, value in dips.items():
        confidence[frame] = value
    only_ten = [frame for frame in range(30) if frame != 10]
    (found,) = suggest([ObjectEvidence(1, "dog", confidence)], locked=only_ten)
    assert (found.frame, found.reason) == (10, reason)
