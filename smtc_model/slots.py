"""Two-stage slot attention: semantics of the whole frame, then instances inside each semantic's area.

Source: arXiv 2308.09951, section 3.3; slot attention after Locatello et al. (arXiv 2006.15055), learnt
initial means with straight-through gradient after BO-QSA (Jia et al., arXiv 2210.08990). There is no GRU.

Letters: F frames (clips and time folded), S semantics, P instances per semantic, N tokens, C channels.

Deviations (all off under ``official_compat``):

* The released code takes *raw semantic logits* > 0.3 as a semantic's area, which depends on the logits' scale
  and offset. Here a token belongs to every semantic whose softmax exceeds 0.3 of the winner's: each token
  belongs somewhere from the first step of training on.
* The released draw of the instance slots carries no gradient. Here it is reparameterised, so the deviations
  learn, and the means learn from the instance loss too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_EPSILON = 1e-8


class SlotAttention(nn.Module):
    """Both stages; they share every projection.

    channels: C of input and slots. num_semantics: S. Parameter names are those of the released checkpoint.
    """

    def __init__(self, channels: int, num_semantics: int) -> None:
        super().__init__()
        self.channels = channels
        self.slots_mu = nn.Parameter(torch.empty(1, num_semantics, 1, channels))
        self.slots_sigma = nn.Parameter(torch.empty(1, num_semantics, 1, channels))
        nn.init.xavier_uniform_(self.slots_mu)
        nn.init.xavier_uniform_(self.slots_sigma)
        self.norm_input = nn.LayerNorm(channels)
        self.norm_slots = nn.LayerNorm(channels)
        self.norm_pre_ff = nn.LayerNorm(channels)
        self.project_q = nn.Linear(channels, channels)
        self.project_k = nn.Linear(channels, channels)
        self.project_v = nn.Linear(channels, channels)
        self.mlp = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels))

    def project(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """inputs (F,N,C) -> keys and values, (F,N,C) each, for any number of calls of :meth:`attend`."""
        normed = self.norm_input(inputs)
        return self.project_k(normed), self.project_v(normed)

    def attend(
        self,
        slots: Tensor,
        keys: Tensor,
        values: Tensor,
        *,
        iterations: int,
        area: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Iterate groups of competing slots over the tokens.

        slots: (F,G,K,C) initial; the K slots of a group compete for each token, groups don't see each other.
        keys, values: (F,N,C). area: (F,G,N) weights in [0,1] of the tokens that a group may use; None = all.
        Returns (slots (F,G,K,C), logits (F,G,K,N) of the last iteration). Only the last iteration carries
        gradient; the initial slots get that of the slots it starts from.
        """
        frames, groups, num_slots, channels = slots.shape
        initial = slots
        keys = keys.transpose(1, 2) * channels**-0.5
        logits = slots.new_empty(0)
        for iteration in range(iterations):
            if iteration == iterations - 1 and iteration > 0:
                slots = slots.detach() + initial - initial.detach()
            with torch.set_grad_enabled(torch.is_grad_enabled() and iteration == iterations - 1):
                queries = self.project_q(self.norm_slots(slots)).flatten(1, 2)
                logits = (queries @ keys).unflatten(1, (groups, num_slots))
                attention = logits.softmax(dim=2) + _EPSILON
                if area is not None:
                    attention = attention * area.unsqueeze(2)
                attention = attention / (attention.sum(dim=-1, keepdim=True) + _EPSILON)
                updates = (attention.flatten(1, 2) @ values).view(frames, groups, num_slots, channels)
                slots = slots + updates
                slots = slots + self.mlp(self.norm_pre_ff(slots))
        return slots, logits

    def semantic(self, keys: Tensor, values: Tensor, *, iterations: int) -> tuple[Tensor, Tensor]:
        """Semantic stage -> slots (F,S,C), logits (F,S,N). The means are the same for every frame."""
        initial = self.slots_mu.squeeze(2).unsqueeze(0).expand(len(keys), -1, -1, -1)
        slots, logits = self.attend(initial, keys, values, iterations=iterations)
        return slots.squeeze(1), logits.squeeze(1)

    def instance(
        self,
        keys: Tensor,
        values: Tensor,
        area: Tensor,
        noise: Tensor,
        *,
        iterations: int,
        reparameterise: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Instance stage inside each semantic's area -> slots (F,S,P,C), logits (F,S,P,N).

        area: (F,S,N) from :func:`semantic_area`. noise: (F or 1,S,P,C), standard normal; the initial slots
        are mu + exp(sigma) noise. reparameterise: let the gradient through that draw.
        """
        initial = self.slots_mu + self.slots_sigma.exp() * noise.expand(len(keys), -1, -1, -1)
        if not reparameterise:
            initial = initial.detach()
        return self.attend(initial, keys, values, iterations=iterations, area=area)


def semantic_area(logits: Tensor, threshold: float, *, official_compat: bool = False) -> Tensor:
    """Where each semantic is present: logits (...,S,N) -> the same shape, 0 or 1, without gradient.

    Present is a softmax over S of more than ``threshold`` times the token's largest; under
    ``official_compat`` a raw logit above ``threshold``.
    """
    logits = logits.detach()
    if official_compat:
        return (logits > threshold).to(logits.dtype)
    masks = logits.softmax(dim=-2)
    return (masks > threshold * masks.amax(dim=-2, keepdim=True)).to(logits.dtype)


def objectness(semantic_slots: Tensor, instance_slots: Tensor) -> Tensor:
    """Cosine of each instance slot with its semantic slot: (...,S,C), (...,S,P,C) -> (...,S,P)."""
    return F.cosine_similarity(semantic_slots.unsqueeze(-2), instance_slots, dim=-1)


def valid_instances(
    semantic_logits: Tensor,
    objectness_: Tensor,
    *,
    min_objectness: float = 0.5,
    presence: float = 0.3,
    min_share: float = 0.2,
) -> Tensor:
    """Instances worth a loss: semantic_logits (...,S,N), objectness (...,S,P) -> bool (...,S,P).

    The cosine exceeds ``min_objectness``, and the share of tokens whose semantic softmax exceeds ``presence``
    exceeds ``min_share``.
    """
    share = (semantic_logits.softmax(dim=-2) > presence).to(semantic_logits.dtype).mean(dim=-1)
    return (objectness_ > min_objectness) & (share > min_share).unsqueeze(-1)
