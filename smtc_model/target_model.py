"""What the objects of this very video look like: a classifier learnt while labels travel.

Matching asks which remembered position looks most alike; this asks what sets the objects apart from their
surroundings, and forgets nothing that it saw confidently. Kernel ridge regression through random Fourier
features (Rahimi and Recht, 2007) has a closed form, so that learning a frame is one matrix product and any
number of objects shares the same factorisation. In the spirit of online target models (Robinson et
al., "Learning Fast and Robust Target Models for Video Object Segmentation", CVPR 2020), without a network.

Letters: m samples, d input dimensions, D random features, L label channels.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

_BLOCKS = 4
"""Of a symmetric product, to each side: five eighths of the work."""


class TargetModel:
    """Label channels as a function of descriptors.

    bandwidth: of the Gaussian kernel, in units of the descriptors' distances. ridge: regularisation relative
    to the mean weight. decay: share of the past kept per frame; keyframes never decay.
    """

    def __init__(
        self,
        dimensions: int,
        *,
        features: int,
        bandwidth: float,
        ridge: float,
        decay: float,
        device: torch.device,
    ) -> None:
        generator = torch.Generator().manual_seed(0)
        self._frequencies = (torch.randn((dimensions, features), generator=generator) / bandwidth).to(device)
        self._phases = (torch.rand(features, generator=generator) * 2 * math.pi).to(device)
        self._scale = math.sqrt(2 / features)
        self._ridge = ridge
        self._decay = decay
        size = features + 1
        self._kept = [torch.zeros((size, size), device=device), torch.zeros((size, 0), device=device)]
        self._recent = [torch.zeros((size, size), device=device), torch.zeros((size, 0), device=device)]
        self._weights: Tensor | None = None

    def embed(self, descriptors: Tensor) -> Tensor:
        """(m,d) -> (m,D+1) random Fourier features and a constant."""
        embedded = descriptors.new_ones((len(descriptors), len(self._phases) + 1))
        waves = embedded[:, :-1]
        torch.addmm(self._phases, descriptors, self._frequencies, out=waves)
        waves.cos_().mul_(self._scale)
        return embedded

    def fade(self, share: float) -> None:
        """Keep only this share of all that was learnt so far, keyframes included."""
        for part in (*self._kept, *self._recent):
            part *= share
        self._weights = None

    def learn(
        self, embedded: Tensor, labels: Tensor, weights: Tensor, *, keep: bool, frames: int = 1
    ) -> None:
        """embedded (m,D+1), labels (m,L), weights (m,) >= 0.

        keep: a keyframe, never forgotten. frames: how many have gone by since the last one was learnt.
        """
        store = self._kept if keep else self._recent
        if not keep:
            for part in store:
                part *= self._decay**frames
        for part in (self._kept, self._recent):
            missing = labels.shape[1] - part[1].shape[1]
            if missing > 0:
                part[1] = torch.cat([part[1], part[1].new_zeros((len(part[1]), missing))], 1)
        chosen = (weights > 1e-3).nonzero()[:, 0]
        embedded, labels = embedded[chosen], labels[chosen]
        weighted = (embedded * weights[chosen, None]).T
        _add_symmetric(store[0], weighted, embedded)
        store[1] += weighted @ labels
        self._weights = None

    def predict(self, embedded: Tensor) -> Tensor:
        """(m,D+1) -> (m,L) scores, about 0..1 and about summing to 1."""
        if self._weights is None:
            gram = self._kept[0] + self._recent[0]
            eye = torch.eye(len(gram), device=gram.device)
            factor = torch.linalg.cholesky(gram + self._ridge * gram.diagonal().mean() * eye)
            solved = torch.cholesky_solve(self._kept[1] + self._recent[1], factor)
            # In one order in memory, as it comes back from a saved state: sums round differently in another.
            self._weights = solved.contiguous()
        return embedded @ self._weights


def _add_symmetric(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add the symmetric product left (d,m) @ right (m,d) to total (d,d); what lies below is mirrored."""
    size = len(total)
    edges = [size * i // _BLOCKS for i in range(_BLOCKS + 1)]
    for start, stop in itertools.pairwise(edges):
        block = left[start:stop] @ right[:, start:]
        total[start:stop, start:] += block
        total[stop:, start:stop] += block[:, stop - start :].T
