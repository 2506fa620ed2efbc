"""Do labels lead back to where they came from? A check of propagated labels that needs no true masks.

The labels of a frame are carried back to its keyframe by feature matching, every token of the keyframe asking
the whole frame, and compared with what is known to be true there. What was lost, or swapped with something
that looks alike, does not come back.

Letters: H x W pixels, h x w tokens, C feature channels, L label channels (0 the background).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .matching import Window, match, vote

REMEMBERED = 4
"""Keyframes whose features stay at hand."""


class _Known(NamedTuple):
    """A keyframe."""

    features: Tensor
    """(h,w,C)"""
    labels: np.ndarray
    """(H,W)"""
    shares: dict[int, Tensor]
    """Label -> (h,w) of `token_share`, once it was asked for."""


class KeyframeCheck:
    """How well labels, carried back to the keyframes they came from, agree with the truth there.

    describe: keyframe index -> (features (h,w,C), true labels (H,W)); asked once for each of the last few.
    between: called between the parts of all that takes long; may raise, to end it.
    """

    def __init__(
        self,
        describe: Callable[[int], tuple[Tensor, np.ndarray]],
        *,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        self._describe = describe
        self._between = between
        self._known: OrderedDict[int, _Known] = OrderedDict()

    @torch.inference_mode()
    def __call__(
        self, sources: Sequence[int], features: Tensor, soft: Tensor, ids: Sequence[int]
    ) -> dict[int, float]:
        """Object id -> soft overlap in [0,1], the mean over `sources`.

        features: (h,w,C) of the frame; soft: (L,hf,wf) its labels, ids: the label of each channel, the
        background's 0 first. Objects that are neither here nor on the keyframes are left out.
        """
        size = tuple(features.shape[:2])
        labels = F.interpolate(soft[None].float(), size, mode="area")[0].permute(1, 2, 0)
        found: dict[int, list[float]] = {}
        for source in sources:
            known = self._keyframe(source)
            for label in ids:
                if label not in known.shares:
                    known.shares[label] = token_share(known.labels, label, size).to(features.device)
                    self._between()
            true = torch.stack([known.shares[label] for label in ids], 2)
            back = carried_back(known.features, features, labels)
            self._between()
            for label, value in zip(ids[1:], agreement(back, true), strict=True):
                if value is not None:
                    found.setdefault(label, []).append(value)
        return {label: sum(values) / len(values) for label, values in found.items()}

    def _keyframe(self, index: int) -> _Known:
        if index not in self._known:
            self._known[index] = _Known(*self._describe(index), {})
            self._between()
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return self._known[index]


def carried_back(
    known: Tensor, features: Tensor, labels: Tensor, *, top_k: int = 5, temperature: float = 0.03
) -> Tensor:
    """Labels of a frame carried back to a frame whose labels are known: every position of that one asks.

    known: (h,w,C) features of the frame with known labels; features (h,w,C), labels (h,w,L) of the other.
    Returns (h,w,L).
    """
    matches = match(known, features[None], windows=[Window(None)], k=top_k)
    flat = labels.reshape(-1, labels.shape[-1])
    return vote(matches, flat, temperature=temperature).view(*known.shape[:2], -1)


def agreement(one: Tensor, other: Tensor) -> list[float | None]:
    """Soft overlap of each channel but the first: the sum of minima over the sum of maxima, in [0,1].

    one, other: (h,w,L) in [0,1]. None where a channel holds nothing in either.
    """
    shared = torch.minimum(one, other).sum((0, 1))
    union = torch.maximum(one, other).sum((0, 1))
    pairs = zip(shared[1:].tolist(), union[1:].tolist(), strict=True)
    return [min(1.0, a / b) if b > 1e-6 else None for a, b in pairs]


def token_share(labels: np.ndarray, label: int, size: tuple[int, int]) -> Tensor:
    """labels (H,W) -> (h,w) share of each token that one of them covers."""
    mask = torch.from_numpy((labels == label).astype(np.float32))
    return F.interpolate(mask[None, None], size, mode="area")[0, 0]
