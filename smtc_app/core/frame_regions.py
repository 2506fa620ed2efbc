"""A frame cut into regions that belong together: what the region tool takes at a place, more of it or less.

The regions are the leaves of a tree of their merges, as proposals are chosen from. A place lies in one
region, in the merge that took that one in, in the merge that took this one in, and so on: its levels. The one
that looks most like a thing, seen from its middle, is where the tool begins.

Letters: H x W pixels of the frame, n regions, N nodes of the tree.
"""

from __future__ import annotations

from collections.abc import Iterable

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
    """What a person can take of a frame. Any thread may ask.

    labels: int (H,W), the region of each pixel, 0 to n-1. parent: int (N,), nodes 0 to n-1 the regions, every
    parent after its children, -1 for the root. worth: (N,), how much each node looks like a thing.

    Raises ValueError if these do not fit together.
    """

    def __init__(self, labels: np.ndarray, parent: np.ndarray, worth: np.ndarray) -> None:
        if len(parent) != len(worth):
            raise ValueError(f"worth must have a value for each of {len(parent)} nodes, got {len(worth)}")
        self._parent, self._worth = np.asarray(parent), np.asarray(worth, np.float32)
        self._first, self._stop = _leaf_ranges(self._parent)
        regions = np.setdiff1d(np.arange(len(parent)), parent)
        # In this order the regions of every node follow one another, so that a node is a range of numbers.
        number, sizes = self._first.astype(np.uint16), np.zeros(len(regions), np.int64)
        self._labels = np.empty(labels.shape, np.uint16)
        for start in range(0, len(labels), _BAND_ROWS):
            band = self._labels[start : start + _BAND_ROWS]
            band[:] = number[labels[start : start + _BAND_ROWS]]
            sizes += np.bincount(band.ravel(), minlength=len(sizes))
        self._leaf = regions[np.argsort(self._first[regions])]
        self._known: dict[int, tuple[list[int], int]] = {}  # region -> its levels, and the usual one
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

    def levels(self, x: int, y: int) -> tuple[list[int], int]:
        """The nodes that the pixel (x, y) lies in, smallest first, each clearly larger than the last; and
        which of them is usual: it looks most like a thing in the middle of which the pixel's region lies.
        """
        region = int(self._leaf[self._labels[y, x]])
        if region not in self._known:
            chosen = self._chain(region)
            self._known[region] = chosen, self._usual(chosen)
        return self._known[region]

    def part(self, points: Iterable[tuple[int, int]], step: int) -> np.ndarray:
        """bool (H,W): what belongs to any of the pixels (x, y), some steps more (or less) than usual."""
        nodes = set()
        for x, y in points:
            levels, usual = self.levels(x, y)
            nodes.add(levels[min(max(usual + step, 0), len(levels) - 1)])
        part = np.zeros(self._labels.shape, bool)
        for first, stop in _joined(sorted((int(self._first[n]), int(self._stop[n])) for n in nodes)):
            part |= (self._labels >= first) & (self._labels < stop)
        return part

    def steps(self, x: int, y: int) -> range:
        """The steps from the usual level that change anything at the pixel (x, y)."""
        levels, usual = self.levels(x, y)
        return range(-usual, len(levels) - usual)

    def _chain(self, node: int) -> list[int]:
        chosen = [node]
        largest = LARGEST_SHARE * self._labels.size
        while (node := int(self._parent[node])) >= 0 and self._area[node] <= largest:
            if self._area[node] >= GROWTH * self._area[chosen[-1]]:
                chosen.append(node)
        return chosen

    def _usual(self, levels: list[int]) -> int:
        place = self._inside(levels[0])
        middle = []
        for node in levels:
            padded = np.pad(self._inside(node).view(np.uint8), 1)  # the frame's rim is an outline, too
            depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
            here = float(depth[place].max()) if place.any() else 0.0
            middle.append(max(here / max(float(depth.max()), 1.0), _LEAST_MIDDLE))
        return int((self._worth[levels] * np.power(middle, MIDDLE_POWER)).argmax())

    def _inside(self, node: int) -> np.ndarray:
        return (self._coarse >= self._first[node]) & (self._coarse < self._stop[node])


def _joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted ranges, those that overlap or follow one another made one."""
    joined: list[tuple[int, int]] = []
    for first, stop in ranges:
        if joined and first <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((first, stop))
    return joined


def _leaf_ranges(parent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(first, stop) of every node's leaves, when leaves are counted branch by branch."""
    leaves = np.ones(len(parent), np.int64)
    leaves[parent[parent >= 0]] = 0
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
