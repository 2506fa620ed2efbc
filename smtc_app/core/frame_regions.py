"""A frame cut into regions that belong together: what the region tool takes at a place, more of it or less.

The regions are the leaves of a tree of their merges, as proposals are chosen from. A place lies in one
region, in the merge that took that one in, in the merge that took this one in, and so on: its levels. The one
that looks most like a thing, seen from its middle, is where the tool begins.

Letters: H x W pixels of the frame, n regions, N nodes of the tree.
"""

from __future__ import annotations

import cv2
import numpy as np

GROWTH = 1.3
"""A level is at least so many times as large as the one before."""
LARGEST_SHARE = 0.6
"""Of the frame: what is larger is no thing."""
MIDDLE_POWER = 3
"""People click in the middle of what they mean: how much that counts beside the looks of it."""
_LEAST_MIDDLE = 1e-3
_BAND_ROWS = 64
"""NumPy lets no other thread go on while it looks things up, so a large frame takes several steps."""
COARSE_SIDE_PX = 320
"""Of the grid on which the middle of a part is found."""


class FrameRegions:
    """What a person can take of a frame.

    labels: int (H,W), the region of each pixel, 0 to n-1. parent: int (N,), nodes 0 to n-1 the regions, every
    parent after its children, -1 for the root. worth: (N,), how much each node looks like a thing.

    Raises ValueError if these do not fit together.
    """

    def __init__(self, labels: np.ndarray, parent: np.ndarray, worth: np.ndarray) -> None:
        if len(parent) != len(worth):
            raise ValueError(f"worth must have a value for each of {len(parent)} nodes, got {len(worth)}")
        self._parent, self._worth = np.asarray(parent), np.asarray(worth, np.float32)
        self._first, self._stop = _leaf_ranges(self._parent)
        regions = np.flatnonzero(self._stop - self._first == 1)
        # In this order the regions of every node follow one another, so that a node is a range of numbers.
        number, sizes = self._first.astype(np.uint16), np.zeros(len(regions), np.int64)
        self._labels = np.empty(labels.shape, np.uint16)
        for start in range(0, len(labels), _BAND_ROWS):
            band = self._labels[start : start + _BAND_ROWS]
            band[:] = number[labels[start : start + _BAND_ROWS]]
            sizes += np.bincount(band.ravel(), minlength=len(sizes))
        self._leaf = regions[np.argsort(self._first[regions])]
        self._stride = max(1, max(labels.shape) // COARSE_SIDE_PX)
        self._coarse = np.ascontiguousarray(self._labels[:: self._stride, :: self._stride])
        below = np.concatenate([[0], sizes.cumsum()])
        self._area = below[self._stop] - below[self._first]

    @property
    def nbytes(self) -> int:
        """Memory, about."""
        return self._labels.nbytes

    @property
    def shape(self) -> tuple[int, int]:
        """H, W"""
        return self._labels.shape

    def levels(self, x: int, y: int) -> list[int]:
        """The nodes that the pixel (x, y) lies in, smallest first, each clearly larger than the last."""
        node = int(self._leaf[self._labels[y, x]])
        chosen = [node]
        largest = LARGEST_SHARE * self._labels.size
        while (node := int(self._parent[node])) >= 0 and self._area[node] <= largest:
            if self._area[node] >= GROWTH * self._area[chosen[-1]]:
                chosen.append(node)
        return chosen

    def usual_level(self, x: int, y: int, levels: list[int]) -> int:
        """Which of the levels looks most like a thing in the middle of which the pixel (x, y) lies."""
        place = y // self._stride, x // self._stride
        middle = []
        for node in levels:
            inside = np.pad(
                self._part(self._coarse, node).view(np.uint8), 1
            )  # the frame's rim is an outline, too
            depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1]
            middle.append(max(depth[place] / max(float(depth.max()), 1.0), _LEAST_MIDDLE))
        return int((self._worth[levels] * np.power(middle, MIDDLE_POWER)).argmax())

    def part(self, x: int, y: int, step: int) -> np.ndarray:
        """bool (H,W): what belongs to the pixel (x, y), some steps more (or less, below 0) than usual."""
        levels = self.levels(x, y)
        node = levels[min(max(self.usual_level(x, y, levels) + step, 0), len(levels) - 1)]
        return self._part(self._labels, node)

    def steps(self, x: int, y: int) -> range:
        """The steps from the usual level that change anything at the pixel (x, y)."""
        levels = self.levels(x, y)
        usual = self.usual_level(x, y, levels)
        return range(-usual, len(levels) - usual)

    def _part(self, labels: np.ndarray, node: int) -> np.ndarray:
        return (labels >= self._first[node]) & (labels < self._stop[node])


def _leaf_ranges(parent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(first, stop) of every node's leaves, when leaves are counted branch by branch."""
    leaves = np.zeros(len(parent), np.int64)
    inner = np.zeros(len(parent), bool)
    inner[parent[parent >= 0]] = True
    leaves[~inner] = 1
    for node, above in enumerate(parent.tolist()):
        if above >= 0:
            leaves[above] += leaves[node]
    first, free, free_root = np.zeros_like(leaves), np.zeros_like(leaves), 0
    for node in range(len(parent) - 1, -1, -1):
        above = int(parent[node])
        if above >= 0:
            first[node], free[above] = free[above], free[above] + leaves[node]
        else:
            first[node], free_root = free_root, free_root + int(leaves[node])
        free[node] = first[node]
    return first, first + leaves
