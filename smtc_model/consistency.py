"""Does the way there lead back again? Checks that need no true masks.

Two of them: of pixels, by optical flow between two frames, as a map to look at; and of labels, carried back
from a frame to one whose labels are known, as a number per object.

Source of the idea: forward-backward error, Kalal, Mikolajczyk and Matas, "Forward-Backward Error: Automatic
Detection of Tracking Failures", ICPR 2010; of pixels as in Sundaram, Brox and Keutzer, "Dense Point
Trajectories by GPU-accelerated Large Displacement Optical Flow", ECCV 2010, without its tolerance.

Letters: H x W pixels, h x w tokens, C feature channels, L label channels (0 the background).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .matching import Window, match, vote
from .motion import FlowEstimator, warp


def forward_backward(frame: np.ndarray, other: np.ndarray, *, short_side_px: int = 320) -> np.ndarray:
    """How far each pixel of `frame` misses itself after it has been followed to `other` and back.

    frame, other: uint8 (H,W,3) RGB of one size. short_side_px: flow is computed at this size at most.
    Returns float32 (H,W) in px of the frame: 0 where both directions agree; what is covered in the other
    frame, has left it or is followed wrongly stands out. Raises ValueError for two sizes.
    """
    if frame.shape != other.shape:
        raise ValueError(f"frame {frame.shape} and other {other.shape} must have one size")
    height, width = frame.shape[:2]
    scale = min(1.0, short_side_px / min(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    greys = [
        cv2.cvtColor(cv2.resize(f, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        for f in (frame, other)
    ]
    flow_of = FlowEstimator()
    there, back = flow_of(greys[0], greys[1]), flow_of(greys[1], greys[0])
    missed = (there + warp(back[None], there[None])[0]).numpy()  # (2,h,w) in px of the small grid
    error = np.hypot(missed[0] * (height / size[1]), missed[1] * (width / size[0]))
    return cv2.resize(error, (width, height), interpolation=cv2.INTER_LINEAR)


def carried_back(
    known: Tensor, features: Tensor, labels: Tensor, *, top_k: int = 5, temperature: float = 0.03
) -> Tensor:
    """Labels of a frame carried back to a frame whose labels are known: every position of that one asks.

    known: (h,w,C) features of the frame with known labels; features (h,w,C), labels (h,w,L) of the other.
    Returns (h,w,L).
    """
    matches = match(known, features[None], windows=[Window(None)], k=top_k)
    flat = labels.reshape(-1, labels.shape[-1])
    return vote(matches, flat, temperature=temperature).view(*known.shape[:2], -1)


def agreement(one: Tensor, other: Tensor) -> list[float | None]:
    """Soft overlap of each channel but the first: the sum of minima over the sum of maxima, in [0,1].

    one, other: (h,w,L) in [0,1]. None where a channel holds nothing in either.
    """
    shared = torch.minimum(one, other).sum((0, 1))
    union = torch.maximum(one, other).sum((0, 1))
    pairs = zip(shared[1:].tolist(), union[1:].tolist(), strict=True)
    return [min(1.0, a / b) if b > 1e-6 else None for a, b in pairs]


def token_labels(labels: np.ndarray, ids: Sequence[int], size: tuple[int, int]) -> Tensor:
    """labels (H,W) -> (h,w,L) shares of each token that each of `ids` (the background first) covers."""
    maps = torch.from_numpy(np.stack([(labels == i).astype(np.float32) for i in ids]))
    return F.interpolate(maps[None], size, mode="area")[0].permute(1, 2, 0)
