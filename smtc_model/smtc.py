"""The SMTC model: a backbone, on top of it, if trained, the slot head, and beside it the foreground network.

Source: arXiv 2308.09951. Letters: B clips, T frames, C channels, S semantics, P instances per semantic,
h x w tokens, G x G correlation grid, H x W pixels.

Deviations from the released code (all off under ``ModelConfig.official_compat``), besides those of
:mod:`smtc_model.correlation` and :mod:`smtc_model.slots`: at inference the noise of the instance slots is
drawn once from ``ModelConfig.seed`` and is the same for all frames, so that results repeat and do not depend
on how a video is cut into clips; the released code draws it anew for every frame and call. Kept as released:
of a transformer only the last block's keys are used, so its projection and MLP learn nothing from the losses.
"""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backbone import Backbone, Features
from .config import ModelConfig
from .correlation import correlate, previous_frames
from .foreground import ForegroundNet
from .slots import SlotAttention, objectness, semantic_area, valid_instances


class ClipOutput(NamedTuple):
    """Everything that the losses and the discovery of objects need."""

    keys: Tensor
    """(B,T,C,h,w) keys of the backbone, before the correlation is added."""
    correlation: Tensor
    """(B,T,C,h,w) projected correlation with the previous frame."""
    fused: Tensor
    """(B,T,C,h,w) keys + correlation: the input of the slots."""
    semantic_slots: Tensor
    """(B,T,S,C)"""
    semantic_logits: Tensor
    """(B,T,S,h,w) of the last iteration."""
    instance_slots: Tensor
    """(B,T,S,P,C)"""
    instance_logits: Tensor
    """(B,T,S,P,h,w) of the last iteration."""
    embeddings: Tensor
    """(B,T,S,P,C) L2-normalised, for the instance loss."""
    semantic_masks: Tensor
    """(B,T,S,h,w) softmax over S, sums to 1 over S."""
    instance_masks: Tensor
    """(B,T,S,P,h,w) semantic mask times the softmax over P, sums to 1 over S and P."""
    objectness: Tensor
    """(B,T,S,P) cosine of the instance slot with its semantic slot, -1..1."""
    valid: Tensor
    """(B,T,S,P) bool, instances that take part in the instance loss."""


