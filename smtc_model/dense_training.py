"""Features that match over time, learned from scratch: dense clustering with equivariance.

After Araslanov, Schaub-Meyer, Roth, *Dense Unsupervised Learning for Video Segmentation*, NeurIPS 2021
(arXiv 2111.06265). Every clip is seen in two views related by a known similarity transform. The student sees
the first, a teacher (moving average of the student) the second. A coarse grid of anchors is drawn from one
frame; each feature of the other frames is assigned by the teacher to the most similar anchor of its own clip,
and the student must find that anchor among those of *all* clips of the batch (cosine / temperature, softmax,
cross-entropy). A second term, between the views of the anchor frame itself, where the right match is known,
keeps the anchors apart.

Deviations from the paper: a teacher by moving average instead of the same network without gradient; the
anchor frame is any frame of the clip, not the first; the second view also rotates and may look wider; all
frames of a clip share a random colour change, and the views differ by a few per cent; optionally a
contrastive random walk (Jabri et al. 2020, arXiv 2006.14613) from the teacher's first frame through those
of the student and back.

Letters: B clips, T frames, C channels, N = h*w positions of the second view's grid, K anchors a clip.
"""

from __future__ import annotations

import copy
import itertools
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import augment
from .backbone import Backbone
from .data import ClipCache, sample_indices
from .losses import in_full_precision
from .smtc import SMTC
from .train_config import DenseConfig
from .train_pictures import feature_colours
from .training import ParameterGroup, average_into, draw_clips, split_by_decay


class DenseBatch(NamedTuple):
    """Letters: S pixels, the side of a view."""

    first: Tensor
    """(B,T,3,S,S) uint8 RGB, what the student sees."""
    second: Tensor
    """(B,T,3,S,S) uint8 RGB, what the teacher sees."""
    to_first: Tensor
    """(B,2,3) affine: normalised coordinates of the second view -> of the first."""


