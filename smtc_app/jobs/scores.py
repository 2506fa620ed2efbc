"""How well label maps match exact ones, in the measures of DAVIS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Score:
    """DAVIS measures of a sequence: means over objects and frames, each in [0,1]."""

    jaccard: float
    boundary_f: float

    @property
    def j_and_f(self) -> float:
        """The mean of both, the number that papers give."""
        return (self.jaccard + self.boundary_f) / 2


def score_sequence(
    reference: Callable[[int], np.ndarray], predicted: Callable[[int], np.ndarray], frames: Sequence[int]
) -> Score:
    """Score label maps against exact ones under the semi-supervised DAVIS protocol.

    Objects are the ids of the first of `frames`; the first and the last frame are left out.
    """
    from smtc_model.metrics import boundary_f, jaccard

    first = reference(frames[0])
    ids = [int(i) for i in np.unique(first) if i]
    inner = frames[1:-1]
    j = np.empty((len(ids), len(inner)))
    f = np.empty_like(j)
    for column, frame in enumerate(inner):
        truth, guess = reference(frame), predicted(frame)
        for row, object_id in enumerate(ids):
            j[row, column] = jaccard(truth == object_id, guess == object_id)
            f[row, column] = boundary_f(truth == object_id, guess == object_id)
    return Score(float(j.mean()), float(f.mean()))
