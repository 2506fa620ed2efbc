"""Entropy-regularised optimal transport (Cuturi, NeurIPS 2013), batched."""

from __future__ import annotations

import torch
from torch import Tensor


def sinkhorn(
    cost: Tensor, source: Tensor, target: Tensor, *, epsilon: float = 0.05, iterations: int = 3
) -> Tensor:
    """Transport plans: cost (B,N,M), masses source (B,N) and target (B,M), all > 0 -> plan (B,N,M).

    See :func:`sinkhorn_scalings`, which is cheaper where the plan is only multiplied with something.
    """
    u, kernel, v = sinkhorn_scalings(cost, source, target, epsilon=epsilon, iterations=iterations)
    return u * kernel * v.transpose(1, 2)


def sinkhorn_scalings(
    cost: Tensor, source: Tensor, target: Tensor, *, epsilon: float = 0.05, iterations: int = 3
) -> tuple[Tensor, Tensor, Tensor]:
    """The plan in factors diag(u) K diag(v): u (B,N,1), K (B,N,M) = exp(-cost / epsilon), v (B,M,1).

    Masses are scaled to a sum of 1, and so the plan's entries sum to 1. After the last iteration the columns
    have exactly the target's masses, the rows nearly the source's. Not in the log domain, for speed: in
    float32 costs may spread over 80 epsilon, and those of cosines over 0.05 spread over 40 at most.
    """
    source = (source / source.sum(dim=1, keepdim=True)).unsqueeze(2)
    target = (target / target.sum(dim=1, keepdim=True)).unsqueeze(2)
    kernel = cost.div(-epsilon).exp_()
    v = torch.ones_like(target)
    u = torch.ones_like(source)
    for _ in range(iterations):
        u = source / (kernel @ v)
        v = target / (kernel.transpose(1, 2) @ u)
    return u, kernel, v
