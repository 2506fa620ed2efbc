"""Which positions of the remembered frames look like a position of this one: windowed top-k matching.

The published way multiplies every position with every position of every remembered frame, masks what lies
outside a window and sorts the rest. Here the frame is cut into square tiles; a tile meets only the part of
each remembered frame that its windows cover, tiles whose windows hold nothing but background are skipped
(their answer is known whatever the affinities), and the top k are found through the maxima of small groups.
The results are the same; no (hw)^2 matrix ever exists.

Letters: C channels, h x w tokens, n remembered frames, Q = h*w queries, k matches, L label channels.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

GROUP = 16
"""Candidates whose maximum stands for them in the first round of the top-k search."""
_MASKED = -1e4


@dataclass(frozen=True)
class Window:
    """Where in a remembered frame a query may find its matches.

    radius: tokens; None: anywhere. shape: "square" keeps |dy|, |dx| <= radius (DINO), "disk" keeps a
    Euclidean distance < radius (CRW).
    """

    radius: float | None
    shape: str = "square"

    def __post_init__(self) -> None:
        if self.shape not in ("square", "disk"):
            raise ValueError(f'window shape must be "square" or "disk", got {self.shape!r}')
        if self.radius is not None and self.radius <= 0:
            raise ValueError(f"window radius must be positive or None, got {self.radius!r}")

    @property
    def reach(self) -> int:
        """Largest whole offset along one axis that can lie inside."""
        assert self.radius is not None
        whole = int(self.radius)
        return whole - 1 if self.shape == "disk" and whole == self.radius else whole

    def outside(self, dy: Tensor, dx: Tensor) -> Tensor:
        """dy (a,) and dx (b,) offsets -> (a,b) bool, True where the window does not reach."""
        if self.shape == "disk":
            return dy[:, None].square() + dx[None, :].square() >= self.radius**2
        return (dy.abs() > self.radius)[:, None] | (dx.abs() > self.radius)[None, :]


class Matches(NamedTuple):
    """The best matches of each query; skipped queries have index -1 and value -1e4 throughout."""

    values: Tensor
    """(Q,k) dot products, best first; -1e4 where a window holds fewer than k candidates."""
    indices: Tensor
    """(Q,k) int64 positions in the flattened memory, frame * h*w + y*w + x."""
    skipped: Tensor
    """(Q,) bool: the query was not matched because nothing but background was within reach."""


def grouped_topk(values: Tensor, k: int, *, group: int = GROUP) -> tuple[Tensor, Tensor]:
    """The k largest of each row, best first: same result as `torch.topk` on rows of thousands, sooner.

    values: (q,m), finite. Each of the k largest lies in one of the k groups with the largest maxima, so
    a full search needs only k * group candidates.
    """
    q, m = values.shape
    groups = m // group
    if groups <= 2 * k:
        return values.topk(k, dim=1)
    body = values[:, : groups * group].view(q, group, groups)
    best_groups = body.amax(1).topk(k, dim=1, sorted=False).indices  # (q,k)
    offsets, rest = _group_columns(m, group, values.device)
    columns = (best_groups[:, None, :] + offsets).view(q, group * k)
    if len(rest):
        columns = torch.cat([columns, rest.expand(q, -1)], 1)
    best, where = values.gather(1, columns).topk(k, dim=1)
    return best, columns.gather(1, where)


@functools.lru_cache(maxsize=512)
def _group_columns(m: int, group: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Of rows of m: from a group's first column to its others (1,group,1), and the columns in no group."""
    groups = m // group
    offsets = torch.arange(group, device=device)[None, :, None] * groups
    return offsets, torch.arange(groups * group, m, device=device)


