"""Regions merged pair by pair into a tree, and the best set of its nodes that do not overlap.

The most similar neighbours are merged first (as in Uijlings et al., "Selective Search", IJCV 2013), where
similar means: the same slots, features, colours and motion, and no edge between them. Every node of the tree
is a candidate object.

Letters: n regions, N nodes (children before parents, the n regions first), see `regions`.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from .regions import Regions


@dataclass(frozen=True)
class MergeWeights:
    """Weight of each difference in the cost of a merge; every difference is about 0 to 1."""

    palette: float = 1.0
    features: float = 0.3
    slots: float = 1.0
    edge: float = 0.7
    motion: float = 1.0
    size_power: float = 0.8
    """How much the size of the smaller partner counts: 0 not at all, 1 as in Ward's method."""


@dataclass(frozen=True)
class RegionTree:
    """Nodes of the merge tree."""

    members: np.ndarray
    """bool (N,n)"""
    parent: np.ndarray
    """(N,), -1 for the root"""


_EDGE_SCALE = 12.0
_MOTION_SCALE_PX = 3.0
_CAP = 1.5


class _Merger:
    """The state of the merging: sums over the regions of each node, and its neighbours."""

    def __init__(self, regions: Regions, weights: MergeWeights) -> None:
        count = len(regions)
        self._weights = weights
        self._count = count
        self._total = regions.total_area
        self.area = self._sums(np.ones((count, 1)), regions.area)[:, 0]
        self._palette = self._sums(regions.palette, regions.area)
        self._features = self._sums(regions.features, regions.area)
        self._slots = self._sums(regions.slots, regions.area)
        self._motion = None if regions.motion is None else self._sums(regions.motion, regions.area)
        self.neighbours: list[dict[int, tuple[float, float]] | None] = [{} for _ in range(2 * count - 1)]
        for (a, b), length, gradient in zip(
            regions.pairs.tolist(), regions.length.tolist(), regions.gradient.tolist(), strict=True
        ):
            self.neighbours[a][b] = self.neighbours[b][a] = (length, gradient * length)

    def _sums(self, means: np.ndarray, area: np.ndarray) -> np.ndarray:
        sums = np.zeros((2 * self._count - 1, means.shape[1]), np.float32)
        sums[: self._count] = means * area[:, None]
        return sums

    def costs(self, node: int, others: np.ndarray) -> np.ndarray:
        """Cost (k,) of merging a node with each of its neighbours (k,)."""
        weights = self._weights
        area, areas = self.area[node], self.area[others][:, None]
        one, many = self._palette[node] / area, self._palette[others] / areas
        cost = weights.palette * 0.5 * ((one - many) ** 2 / (one + many + 1e-9)).sum(1)
        difference = self._features[node] / area - self._features[others] / areas
        cost += weights.features * (difference**2).sum(1)
        difference = self._slots[node] / area - self._slots[others] / areas
        cost += weights.slots * 0.5 * np.abs(difference).sum(1)
        boundary = np.array([self.neighbours[node][other] for other in others.tolist()])
        cost += weights.edge * np.minimum(boundary[:, 1] / boundary[:, 0] / _EDGE_SCALE, _CAP)
        if self._motion is not None:
            difference = self._motion[node] / area - self._motion[others] / areas
            distance = np.sqrt((difference**2).sum(1) / (difference.shape[1] / 2))
            cost += weights.motion * np.minimum(distance / _MOTION_SCALE_PX, _CAP)
        smaller = np.minimum(area, areas[:, 0]) / self._total
        return cost * (smaller * self._count) ** weights.size_power

    def merge(self, one: int, other: int, node: int) -> None:
        """Make `node` out of two neighbours."""
        for sums in (self.area, self._palette, self._features, self._slots, self._motion):
            if sums is not None:
                sums[node] = sums[one] + sums[other]
        merged: dict[int, tuple[float, float]] = {}
        for part in (one, other):
            for neighbour, (length, gradient) in self.neighbours[part].items():
                if neighbour in (one, other):
                    continue
                known = merged.get(neighbour, (0.0, 0.0))
                merged[neighbour] = (known[0] + length, known[1] + gradient)
                self.neighbours[neighbour].pop(part)
            self.neighbours[part] = None
        for neighbour, boundary in merged.items():
            self.neighbours[neighbour][node] = boundary
        self.neighbours[node] = merged


def build_tree(regions: Regions, weights: MergeWeights | None = None) -> RegionTree:
    """Merge regions until one is left."""
    count = len(regions)
    merger = _Merger(regions, weights or MergeWeights())
    heap: list[tuple[float, int, int]] = []

    def offer(node: int, others: np.ndarray) -> None:
        if len(others):
            for cost, other in zip(merger.costs(node, others).tolist(), others.tolist(), strict=True):
                heapq.heappush(heap, (cost, node, other))

    for node in range(count):
        offer(node, np.array([other for other in merger.neighbours[node] if other > node], int))
    parent = np.full(2 * count - 1, -1)
    alive = np.zeros(2 * count - 1, bool)
    alive[:count] = True
    node = count
    while heap:
        _, one, other = heapq.heappop(heap)
        if not (alive[one] and alive[other]):
            continue
        merger.merge(one, other, node)
        alive[[one, other]] = False
        alive[node] = True
        parent[[one, other]] = node
        offer(node, np.fromiter(merger.neighbours[node], int))
        node += 1
    parent = parent[:node]
    members = np.zeros((node, count), bool)
    members[np.arange(count), np.arange(count)] = True
    for child, above in enumerate(parent.tolist()):
        if above >= 0:
            members[above] |= members[child]
    return RegionTree(members, parent)


def best_antichain(parent: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The nodes, none inside another, whose values have the largest sum; nodes of value 0 are left out.

    parent: (N,), children before parents. value: (N,), at least 0. Exact, by dynamic programming.
    """
    below = np.zeros(len(parent))
    take = np.zeros(len(parent), bool)
    for node, above in enumerate(parent.tolist()):
        take[node] = value[node] > 0 and value[node] >= below[node]
        if above >= 0:
            below[above] += max(value[node], below[node])
    # A node is in the set if it is taken and nothing above it is.
    covered = np.zeros(len(parent), bool)
    for node in range(len(parent) - 1, -1, -1):
        above = parent[node]
        if above >= 0:
            covered[node] = covered[above] or take[above]
    return np.flatnonzero(take & ~covered)
