"""Where each position came from: dense optical flow between neighbouring frames, and its sum over many.

Flow is OpenCV's DIS (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016): about 10 ms
for a frame of 427 x 240 on one core, no training.

Letters: H x W pixels of the grid on which flow is computed, h x w tokens, n remembered frames.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SMALLEST_SIDE_PX = 16
"""DIS needs a few pixels for its patches; smaller frames are taken as still."""


class FlowEstimator:
    """Optical flow of grey frames uint8 (H,W)."""

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def __call__(self, frame: np.ndarray, other: np.ndarray) -> Tensor:
        """(2,H,W) float32, (dy, dx) in pixels from each position of `frame` to the same point in `other`."""
        if min(frame.shape) < SMALLEST_SIDE_PX:
            return torch.zeros((2, *frame.shape))
        flow = self._dis.calc(frame, other, None)
        return torch.from_numpy(np.ascontiguousarray(flow[..., ::-1].transpose(2, 0, 1)))


def sampling_grid(displacement: Tensor) -> Tensor:
    """displacement (n,2,H,W) as (dy, dx) in cells -> grid (n,H,W,2) for `grid_sample`."""
    height, width = displacement.shape[-2:]
    y = torch.arange(height, device=displacement.device, dtype=displacement.dtype)[:, None]
    x = torch.arange(width, device=displacement.device, dtype=displacement.dtype)[None, :]
    gy = (displacement[:, 0] + y + 0.5) * (2 / height) - 1
    gx = (displacement[:, 1] + x + 0.5) * (2 / width) - 1
    return torch.stack([gx, gy], -1)


def warp(maps: Tensor, displacement: Tensor) -> Tensor:
    """maps (n,c,H,W) sampled where `displacement` (n,2,H,W) points to, the border continued."""
    grid = sampling_grid(displacement)
    return F.grid_sample(maps, grid, mode="bilinear", padding_mode="border", align_corners=False)


def lost(flow: Tensor, back: Tensor, *, tolerance: float) -> Tensor:
    """Where flow cannot be believed: what it leads to is led back to another place (H,W) bool.

    flow: (2,H,W) from one frame to another, back: from that one to the first, in pixels; tolerance: pixels.
    """
    gap = flow + warp(back[None], flow[None])[0]
    return torch.hypot(gap[0], gap[1]) > tolerance


def compose(older: Tensor, newest: Tensor) -> Tensor:
    """Displacements to remembered frames, seen from one frame later.

    older: (n,2,h,w) from the previous frame to each remembered one. newest: (2,h,w) from the current
    frame to the previous one. Returns (n,2,h,w) from the current frame.
    """
    newest = newest[None].expand(len(older), -1, -1, -1)
    return newest + warp(older, newest)


def to_tokens(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """flow (2,H,W) in pixels -> (2,h,w) in tokens: the mean over each token."""
    h, w = size
    dy, dx = F.interpolate(flow[None], size, mode="area")[0]
    return torch.stack([dy * (h / flow.shape[1]), dx * (w / flow.shape[2])])