class DenseObjective:
    """Trains the backbone of `model`; a slot head, if there is one, is left out of the result."""

    name = "dense"

    def __init__(self, model: SMTC, config: DenseConfig) -> None:
        self.config = config
        self.student: Backbone = model.backbone
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        for module in self.teacher.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.momentum = 0.02  # its weights move slowly, so its statistics may average for longer

    def to(self, device: torch.device) -> None:
        """Move student and teacher, and put both into training mode.

        The teacher normalises by its batch too; its running statistics are those of its own weights.
        """
        self.student.to(device).train()
        self.teacher.to(device).train()

    def parameter_groups(self, weight_decay: float) -> list[ParameterGroup]:
        return split_by_decay(self.student.named_parameters(), weight_decay)

    def rate_scale(self, group: str, step: int) -> float:
        """Every parameter learns at the same rate from the start."""
        del group, step
        return 1.0

    def make_batch(self, cache: ClipCache, clips: int, rng: np.random.Generator) -> DenseBatch:
        return make_batch(cache, clips, self.config, rng)

    def losses(self, batch: DenseBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Scalars; "total" is what is minimised."""
        clips, frames = batch.first.shape[:2]
        with torch.no_grad():
            target = self.teacher(batch.second.flatten(0, 1).float() / 255).normed
        features = self.student(batch.first.flatten(0, 1).float() / 255).normed
        size = tuple(target.shape[-2:])
        student, valid = align(features.float().unflatten(0, (clips, frames)), batch.to_first, size)
        teacher = F.normalize(target.float().flatten(2).transpose(1, 2), dim=-1).unflatten(0, (clips, frames))
        terms = dense_losses(student, teacher, valid, self.config, generator=generator, size=size)
        total = sum(getattr(self.config, f"{name}_weight") * value for name, value in terms.items())
        return {"total": total, **terms}

    def update_teacher(self, momentum: float, step: int) -> None:
        del step
        average_into(self.teacher, self.student, momentum)

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        return {"student": self.student.state_dict(), "teacher": self.teacher.state_dict()}

    def load_state_dict(self, state: dict[str, dict[str, Tensor]]) -> None:
        self.student.load_state_dict(state["student"])
        self.teacher.load_state_dict(state["teacher"])

    def result(self) -> SMTC:
        """The model to keep: the teacher, which is better than its student."""
        backbone = copy.deepcopy(self.teacher).eval()
        backbone.trained = True
        return SMTC(backbone, name=backbone.name, trained=True)

    def pictures(self, batch: DenseBatch) -> dict[str, Tensor]:
        """What TensorBoard shows: frames of the first clip above their features' principal colours."""
        frames = batch.second[0].float() / 255
        with torch.no_grad():
            features = self.teacher.eval()(frames).normed
            self.teacher.train()
        return {"features": feature_colours(frames, features)}


def make_batch(cache: ClipCache, clips: int, config: DenseConfig, rng: np.random.Generator) -> DenseBatch:
    """`clips` random clips, none twice while there are enough, in two views each."""
    firsts, seconds, affines = [], [], []
    for number in draw_clips(cache, clips, rng):
        info = cache.clips[number]
        indices = sample_indices(info.frames, config.frames, config.gap, rng)
        if rng.random() < 0.5:
            indices = indices[::-1]
        frames = [cache.frame(number, int(i)) for i in indices]
        view = augment.base_view(info.height, info.width, rng, side=config.source_side)
        other = augment.second_view(view, rng, zoom=config.zoom, rotation_deg=config.rotation_deg)
        shared = augment.colour_transform(
            rng, strength=config.clip_colour, hue=config.clip_hue, grey=config.clip_grey
        )
        for target, geometry in ((firsts, view), (seconds, other)):
            own = augment.colour_transform(rng, strength=config.view_colour)
            colour = augment.compose_colour(shared, own)
            target.append(
                [augment.apply_colour(augment.render(f, geometry, config.crop), colour) for f in frames]
            )
        affines.append(other.relative_to(view))
    return DenseBatch(
        *(torch.from_numpy(np.array(views)).permute(0, 1, 4, 2, 3) for views in (firsts, seconds)),
        torch.from_numpy(np.stack(affines)).float(),
    )


def align(features: Tensor, to_first: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Student features (B,T,C,h,w) of the first view at the grid positions of the second.

    Returns L2-normalised (B,T,N,C), and valid (B,N) bool: the position lies inside the first view.
    """
    B, T, C = features.shape[:3]
    grid = F.affine_grid(to_first, [B, C, *size], align_corners=False)
    valid = (grid.abs() <= 1).all(-1).flatten(1)
    grid = grid.repeat_interleave(T, dim=0)
    sampled = F.grid_sample(features.flatten(0, 1), grid, padding_mode="border", align_corners=False)
    sampled = F.normalize(sampled.view(B, T, C, -1).transpose(2, 3), dim=-1)
    return sampled, valid


@in_full_precision
def dense_losses(
    student: Tensor,
    teacher: Tensor,
    valid: Tensor,
    config: DenseConfig,
    *,
    generator: torch.Generator,
    size: tuple[int, int],
) -> dict[str, Tensor]:
    """The terms of the objective, unweighted scalars.

    `student`, `teacher` (B,T,N,C), L2-normalised, on one grid of `size`; `valid` (B,N) bool. In float32 under
    autocast, too: in 8 bits of bfloat16 many of the anchors are equally similar, and the first of them wins.
    """
    B, T, N, C = student.shape
    device = student.device
    anchor_frame = torch.randint(T, (B,), generator=generator).to(device)
    positions = anchor_positions(size, config.anchors, B, generator).to(device)
    clip = torch.arange(B, device=device)
    pick = positions.unsqueeze(-1).expand(-1, -1, C)
    anchors = student[clip, anchor_frame].gather(1, pick)
    teacher_anchors = teacher[clip, anchor_frame].gather(1, pick)
    anchor_valid = valid.gather(1, positions)
    K = positions.shape[1]

    similarity = torch.einsum("btnc,bkc->btnk", teacher, teacher_anchors)
    similarity = similarity.masked_fill(~anchor_valid[:, None, None], -2.0)
    label = similarity.argmax(-1) + (clip * K)[:, None, None]
    logits = student.flatten(0, 2) @ anchors.flatten(0, 1).T / config.temperature
    logits = logits.masked_fill(~anchor_valid.flatten()[None], float("-inf"))
    weight = (valid & anchor_valid.any(1, keepdim=True))[:, None].expand(B, T, N).float().clone()
    weight[clip, anchor_frame] *= 0.1  # its assignment is nearly given
    weight = weight.flatten()
    temporal = F.cross_entropy(logits, label.flatten(), reduction="none").masked_fill(weight == 0, 0.0)
    losses = {"temporal": (temporal * weight).sum() / weight.sum().clamp(min=1)}

    keep = anchor_valid.flatten()
    cross = anchors.flatten(0, 1)[keep] @ teacher_anchors.flatten(0, 1)[keep].T / config.temperature
    losses["cross"] = F.cross_entropy(cross, torch.arange(len(cross), device=device))
    if config.cycle_weight:
        losses["cycle"] = cycle_loss(student, teacher, valid, config, generator=generator)
    return losses


def anchor_positions(size: tuple[int, int], per_side: int, clips: int, generator: torch.Generator) -> Tensor:
    """(B,K) flat positions: one at random in each cell of a `per_side` x `per_side` lattice over the grid."""
    coordinates = []
    for side in size:
        edges = torch.linspace(0, side, per_side + 1).round().long()
        offset = torch.rand(clips, per_side, per_side, generator=generator)
        coordinates.append((edges[:-1], edges.diff(), offset))
    (row0, rows, row_u), (col0, cols, col_u) = coordinates
    row = row0[:, None] + (row_u * rows[:, None]).long()
    column = col0[None] + (col_u * cols[None]).long()
    return (row * size[1] + column).flatten(1)


def cycle_loss(
    student: Tensor, teacher: Tensor, valid: Tensor, config: DenseConfig, *, generator: torch.Generator
) -> Tensor:
    """Contrastive random walk: the teacher's frame 0, the student's frames 1 ... T-1 and back, the teacher's
    frame 0. Each walker must return to where it started; scalar.

    Only the ends are the teacher's view, so that the way is not the identity even in still clips.
    """
    T = student.shape[1]
    order = [*range(1, T), *range(T - 2, 0, -1)]
    nodes = [teacher[:, 0], *(student[:, t] for t in order), teacher[:, 0]]
    walk = None
    for source, target in itertools.pairwise(nodes):
        logits = source @ target.transpose(1, 2) / config.cycle_temperature
        drop = torch.rand(logits.shape, generator=generator) < config.cycle_dropout
        step = logits.masked_fill(drop.to(logits.device), -1e4).softmax(-1)
        walk = step if walk is None else walk @ step
    arrived = walk.diagonal(dim1=1, dim2=2).clamp(min=1e-8)
    weight = valid.float()
    return -(arrived.log() * weight).sum() / weight.sum().clamp(min=1)
