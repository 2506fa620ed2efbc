"""How much a candidate looks like an object: what stands out from its surroundings and from the background.

Cues, each measured on candidates made of regions: contrast of colours and features with a ring around it,
strength of its outline, boundary connectivity of the background (Zhu et al., "Saliency Optimization from
Robust Background Detection", CVPR 2014), contact with the frame's border, size, what the
foreground network sees there and around it, and for videos motion against the ring. They are added with
weights that were for the most part learned, without labels, from what moves in unlabelled clips
(`tests/benchmarks/train_objectness.py`).

Letters: k candidates, n regions, see `regions`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import dijkstra

from .region_tree import RegionTree
from .regions import Regions

SALIENCY_REGIONS = 300
RING_HOPS = 2
FEATURE_HALF = 0.3
SIDE_SHARE = 0.03
"""Share of a side of the frame from which on it counts as touched."""
LOG_TYPICAL_AREA = -0.5
"""Decadic logarithm of the most likely share of the frame: people film what fills it."""
_STARTS = 32
"""Nodes whose shortest paths are found in one call."""
_CHUNK = 1024


@dataclass(frozen=True)
class ObjectnessWeights:
    """Weights of the cues in the logit of objectness: three quarters learned, one quarter set by hand."""

    colour_contrast: float = 0.65
    feature_contrast: float = 1.23
    outline: float = 1.13
    colour_saliency: float = 0.60
    feature_saliency: float = 0.99
    motion_contrast: float = 0.62
    foreground: float = 2.35
    foreground_contrast: float = 1.35
    border: float = 0.68
    connectivity: float = -0.11
    sides: float = -0.33
    size: float = -0.65
    centre: float = -1.63
    bias: float = -3.60


@dataclass(frozen=True)
class Cues:
    """Measurements (k,) of candidates, each about 0 to 1."""

    area: np.ndarray
    """share of the frame"""
    border: np.ndarray
    """share of the outline that is the frame's border"""
    connectivity: np.ndarray
    """length on the frame's border over the root of the area"""
    sides: np.ndarray
    """sides of the frame that it touches beyond the first, at most 2: objects seldom do"""
    colour_contrast: np.ndarray
    feature_contrast: np.ndarray
    outline: np.ndarray
    colour_saliency: np.ndarray
    feature_saliency: np.ndarray
    motion_contrast: np.ndarray
    """0 where there is no motion to be had"""
    foreground: np.ndarray
    """mean of the foreground network over one half, -0.5 to 0.5; 0 without one"""
    foreground_contrast: np.ndarray
    """the same against the ring, -1 to 1"""
    centre: np.ndarray
    """distance from the frame's centre, as a share of its sides"""


def objectness(cues: Cues, weights: ObjectnessWeights | None = None) -> np.ndarray:
    """Scores (k,) in (0,1): about the overlap to expect with something that moves on its own. Low, as much
    else may be meant: most proposals have less than .1, hardly any more than .4."""
    weights = weights or ObjectnessWeights()
    logit = sum(getattr(weights, name) * term for name, term in logit_terms(cues).items())
    return 1 / (1 + np.exp(-logit))


def logit_terms(cues: Cues) -> dict[str, np.ndarray]:
    """What each of `ObjectnessWeights` is multiplied with, (k,) or a number."""
    size = np.log10(np.maximum(cues.area, 1e-6)) - LOG_TYPICAL_AREA
    return {field.name: getattr(cues, field.name) for field in fields(Cues) if field.name != "area"} | {
        "border": np.minimum(cues.border, 0.5),
        "connectivity": np.minimum(cues.connectivity, 3),
        "size": size**2,
        "bias": np.float64(1),
    }


