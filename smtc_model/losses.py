"""The three losses of SMTC, as pure functions of a student's and a teacher's output.

Source: arXiv 2308.09951, sections 3.2 and 3.3; spelt out to the constants of the released code. Student and
teacher see two independently augmented copies of the same clip, so that tokens correspond by position.
Nothing propagates gradient into the teacher. Under autocast they are still computed in float32: transport
divides by sums of exponentials.

Letters: B clips, T frames, C channels, S semantics, P instances per semantic, h x w tokens, N = h * w.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from .sinkhorn import sinkhorn_scalings
from .smtc import ClipOutput

T = TypeVar("T")

_EPSILON = 1e-8
_MARGIN = 0.5
_MAX_INSTANCES_TO_ENUMERATE = 5


class Losses(NamedTuple):
    """Scalars; total = consistency + distinctness + instance, all weights 1."""

    total: Tensor
    consistency: Tensor
    distinctness: Tensor
    instance: Tensor


def in_full_precision(loss: Callable[..., T]) -> Callable[..., T]:
    """Decorates a loss: under autocast, too, it is computed in float32, whatever its tensors come in."""

    def widened(value: Any) -> Any:
        return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value

    @functools.wraps(loss)
    def wrapped(*args: Any, **kwargs: Any) -> T:
        device = next(value.device for value in (*args, *kwargs.values()) if isinstance(value, Tensor))
        with torch.autocast(device.type, enabled=False):
            return loss(*map(widened, args), **{name: widened(value) for name, value in kwargs.items()})

    return wrapped


def smtc_losses(student: ClipOutput, teacher: ClipOutput) -> Losses:
    """All losses of a batch of clips. Raises ValueError for clips of one frame."""
    consistency = consistency_loss(student.semantic_logits, teacher.semantic_logits, teacher.keys)
    distinctness = distinctness_loss(student.semantic_logits)
    instance = instance_loss(student.embeddings, teacher.embeddings, student.valid, teacher.valid)
    return Losses(consistency + distinctness + instance, consistency, distinctness, instance)


@in_full_precision
def consistency_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    teacher_keys: Tensor,
    *,
    epsilon: float = 0.05,
    iterations: int = 3,
) -> Tensor:
    """Semantic consistency by optimal transport between every ordered pair of different frames.

    student_logits, teacher_logits: (B,T,S,h,w). teacher_keys: (B,T,C,h,w), before the correlation is added.
    epsilon, iterations: of Sinkhorn's algorithm.

    The transport plan moves tokens of frame i to those of frame j at the cost 1 - cos of the teacher's keys;
    the student's semantics in i are drawn to the teacher's in j by cross-entropy under that plan.
    """
    frames = student_logits.shape[1]
    if frames < 2:
        raise ValueError(f"the consistency loss needs clips of at least 2 frames, got {frames}")
    pairs = torch.tensor(list(itertools.permutations(range(frames), 2)), device=student_logits.device)
    i, j = pairs.unbind(1)
    with torch.no_grad():
        keys = F.normalize(teacher_keys.flatten(3), dim=2)
        mass = keys.abs().sum(dim=2)
        cost = 1 - keys[:, i].transpose(2, 3) @ keys[:, j]
        u, kernel, v = sinkhorn_scalings(
            cost.flatten(0, 1),
            mass[:, i].flatten(0, 1),
            mass[:, j].flatten(0, 1),
            epsilon=epsilon,
            iterations=iterations,
        )
        masks = teacher_logits.flatten(3).softmax(dim=2)
        scaled = masks[:, j].flatten(0, 1) * v.transpose(1, 2)
        target = (scaled @ kernel.transpose(1, 2) * u.transpose(1, 2)).unflatten(0, (-1, len(pairs)))
    log_masks = (student_logits.flatten(3).softmax(dim=2) + _EPSILON).log()
    return -(target * log_masks[:, i]).sum(dim=(2, 3)).mean()


@in_full_precision
def distinctness_loss(student_logits: Tensor) -> Tensor:
    """Mean cosine between the maps of different semantics in a frame; student_logits (B,T,S,h,w)."""
    semantics = student_logits.shape[2]
    if semantics < 2:
        return student_logits.new_zeros(())
    masks = F.normalize(student_logits.flatten(3).softmax(dim=2) + _EPSILON, dim=3)
    cosines = masks @ masks.transpose(2, 3)
    off_diagonal = cosines.sum(dim=(2, 3)) - cosines.diagonal(dim1=2, dim2=3).sum(dim=2)
    return off_diagonal.mean() / (semantics * (semantics - 1))


@in_full_precision
def instance_loss(
    student_embeddings: Tensor,
    teacher_embeddings: Tensor,
    student_valid: Tensor,
    teacher_valid: Tensor,
) -> Tensor:
    """Instances of one semantic keep their identity over all frame pairs (i, j), i = j included.

    embeddings: (B,T,S,P,C), L2-normalised. valid: (B,T,S,P), from `smtc_model.slots.valid_instances`.

    Each student instance is drawn to the teacher's that Hungarian matching gives it and pushed away from the
    others, beyond a cosine of 0.5. The mean is over the valid ones; without any the loss is 0.
    """
    cosines = torch.einsum("bispc,bjsqc->bijspq", student_embeddings, teacher_embeddings.detach())
    match = match_instances(1 - cosines.detach())
    student_weight = student_valid.to(cosines.dtype).unsqueeze(2)
    teacher_weight = teacher_valid.to(cosines.dtype).unsqueeze(1).expand(match.shape).gather(-1, match)
    matched = cosines.gather(-1, match.unsqueeze(-1)).squeeze(-1)
    apart = F.relu(cosines - _MARGIN)
    others = apart.sum(dim=-1) - F.relu(matched - _MARGIN)
    others = others / max(cosines.shape[-1] - 1, 1)
    loss = student_weight * (others - teacher_weight * matched)
    frames = student_embeddings.shape[1]
    count = student_weight.sum() * frames
    return loss.sum() / count.clamp_min(1)


def match_instances(cost: Tensor) -> Tensor:
    """Hungarian matching in bulk: cost (...,P,P) -> (...,P) int64, the column that each row gets.

    A handful of instances is matched by enumerating the permutations, on the device of the cost; more of
    them by SciPy. Both are exact.
    """
    num = cost.shape[-1]
    if num <= _MAX_INSTANCES_TO_ENUMERATE:
        permutations = torch.tensor(list(itertools.permutations(range(num))), device=cost.device)
        rows = torch.arange(num, device=cost.device)
        totals = cost[..., rows, permutations].sum(dim=-1)
        return permutations[totals.argmin(dim=-1)]
    matrices = cost.reshape(-1, num, num).cpu().numpy()
    columns = np.stack([linear_sum_assignment(matrix)[1] for matrix in matrices])
    return torch.from_numpy(columns).to(cost.device).view(cost.shape[:-1])
