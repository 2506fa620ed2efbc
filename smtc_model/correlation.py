"""Temporal correspondence as a feature: dot products with the previous frame's keys.

Source: arXiv 2308.09951, section 3.2. Letters: B clips, T frames, C channels, h x w tokens, G x G positions.

Deviation (off under ``official_compat``): the released code takes the previous frame by rolling over T, so
frame 0 of a clip meets its last frame. Here frame 0 meets the frame before the clip if the caller has it,
else itself.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def previous_frames(keys: Tensor, *, before: Tensor | None = None, roll: bool = False) -> Tensor:
    """keys (B,T,C,h,w) -> those of the frame before each one, same shape.

    before: (B,C,h,w), keys of the frame before frame 0. roll: the released code's wrap-around.
    """
    if roll:
        return keys.roll(1, dims=1)
    first = keys[:, 0] if before is None else before
    return torch.cat([first.unsqueeze(1), keys[:, :-1]], dim=1)


def correlate(keys: Tensor, previous: Tensor, grid: int) -> Tensor:
    """Plain dot products of every key with the previous frame's keys, resized bilinearly to grid x grid.

    keys, previous: (B,T,C,h,w), not normalised -> (B,T,G*G,h,w).
    """
    clips, frames = keys.shape[:2]
    previous = previous.flatten(0, 1)
    if previous.shape[-2:] != (grid, grid):
        previous = F.interpolate(previous, size=(grid, grid), mode="bilinear", align_corners=False)
    positions = previous.flatten(2).transpose(1, 2)
    products = positions @ keys.flatten(0, 1).flatten(2)
    return products.unflatten(0, (clips, frames)).unflatten(3, keys.shape[-2:])
