"""What may be an object on one frame, and the choice among it: nodes of the tree of regions, with a score.

Letters: H x W pixels of the frame, h x w of the work grid, N nodes, n regions, k masks, C feature channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from .native_masks import main_part, to_native, without_pinholes
from .objectness import Cues
from .region_tree import RegionTree, best_antichain
from .regions import Regions

if TYPE_CHECKING:
    from .discovery import DiscoveryConfig

Between = Callable[[], None]
"""Called between the parts of what takes long; may raise, to end it."""

EXPECTED_BONUS = 12.0
"""How much the value of a node grows that is where a known track should be: so much that a track is left for
another way to cut the frame only where the tree has nothing like it."""
FEW = 3
"""So many proposals a frame gets even if none of them is likely."""


def go_on() -> None:
    """Goes on."""


@dataclass(frozen=True)
class FrameCandidates:
    """All that a choice of proposals on one frame needs; made once, asked at any granularity."""

    frame: np.ndarray
    regions: Regions
    tree: RegionTree
    cues: Cues
    score: np.ndarray
    """(N,) objectness of every node, 0 for those too small or too large"""
    trained: bool
    """whether the slots come from a trained head"""
    tokens: torch.Tensor
    """(h',w',C) float16 unit vectors, the backbone's"""

    def choose(self, config: DiscoveryConfig, *, expected: Sequence[np.ndarray] = ()) -> np.ndarray:
        """Nodes of the tree that don't overlap, best first.

        expected: masks (h,w), 0 to 1, of known tracks: nodes there are preferred, so that they stay.
        """
        known = self._overlap(expected)
        value = self.value(config) * (1 + EXPECTED_BONUS * known)
        chosen = best_antichain(self.tree.parent, value)
        chosen = chosen[self.score[chosen] >= config.min_score]
        rank = self.score[chosen] + 0.5 * EXPECTED_BONUS * known[chosen]
        chosen = chosen[np.argsort(-rank, kind="stable")][: config.max_objects]
        likely = (self.score[chosen] >= config.likely_score) | (known[chosen] >= 0.5)
        likely[:FEW] = True
        return chosen[likely]

    def value(self, config: DiscoveryConfig) -> np.ndarray:
        """(N,) how much each node is worth in a choice, 0 for those too small, too large or on the border."""
        cues = self.cues
        fits = (cues.area >= config.min_area) & (cues.area <= config.max_area)
        fits &= cues.border <= config.max_border
        # The exponent weighs one large node against its parts; at 0.5 two parts of half the size
        # must each score 0.7 of the whole to win.
        return np.where(fits, self.score * cues.area ** (1 - config.granularity), 0)

    def candidates(self, config: DiscoveryConfig, *, most: int) -> list[np.ndarray]:
        """Masks bool (H,W) of the best nodes, overlapping ones included."""
        fits = (self.cues.area >= config.min_area) & (self.cues.area <= config.max_area)
        nodes = np.flatnonzero(fits)
        nodes = nodes[np.argsort(-self.score[nodes], kind="stable")][:most]
        height, width = self.frame.shape[:2]
        masks = (self.work_mask(node).astype(np.uint8) for node in nodes)
        return [cv2.resize(m, (width, height), interpolation=cv2.INTER_NEAREST) > 0 for m in masks]

    def work_mask(self, node: int) -> np.ndarray:
        """bool (h,w)"""
        return self.tree.members[node][self.regions.labels]

    def feature(self, node: int) -> np.ndarray:
        """(C,) unit vector of a node."""
        members = self.tree.members[node]
        mean = self.regions.area[members] @ self.regions.features[members]
        return mean / max(float(np.linalg.norm(mean)), 1e-6)

    def slot(self, members: np.ndarray) -> int:
        """The slot that has most of a set of regions bool (n,)."""
        return int((self.regions.area[members] @ self.regions.slots[members]).argmax())

    def masks(self, members: np.ndarray, *, between: Between = go_on) -> list[np.ndarray]:
        """Native masks bool (H,W), on the frame's edges, of sets of regions bool (k,n); the first on top."""
        labels = np.zeros(self.regions.labels.shape, np.int32)
        for number, inside in enumerate(members, 1):
            labels[without_pinholes(inside[self.regions.labels]) & (labels == 0)] = number
        native = to_native(labels, self.frame, between=between)
        masks = []
        for number in range(1, len(members) + 1):
            masks.append(main_part(native == number))
            between()
        return masks

    def native_regions(self, *, between: Between = go_on) -> np.ndarray:
        """The region of each pixel int (H,W), 0 to n-1, its outline on the frame's edges."""
        return to_native(self.regions.labels, self.frame, between=between)

    def _overlap(self, expected: Sequence[np.ndarray]) -> np.ndarray:
        """IoU (N,) of every node with the mask (h,w) that it overlaps most."""
        overlap = np.zeros(len(self.score))
        nodes = np.flatnonzero(self.score)
        if not expected or not len(nodes):
            return overlap
        flat = self.regions.labels.ravel()
        inside = [np.bincount(flat, mask.ravel(), len(self.regions)) for mask in expected]
        common = self.tree.members[nodes].astype(np.float32) @ np.stack(inside, 1).astype(np.float32)
        area = self.cues.area[nodes, None] * self.regions.total_area
        union = area + np.array([mask.sum() for mask in expected]) - common
        overlap[nodes] = (common / np.maximum(union, 1e-6)).max(1)
        return overlap
