"""The measures of the DAVIS benchmarks: region similarity J, contour accuracy F and their statistics.

Source: Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation", CVPR
2016, as the evaluation that DAVIS-2017 released computes them. Deviation: the bins of the decay do not wrap
for sequences above 256 frames.

Letters: H x W pixels, R reference masks, P predicted masks, T frames. Masks are bool; in every function the
reference comes first. `void` (H,W) bool marks pixels that are left out of both masks.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

BOUNDARY_TOLERANCE = 0.008
"""Radius within which two boundaries match, as a share of the frame's diagonal."""

RECALL_THRESHOLD = 0.5
DECAY_BINS = 4


class Statistics(NamedTuple):
    """Summary of one measure over the frames of one object."""

    mean: float
    recall: float
    """Share of frames above `RECALL_THRESHOLD`."""
    decay: float
    """Mean over the first quarter of the frames minus the mean over the last."""


def jaccard(reference: np.ndarray, prediction: np.ndarray, *, void: np.ndarray | None = None) -> float:
    """J, intersection over union of two masks (H,W), in [0,1]; 1 where both are empty."""
    return float(pairwise_jaccard(reference[None], prediction[None], void=void)[0, 0])


def boundary_f(
    reference: np.ndarray,
    prediction: np.ndarray,
    *,
    void: np.ndarray | None = None,
    tolerance: float = BOUNDARY_TOLERANCE,
) -> float:
    """F, harmonic mean of the precision and recall of the boundary of two masks (H,W), in [0,1].

    tolerance: radius of a match as a share of the diagonal, or in pixels from 1 on.
    """
    scores = pairwise_boundary_f(reference[None], prediction[None], void=void, tolerance=tolerance)
    return float(scores[0, 0])


def pairwise_jaccard(
    references: np.ndarray, predictions: np.ndarray, *, void: np.ndarray | None = None
) -> np.ndarray:
    """J of every reference (R,H,W) with every prediction (P,H,W) -> (R,P) float64."""
    _check(references, predictions, void)
    if not len(references) or not len(predictions):
        return np.ones((len(references), len(predictions)))
    first, second = _without_void(references, void), _without_void(predictions, void)
    intersection = np.zeros((len(first), len(second)))
    for row, mask in enumerate(first):
        box = _box(mask)
        if box is not None:
            intersection[row] = np.count_nonzero(second[:, *box] & mask[box], axis=(1, 2))
    union = _areas(first)[:, None] + _areas(second)[None] - intersection
    return np.divide(intersection, union, out=np.ones_like(union), where=union > 0)


def pairwise_boundary_f(
    references: np.ndarray,
    predictions: np.ndarray,
    *,
    void: np.ndarray | None = None,
    tolerance: float = BOUNDARY_TOLERANCE,
) -> np.ndarray:
    """F of every reference (R,H,W) with every prediction (P,H,W) -> (R,P) float64.

    Only the reference has a boundary -> 0, only the prediction -> 0, neither -> 1.
    """
    _check(references, predictions, void)
    height, width = references.shape[-2:]
    radius = tolerance if tolerance >= 1 else np.ceil(tolerance * np.hypot(height, width))
    first = [_Contour(mask, radius) for mask in _without_void(references, void)]
    second = [_Contour(mask, radius) for mask in _without_void(predictions, void)]
    scores = np.empty((len(first), len(second)))
    for row, reference in enumerate(first):
        for column, prediction in enumerate(second):
            scores[row, column] = _f_of_contours(reference, prediction)
    return scores


def boundary_map(mask: np.ndarray) -> np.ndarray:
    """The one pixel wide boundary (H,W) bool of a mask: where it differs from its right, lower or lower right
    neighbour. The last row looks right only, the last column down only, the last corner is never one."""
    boundary = np.zeros(mask.shape, bool)
    boundary[:, :-1] = mask[:, :-1] ^ mask[:, 1:]
    boundary[:-1] |= mask[:-1] ^ mask[1:]
    boundary[:-1, :-1] |= mask[:-1, :-1] ^ mask[1:, 1:]
    return boundary


def statistics(per_frame: np.ndarray) -> Statistics:
    """Mean, recall and decay of a measure (T,); NaN frames are left out of mean and decay, as in DAVIS.

    Raises ValueError without a single frame that has a value.
    """
    values = np.asarray(per_frame, float)
    if values.ndim != 1 or not np.isfinite(values).any():
        raise ValueError(f"per_frame needs one dimension and a value, got shape {values.shape}")
    edges = np.round(np.linspace(1, len(values), DECAY_BINS + 1) + 1e-10).astype(int) - 1
    first, last = values[edges[0] : edges[1] + 1], values[edges[-2] : edges[-1] + 1]
    known = np.isfinite(first).any() and np.isfinite(last).any()
    decay = np.nanmean(first) - np.nanmean(last) if known else np.nan
    return Statistics(float(np.nanmean(values)), float(np.mean(values > RECALL_THRESHOLD)), float(decay))


class _Contour:
    """The boundary pixels of a mask and what lies within the tolerance of them, both cut to a box."""

    def __init__(self, mask: np.ndarray, radius: float) -> None:
        boundary = boundary_map(mask)
        self.count = 0
        box = _box(boundary)
        if box is None:
            return
        self.rows, self.columns = np.nonzero(boundary[box])
        self.count = len(self.rows)
        self.rows, self.columns = self.rows + box[0].start, self.columns + box[1].start
        # Dilation with a disk is the set of pixels at most its radius away; the exact distance transform
        # costs the same for every radius. Squared distances are integers: half a step avoids float32 ties.
        margin = int(radius) + 1
        self._top = max(box[0].start - margin, 0)
        self._left = max(box[1].start - margin, 0)
        outside = ~boundary[self._top : box[0].stop + margin, self._left : box[1].stop + margin]
        distance = cv2.distanceTransform(outside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        self._near = distance <= np.sqrt(radius * radius + 0.5)

    def share_near(self, other: _Contour) -> float:
        """Share of the boundary pixels of `other` within the tolerance of this boundary."""
        rows, columns = other.rows - self._top, other.columns - self._left
        height, width = self._near.shape
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        return np.count_nonzero(self._near[rows[inside], columns[inside]]) / other.count


def _f_of_contours(reference: _Contour, prediction: _Contour) -> float:
    if not reference.count or not prediction.count:
        return float(reference.count == prediction.count)
    precision, recall = reference.share_near(prediction), prediction.share_near(reference)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _without_void(masks: np.ndarray, void: np.ndarray | None) -> np.ndarray:
    masks = masks.astype(bool, copy=False)
    return masks if void is None else masks & ~void


def _areas(masks: np.ndarray) -> np.ndarray:
    return np.count_nonzero(masks, axis=(1, 2)).astype(float)


def _box(mask: np.ndarray) -> tuple[slice, slice] | None:
    """The smallest box around what is set in (H,W), None if nothing is."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _check(references: np.ndarray, predictions: np.ndarray, void: np.ndarray | None) -> None:
    if references.ndim != 3 or predictions.ndim != 3 or references.shape[1:] != predictions.shape[1:]:
        raise ValueError(
            f"masks differ in size: reference {references.shape}, prediction {predictions.shape}"
        )
    if void is not None and void.shape != references.shape[1:]:
        raise ValueError(f"void must have the masks' size {references.shape[1:]}, got {void.shape}")
