"""Features of whole frames as propagation uses them: computed, or taken from the cache.

They are rounded to float16 in any case, so that a run gives the same bytes with and without a cache.

Letters: H x W pixels, h x w tokens, C feature channels.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .compact import CompactNet
from .fast_inference import FastCompactNet
from .feature_cache import FeatureCache, FeatureStore
from .propagation_config import PropagationConfig

_LARGEST_HALF = 65504.0


class FrameFeatures:
    """`features(index, frame)` gives a frame's features for a model and settings; may be used by any thread.

    store: from `cached_for`; None: everything is computed.
    """

    def __init__(
        self,
        model: nn.Module,
        config: PropagationConfig,
        device: torch.device,
        *,
        store: FeatureStore | None = None,
    ) -> None:
        self._backbone = for_inference(getattr(model, "backbone", model), device)
        self._config = config
        self._device = device
        self._store = store
        stride = self._backbone.stride
        self.enlarge = max(1, stride // (config.feature_stride or stride))
        """How many times finer than the backbone's the feature map is."""

    @torch.inference_mode()
    def __call__(self, index: int, frame: np.ndarray) -> Tensor:
        """frame uint8 (H,W,3) RGB -> (h,w,C) float32, unit length."""
        found = None if self._store is None else self._store.get(index, frame)
        if found is None:
            maps = self._computed(frame)
            if self._store is not None:
                self._store.put(index, frame, maps.cpu().numpy())
        else:
            maps = torch.from_numpy(np.array(found)).to(self._device)
        maps = maps.float()[None]
        if self.enlarge > 1:
            maps = F.interpolate(maps, scale_factor=self.enlarge, mode="bilinear", align_corners=False)
        return F.normalize(maps[0], dim=0).permute(1, 2, 0).contiguous()

    def _computed(self, frame: np.ndarray) -> Tensor:
        """float16 (C,h,w)"""
        pixels = torch.from_numpy(np.ascontiguousarray(frame)).to(self._device)
        size = input_size(self._config, self._backbone.stride, frame.shape[:2])
        # One colour after the other: floats of a whole frame of 4K are a lot of memory.
        colours = [_resized(pixels[..., colour].float(), size) for colour in range(3)]
        image = torch.stack(colours)[None].div_(255).clamp_(0, 1)
        maps = getattr(self._backbone(image), self._config.features)[0]
        # In one order in memory, as they come from the cache: sums round differently in another.
        return maps.float().clamp(-_LARGEST_HALF, _LARGEST_HALF).half().contiguous()


def _resized(colour: Tensor, size: tuple[int, int]) -> Tensor:
    """(H,W) float -> one of that size."""
    if size == tuple(colour.shape):
        return colour
    return F.interpolate(colour[None, None], size, mode="bilinear", antialias=True)[0, 0]


def for_inference(backbone: nn.Module, device: torch.device) -> nn.Module:
    """The backbone, or one with its weights that gives the same features sooner on that device."""
    net = getattr(backbone, "net", None)
    if device.type != "cpu" or backbone.training or not isinstance(net, CompactNet):
        return backbone
    if any(value.dtype != torch.float32 for value in net.parameters()):
        return backbone
    faster = copy.copy(backbone)
    faster.__dict__.pop("forward", None)  # wrapped for this one backbone, it would go on with its slower net
    faster._modules = {**backbone._modules, "net": FastCompactNet(net)}
    return faster


def input_size(config: PropagationConfig, stride: int, size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) that a frame of `size` is resized to for a backbone of that stride."""
    scale = config.short_side_px / min(size) if config.short_side_px else 1.0
    multiple = config.size_multiple_px or stride
    return tuple(max(1, round(side * scale / multiple)) * multiple for side in size)


def cached_for(
    cache: FeatureCache,
    *,
    footage: str,
    model_hash: str,
    config: PropagationConfig,
    device: torch.device | str,
) -> FeatureStore:
    """The part of a cache for the frames of some footage, seen by a model with some settings.

    footage: a fingerprint. Devices and versions of torch round differently, so they have their own.
    """
    return cache.store(
        {
            "footage": footage,
            "model": model_hash,
            "short_side_px": config.short_side_px,
            "size_multiple_px": config.size_multiple_px,
            "features": config.features,
            "device": torch.device(device).type,
            "torch": torch.__version__,
            "arithmetic": "folded, winograd 4",
        }
    )
