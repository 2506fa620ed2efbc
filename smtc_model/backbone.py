"""Frames to feature maps: one small interface over every encoder that the package can use.

A backbone maps frames (B,3,H,W) to `Features`. To add one: write a module that maps *normalised* frames to a
map (B,C,h,w) and has the attributes ``channels`` and ``stride``, enter it in `BACKBONES` and build it in
`_build_map_net`. It may also have ``size_multiple``, if H and W must be multiples of more than the stride,
and ``options``, the JSON-serialisable keyword arguments that build it again. Vision transformers live in
:mod:`smtc_model.vit`.

Letters: B frames, C channels, H x W pixels, h x w tokens.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import IMAGENET_MEAN, IMAGENET_STD
from .errors import ModelError

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all); what it raises stops the download."""

TIMM_PREFIX = "timm:"


class Features(NamedTuple):
    """What an encoder knows of each frame. For a CNN the three maps are the same tensor."""

    keys: Tensor
    """(B,C,h,w) key third of the last block's qkv, heads concatenated."""
    tokens: Tensor
    """(B,C,h,w) output of the last block, before the final norm."""
    normed: Tensor
    """(B,C,h,w) the same after the final norm."""
    cls: Tensor | None
    """(B,C) class token before the final norm; None where there is none."""


class BackboneInfo(NamedTuple):
    """A row of the registry."""

    name: str
    kind: str
    """"vit", "cnn" or "fixed" (nothing to train)."""
    licence: str
    source: str
    """Hub repository, or "smtc-app" for our own."""
    description: str


_DINOV3 = "DINOv3 licence"
_TIMM_VITS = (
    ("vit_small_patch16_224.dino", "Apache-2.0", "DINO ViT-S/16, the encoder of the paper"),
    ("vit_small_patch8_224.dino", "Apache-2.0", "DINO ViT-S/8"),
    ("vit_base_patch8_224.dino", "Apache-2.0", "DINO ViT-B/8"),
    ("vit_small_patch14_dinov2.lvd142m", "Apache-2.0", "DINOv2 ViT-S/14"),
    ("vit_small_patch14_reg4_dinov2.lvd142m", "Apache-2.0", "DINOv2 ViT-S/14 with 4 registers"),
    ("vit_small_patch16_dinov3.lvd1689m", _DINOV3, "DINOv3 ViT-S/16"),
    ("vit_small_plus_patch16_dinov3.lvd1689m", _DINOV3, "DINOv3 ViT-S+/16"),
    ("vit_base_patch16_dinov3.lvd1689m", _DINOV3, "DINOv3 ViT-B/16"),
    ("vit_large_patch16_dinov3.lvd1689m", _DINOV3, "DINOv3 ViT-L/16"),
)

BACKBONES: dict[str, BackboneInfo] = {
    info.name: info
    for info in (
        BackboneInfo("colour-texture", "fixed", "MIT", "smtc-app", "untrained colour and texture features"),
        BackboneInfo(
            "compact", "cnn", "MIT", "smtc-app", "small network, untrained: for training from scratch"
        ),
        *(BackboneInfo(name, "vit", licence, f"timm/{name}", text) for name, licence, text in _TIMM_VITS),
    )
}


