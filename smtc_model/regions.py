"""A frame as a few thousand small regions and everything that is measured on them.

Regions are the pixels of discovery: they follow the image's edges, so whatever is made of them does too. They
come from graph-based segmentation (Felzenszwalb and Huttenlocher, IJCV 2004) of the frame at `WORK_SIDE_PX`,
which on DAVIS frames keeps 0.84 of an object's area by IoU with 1,500 regions; SLIC keeps 0.74.

Letters: H x W pixels of the frame, h x w of the work grid, n regions, E edges between neighbours, C channels,
K slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import sparse
from skimage.segmentation import felzenszwalb

WORK_SIDE_PX = 576
"""Longer side of the work grid. Smaller frames are enlarged to it, by 1.5 at most."""

MOST_REGIONS = 2500
PALETTE_SIZE = 24
_SCALE, _SIGMA, _SMALLEST_PX = 20, 0.5, 30


@dataclass(frozen=True)
class Regions:
    """Regions of one frame; region r is ``labels == r``. Sizes are in pixels of the work grid."""

    image: np.ndarray
    """uint8 (h,w,3) RGB"""
    labels: np.ndarray
    """int32 (h,w), 0..n-1"""
    area: np.ndarray
    """(n,)"""
    border: np.ndarray
    """(n,4) pixels on the top, bottom, left and right border of the frame"""
    centre: np.ndarray
    """(n,2) y, x"""
    colour: np.ndarray
    """(n,3) mean CIELAB"""
    palette: np.ndarray
    """(n,PALETTE_SIZE) share of each colour of the frame's palette, sums to 1"""
    features: np.ndarray
    """(n,C) mean of the backbone's unit vectors, shifted and scaled so that over the area their mean is
    0 and the mean squared distance of two regions 1; backbones differ in how far apart they put things"""
    slots: np.ndarray
    """(n,K) share of each slot, sums to 1"""
    motion: np.ndarray | None
    """(n,2m) motion against the camera's towards m other frames, y and x, in pixels; None for a still"""
    foreground: np.ndarray | None
    """(n,) 0 to 1, where the foreground network sees things; None without one"""
    pairs: np.ndarray
    """(E,2) neighbours a < b"""
    length: np.ndarray
    """(E,) length of their common boundary"""
    gradient: np.ndarray
    """(E,) mean CIELAB gradient along it"""

    def __len__(self) -> int:
        return len(self.area)

    @property
    def total_area(self) -> int:
        """h * w"""
        return self.labels.size


def work_image(frame: np.ndarray) -> np.ndarray:
    """frame uint8 (H,W,3) -> the same on the work grid (h,w,3)."""
    height, width = frame.shape[:2]
    scale = min(WORK_SIDE_PX / max(height, width), 1.5)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def build_regions(
    image: np.ndarray,
    features: np.ndarray,
    slots: np.ndarray,
    *,
    motion: Sequence[np.ndarray] = (),
    foreground: np.ndarray | None = None,
) -> Regions:
    """Segment a work image and measure its regions.

    image: uint8 (h,w,3) RGB. features: (h',w',C) float32 on any grid that covers the frame. slots: (h',w',K),
    shares summing to 1. motion: (h,w,2) per other frame, see `camera_compensated_flow`.
    foreground: (h',w'), 0 to 1.
    """
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    labels = _segment(image)
    count = int(labels.max()) + 1
    flat = labels.ravel()
    area = np.bincount(flat, minlength=count).astype(float)
    mean = _Mean(flat, area)
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]].astype(np.float32)
    sides = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    border = np.stack([np.bincount(line, minlength=count) for line in sides], 1)
    unit = features / np.maximum(np.linalg.norm(features, axis=2, keepdims=True), 1e-6)
    mean_features = _standardised(mean_of_grid(labels, unit, count), area)
    pairs, length, gradient = _edges(labels, _gradient(lab))
    return Regions(
        image=image,
        labels=labels,
        area=area,
        border=border.astype(float),
        centre=mean(np.stack([y, x], 2)),
        colour=mean(lab),
        palette=_palette_shares(lab, flat, area),
        features=mean_features,
        slots=mean_of_grid(labels, slots, count),
        motion=mean(np.concatenate(motion, 2)) if len(motion) else None,
        foreground=None if foreground is None else mean_of_grid(labels, foreground[..., None], count)[:, 0],
        pairs=pairs,
        length=length,
        gradient=gradient,
    )


