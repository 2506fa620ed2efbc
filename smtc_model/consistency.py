"""Forward-backward consistency: does a place that is followed into another frame and back come home?

What does not come back to where it set out was occluded, left the picture, changed its look, or looks like
something else: labels there are to be doubted. Follows the check that optical flow uses for occlusions
(Sundaram, Brox, Keutzer, "Dense point trajectories by GPU-accelerated large displacement optical flow",
ECCV 2010), with matches of features in place of flow.

Letters: h x w tokens, C channels, n queries.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

BAND = 512
"""Queries that are compared at once: bounds the memory whatever the number of tokens."""


class Consistency(NamedTuple):
    """Of every token of the first frame."""

    error: np.ndarray
    """(h,w) float32, distance in tokens between where it set out and where it came back"""
    similarity: np.ndarray
    """(h,w) float32, cosine of its best match, -1..1"""


def forward_backward(
    first: np.ndarray,
    second: np.ndarray,
    *,
    radius: float | None = None,
    top_k: int = 5,
    temperature: float = 0.03,
) -> Consistency:
    """Follow every token of `first` (h,w,C) into `second` and back; both of unit length.

    A token's match is the mean position of the `top_k` tokens that look most like it, weighted by a softmax
    of cosine / temperature and no further than `radius` tokens from its own place (None: anywhere); on the
    way back, the matches of the tokens around the place where it arrived are interpolated.

    Raises ValueError for maps of different shapes.
    """
    if first.shape != second.shape:
        raise ValueError(f"both frames must have the same features, got {first.shape} and {second.shape}")
    h, w, _ = first.shape
    there, similarity = _follow(first, second, radius, top_k, temperature)
    home, _ = _follow(second, first, radius, top_k, temperature)
    back = _interpolated(home.reshape(h, w, 2), there)
    rows, columns = np.mgrid[:h, :w].reshape(2, -1)
    error = np.hypot(back[:, 0] - rows, back[:, 1] - columns)
    return Consistency(error.reshape(h, w).astype(np.float32), similarity.reshape(h, w))


def _follow(
    first: np.ndarray, second: np.ndarray, radius: float | None, top_k: int, temperature: float
) -> tuple[np.ndarray, np.ndarray]:
    """Where each token of `first` is in `second`: (n,2) rows and columns, and the best cosine (n,)."""
    h, w, channels = first.shape
    queries, targets = first.reshape(-1, channels), second.reshape(-1, channels)
    rows, columns = (axis.astype(np.float32) for axis in np.mgrid[:h, :w].reshape(2, -1))
    places = np.stack([rows, columns], 1)
    k = min(top_k, len(targets))
    found, similarity = np.empty((len(queries), 2), np.float32), np.empty(len(queries), np.float32)
    for start in range(0, len(queries), BAND):
        stop = min(start + BAND, len(queries))
        low, high = 0, len(targets)
        if radius is not None:  # whole rows of the second frame that the band's windows reach
            low = max(0, int(rows[start] - radius)) * w
            high = (min(h - 1, int(np.ceil(rows[stop - 1] + radius))) + 1) * w
        cosine = queries[start:stop] @ targets[low:high].T
        if radius is not None:
            far = (rows[start:stop, None] - rows[low:high]) ** 2 + (
                columns[start:stop, None] - columns[low:high]
            ) ** 2 > radius**2
            cosine[far] = -2.0
        best = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(cosine, best, 1)
        similarity[start:stop] = values.max(1)
        weights = np.exp((values - values.max(1, keepdims=True)) / temperature)
        weights /= weights.sum(1, keepdims=True)
        found[start:stop] = (places[low + best] * weights[..., None]).sum(1)
    return found, similarity


def _interpolated(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """values (h,w,c) at places (n,2), rows and columns that lie inside -> (n,c)."""
    h, w = values.shape[:2]
    top, left = np.floor(places).astype(np.int64).T
    top, left = np.clip(top, 0, h - 1), np.clip(left, 0, w - 1)
    bottom, right = np.minimum(top + 1, h - 1), np.minimum(left + 1, w - 1)
    fy, fx = (places[:, 0] - top)[:, None], (places[:, 1] - left)[:, None]
    upper = (1 - fx) * values[top, left] + fx * values[top, right]
    lower = (1 - fx) * values[bottom, left] + fx * values[bottom, right]
    return (1 - fy) * upper + fy * lower