class Backbone(nn.Module):
    """Base of all backbones.

    name: registry name. channels: C. stride: pixels per token. size_multiple: what divides H and W.
    mean, std: of RGB frames in [0,1].
    licence: of the weights. trained: False for fixed or randomly initialised features.
    """

    mean_rgb: Tensor
    std_rgb: Tensor

    def __init__(
        self,
        net: nn.Module,
        name: str,
        *,
        channels: int,
        stride: int,
        mean: tuple[float, ...] = IMAGENET_MEAN,
        std: tuple[float, ...] = IMAGENET_STD,
        licence: str = "unknown",
        trained: bool = False,
    ) -> None:
        super().__init__()
        self.net = net
        self.name = name
        self.channels = channels
        self.stride = stride
        self.mean = tuple(mean)
        self.std = tuple(std)
        self.size_multiple = int(getattr(net, "size_multiple", stride))
        self.licence = licence
        self.trained = trained
        self.register_buffer("mean_rgb", torch.tensor(self.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std_rgb", torch.tensor(self.std).view(3, 1, 1), persistent=False)

    @property
    def options(self) -> dict[str, Any]:
        """JSON-serialisable keyword arguments with which the registry builds the same network again."""
        return dict(getattr(self.net, "options", {}))

    def fit_size(self, height: int, width: int) -> tuple[int, int]:
        """The nearest size (H, W) that the network takes: multiples of `size_multiple`, at least one each."""
        multiple = self.size_multiple
        return tuple(max(1, round(side / multiple)) * multiple for side in (height, width))

    def normalise(self, frames: Tensor) -> Tensor:
        """RGB in [0,1] to zero mean and unit deviation by the backbone's own statistics."""
        return (frames - self.mean_rgb) / self.std_rgb

    def forward(self, frames: Tensor) -> Features:
        """frames (B,3,H,W), float RGB in [0,1], any size -> Features.

        Another size than `fit_size` allows is resized to it (bilinear, antialiased), so tokens always cover
        the whole frame. Raises ValueError for another shape.
        """
        if frames.ndim != 4 or frames.shape[1] != 3:
            raise ValueError(f"frames must have shape (B, 3, H, W), got {tuple(frames.shape)}")
        size = self.fit_size(*frames.shape[-2:])
        if size != tuple(frames.shape[-2:]):
            frames = F.interpolate(frames, size=size, mode="bilinear", align_corners=False, antialias=True)
        return self.encode(self.normalise(frames))

    def encode(self, normalised: Tensor) -> Features:
        """normalised (B,3,H,W) of a size that `fit_size` gives -> Features."""
        maps = self.net(normalised)
        if isinstance(maps, list | tuple):  # timm's feature extractors return one map per stage
            maps = maps[-1]
        return Features(maps, maps, maps, None)


def create_backbone(
    name: str,
    *,
    weights: Path | str | None = None,
    pretrained: bool = True,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Backbone:
    """Build a backbone by name.

    name: a key of `BACKBONES`, or ``timm:<model>[:stage]`` for any other timm model; for a CNN ``stage``
        counts its feature maps from 0 and defaults to the deepest one of stride 16 or less.
    weights: local file with the weights of this very network; without it those of a timm model come from a
        local folder, the hub's cache or the hub (see :mod:`smtc_model.hub`), if ``pretrained``.
    options: keyword arguments of our own networks (`Backbone.options` of an existing one).
    Raises ModelError for an unknown name and for weights that can't be had or don't fit.
    """
    timm_name, stage = _parse_timm_name(name)
    if timm_name is not None:
        from .timm_backbone import create_timm_backbone

        return create_timm_backbone(
            timm_name, stage=stage, weights=weights, pretrained=pretrained, progress=progress
        )
    if name not in BACKBONES:
        raise ModelError(f"there is no backbone called {name!r}{suggestion(name)}")
    net = _build_map_net(name, dict(options or {}))
    backbone = Backbone(
        net, name, channels=net.channels, stride=net.stride, licence=BACKBONES[name].licence, trained=False
    )
    if weights is not None:
        from .weights import load_backbone_weights

        load_backbone_weights(backbone, weights)
    return backbone


def suggestion(name: str, among: tuple[str, ...] = ()) -> str:
    """What to add to the complaint about a misspelt name: the nearest name, or what lists them."""
    close = difflib.get_close_matches(name, [*BACKBONES, *among], n=1, cutoff=0.6)
    if close:
        return f" (did you mean {close[0]!r}?)"
    return " (`smtc-model list` shows the names; any timm model is 'timm:<name>')"


def _parse_timm_name(name: str) -> tuple[str | None, int | None]:
    """("timm model name", stage) for a name that timm builds, else (None, None)."""
    if name in BACKBONES and BACKBONES[name].source.startswith("timm/"):
        return name, None
    if not name.startswith(TIMM_PREFIX):
        return None, None
    model, _, stage = name.removeprefix(TIMM_PREFIX).partition(":")
    if stage and not stage.isdecimal():
        raise ModelError(f"the stage in {name!r} must be a number counted from 0, got {stage!r}")
    return model, int(stage) if stage else None


def _build_map_net(name: str, options: dict[str, Any]) -> nn.Module:
    if name == "colour-texture":
        from .colour_texture import ColourTexture

        return ColourTexture(**options)
    from .compact import CompactNet

    return CompactNet(**options)
