"""What the features see, for a person who wants to know why: pictures, matches and votes.

Pure functions of feature maps; nothing here is part of an algorithm. `frame_features` makes the maps, `unit`
brings them to length 1;
:mod:`smtc_model.consistency` compares two of them both ways. To add a view, add a function of feature maps.

Letters: H x W pixels, h x w tokens, C channels, K slots. Positions are (x, y) in shares of the frame's width
and height, (0, 0) its upper left corner, so that they hold at any resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment

from .matching import Window
from .region_slots import FrameSlots, soft_kmeans
from .smtc import SMTC

Position = tuple[float, float]

COMPONENTS = 3
COLOUR_RANGE = (0.02, 0.98)
"""Quantiles of a component over the clip that become the darkest and the brightest."""
HEAT_TEMPERATURE = 0.1
"""A token whose cosine is this much below the best has 1/e of its heat."""
PEAK_DISTANCE = 3
"""Matches that are told apart lie at least this many tokens from each other."""
CLEAREST = 0.95
"""Quantile of the lead of a slot at which its colour is full."""
MOST_POINTS = 6000
"""Tokens of the clip that colours are fitted on."""


def frame_features(
    model: SMTC,
    frame: np.ndarray,
    *,
    side_px: int | None,
    kind: str = "keys",
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """Features (h,w,C) float32 of a frame uint8 (H,W,3) RGB, as the backbone gives them.

    side_px: shorter side that the frame is brought to; None: its own. kind: a field of `backbone.Features`.
    """
    height, width = frame.shape[:2]
    scale = side_px / min(height, width) if side_px else 1.0
    stride = model.backbone.stride
    size = tuple(max(2, round(side * scale / stride)) * stride for side in (height, width))
    pixels = torch.from_numpy(np.array(frame)).to(device).permute(2, 0, 1)[None].float() / 255
    if size != (height, width):
        pixels = F.interpolate(pixels, size, mode="bilinear", antialias=True).clamp_(0, 1)
    with torch.inference_mode():
        return getattr(model.encode(pixels), kind)[0].float().permute(1, 2, 0).cpu().numpy()


def unit(features: np.ndarray) -> np.ndarray:
    """The same directions (...,C), of length 1: what cosines are taken of."""
    return features / np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-6)


# Feature PCA


@dataclass(frozen=True)
class FeaturePCA:
    """Three directions of feature space and the range of each; the same for a whole clip."""

    mean: np.ndarray
    """(C,)"""
    axes: np.ndarray
    """(C,3) orthonormal, the one with the largest variance first"""
    low: np.ndarray
    """(3,)"""
    high: np.ndarray
    """(3,)"""


def feature_pca(samples: Sequence[np.ndarray]) -> FeaturePCA:
    """Principal components of the features (h,w,C) of some frames of a clip.

    The sign of an axis is chosen so that its largest loading is positive: the same samples give the same
    colours. Raises ValueError without samples or for fewer than three channels.
    """
    points = _points(samples)
    if points.shape[1] < COMPONENTS:
        raise ValueError(f"features must have at least {COMPONENTS} channels, got {points.shape[1]}")
    mean = points.mean(0)
    centred = (points - mean).astype(np.float64)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1][:, :COMPONENTS]
    largest = axes[np.abs(axes).argmax(0), range(COMPONENTS)]
    axes = (axes * np.where(largest < 0, -1, 1)).astype(np.float32)
    low, high = np.quantile((points - mean) @ axes, COLOUR_RANGE, axis=0).astype(np.float32)
    return FeaturePCA(mean, axes, low, high)


def pca_image(features: np.ndarray, pca: FeaturePCA) -> np.ndarray:
    """Features (h,w,C) as colours uint8 (h,w,3)."""
    values = (features - pca.mean) @ pca.axes
    span = np.maximum(pca.high - pca.low, 1e-6)
    return np.rint(np.clip((values - pca.low) / span, 0, 1) * 255).astype(np.uint8)


# Slots


def slot_reference(samples: Sequence[np.ndarray], num_slots: int, *, seed: int = 0) -> np.ndarray:
    """Mean features (K,C) of what looks alike all over a clip; slots of single frames are named after them.

    samples: features (h,w,C) of some frames.
    """
    points = _points(samples)
    shares = soft_kmeans(points, num_slots, iterations=5, seed=seed)
    return unit(shares.T @ points)


def slot_numbers(slots: FrameSlots, reference: np.ndarray) -> np.ndarray:
    """A number (K,) for each slot, 0 to len(reference) - 1, that means about the same on every frame.

    Each slot gets the reference that looks most like it, no two the same one while there are enough: frames
    are grouped one by one, and without this the same thing would change its colour from frame to frame.
    """
    points = slots.features.reshape(-1, slots.features.shape[-1])
    means = unit(slots.shares.reshape(len(points), -1).T @ unit(points))
    rows, columns = linear_sum_assignment(-(means @ reference.T))
    numbers = np.argmax(means @ reference.T, axis=1)
    numbers[rows] = columns
    return numbers


def slot_maps(
    slots: FrameSlots, numbers: np.ndarray, colours: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Who wins each place, in the winner's colour: uint8 (H,W,3) of `size` (H, W).

    colours: uint8 (n,3) by number. The colour is as strong as the win is clear: full where the winner leads
    the second by as much as at the clearest places of this frame, half as bright where there is a draw.
    """
    height, width = size
    # Each slot is enlarged on its own: borders come out smooth, and no more than three maps exist.
    best = np.full(size, -1.0, np.float32)
    second, winner = best.copy(), np.zeros(size, np.int64)
    for slot in range(slots.shares.shape[-1]):
        share = cv2.resize(slots.shares[..., slot], (width, height), interpolation=cv2.INTER_LINEAR)
        ahead = share > best
        second = np.where(ahead, best, np.maximum(second, share))
        best[ahead], winner[ahead] = share[ahead], slot
    lead = best - np.maximum(second, 0)
    strength = 0.5 + 0.5 * np.clip(lead / max(float(np.quantile(lead, CLEAREST)), 1e-6), 0, 1)
    return np.rint(colours[numbers[winner]] * strength[..., None]).astype(np.uint8)