def match(
    query: Tensor,
    memory: Tensor,
    *,
    windows: Sequence[Window],
    k: int,
    slots: Sequence[int] | None = None,
    foreground: Tensor | None = None,
    motion: Tensor | None = None,
    tile: int = 8,
) -> Matches:
    """The k best matches of each position of `query` over all frames of `memory`.

    Args:
        query: (h,w,C) features, channels last.
        memory: (N,h,w,C) features.
        windows: one for each of the n remembered frames to look at.
        slots: which n of the N; None: all.
        foreground: (n,h,w) bool, where a remembered frame holds anything but plain background. Tiles that
            reach none of it are skipped. None: nothing is skipped.
        motion: (n,2,h,w) displacement (dy, dx) in tokens from the query's position to where it was in each
            remembered frame; windows are centred there, on the median over each tile. None: no motion.
        tile: side of a tile in tokens.

    Raises ValueError where shapes or the number of windows do not agree.
    """
    h, w, _channels = query.shape
    slots = range(memory.shape[0]) if slots is None else slots
    n = len(slots)
    if memory.shape[1:] != query.shape:
        raise ValueError(f"memory {tuple(memory.shape)} does not fit the query {tuple(query.shape)}")
    if len(windows) != n:
        raise ValueError(f"{len(windows)} windows given for {n} remembered frames")
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    values = query.new_full((h, w, k), _MASKED)
    indices = torch.full((h, w, k), -1, dtype=torch.long, device=query.device)
    skipped = torch.ones((h, w), dtype=torch.bool, device=query.device)
    occupied = None if foreground is None else _Occupancy(foreground, windows)
    displacements = None if motion is None else motion.cpu().numpy()
    for top in range(0, h, tile):
        for left in range(0, w, tile):
            whole = (top, min(top + tile, h), left, min(left + tile, w))
            shifts = _tile_shifts(displacements, n, whole)
            part = whole if occupied is None else occupied.part(whole, shifts)
            if part is None:
                continue
            boxes = [
                _reach(window, shift, part, (h, w)) for window, shift in zip(windows, shifts, strict=True)
            ]
            best, where = _match_tile(query, memory, slots, windows, shifts, boxes, part, k)
            y0, y1, x0, x1 = part
            kept = best.shape[1]
            values[y0:y1, x0:x1, :kept] = best.view(y1 - y0, x1 - x0, kept)
            indices[y0:y1, x0:x1, :kept] = where.view(y1 - y0, x1 - x0, kept)
            skipped[y0:y1, x0:x1] = False
    return Matches(values.view(-1, k), indices.view(-1, k), skipped.view(-1))


Box = tuple[int, int, int, int]
"""(y0, y1, x0, x1) in tokens, half open."""


class _Occupancy:
    """Which positions reach foreground of the remembered frames, found on the host.

    foreground: (n,h,w) bool; windows: one for each of the n, none without a radius.
    """

    def __init__(self, foreground: Tensor, windows: Sequence[Window]) -> None:
        self._reached = [
            cv2.dilate(one, np.ones((2 * window.reach + 1,) * 2, np.uint8), borderValue=0)
            if window.radius is not None
            else np.full_like(one, one.max())
            for one, window in zip(foreground.to(torch.uint8).cpu().numpy(), windows, strict=True)
        ]

    def part(self, tile: Box, shifts: Sequence[tuple[int, int]]) -> Box | None:
        """The smallest part of a tile that holds all its positions with foreground within their windows."""
        y0, y1, x0, x1 = tile
        h, w = self._reached[0].shape
        found = np.zeros((y1 - y0, x1 - x0), np.uint8)
        for reached, (dy, dx) in zip(self._reached, shifts, strict=True):
            # Centres beyond the frame count as on its edge: their windows reach no further into it.
            rows, columns = (
                np.arange(y0 + dy, y1 + dy).clip(0, h - 1),
                np.arange(x0 + dx, x1 + dx).clip(0, w - 1),
            )
            found |= reached[rows[:, None], columns]
        rows, columns = np.flatnonzero(found.any(1)), np.flatnonzero(found.any(0))
        if not len(rows):
            return None
        return y0 + int(rows[0]), y0 + int(rows[-1]) + 1, x0 + int(columns[0]), x0 + int(columns[-1]) + 1


def _tile_shifts(motion: np.ndarray | None, n: int, tile: Box) -> list[tuple[int, int]]:
    if motion is None:
        return [(0, 0)] * n
    y0, y1, x0, x1 = tile
    medians = np.median(motion[:, :, y0:y1, x0:x1].reshape(n, 2, -1), axis=2)
    return [(int(dy), int(dx)) for dy, dx in medians.round()]