def _segment(image: np.ndarray) -> np.ndarray:
    smallest = _SMALLEST_PX
    while True:
        labels = felzenszwalb(image, scale=_SCALE, sigma=_SIGMA, min_size=smallest).astype(np.int32)
        if labels.max() < MOST_REGIONS:
            return labels
        smallest *= 2


class _Mean:
    """Means of maps (h,w,c) over regions."""

    def __init__(self, flat: np.ndarray, area: np.ndarray) -> None:
        self._flat, self._area = flat, area

    def __call__(self, maps: np.ndarray) -> np.ndarray:
        sums = [np.bincount(self._flat, maps[..., c].ravel(), len(self._area)) for c in range(maps.shape[2])]
        return np.stack(sums, 1) / self._area[:, None]


def mean_of_grid(labels: np.ndarray, grid: np.ndarray, count: int) -> np.ndarray:
    """Means (n,c) of a coarse grid (h',w',c), interpolated bilinearly at every second pixel."""
    rows, columns = labels.shape
    size = max(1, columns // 2), max(1, rows // 2)
    # cv2 resizes many channels only with this interpolation, and up to 512 of them (128 in OpenCV 5).
    parts = [grid[..., c : c + 128] for c in range(0, grid.shape[2], 128)]
    parts = [cv2.resize(np.ascontiguousarray(p), size, interpolation=cv2.INTER_LINEAR) for p in parts]
    fine = np.concatenate([p.reshape(size[1] * size[0], -1) for p in parts], 1)
    # Every pixel looks up its half-resolution cell, so that thin regions get a value too.
    y = np.minimum(np.arange(rows) * size[1] // rows, size[1] - 1)
    x = np.minimum(np.arange(columns) * size[0] // columns, size[0] - 1)
    cell = (y[:, None] * size[0] + x[None]).ravel()
    weights = sparse.coo_matrix(
        (np.ones(cell.size, np.float32), (labels.ravel(), cell)), shape=(count, len(fine))
    ).tocsr()
    return (weights @ fine) / np.asarray(weights.sum(1))


def _standardised(features: np.ndarray, area: np.ndarray) -> np.ndarray:
    weights = area / area.sum()
    centred = features - weights @ features
    return centred / max(np.sqrt(2 * weights @ (centred**2).sum(1)), 1e-6)


def _palette_shares(lab: np.ndarray, flat: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Shares (n,PALETTE_SIZE) of the frame's own most typical colours, found by k-means."""
    scaled = lab * np.float32([0.6, 1, 1])  # brightness changes within an object more than hue does
    samples = cv2.resize(scaled, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA).reshape(-1, 3)
    size = min(PALETTE_SIZE, len(samples))
    cv2.setRNGSeed(1)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 15, 0.5)
    _, _, colours = cv2.kmeans(samples, size, None, stop, 1, cv2.KMEANS_PP_CENTERS)
    pixels = scaled.reshape(-1, 3)
    nearest = ((colours**2).sum(1) - 2 * pixels @ colours.T).argmin(1)
    counts = np.bincount(flat * PALETTE_SIZE + nearest, minlength=len(area) * PALETTE_SIZE)
    return counts.reshape(len(area), PALETTE_SIZE) / area[:, None]


def _gradient(lab: np.ndarray) -> np.ndarray:
    smooth = cv2.GaussianBlur(lab, (0, 0), 1.0)
    x, y = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    return np.sqrt((x**2 + y**2).sum(2)) / 8


def _edges(labels: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbouring regions: pairs (E,2), length (E,), mean gradient (E,)."""
    count = int(labels.max()) + 1
    keys, strengths = [], []
    for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        a, b = labels[one], labels[other]
        differ = a != b
        low, high = np.minimum(a, b)[differ], np.maximum(a, b)[differ]
        keys.append(low.astype(np.int64) * count + high)
        strengths.append(np.maximum(gradient[one], gradient[other])[differ])
    unique, inverse = np.unique(np.concatenate(keys), return_inverse=True)
    length = np.bincount(inverse, minlength=len(unique)).astype(float)
    strength = np.bincount(inverse, np.concatenate(strengths), len(unique)) / np.maximum(length, 1)
    return np.stack([unique // count, unique % count], 1), length, strength