# Query


class Match(NamedTuple):
    """A place of another frame that looks like the query."""

    x: float
    y: float
    similarity: float
    """cosine, -1..1"""


class Correspondence(NamedTuple):
    """How much each token looks like the query, and where most."""

    heat: np.ndarray
    """(h,w) float32, 1 at the best match, falling with the cosine"""
    matches: tuple[Match, ...]
    """best first, apart from each other"""


def feature_at(features: np.ndarray, position: Position) -> np.ndarray:
    """The feature (C,) under a position, of unit length, between the tokens around it.

    Raises ValueError outside the frame.
    """
    x, y = position
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise ValueError(f"position must be in shares of the frame, 0 to 1, got {position}")
    h, w = features.shape[:2]
    column, row = min(max(x * w - 0.5, 0), w - 1), min(max(y * h - 0.5, 0), h - 1)
    left, top = int(column), int(row)
    right, bottom = min(left + 1, w - 1), min(top + 1, h - 1)
    fx, fy = column - left, row - top
    mixed = (1 - fy) * ((1 - fx) * features[top, left] + fx * features[top, right]) + fy * (
        (1 - fx) * features[bottom, left] + fx * features[bottom, right]
    )
    return unit(mixed)


def correspond(
    features: np.ndarray, position: Position, target: np.ndarray, *, count: int = 3
) -> Correspondence:
    """Where in `target` (h,w,C) the pixel at `position` of `features` (h',w',C) is found again.

    count: most matches to tell apart.
    """
    cosine = target @ feature_at(features, position)
    heat = np.exp((cosine - cosine.max()) / HEAT_TEMPERATURE).astype(np.float32)
    left = cosine.copy()
    matches = []
    for _ in range(count):
        row, column = np.unravel_index(int(left.argmax()), left.shape)
        if not np.isfinite(left[row, column]):
            break
        x, y = _refined(heat, int(row), int(column))
        matches.append(Match(x, y, float(cosine[row, column])))
        near = np.s_[
            max(0, row - PEAK_DISTANCE) : row + PEAK_DISTANCE + 1,
            max(0, column - PEAK_DISTANCE) : column + PEAK_DISTANCE + 1,
        ]
        left[near] = -np.inf
    return Correspondence(heat, tuple(matches))


