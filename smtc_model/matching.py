"""Which positions of the remembered frames look like a position of this one: windowed top-k matching.

The published way multiplies every position with every position of every remembered frame, masks what lies
outside a window and sorts the rest. Here the frame is cut into square tiles; a tile meets only the part of
each remembered frame that its windows cover, tiles whose windows hold nothing but background are skipped
(their answer is known whatever the affinities), and the top k are found through the maxima of small groups.
The results are the same; no (hw)^2 matrix ever exists. On a processor tiles are small, for the least work; a
GPU gets large ones, and remembered frames with the same window at once, for the fewest calls.

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
_SHIFT_TILE = 8
"""Tokens along each side of what moves as one: its windows are centred on the median of its motion."""
_GPU_TILE = 32
_GPU_FLOATS = 1 << 26
"""Most affinities of a tile; where windows are wide, tiles are smaller."""


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
        """dy (...,a) and dx (...,b) offsets -> (...,a,b) bool, True where the window does not reach."""
        if self.shape == "disk":
            return dy[..., :, None].square() + dx[..., None, :].square() >= self.radius**2
        return (dy.abs() > self.radius)[..., :, None] | (dx.abs() > self.radius)[..., None, :]


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
    tile: int | None = None,
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
            remembered frame; windows are centred there, on the median over 8 x 8 tokens. None: no motion.
        tile: side of a tile in tokens; None: what suits the device.

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
    shifts = _Shifts(motion, (n, h, w))
    batched = query.device.type != "cpu"
    if tile is None:
        tile = _gpu_tile(windows, (h, w)) if batched else _SHIFT_TILE
    for top in range(0, h, tile):
        for left in range(0, w, tile):
            whole = (top, min(top + tile, h), left, min(left + tile, w))
            part = whole if occupied is None else occupied.part(whole, shifts)
            if part is None:
                continue
            looks = [
                _Look(m, 1, window, _reach(window, shifts.range(i, part), part, (h, w)), i)
                for i, (m, window) in enumerate(zip(slots, windows, strict=True))
            ]
            if batched:
                looks = _joined(looks, shifts, part)
            best, where = _match_tile(query, memory, looks, shifts, part, k)
            y0, y1, x0, x1 = part
            kept = best.shape[1]
            values[y0:y1, x0:x1, :kept] = best.view(y1 - y0, x1 - x0, kept)
            indices[y0:y1, x0:x1, :kept] = where.view(y1 - y0, x1 - x0, kept)
            skipped[y0:y1, x0:x1] = False
    return Matches(values.view(-1, k), indices.view(-1, k), skipped.view(-1))


Box = tuple[int, int, int, int]
"""(y0, y1, x0, x1) in tokens, half open."""


class _Look(NamedTuple):
    """What a tile meets of remembered frames that follow each other in memory."""

    first: int
    """Slot of the first."""
    count: int
    window: Window
    box: Box
    """The part of each of them."""
    number: int
    """Of the first among those looked at."""


def _gpu_tile(windows: Sequence[Window], size: tuple[int, int]) -> int:
    """Side of the largest tile whose affinities are not too many."""
    tile = _GPU_TILE
    while tile > _SHIFT_TILE:
        met = (
            size if w.radius is None else (min(side, tile + 2 * w.reach) for side in size) for w in windows
        )
        if tile**2 * sum(rows * columns for rows, columns in met) <= _GPU_FLOATS:
            break
        tile //= 2
    return tile


class _Shifts:
    """Where windows are centred: whole tokens from each position, the same all over 8 x 8 of them.

    motion: as `match` has it; size: n, h, w.
    """

    def __init__(self, motion: Tensor | None, size: tuple[int, int, int]) -> None:
        self._host: np.ndarray | None = None  # (n,2,h,w)
        self._device: Tensor | None = None
        if motion is None:
            return
        self._home = motion.device
        displacements = motion.cpu().numpy()
        n, h, w = size
        side = _SHIFT_TILE
        blocks = np.zeros((n, 2, -(-h // side), -(-w // side)), np.int64)
        for row, column in np.ndindex(*blocks.shape[2:]):
            tile = displacements[:, :, row * side : (row + 1) * side, column * side : (column + 1) * side]
            blocks[:, :, row, column] = np.median(tile.reshape(n, 2, -1), axis=2).round()
        self._blocks = blocks
        self._host = blocks.repeat(side, 2).repeat(side, 3)[:, :, :h, :w]
        self._moving = blocks.reshape(n, -1).any(1).tolist()

    def range(self, i: int, tile: Box) -> tuple[tuple[int, int], tuple[int, int]]:
        """Least and largest (dy, dx) of the i-th frame within a tile."""
        if self._host is None or not self._moving[i]:
            return (0, 0), (0, 0)
        y0, y1, x0, x1 = tile
        rows, columns = (
            slice(first // _SHIFT_TILE, -(-last // _SHIFT_TILE)) for first, last in ((y0, y1), (x0, x1))
        )
        dy, dx = self._blocks[i, :, rows, columns]
        if dy.size == 1:
            only = (int(dy.item()), int(dx.item()))
            return only, only
        return (int(dy.min()), int(dx.min())), (int(dy.max()), int(dx.max()))

    def centres(self, i: int, tile: Box) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns (q1,q2) of the windows' centres in the i-th frame."""
        y0, y1, x0, x1 = tile
        rows, columns = np.mgrid[y0:y1, x0:x1]
        if self._host is not None:
            rows, columns = rows + self._host[i, 0, y0:y1, x0:x1], columns + self._host[i, 1, y0:y1, x0:x1]
        return rows, columns

    def on_device(self, i: int, tile: Box) -> Tensor:
        """(2,q1,q2) of the i-th frame, beside the features; brought there once."""
        if self._device is None:
            self._device = torch.from_numpy(self._host).to(self._home)
        y0, y1, x0, x1 = tile
        return self._device[i, :, y0:y1, x0:x1]


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

    def part(self, tile: Box, shifts: _Shifts) -> Box | None:
        """The smallest part of a tile that holds all its positions with foreground within their windows."""
        y0, y1, x0, x1 = tile
        h, w = self._reached[0].shape
        found = np.zeros((y1 - y0, x1 - x0), np.uint8)
        for i, reached in enumerate(self._reached):
            if shifts.range(i, tile) == ((0, 0), (0, 0)):
                found |= reached[y0:y1, x0:x1]
                continue
            # Centres beyond the frame count as on its edge: their windows reach no further into it.
            rows, columns = shifts.centres(i, tile)
            found |= reached[rows.clip(0, h - 1), columns.clip(0, w - 1)]
        rows, columns = np.flatnonzero(found.any(1)), np.flatnonzero(found.any(0))
        if not len(rows):
            return None
        return y0 + int(rows[0]), y0 + int(rows[-1]) + 1, x0 + int(columns[0]), x0 + int(columns[-1]) + 1


