"""Which slot each token of a frame belongs to, with a trained slot head or without one.

With a head: the paper's two stages (arXiv 2308.09951, section 3.3); every instance slot counts as one slot.
The correlation looks at the previous frame only, so two frames are all the context there is; at frame 0 the
previous frame is frame 0 itself, where the released code would take the last of its chunk.

Without: the same competition of slots for tokens over the backbone's own features, that is soft k-means with
seeded means. Such slots are **untrained**: they know what looks alike, not what an object is.

Letters: h x w tokens, C channels, K slots.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .smtc import SMTC

INPUT_SIDE_PX = 480
"""Shorter side of a frame as the backbone sees it."""

HEAD_SIDE_PX = 288
"""The same for a trained slot head, which was trained on small frames: things have the size they had then."""


@dataclass(frozen=True)
class FrameSlots:
    """Features and slots of one frame."""

    features: np.ndarray
    """(h,w,C) float32, the backbone's keys"""
    shares: np.ndarray
    """(h',w',K) float32 on a grid of its own, how much of a token belongs to each slot, sums to 1 over K"""
    trained: bool
    """whether the slots come from a trained head"""


def encode(
    model: SMTC, frame: np.ndarray, *, device: torch.device, side_px: int = INPUT_SIDE_PX
) -> torch.Tensor:
    """Keys (1,C,h,w) of a frame uint8 (H,W,3) RGB, brought to `side_px` on its shorter side."""
    height, width = frame.shape[:2]
    scale = side_px / min(height, width)
    # Sides that every stride divides; two tokens at least.
    size = tuple(max(2, round(side * scale / 16)) * 16 for side in (height, width))
    pixels = torch.from_numpy(frame.copy()).to(device).permute(2, 0, 1)[None].float() / 255
    pixels = F.interpolate(pixels, size=size, mode="bilinear", align_corners=False, antialias=True)
    with torch.inference_mode():
        return model.encode(pixels).keys.float()


def frame_slots(
    model: SMTC,
    keys: torch.Tensor,
    previous: torch.Tensor | None,
    *,
    num_slots: int,
    iterations: int,
    seed: int,
    head_keys: torch.Tensor | None = None,
) -> FrameSlots:
    """Slots of a frame.

    keys: (1,C,h,w) from `encode`. head_keys: (1,C,h',w'), the same at another size, for the head; by default
    `keys`. previous: what the head got for the frame before, None at the start.
    num_slots, iterations, seed: of the soft k-means; a head brings its own.
    """
    features = keys[0].permute(1, 2, 0).cpu().numpy()
    if model.has_slots:
        keys = keys if head_keys is None else head_keys
        with torch.inference_mode():
            before = keys if previous is None else previous
            masks = model.group(keys[:, None], before=before, iterations=iterations).instance_masks[0, 0]
        shares = masks.flatten(0, 1).permute(1, 2, 0).cpu().numpy()
        return FrameSlots(features, shares, trained=model.trained)
    h, w, channels = features.shape
    tokens = features.reshape(-1, channels)
    tokens = tokens / np.maximum(np.linalg.norm(tokens, axis=1, keepdims=True), 1e-6)
    shares = soft_kmeans(tokens, num_slots, iterations=iterations, seed=seed)
    return FrameSlots(features, shares.reshape(h, w, -1).astype(np.float32), trained=False)


def soft_kmeans(points: np.ndarray, num_slots: int, *, iterations: int, seed: int) -> np.ndarray:
    """Slots competing for points (n,c) -> shares (n,K), K at most `num_slots` and the distinct points.

    The first mean is the point nearest to the average; the others are drawn far from those before, with
    probability proportional to the squared distance (k-means++, Arthur and Vassilvitskii 2007).
    """
    generator = np.random.default_rng(seed)
    chosen = [int(((points - points.mean(0)) ** 2).sum(1).argmin())]
    nearest = ((points - points[chosen[0]]) ** 2).sum(1)
    while len(chosen) < num_slots and nearest.max() > 1e-9:
        chosen.append(int(generator.choice(len(points), p=nearest / nearest.sum())))
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(1))
    means = points[chosen]
    softness = max(float(np.median(nearest)), 1e-6)
    shares = _compete(points, means, softness)
    for _ in range(iterations):
        means = shares.T @ points / np.maximum(shares.sum(0), 1e-6)[:, None]
        shares = _compete(points, means, softness)
    return shares


def _compete(points: np.ndarray, means: np.ndarray, softness: float) -> np.ndarray:
    """Softmax over the slots of minus the squared distance over `softness`."""
    logits = (2 * points @ means.T - (means**2).sum(1)) / softness
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)
