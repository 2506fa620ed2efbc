"""Splitting one mask: slots that compete inside it only.

The frame is cropped to the mask and enlarged for the backbone, so that even small objects have enough tokens;
the slots' shares then group the regions inside the mask, as in `discovery`, into connected parts.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import torch
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from .objectness import cut
from .region_slots import encode, soft_kmeans
from .region_tree import MergeWeights, build_tree
from .regions import Regions, build_regions, work_image
from .smtc import SMTC

MARGIN = 0.1
"""Of the mask's box, seen around it."""

WEIGHTS = MergeWeights(slots=2.0, size_power=1.0)
CROP_SIDE_PX = 320


def split(
    model: SMTC, frame: np.ndarray, mask: np.ndarray, *, parts: int, device: str | torch.device, seed: int
) -> list[np.ndarray]:
    """See `discovery.split_mask`."""
    from .weights import device_for

    if mask.shape != frame.shape[:2]:
        raise ValueError(f"mask has shape {mask.shape}, its frame {frame.shape[:2]}")
    if parts < 2:
        raise ValueError(f"parts must be at least 2, got {parts}")
    if not mask.any():
        raise ValueError("mask is empty: there is nothing to split")
    mask = mask.astype(bool)
    window = _window(mask)
    crop, inside = np.ascontiguousarray(frame[window]), mask[window]
    image = work_image(crop)
    small = cv2.resize(inside.astype(np.uint8), image.shape[1::-1], interpolation=cv2.INTER_AREA) > 0
    keys = encode(model, crop, device=device_for(model, device), side_px=CROP_SIDE_PX)
    features = keys[0].permute(1, 2, 0).cpu().numpy()
    shares = _slots_inside(features, small, parts, seed)
    regions = _inside(build_regions(image, features, shares), small)
    groups = cut(build_tree(regions, WEIGHTS), len(regions), parts)
    # Regions outside have no label: every pixel of the mask takes that of the nearest one inside.
    labels = np.where(regions.labels >= 0, groups[np.maximum(regions.labels, 0)] + 1, 0)
    native = _fill(labels, inside)
    found = []
    for number in range(1, groups.max() + 2):
        part = np.zeros_like(mask)
        part[window] = native == number
        if part.any():
            found.append(part)
    return sorted(found, key=lambda part: -int(part.sum()))


def _window(mask: np.ndarray) -> tuple[slice, slice]:
    sides = []
    for axis in (1, 0):
        filled = np.flatnonzero(mask.any(axis))
        margin = max(4, int(MARGIN * (filled[-1] - filled[0] + 1)))
        sides.append(slice(max(0, filled[0] - margin), filled[-1] + 1 + margin))
    return sides[0], sides[1]


def _slots_inside(features: np.ndarray, mask: np.ndarray, parts: int, seed: int) -> np.ndarray:
    """Shares (h',w',K) of slots that compete for the tokens inside a mask (h,w)."""
    h, w, channels = features.shape
    tokens = features.reshape(-1, channels)
    tokens = tokens / np.maximum(np.linalg.norm(tokens, axis=1, keepdims=True), 1e-6)
    covered = cv2.resize(mask.astype(np.float32), (w, h), interpolation=cv2.INTER_AREA).ravel()
    inside = covered >= min(0.5, covered.max())
    found = soft_kmeans(tokens[inside], parts, iterations=5, seed=seed)
    shares = np.full((len(tokens), found.shape[1]), 1 / found.shape[1], np.float32)
    shares[inside] = found
    return shares.reshape(h, w, -1)


def _inside(regions: Regions, mask: np.ndarray) -> Regions:
    """Only the regions that lie mostly within a mask (h,w), at least one; they are connected by force."""
    share = np.bincount(regions.labels.ravel(), mask.ravel(), len(regions)) / regions.area
    keep = share >= min(0.5, share.max())
    number = np.cumsum(keep) - 1
    edges = keep[regions.pairs].all(1)
    pairs, length, gradient = number[regions.pairs[edges]], regions.length[edges], regions.gradient[edges]
    count = int(keep.sum())
    links = sparse.coo_matrix((np.ones(len(pairs)), tuple(pairs.T)), shape=(count, count))
    pieces, piece = connected_components(links, directed=False)
    centre = regions.centre[keep]
    bridges = []
    for other in range(1, pieces):
        ours, theirs = np.flatnonzero(piece < other), np.flatnonzero(piece == other)
        distance = ((centre[ours][:, None] - centre[theirs][None]) ** 2).sum(2)
        a, b = np.unravel_index(distance.argmin(), distance.shape)
        bridges.append(sorted((ours[a], theirs[b])))
    if bridges:
        pairs = np.concatenate([pairs, bridges])
        length = np.concatenate([length, np.ones(len(bridges))])
        gradient = np.concatenate([gradient, np.full(len(bridges), regions.gradient.max())])
    return dataclasses.replace(
        regions,
        labels=np.where(keep, number, -1)[regions.labels],
        area=regions.area[keep],
        border=regions.border[keep],
        centre=centre,
        colour=regions.colour[keep],
        palette=regions.palette[keep],
        features=regions.features[keep],
        slots=regions.slots[keep],
        pairs=pairs,
        length=length,
        gradient=gradient,
    )


def _fill(labels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Labels (h,w) -> native size, 0 outside a mask (H,W) and the nearest label everywhere inside."""
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    full = labels[tuple(nearest)].astype(np.float32)
    native = cv2.resize(full, mask.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return np.where(mask, native.astype(int), 0)