def _refined(heat: np.ndarray, row: int, column: int) -> Position:
    """The centre of the heat around a peak, in shares of the frame."""
    h, w = heat.shape
    rows, columns = np.mgrid[max(0, row - 1) : min(h, row + 2), max(0, column - 1) : min(w, column + 2)]
    weight = heat[rows, columns] ** 2 + 1e-12
    weight /= weight.sum()
    return float(((columns + 0.5) * weight).sum() / w), float(((rows + 0.5) * weight).sum() / h)


# Why this label


@dataclass(frozen=True)
class Remembered:
    """A frame that may vote.

    features: (h,w,C). labels: integer (h,w), of each token. window: where around `centre` its votes may come
    from. centre: where the pixel in question was on it, in shares of the frame; None: at the same place.
    """

    index: int
    features: np.ndarray
    labels: np.ndarray
    window: Window
    centre: Position | None = None


class Vote(NamedTuple):
    """One token of a remembered frame that speaks for its label."""

    frame: int
    x: float
    y: float
    label: int
    weight: float
    """0..1; all votes sum to 1"""
    similarity: float


def explain_label(
    features: np.ndarray,
    position: Position,
    remembered: Sequence[Remembered],
    *,
    top_k: int,
    temperature: float,
) -> tuple[Vote, ...]:
    """Which tokens of the remembered frames voted for the label at `position`, heaviest first.

    The vote of :mod:`smtc_model.matching` for one position: the `top_k` tokens within reach that look most
    like it, weighted by a softmax of cosine / temperature. Raises ValueError without a remembered frame.
    """
    if not remembered:
        raise ValueError("no frame is remembered, so none can vote")
    h, w = features.shape[:2]
    row, column = min(int(position[1] * h), h - 1), min(int(position[0] * w), w - 1)
    query = features[row, column]
    found: list[tuple[float, int, int, int]] = []
    for number, frame in enumerate(remembered):
        rows, columns = frame.labels.shape
        cosine = (frame.features @ query).astype(np.float64)
        if frame.window.radius is not None:
            x, y = frame.centre or position
            centre = min(int(y * rows), rows - 1), min(int(x * columns), columns - 1)
            dy, dx = torch.arange(rows) - centre[0], torch.arange(columns) - centre[1]
            cosine[frame.window.outside(dy, dx).numpy()] = -np.inf
        flat = cosine.ravel()
        best = np.argpartition(-flat, min(top_k, flat.size) - 1)[:top_k]
        found += [(float(flat[i]), number, *divmod(int(i), columns)) for i in best if np.isfinite(flat[i])]
    found = sorted(found, key=lambda entry: -entry[0])[:top_k]
    weights = np.exp((np.array([entry[0] for entry in found]) - found[0][0]) / temperature)
    weights /= weights.sum()
    votes = []
    for (similarity, number, r, c), weight in zip(found, weights, strict=True):
        frame = remembered[number]
        rows, columns = frame.labels.shape
        votes.append(
            Vote(
                frame.index,
                (c + 0.5) / columns,
                (r + 0.5) / rows,
                int(frame.labels[r, c]),
                float(weight),
                similarity,
            )
        )
    return tuple(votes)


def _points(samples: Sequence[np.ndarray]) -> np.ndarray:
    """Features (n,C) of evenly spread tokens, at most about MOST_POINTS."""
    if not samples:
        raise ValueError("at least one frame is needed")
    points = np.concatenate([sample.reshape(-1, sample.shape[-1]) for sample in samples])
    return points[:: max(1, len(points) // MOST_POINTS)].astype(np.float32)