class SlotHead(nn.Module):
    """What is learnt on top of the backbone. Parameter names are the released checkpoint's."""

    def __init__(self, channels: int, config: ModelConfig | None = None) -> None:
        super().__init__()
        self.channels = channels
        self.config = config or ModelConfig()
        self.transport_proj = nn.Conv1d(self.config.correlation_grid**2, channels, kernel_size=1)
        self.slot_attention = SlotAttention(channels, self.config.num_semantics)
        if not self.config.official_compat:
            # Slots are added to, never replaced: means much smaller than the first update are the same slot
            # after one iteration, and training spends its first part on telling them apart.
            nn.init.normal_(self.slot_attention.slots_mu)
        self.mlp_slot = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.ReLU(), nn.Linear(2 * channels, channels)
        )

    def fuse(self, keys: Tensor, *, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """keys (B,T,C,h,w) -> (correlation, fused), same shape each. before: keys (B,C,h,w) of frame -1."""
        previous = previous_frames(keys, before=before, roll=self.config.official_compat)
        products = correlate(keys, previous, self.config.correlation_grid)
        correlation = self.transport_proj(products.flatten(0, 1).flatten(2)).view_as(keys)
        return correlation, keys + correlation

    def forward(
        self,
        keys: Tensor,
        *,
        before: Tensor | None = None,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
        iterations: int | None = None,
    ) -> ClipOutput:
        """keys (B,T,C,h,w) of consecutive frames -> ClipOutput. See :meth:`SMTC.group` for the arguments."""
        if keys.ndim != 5 or keys.shape[2] != self.channels:
            raise ValueError(f"keys must have shape (B, T, {self.channels}, h, w), got {tuple(keys.shape)}")
        if iterations is None:
            iterations = self.config.train_iterations if self.training else self.config.infer_iterations
        if noise is None:
            noise = self._draw_noise(keys.shape[0] * keys.shape[1], generator)
        dtype = self.slot_attention.slots_mu.dtype
        before = None if before is None else before.to(dtype)
        # Slots compete by small differences of logits and divide by small sums: no half precision here.
        with torch.autocast(keys.device.type, enabled=False):
            return self._group(keys.to(dtype), before, noise.to(keys.device, dtype), iterations)

    def _group(self, keys: Tensor, before: Tensor | None, noise: Tensor, iterations: int) -> ClipOutput:
        config = self.config
        clips, frames, _, h, w = keys.shape
        correlation, fused = self.fuse(keys, before=before)
        inputs = fused.flatten(0, 1).flatten(2).transpose(1, 2)
        slot_keys, slot_values = self.slot_attention.project(inputs)
        semantic_slots, semantic_logits = self.slot_attention.semantic(
            slot_keys, slot_values, iterations=iterations
        )
        area = semantic_area(semantic_logits, config.area_threshold, official_compat=config.official_compat)
        instance_slots, instance_logits = self.slot_attention.instance(
            slot_keys,
            slot_values,
            area,
            noise,
            iterations=iterations,
            reparameterise=not config.official_compat,
        )
        semantic_masks = semantic_logits.softmax(dim=1)
        scores = objectness(semantic_slots, instance_slots)
        valid = valid_instances(semantic_logits, scores)
        per_frame = {
            "semantic_slots": semantic_slots,
            "semantic_logits": semantic_logits.unflatten(-1, (h, w)),
            "instance_slots": instance_slots,
            "instance_logits": instance_logits.unflatten(-1, (h, w)),
            "embeddings": F.normalize(self.mlp_slot(instance_slots), dim=-1),
            "semantic_masks": semantic_masks.unflatten(-1, (h, w)),
            "instance_masks": (semantic_masks.unsqueeze(2) * instance_logits.softmax(dim=2)).unflatten(
                -1, (h, w)
            ),
            "objectness": scores,
            "valid": valid,
        }
        folded = {name: value.unflatten(0, (clips, frames)) for name, value in per_frame.items()}
        return ClipOutput(keys=keys, correlation=correlation, fused=fused, **folded)

    def _draw_noise(self, frames: int, generator: torch.Generator | None) -> Tensor:
        """Standard normal (F or 1, S, P, C), drawn on the CPU so that every device gets the same."""
        config = self.config
        if generator is None and not self.training and not config.official_compat:
            generator = torch.Generator().manual_seed(config.seed)
            frames = 1
        shape = (frames, config.num_semantics, config.num_instances, self.channels)
        device = generator.device if generator is not None else "cpu"
        return torch.randn(shape, generator=generator, device=device)


class SMTC(nn.Module):
    """A backbone with an optional slot head.

    Without a head it still gives features, which is all that label propagation needs.

    backbone: any :class:`~smtc_model.backbone.Backbone`. head: made for the backbone's channels, or None.
    name: what people see; the backbone's name by default. trained: whether anything in it was learnt; by
    default what the backbone says, or False with a slot head. Training sets the attribute. foreground: a
    trained network that tells things from background, or None.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: SlotHead | None = None,
        *,
        name: str | None = None,
        trained: bool | None = None,
        foreground: ForegroundNet | None = None,
    ) -> None:
        super().__init__()
        if head is not None and head.channels != backbone.channels:
            raise ValueError(
                f"the slot head takes {head.channels} channels, "
                f"backbone {backbone.name!r} gives {backbone.channels}"
            )
        self.backbone = backbone
        self.head = head
        self.foreground = foreground
        self.name = name or backbone.name
        self.trained = trained if trained is not None else (head is None and backbone.trained)

    @classmethod
    def with_new_head(
        cls, backbone: Backbone, config: ModelConfig | None = None, *, name: str | None = None
    ) -> SMTC:
        """A model whose slot head is freshly initialised (torch's global generator), ready for training."""
        return cls(backbone, SlotHead(backbone.channels, config), name=name)

    @property
    def config(self) -> ModelConfig:
        """Configuration of the slot head, defaults without one."""
        return self.head.config if self.head is not None else ModelConfig()

    @property
    def has_slots(self) -> bool:
        """Whether there is a slot head."""
        return self.head is not None

    @property
    def hash(self) -> str:
        """sha256 (hex) of configuration and weights; computed anew at every access, about 1 ms per MB."""
        return model_hash(self)

    def encode(self, frames: Tensor) -> Features:
        """frames (B,3,H,W), float RGB in [0,1] -> Features of the backbone."""
        return self.backbone(frames)

    def group(
        self,
        keys: Tensor,
        *,
        before: Tensor | None = None,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
        iterations: int | None = None,
    ) -> ClipOutput:
        """Slots from keys (B,T,C,h,w) that are already there, such as cached ones.

        before: keys (B,C,h,w) of the frame before frame 0, when a video is worked through in pieces.
        noise: (B*T or 1, S, P, C), the standard-normal draw of the instance slots; else it comes from
        ``generator``, else, in training, from torch's global generator and otherwise from the seed.
        iterations: of both stages; else the configuration's for training or inference.
        Computed in the precision of the head's weights, autocast or not. Raises ValueError without a slot
        head or for other channels.
        """
        if self.head is None:
            raise ValueError(f"model {self.name!r} has no slot head")
        return self.head(keys, before=before, noise=noise, generator=generator, iterations=iterations)

    def forward_clip(
        self,
        frames: Tensor,
        *,
        before: Tensor | None = None,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
        iterations: int | None = None,
    ) -> ClipOutput:
        """frames (B,T,3,H,W), consecutive, float RGB in [0,1] -> ClipOutput; see :meth:`group`."""
        if frames.ndim != 5:
            raise ValueError(f"frames must have shape (B, T, 3, H, W), got {tuple(frames.shape)}")
        keys = self.backbone(frames.flatten(0, 1)).keys.unflatten(0, frames.shape[:2])
        return self.group(keys, before=before, noise=noise, generator=generator, iterations=iterations)

    def forward(self, frames: Tensor) -> ClipOutput:
        """The same as :meth:`forward_clip`, for wrappers that only know ``forward``."""
        return self.forward_clip(frames)


def model_hash(model: SMTC) -> str:
    """sha256 (hex) over backbone name, configuration and every weight by name, type, shape and value.

    The same on every device and after saving and loading.
    """
    digest = hashlib.sha256()
    described = {
        "backbone": model.backbone.name,
        "options": model.backbone.options,
        "config": model.config.to_dict() if model.has_slots else None,
    }
    digest.update(json.dumps(described, sort_keys=True).encode())
    _digest_weights(digest, model)
    return digest.hexdigest()


def backbone_hash(backbone: Backbone) -> str:
    """sha256 (hex) over the backbone's weights alone."""
    digest = hashlib.sha256()
    _digest_weights(digest, backbone)
    return digest.hexdigest()


def _digest_weights(digest: hashlib._Hash, module: nn.Module) -> None:
    for name, value in sorted(module.state_dict().items()):
        array = value.detach().cpu().contiguous()
        digest.update(f"{name} {array.dtype} {tuple(array.shape)}".encode())
        digest.update(array.reshape(-1).view(torch.uint8).numpy())