def _reach(
    window: Window, shifts: tuple[tuple[int, int], tuple[int, int]], tile: Box, size: tuple[int, int]
) -> Box:
    """The part of a remembered frame that the windows of a tile cover, at least one token.

    shifts: the least and the largest of the windows.
    """
    h, w = size
    if window.radius is None:
        return 0, h, 0, w
    y0, y1, x0, x1 = tile
    (dy, dx), (last_dy, last_dx) = shifts
    reach = window.reach
    top, left = min(max(0, y0 + dy - reach), h - 1), min(max(0, x0 + dx - reach), w - 1)
    return top, max(top + 1, min(h, y1 + last_dy + reach)), left, max(left + 1, min(w, x1 + last_dx + reach))


def _joined(looks: Sequence[_Look], shifts: _Shifts, tile: Box) -> list[_Look]:
    """The same looks, those at neighbouring slots with the same window in the same place as one."""
    result: list[_Look] = []
    for look in looks:
        low, high = shifts.range(look.number, tile)
        if result and low == high:
            last = result[-1]
            same = (last.window, last.box, shifts.range(last.number, tile)) == (
                look.window,
                look.box,
                (low, high),
            )
            if same and look.first == last.first + last.count:
                result[-1] = last._replace(count=last.count + 1)
                continue
        result.append(look)
    return result


def _match_tile(
    query: Tensor, memory: Tensor, looks: Sequence[_Look], shifts: _Shifts, tile: Box, k: int
) -> tuple[Tensor, Tensor]:
    """(q,k') values and flat memory indices of one tile, k' = min(k, candidates)."""
    h, w, channels = query.shape
    y0, y1, x0, x1 = tile
    queries = query[y0:y1, x0:x1].reshape(-1, channels)
    extents = [(bottom - top, right - left) for top, bottom, left, right in (look.box for look in looks)]
    counts = [look.count * rows * columns for look, (rows, columns) in zip(looks, extents, strict=True)]
    candidates = queries.new_empty((len(queries), sum(counts)))
    positions = []
    for look, extent, affinity in zip(looks, extents, candidates.split(counts, 1), strict=True):
        top, bottom, left, right = look.box
        met = memory[look.first : look.first + look.count, top:bottom, left:right]
        torch.mm(queries, met.reshape(-1, channels).T, out=affinity)
        if look.window.radius is not None:
            low, high = shifts.range(look.number, tile)
            if low == high:
                offset = (top - y0 - low[0], left - x0 - low[1])
                mask = _outside(look.window, offset, extent, (y1 - y0, x1 - x0), query.device)
            else:
                mask = _outside_each(
                    look.window, (top - y0, left - x0), extent, shifts.on_device(look.number, tile)
                )
            if look.count > 1:
                affinity, mask = affinity.view(len(queries), look.count, -1), mask[:, None]
            affinity.masked_fill_(mask, _MASKED)
        raster = _raster((look.count, *extent), (h * w, w), query.device)
        positions.append(raster + (look.first * h * w + top * w + left))
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


def _outside_each(window: Window, offset: tuple[int, int], extent: tuple[int, int], shift: Tensor) -> Tensor:
    """(q,m) bool as `_outside`, where each query's window is shifted by its own (2,q1,q2); offset without."""
    _, height, width = shift.shape
    starts = [torch.arange(side, device=shift.device) for side in (height, width)]
    own = (shift[0] + starts[0][:, None], shift[1] + starts[1])
    dy, dx = (
        torch.arange(start, start + side, device=shift.device) - one.reshape(-1, 1)
        for start, side, one in zip(offset, extent, own, strict=True)
    )
    return window.outside(dy, dx).flatten(1)


@functools.lru_cache(maxsize=128)
def _raster(extent: tuple[int, int, int], strides: tuple[int, int], device: torch.device) -> Tensor:
    """Flat offsets of the positions of a box in frames and rows of so many tokens."""
    frames, rows, columns = (torch.arange(side, device=device) for side in extent)
    return (frames[:, None, None] * strides[0] + rows[:, None] * strides[1] + columns).view(-1)


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
