"""Pictures of features and masks for the training log; all return (3,H,W) float in [0,1]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def feature_colours(frames: Tensor, features: Tensor) -> Tensor:
    """Frames (T,3,H,W) in [0,1] above the first three principal components of features (T,C,h,w)."""
    flat = F.normalize(features.float(), dim=1).permute(0, 2, 3, 1).flatten(0, 2)
    centred = flat - flat.mean(0)
    covariance = centred.T @ centred
    _, vectors = torch.linalg.eigh(covariance)
    shares = centred @ vectors[:, -3:]
    low, high = shares.amin(0), shares.amax(0)
    colours = ((shares - low) / (high - low).clamp(min=1e-6)).view(len(frames), *features.shape[-2:], 3)
    return _stack(frames, colours.permute(0, 3, 1, 2))


def mask_colours(frames: Tensor, masks: Tensor) -> Tensor:
    """Frames (T,3,H,W) in [0,1] above their masks (T,K,h,w), the strongest of K by colour."""
    hues = torch.arange(masks.shape[1], device=masks.device) * 0.618034 % 1.0
    palette = torch.stack([(hues + shift) % 1.0 for shift in (0.0, 1 / 3, 2 / 3)], 1)
    palette = (6 * (palette - 0.5).abs() - 1).clamp(0, 1)
    return _stack(frames, palette[masks.argmax(1)].permute(0, 3, 1, 2))


def _stack(frames: Tensor, below: Tensor) -> Tensor:
    below = F.interpolate(below.float(), size=frames.shape[-2:], mode="nearest")
    return torch.cat([torch.cat(list(part), dim=2) for part in (frames, below)], dim=1).cpu()
