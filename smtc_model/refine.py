"""From soft labels on a coarse grid to labels per pixel that follow the image's edges.

A guided filter (He, Sun, Tang, "Guided Image Filtering", TPAMI 2013, colour guide) explains each label
locally as an affine function of colour. Its coefficients are found on the coarse grid and applied to the full
image (He and Sun, "Fast Guided Filter", 2015), only inside the box of each object, and taken over only in its
uncertain band.

Letters: H x W pixels, hf x wf cells of the grid of the soft labels, L label channels (0 background).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np

UNCERTAIN = (0.02, 0.98)
"""Soft labels in between form the band that is refined; a filter radius is added around it."""


Region = tuple[slice, slice]
_EVERYWHERE: Region = (slice(None), slice(None))


class GuidedFilter:
    """Guided filter with one colour guide for any number of maps.

    guide: (hf,wf,3) float32. radius: of the box windows, in cells. epsilon: variance of the guide below which
    the filter smooths instead of following edges.
    """

    def __init__(self, guide: np.ndarray, *, radius: int, epsilon: float) -> None:
        self._guide = np.ascontiguousarray(guide, np.float32)
        self._size = (2 * radius + 1, 2 * radius + 1)
        self._mean = self._box(self._guide)
        products = self._guide[..., [0, 0, 0, 1, 1, 2]] * self._guide[..., [0, 1, 2, 1, 2, 2]]
        # cv2 filters up to four channels at a time
        second = np.concatenate([self._box(products[..., :3]), self._box(products[..., 3:])], 2)
        second -= self._mean[..., [0, 0, 0, 1, 1, 2]] * self._mean[..., [0, 1, 2, 1, 2, 2]]
        self._inverse = _inverse_symmetric(second, epsilon)

    def _box(self, maps: np.ndarray) -> np.ndarray:
        return cv2.blur(np.ascontiguousarray(maps), self._size, borderType=cv2.BORDER_REFLECT)

    def coefficients(self, target: np.ndarray, region: Region = _EVERYWHERE) -> np.ndarray:
        """target float32 of the guide's size, or of a region of it -> (...,4): about c[:3] . guide + c[3]."""
        guide, guide_mean, inverse = self._guide[region], self._mean[region], self._inverse[region]
        mean = self._box(target)
        cross = self._box(guide * target[..., None]) - guide_mean * mean[..., None]
        xx, xy, xz, yy, yz, zz = (inverse[..., i] for i in range(6))
        c0, c1, c2 = (cross[..., i] for i in range(3))
        slope = np.stack(
            [xx * c0 + xy * c1 + xz * c2, xy * c0 + yy * c1 + yz * c2, xz * c0 + yz * c1 + zz * c2], 2
        )
        offset = mean - (slope * guide_mean).sum(2)
        return self._box(np.concatenate([slope, offset[..., None]], 2))

    def __call__(self, target: np.ndarray) -> np.ndarray:
        """target (hf,wf) float32 -> the filtered map; zero, and without cost, far from what is not zero."""
        result = np.zeros_like(target)
        box = box_of(target > 0, self._size[0], target.shape)  # two boxes, one after the other
        if box is not None:
            region = np.s_[box[0] : box[1], box[2] : box[3]]
            found = self.coefficients(target[region], region)
            result[region] = (found[..., :3] * self._guide[region]).sum(2) + found[..., 3]
        return result


def _inverse_symmetric(m: np.ndarray, epsilon: float) -> np.ndarray:
    """(...,6) upper triangles of 3 x 3 matrices, `epsilon` added to the diagonal -> those of the inverses."""
    a, b, c, d, e, f = (m[..., i] for i in range(6))
    a, d, f = a + epsilon, d + epsilon, f + epsilon
    xx, xy, xz = d * f - e * e, c * e - b * f, b * e - c * d
    determinant = a * xx + b * xy + c * xz
    rest = (xx, xy, xz, a * f - c * c, b * c - a * e, a * d - b * b)
    return np.stack(rest, -1) / np.maximum(determinant, 1e-12)[..., None]


def lab_guide(frame: np.ndarray) -> np.ndarray:
    """frame uint8 (H,W,3) RGB -> CIELAB / 100 as float32 (H,W,3)."""
    return cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) / 100


