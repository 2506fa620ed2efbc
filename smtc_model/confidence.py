"""How far the propagated labels of each object can be trusted, in [0,1].

Raw certainty is the geometric mean of two means over the cells that an object wins: of its final
probability, and of its appearance against the strongest rival. `calibrated` turns it into the J that such
frames have had: measured at the default settings on 1556 frames and objects of 11 sequences, at their own
and at twice their speed, each sequence weighted by the root of its rows, where its rank correlation with
the true J was 0.79. `tests/benchmarks/confidence.py` measures and writes the map. A frame where an object
wins no cell is one that it left or one where it was lost; which of the two can't be told, so it gets a low,
fixed value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

NOWHERE = 0.25
"""Confidence of an object that wins no cell."""

_CERTAINTY = (0.5, 0.65, 0.73, 0.78, 0.83, 0.875, 0.92, 0.96, 0.98, 1.0)
_MEAN_J = (0.0, 0.262, 0.407, 0.504, 0.612, 0.723, 0.827, 0.905, 0.945, 0.985)


def calibrated(certainty: float) -> float:
    """Raw certainty -> the mean J that was measured at it; rising, both in [0,1]."""
    return float(np.interp(certainty, _CERTAINTY, _MEAN_J))


def object_confidence(
    soft: Tensor, ids: Sequence[int], *, appearance: Tensor | None = None
) -> dict[int, float]:
    """Confidence of each object but the background.

    soft: (L,hf,wf) probabilities, ids: the label of each channel, the background first. appearance:
    (L,hf,wf) in [0,1], each label against its strongest rival; without it the certainty is not calibrated.
    """
    best, rival = soft.amax(0), soft[0]
    sums = []
    for channel in range(1, len(ids)):
        won = (soft[channel] == best) & (soft[channel] > rival)  # as argmax, at a fraction of its cost
        inside = won.to(soft.dtype).flatten()
        sums += [inside.sum(), soft[channel].flatten() @ inside]
        if appearance is not None:
            sums.append(appearance[channel].flatten().to(soft.dtype) @ inside)
    if not sums:
        return {}
    result = {}
    found = torch.stack(sums).view(len(ids) - 1, -1).tolist()  # all at once: a GPU is waited for but once
    for label, (area, certainty, *looks) in zip(ids[1:], found, strict=True):
        if not area:
            result[label] = NOWHERE
            continue
        certainty /= area
        if looks:
            certainty = calibrated(math.sqrt(certainty * (looks[0] / area)))
        result[label] = min(1.0, max(0.0, certainty))
    return result


def joined(
    one: Mapping[int, float], other: Mapping[int, float], position: float, agreement: Mapping[int, float]
) -> dict[int, float]:
    """Confidence of labels blended from two keyframes.

    position: 0 at the first keyframe, 1 at the second. agreement: overlap (IoU) of both ways' masks per
    object; where they contradict each other, half of the confidence is lost.
    """
    result = {}
    for label in {**one, **other}:
        first, second = one.get(label, NOWHERE), other.get(label, NOWHERE)
        mean = (1 - position) * first + position * second
        result[label] = mean * (0.5 + 0.5 * agreement.get(label, 0.0))
    return result
