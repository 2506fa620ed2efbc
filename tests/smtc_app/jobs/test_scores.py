"""The measures of DAVIS over a sequence."""

from __future__ import annotations

import numpy as np

from smtc_app.jobs.scores import score_sequence


def labels_of(index: int) -> np.ndarray:
    labels = np.zeros((48, 64), np.uint16)
    labels[16:36, 8 + 4 * index : 32 + 4 * index] = 1
    return labels


def test_scores_leave_out_the_first_and_the_last_frame():
    truth = [labels_of(index) for index in range(4)]
    wrong_ends = [np.zeros_like(truth[0]), truth[1], truth[2], np.zeros_like(truth[0])]
    score = score_sequence(truth.__getitem__, wrong_ends.__getitem__, range(4))
    assert (score.jaccard, score.boundary_f, score.j_and_f) == (1.0, 1.0, 1.0)
    half = [truth[0], truth[1], np.zeros_like(truth[0]), truth[3]]
    assert score_sequence(truth.__getitem__, half.__getitem__, range(4)).jaccard == 0.5