def upsample_labels(soft: np.ndarray, ids: Sequence[int], size: tuple[int, int]) -> np.ndarray:
    """The published output: bilinear to native size, then the best channel.

    soft: (L,hf,wf) float32, ids: the label of each channel. Returns uint16 (H,W). Channels are compared one
    after the other, so the memory does not grow with their number.
    """
    height, width = size
    best = np.full((height, width), -np.inf, np.float32)
    labels = np.zeros((height, width), np.uint16)
    for channel, label in zip(soft, ids, strict=True):
        full = cv2.resize(
            np.ascontiguousarray(channel, np.float32), (width, height), interpolation=cv2.INTER_LINEAR
        )
        better = full > best
        best[better] = full[better]
        labels[better] = label
    return labels


def refine_labels(
    soft: np.ndarray,
    ids: Sequence[int],
    frame: np.ndarray,
    *,
    radius: int = 2,
    epsilon: float = 1e-4,
    between: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Soft labels -> labels of each pixel, following the frame's edges within the uncertain band.

    soft: (L,hf,wf) float32 in [0,1]; ids: the label of each channel, the background's 0 first; frame: uint8
    (H,W,3) RGB; between: called after each object, may raise. Returns uint16 (H,W).
    """
    height, width = frame.shape[:2]
    best = np.zeros((height, width), np.float32)
    labels = np.zeros((height, width), np.uint16)
    background = np.ones((height, width), np.float32)
    for label, region, full in refined_channels(soft, ids, frame, radius=radius, epsilon=epsilon):
        background[region] -= full
        better = full > best[region]
        best[region][better] = full[better]
        labels[region][better] = label
        between()
    labels[background >= best] = 0
    return labels


def refined_channels(
    soft: np.ndarray, ids: Sequence[int], frame: np.ndarray, *, radius: int = 2, epsilon: float = 1e-4
) -> Iterator[tuple[int, Region, np.ndarray]]:
    """(label, region of the image, its probabilities float32 there) of every object; nothing is elsewhere.

    Arguments as `refine_labels`.
    """
    height, width = frame.shape[:2]
    hf, wf = soft.shape[1:]
    small = cv2.resize(frame, (wf, hf), interpolation=cv2.INTER_AREA)
    small_guide = lab_guide(small)
    for channel, label in zip(soft[1:], ids[1:], strict=True):
        box = box_of(channel > UNCERTAIN[0], radius * 3, (hf, wf))
        if box is None:
            continue
        y0, y1, x0, x1 = box
        # Native pixels that the cells of the box cover.
        py0, py1 = y0 * height // hf, -(-y1 * height // hf)
        px0, px1 = x0 * width // wf, -(-x1 * width // wf)
        shape = (px1 - px0, py1 - py0)
        target = np.ascontiguousarray(channel[y0:y1, x0:x1], np.float32)
        plain = cv2.resize(target, shape, interpolation=cv2.INTER_LINEAR)
        filtered = GuidedFilter(small_guide[y0:y1, x0:x1], radius=radius, epsilon=epsilon)
        coefficients = cv2.resize(filtered.coefficients(target), shape, interpolation=cv2.INTER_LINEAR)
        guide = lab_guide(np.ascontiguousarray(frame[py0:py1, px0:px1]))
        full = (coefficients[..., :3] * guide).sum(2) + coefficients[..., 3]
        band = cv2.dilate(
            ((target > UNCERTAIN[0]) & (target < UNCERTAIN[1])).astype(np.uint8), np.ones((3, 3), np.uint8)
        )
        band = cv2.resize(band, shape, interpolation=cv2.INTER_NEAREST).astype(bool)
        yield label, np.s_[py0:py1, px0:px1], np.where(band, np.clip(full, 0, 1), plain)


def box_of(mask: np.ndarray, margin: int, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """(y0, y1, x0, x1) around a mask plus a margin within the size, or None for an empty one."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    height, width = size
    return (
        max(0, rows[0] - margin),
        min(height, rows[-1] + 1 + margin),
        max(0, columns[0] - margin),
        min(width, columns[-1] + 1 + margin),
    )