def measure(regions: Regions, tree: RegionTree, *, min_area: float = 0.0, max_area: float = 1.0) -> Cues:
    """Cues of every node of a tree; nodes beyond these shares of the frame get their area and zeros."""
    area = tree.members @ regions.area / regions.total_area
    nodes = np.flatnonzero((area >= min_area) & (area <= max_area))
    measured = _Measurement(regions, tree)
    parts = [measured(tree.members[nodes[i : i + _CHUNK]]) for i in range(0, max(1, len(nodes)), _CHUNK)]
    cues = {field.name: np.zeros(len(area)) for field in fields(Cues)}
    for name, values in cues.items():
        values[nodes] = np.concatenate([part[name] for part in parts])
    return Cues(**cues | {"area": area})


def measure_members(regions: Regions, tree: RegionTree, members: np.ndarray) -> Cues:
    """Cues of any sets of regions, members bool (k,n), none of them empty."""
    return Cues(**_Measurement(regions, tree)(members))


class _Measurement:
    """What all candidates of a frame share."""

    def __init__(self, regions: Regions, tree: RegionTree) -> None:
        self._regions = regions
        a, b = regions.pairs.T
        count = len(regions)
        links = sparse.coo_matrix((np.ones(len(a), np.float32), (a, b)), shape=(count, count))
        self._neighbours = (links + links.T + sparse.eye(count, dtype=np.float32)).tocsr()
        first, second = regions.palette[a], regions.palette[b]
        self._step = 0.5 * ((first - second) ** 2 / (first + second + 1e-9)).sum(1)
        groups = cut(tree, count, SALIENCY_REGIONS)
        self._saliency = [
            background_contrast(regions, groups, values)
            for values in (regions.colour / 10.0, _relative(regions.features, groups, regions.area))
        ]

    def __call__(self, members: np.ndarray) -> dict[str, np.ndarray]:
        regions = self._regions
        inside = members.astype(np.float32)
        area = inside @ regions.area
        a, b = regions.pairs.T
        outline = (members[:, a] != members[:, b]) * regions.length
        length = outline.sum(1) + 1e-6
        on_sides = inside @ regions.border
        border = on_sides.sum(1)
        touched = (on_sides > SIDE_SHARE * regions.border.sum(0)).sum(1)
        ring = members
        for _ in range(RING_HOPS):
            ring = (self._neighbours @ ring.T.astype(np.float32)).T > 0
        ring = (ring & ~members).astype(np.float32)
        around = ring @ regions.area + 1e-6

        def means(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            weighted = values * (regions.area if values.ndim == 1 else regions.area[:, None])
            over, over_ring = (area, around) if values.ndim == 1 else (area[:, None], around[:, None])
            return inside @ weighted / over, ring @ weighted / over_ring

        palette, palette_around = means(regions.palette)
        chi = 0.5 * ((palette - palette_around) ** 2 / (palette + palette_around + 1e-9)).sum(1)
        feature, feature_around = means(regions.features)
        distance = ((feature - feature_around) ** 2).sum(1)
        foreground = foreground_around = np.full(len(members), 0.5)
        if regions.foreground is not None:
            foreground, foreground_around = means(regions.foreground)
        contrast = [one - other for one, other in (means(saliency) for saliency in self._saliency)]
        return {
            "area": area / regions.total_area,
            "border": border / (border + length),
            "connectivity": border / np.sqrt(area),
            "sides": np.clip(touched - 1, 0, 2),
            "colour_contrast": chi,
            "feature_contrast": _saturate(distance, FEATURE_HALF),
            "outline": outline @ self._step / length,
            "colour_saliency": contrast[0],
            "feature_saliency": contrast[1],
            "motion_contrast": self._motion_contrast(means, len(members)),
            "foreground": foreground - 0.5,
            "foreground_contrast": foreground - foreground_around,
            "centre": self._centre_distance(inside, area),
        }

    def _motion_contrast(self, means, count: int) -> np.ndarray:
        motion = self._regions.motion
        if motion is None:
            return np.zeros(count)
        one, other = means(motion)
        return _saturate(np.sqrt(((one - other) ** 2).sum(1) / (motion.shape[1] / 2)), 2.0)

    def _centre_distance(self, inside: np.ndarray, area: np.ndarray) -> np.ndarray:
        regions = self._regions
        mean = inside @ (regions.centre * regions.area[:, None]) / area[:, None]
        return np.hypot(*(mean / regions.labels.shape - 0.5).T)


def cut(tree: RegionTree, count: int, groups: int) -> np.ndarray:
    """The last merges undone until there are that many groups: labels (n,), 0..groups-1."""
    nodes = len(tree.parent)
    stop = nodes - (min(groups, count) - 1)
    root = np.arange(nodes)
    for node in range(nodes - 1, -1, -1):
        above = tree.parent[node]
        if 0 <= above < stop:
            root[node] = root[above]
    return np.unique(root[:count], return_inverse=True)[1]


def background_contrast(regions: Regions, groups: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Saliency (n,) in [0,1] of regions by their contrast to what is connected with the frame's border.

    groups: (n,) label of each region's group; geodesics run between groups. values: (n,c), scaled so that a
    distance of 1 is about where two things stop being the same.
    """
    area = np.bincount(groups, regions.area)
    mean = np.stack([np.bincount(groups, column * regions.area) for column in values.T], 1) / area[:, None]
    centre = np.stack([np.bincount(groups, c * regions.area) for c in regions.centre.T], 1) / area[:, None]
    border = np.bincount(groups, regions.border.sum(1))
    distance = _distances(mean)
    a, b = groups[regions.pairs[:, 0]], groups[regions.pairs[:, 1]]
    linked = np.zeros((len(area), len(area)), bool)
    linked[a, b] = linked[b, a] = a != b
    touching = border > 0
    # All that touches the border is connected: what stands before the background cuts it into pieces.
    reach = linked | (touching[:, None] & touching[None])
    np.fill_diagonal(reach, False)
    # Small differences add up over long paths; they are not counted.
    step = np.where(reach, np.maximum(distance - 0.3, 1e-4), 0)
    geodesic = _geodesics(sparse.csr_matrix(step))
    same = np.exp(-(geodesic**2) / 2)
    connectivity = (same @ border) / np.sqrt(same @ area)
    background = 1 - np.exp(-(connectivity**2) / 2)
    scale = max(regions.labels.shape)
    near = np.exp(-(((centre[:, None] - centre[None]) / scale) ** 2).sum(2) / (2 * 0.25**2)) * area
    contrast = (distance * near * background).sum(1) / near.sum(1)
    contrast /= max(contrast.max(), 1e-9)
    smooth = np.where(linked, np.exp(-(distance**2) / 2) + 0.1, 0)
    system = np.diag(2 * background + contrast + smooth.sum(1)) - smooth
    saliency = np.linalg.solve(system + 1e-9 * np.eye(len(area)), contrast)
    saliency -= saliency.min()
    return (saliency / max(saliency.max(), 1e-9))[groups]


def _geodesics(steps: sparse.csr_matrix) -> np.ndarray:
    """Lengths (k,k) of the shortest paths; a few starts at a time, as scipy keeps the GIL all the while and
    a window beside it would stand still."""
    starts = np.arange(steps.shape[0])
    return np.concatenate(
        [dijkstra(steps, directed=False, indices=starts[i : i + _STARTS]) for i in starts[::_STARTS]]
    )


def _relative(features: np.ndarray, groups: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Features in units of a third of the median distance between groups."""
    size = np.bincount(groups, area)
    mean = np.stack([np.bincount(groups, column * area) for column in features.T], 1) / size[:, None]
    return features / max(np.median(_distances(mean)) * 0.35, 1e-6)


def _distances(points: np.ndarray) -> np.ndarray:
    """Euclidean distances (k,k) of points (k,c)."""
    squared = (points**2).sum(1)
    return np.sqrt(np.maximum(squared[:, None] + squared[None] - 2 * points @ points.T, 0))


def _saturate(value: np.ndarray, half: float) -> np.ndarray:
    """0 to 1, one half at `half`."""
    return value / (value + half)
