"""How far the propagated labels of each object can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def object_confidence(soft: Tensor, ids: Sequence[int]) -> dict[int, float]:
    """Mean probability of each object where it is the most probable label, in [0,1].

    soft: (L,hf,wf) probabilities, ids: the label of each channel, the background first. An object
    that is nowhere the most probable is absent: confidence one minus the largest probability it reaches.
    """
    winner = soft.argmax(0)
    result = {}
    for channel, label in enumerate(ids[1:], 1):
        inside = winner == channel
        area = int(inside.sum())
        maps = soft[channel]
        value = float(maps[inside].mean()) if area else 1 - float(maps.max())
        result[label] = min(1.0, max(0.0, value))
    return result
