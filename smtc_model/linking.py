"""Proposals of different frames that are the same object get the same track.

Two proposals match by the overlap of their masks, the earlier one moved along by optical flow, and by the
likeness of their features; one Hungarian assignment a frame (Kuhn 1955) decides. Flow is only trusted between
frames that show the same scene, so objects are found again after a cut by their features alone, if ever.

Letters: h x w pixels of the work grid, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from .motion import FlowEstimator


@dataclass
class _Track:
    number: int
    mask: np.ndarray
    """float32 (h,w), 0 to 1, where it is expected now"""
    feature: np.ndarray
    """(C,) unit vector"""
    missed: int = 0


class TrackLinker:
    """Give it the frames in order; it numbers tracks from 1.

    min_match: least match, 0 to 1, of a proposal with a track. patience: frames that a track may be missing.
    overlap_weight: share of the overlap in the match, the rest is the features'.
    """

    def __init__(self, *, min_match: float = 0.35, patience: int = 5, overlap_weight: float = 0.7) -> None:
        self._min_match = min_match
        self._patience = patience
        self._overlap_weight = overlap_weight
        self._tracks: list[_Track] = []
        self._count = 0
        self._grey: np.ndarray | None = None

    def expect(self, image: np.ndarray) -> list[np.ndarray]:
        """Move on to the next frame, uint8 (h,w,3) RGB -> where each track should be, float32 (h,w)."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        if self._grey is not None and self._grey.shape == grey.shape and self._tracks:
            flow = FlowEstimator()(grey, self._grey).numpy()
            y, x = np.mgrid[: grey.shape[0], : grey.shape[1]].astype(np.float32)
            for track in self._tracks:
                track.mask = cv2.remap(track.mask, x + flow[1], y + flow[0], cv2.INTER_LINEAR)
        elif self._grey is not None and self._grey.shape != grey.shape:
            self._tracks = []
        self._grey = grey
        return [track.mask for track in self._tracks]

    def link(self, masks: Sequence[np.ndarray], features: Sequence[np.ndarray]) -> list[int]:
        """Track of every proposal of the frame last given to `expect`.

        masks: bool (h,w) each. features: (C,) unit vector of each.
        """
        match = np.zeros((len(masks), len(self._tracks)))
        for row, (mask, feature) in enumerate(zip(masks, features, strict=True)):
            for column, track in enumerate(self._tracks):
                overlap = np.minimum(mask, track.mask).sum() / max(np.maximum(mask, track.mask).sum(), 1e-6)
                likeness = max(0.0, float(feature @ track.feature))
                match[row, column] = self._overlap_weight * overlap + (1 - self._overlap_weight) * likeness
        numbers = [0] * len(masks)
        seen: set[int] = set()
        for row, column in zip(*linear_sum_assignment(-match), strict=True):
            if match[row, column] >= self._min_match:
                track = self._tracks[column]
                track.mask, track.missed = masks[row].astype(np.float32), 0
                track.feature = _unit(0.8 * track.feature + 0.2 * features[row])
                numbers[row] = track.number
                seen.add(track.number)
        for track in self._tracks:
            track.missed += track.number not in seen
        self._tracks = [track for track in self._tracks if track.missed <= self._patience]
        for row, number in enumerate(numbers):
            if not number:
                self._count += 1
                numbers[row] = self._count
                self._tracks.append(_Track(self._count, masks[row].astype(np.float32), features[row]))
        return numbers


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-6)