def _reach(window: Window, shift: tuple[int, int], tile: Box, size: tuple[int, int]) -> Box:
    """The part of a remembered frame that the windows of a tile cover, at least one token."""
    h, w = size
    if window.radius is None:
        return 0, h, 0, w
    y0, y1, x0, x1 = tile
    dy, dx = shift
    reach = window.reach
    top, left = min(max(0, y0 + dy - reach), h - 1), min(max(0, x0 + dx - reach), w - 1)
    return top, max(top + 1, min(h, y1 + dy + reach)), left, max(left + 1, min(w, x1 + dx + reach))


def _match_tile(
    query: Tensor,
    memory: Tensor,
    slots: Sequence[int],
    windows: Sequence[Window],
    shifts: Sequence[tuple[int, int]],
    boxes: Sequence[Box],
    tile: Box,
    k: int,
) -> tuple[Tensor, Tensor]:
    """(q,k') values and flat memory indices of one tile, k' = min(k, candidates)."""
    h, w, channels = query.shape
    y0, y1, x0, x1 = tile
    queries = query[y0:y1, x0:x1].reshape(-1, channels)
    extents = [(bottom - top, right - left) for top, bottom, left, right in boxes]
    counts = [rows * columns for rows, columns in extents]
    candidates = queries.new_empty((len(queries), sum(counts)))
    positions = []
    parts = zip(slots, windows, shifts, boxes, extents, candidates.split(counts, 1), strict=True)
    for m, window, shift, (top, bottom, left, right), extent, affinity in parts:
        torch.mm(queries, memory[m, top:bottom, left:right].reshape(-1, channels).T, out=affinity)
        if window.radius is not None:
            offset = (top - y0 - shift[0], left - x0 - shift[1])
            mask = _outside(window, offset, extent, (y1 - y0, x1 - x0), query.device)
            affinity.masked_fill_(mask, _MASKED)
        positions.append(_raster(extent, w, query.device) + (m * h * w + top * w + left))
    best, where = grouped_topk(candidates, min(k, candidates.shape[1]))
    return best, torch.cat(positions)[where]


@functools.lru_cache(maxsize=512)
def _outside(
    window: Window,
    offset: tuple[int, int],
    extent: tuple[int, int],
    tile: tuple[int, int],
    device: torch.device,
) -> Tensor:
    """(q,m) bool, which of the m positions of a box lie beyond the window of each of the q of a tile.

    offset: of the box's corner from the tile's, less the shift. Nearly all tiles of a frame share one mask.
    """
    (rows, columns), (height, width) = extent, tile
    dy = torch.arange(rows, device=device)[None, :] + offset[0] - torch.arange(height, device=device)[:, None]
    dx = (
        torch.arange(columns, device=device)[None, :]
        + offset[1]
        - torch.arange(width, device=device)[:, None]
    )
    mask = window.outside(dy.view(-1), dx.view(-1)).view(height, rows, width, columns)
    return mask.permute(0, 2, 1, 3).reshape(height * width, -1)


@functools.lru_cache(maxsize=128)
def _raster(extent: tuple[int, int], stride: int, device: torch.device) -> Tensor:
    """Flat offsets of the positions of a box in rows of `stride` tokens."""
    rows, columns = (torch.arange(side, device=device) for side in extent)
    return (rows[:, None] * stride + columns[None, :]).view(-1)


def vote(matches: Matches, labels: Tensor, *, temperature: float, background: int = 1) -> Tensor:
    """Labels of the matches, weighted by a softmax of value / temperature over each query's k.

    labels: (n*h*w, L) float, the first `background` channels the background's. Returns (Q,L). Skipped queries
    are plain background.
    """
    weights = torch.softmax(matches.values / temperature, 1)
    weights = torch.where(matches.values <= _MASKED / 2, 0.0, weights).to(labels.dtype)
    rows = (~matches.skipped).nonzero()[:, 0]
    result = labels.new_zeros((len(matches.values), labels.shape[1]))
    result[:, :background] = matches.skipped.to(labels.dtype)[:, None]
    indices, weights = matches.indices[rows].clamp_min(0), weights[rows]
    result[rows] = F.embedding_bag(indices, labels.contiguous(), per_sample_weights=weights, mode="sum")
    return result
