"""Vision transformers of timm as backbones: keys, tokens and class token of the last block.

Source: section 3.1 of arXiv 2308.09951 takes the keys of DINO's last block (Amir et al., arXiv 2112.05814).
Deviation: away from the size of training, DINO resamples its position embedding bicubically with
``scale_factor`` (tokens + 0.1) / 14, timm by size with antialiasing; `position_resampling` chooses.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backbone import Backbone, Features


class ViTBackbone(Backbone):
    """A timm ``VisionTransformer`` or ``Eva`` built with ``dynamic_img_size=True`` and ``num_classes=0``.

    position_resampling: "timm" or "dino"; "dino" needs an absolute position embedding and a class token.
    """

    def __init__(
        self,
        net: nn.Module,
        name: str,
        *,
        position_resampling: Literal["timm", "dino"] = "timm",
        **settings: Any,
    ) -> None:
        super().__init__(net, name, channels=net.embed_dim, stride=net.patch_embed.patch_size[0], **settings)
        self.position_resampling = position_resampling

    @property
    def supports_dino_positions(self) -> bool:
        """Whether the network has what DINO's resampling needs: one class token and a position for it."""
        embedding = getattr(self.net, "pos_embed", None)
        return (
            embedding is not None
            and self.net.num_prefix_tokens == 1
            and embedding.shape[1] == self.net.patch_embed.num_patches + 1
        )

    def encode(self, normalised: Tensor) -> Features:
        h, w = (side // self.stride for side in normalised.shape[-2:])
        if self.position_resampling == "dino" and self.supports_dino_positions:
            before, last = self._run_with_dino_positions(normalised, h, w)
        else:
            before, last = self._run(normalised)
        block = self.net.blocks[-1]
        prefix = self.net.num_prefix_tokens
        keys = _keys(block.attn, block.norm1(before[:, prefix:]))

        def to_map(tokens: Tensor) -> Tensor:
            return tokens.transpose(1, 2).unflatten(2, (h, w))

        has_class_token = getattr(self.net, "cls_token", None) is not None
        tokens = last[:, prefix:]
        return Features(
            to_map(keys),
            to_map(tokens),
            to_map(self.net.norm(tokens)),
            last[:, 0] if has_class_token else None,
        )

    def _run(self, normalised: Tensor) -> tuple[Tensor, Tensor]:
        """Input and output of the last block, (B, prefix + h*w, C) each."""
        pairs = self.net.forward_intermediates(
            normalised, indices=2, return_prefix_tokens=True, output_fmt="NLC", intermediates_only=True
        )
        if not self.net.num_prefix_tokens:
            return tuple(tokens for tokens, _ in pairs) if isinstance(pairs[0], tuple) else tuple(pairs)
        return tuple(torch.cat([prefix, tokens], dim=1) for tokens, prefix in pairs)

    def _run_with_dino_positions(self, normalised: Tensor, h: int, w: int) -> tuple[Tensor, Tensor]:
        patches = self.net.patch_embed(normalised).flatten(1, -2)
        cls = self.net.cls_token.expand(len(patches), -1, -1)
        x = self.net.norm_pre(torch.cat([cls, patches], dim=1) + dino_positions(self.net.pos_embed, h, w))
        for block in self.net.blocks[:-1]:
            x = block(x)
        return x, self.net.blocks[-1](x)


def dino_positions(embedding: Tensor, h: int, w: int) -> Tensor:
    """Resample a position embedding (1, 1 + n*n, C) to (1, 1 + h*w, C) as DINO's own code does.

    The 0.1 guards against rounding down there; it also shifts the sampling points a little, which is why
    numbers only agree with DINO's when it is kept. Unchanged at the grid of training.
    """
    cls, patches = embedding[:, :1], embedding[:, 1:]
    n = int(patches.shape[1] ** 0.5)
    if (h, w) == (n, n):
        return embedding
    grid = patches.transpose(1, 2).unflatten(2, (n, n))
    grid = F.interpolate(grid, scale_factor=((h + 0.1) / n, (w + 0.1) / n), mode="bicubic")
    return torch.cat([cls, grid.flatten(2).transpose(1, 2)], dim=1)


def _keys(attention: nn.Module, x: Tensor) -> Tensor:
    """x (B,N,C), already normed -> keys (B,N,C) of this attention, before any norm or rotation of theirs."""
    if getattr(attention, "qkv", None) is None:
        return attention.k_proj(x)
    weight = attention.qkv.weight.chunk(3)[1]
    bias = attention.qkv.bias
    if bias is not None:
        return F.linear(x, weight, bias.chunk(3)[1])
    return F.linear(x, weight, getattr(attention, "k_bias", None))
