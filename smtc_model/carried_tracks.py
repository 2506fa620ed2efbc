"""Tracks over some frames of a clip: candidates carried through all of them, and then the best chosen.

On every few frames the best nodes of the tree, overlapping ones included, are carried both ways by matching
the backbone's features, as labels are in propagation (arXiv 2308.09951, section 4), and put onto each frame's
own regions. What arrives is scored on every frame: how much it looks like an object there, and how well a
node of that frame's tree agrees with it. Parts of an object and the object compete with what they are over
all frames, so that one frame that is cut up badly breaks no track.

Deviation from the paper, which takes slots at the same place of near frames as the same object.

Letters: T frames, L tracks, n regions and N nodes of a frame, h x w tokens, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .matching import Window, match, vote
from .objectness import measure_members, objectness
from .region_tree import RegionTree
from .regions import Regions, mean_of_grid

KEYFRAME_STEP = 5
"""Every so many frames of the video start tracks, and the last one does."""
MOST_STARTED, MOST_TRACKS = 30, 150
"""Tracks that one frame may start, and all together."""
SAME = 0.6
"""IoU from which on a node is what a track has carried there; two nodes are the same from `ALIKE` on."""
ALIKE = 0.8
CONFLICT = 0.3
"""Share of the smaller of two tracks that the other may cover if both are to be chosen."""
_RECENT, _WINDOW, _TOP_K, _TEMPERATURE = 4, Window(14), 5, 0.05
_NEAR_FRAMES = 3
"""Frames farther apart than this are matched without a window."""


@dataclass(frozen=True)
class ClipFrame:
    """What carrying needs of a frame."""

    index: int
    tokens: Tensor
    """(h,w,C) float16 unit vectors, on the CPU"""
    regions: Regions
    tree: RegionTree
    score: np.ndarray
    """(N,) objectness, 0 for nodes that are no candidates"""
    value: np.ndarray
    """(N,) what starts tracks, largest first; 0 for those that start none"""


@dataclass(frozen=True)
class Tracks:
    """The chosen tracks, best first; they may overlap a little: the better one is on top."""

    members: tuple[np.ndarray, ...]
    """of each frame bool (L,n), which regions belong to each track"""
    score: np.ndarray
    """(T,L) objectness on each frame"""
    rank: np.ndarray
    """(L,) mean over the frames of score and agreement, descending"""


def carry_tracks(
    frames: Sequence[ClipFrame],
    *,
    size_power: float,
    max_area: float,
    max_border: float,
    device: torch.device | str = "cpu",
    between: Callable[[], None] = lambda: None,
) -> Tracks:
    """Tracks over frames of one size, in the order of time.

    size_power: exponent of the area in the value of a track: weighs a large one against its parts.
    max_area, max_border: what is larger, or lies more on the frame's border, is background. device: where
    features are matched. between: called between frames; may raise, to end the search.
    """
    members, born = _forward(frames, device, between)
    _backward(frames, members, born, device, between)
    count = len(born)
    score, agreement, area = np.zeros((3, len(frames), count))
    for t, (frame, on) in enumerate(zip(frames, members, strict=True)):
        score[t], agreement[t], area[t] = _scores(frame, on, max_area, max_border)
        between()
    rank = np.sqrt(score * agreement)
    value = (rank * area**size_power).mean(0)
    chosen = best_independent(value, _overlaps(frames, members) > CONFLICT)
    chosen = chosen[np.argsort(-rank.mean(0)[chosen], kind="stable")]
    return Tracks(tuple(on[chosen] for on in members), score[:, chosen], rank.mean(0)[chosen])


def best_independent(value: np.ndarray, conflict: np.ndarray) -> np.ndarray:
    """Candidates, no two in conflict, whose values have a large sum; those of value 0 are left out.

    value: (L,), at least 0. conflict: bool (L,L), symmetric. Starts with the most valuable and exchanges one
    for those that it stands against, either way, as long as that gains.
    """
    conflict = conflict & ~np.eye(len(value), dtype=bool)
    order = [int(k) for k in np.argsort(-value, kind="stable") if value[k] > 0]

    def filled(chosen: np.ndarray, without: int = -1) -> np.ndarray:
        for k in order:
            if k != without and not (conflict[k] & chosen).any():
                chosen[k] = True
        return chosen

    best = filled(np.zeros(len(value), bool))
    gained = True
    while gained:
        gained = False
        for k in order:
            if best[k]:
                other = best.copy()
                other[k] = False
                other = filled(other, without=k)
            else:
                other = best & ~conflict[k]
                other[k] = True
                other = filled(other)
            if value[other].sum() > value[best].sum() * (1 + 1e-9):
                best, gained = other, True
    return np.flatnonzero(best)


class _Memory:
    """The last frames' tokens and labels, in one direction."""

    def __init__(self, device: torch.device | str) -> None:
        self._device = device
        self._kept: list[tuple[ClipFrame, Tensor]] = []

    def add(self, frame: ClipFrame, on: np.ndarray, *, alone: bool) -> None:
        """Remember members (L,n) of a frame; `alone`: and forget the others, which lack new tracks."""
        size = tuple(frame.tokens.shape[:2])
        kept = [] if alone else self._kept[1 - _RECENT :]
        self._kept = [*kept, (frame, _to_tokens(frame.regions, on, size))]

    def carried(self, frame: ClipFrame) -> np.ndarray:
        """Members (L,n) of another frame."""
        far = any(abs(frame.index - kept.index) > _NEAR_FRAMES * _RECENT for kept, _ in self._kept)
        memory = torch.stack([kept.tokens for kept, _ in self._kept]).to(self._device).float()
        labels = torch.stack([F.pad(labels, (1, 0)) for _, labels in self._kept]).to(self._device)
        query = frame.tokens.to(self._device).float()
        windows = [Window(None) if far else _WINDOW] * len(memory)
        found = match(query, memory, windows=windows, k=_TOP_K)
        soft = vote(found, labels.flatten(0, 2), temperature=_TEMPERATURE)[:, 1:]
        grid = soft.reshape(*frame.tokens.shape[:2], -1).cpu().numpy()
        return mean_of_grid(frame.regions.labels, grid, len(frame.regions)).T > 0.5


def _starting(frames: Sequence[ClipFrame]) -> set[int]:
    """Positions of the frames that start tracks: all, where they are far apart."""
    gap = np.median(np.diff([frame.index for frame in frames])) if len(frames) > 1 else 1
    step = max(1, round(KEYFRAME_STEP / max(1, gap)))
    return {*range(0, len(frames), step), len(frames) - 1}


def _forward(
    frames: Sequence[ClipFrame], device: torch.device | str, between: Callable[[], None]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Members (L,n) on each frame, from where each track was born (L,) on."""
    memory = _Memory(device)
    members: list[np.ndarray] = []
    born: list[int] = []
    starting = _starting(frames)
    for t, frame in enumerate(frames):
        on = memory.carried(frame) if born else np.zeros((0, len(frame.regions)), bool)
        starts = t in starting
        if starts:
            new = _new_tracks(frame, on)[: MOST_TRACKS - len(born)]
            on = np.concatenate([on, new])
            born += [t] * len(new)
        if born:
            memory.add(frame, on, alone=starts)
        members.append(on)
        between()
    for t, on in enumerate(members):
        members[t] = np.concatenate([on, np.zeros((len(born) - len(on), on.shape[1]), bool)])
    return members, np.array(born, int)


def _backward(
    frames: Sequence[ClipFrame],
    members: list[np.ndarray],
    born: np.ndarray,
    device: torch.device | str,
    between: Callable[[], None],
) -> None:
    """Carry each track back from where it was born, into `members`."""
    memory = _Memory(device)
    for t in range(len(frames) - 1, -1, -1):
        later, here = born > t, born == t
        if later.any():
            members[t][later] = memory.carried(frames[t])[later]
        if (later | here).any():
            known = members[t] & (later | here)[:, None]
            memory.add(frames[t], known, alone=bool(here.any()))
        between()


def _new_tracks(frame: ClipFrame, on: np.ndarray) -> np.ndarray:
    """Members (k,n) of the nodes that start a track: the best that differ from each other and from `on`."""
    order = np.flatnonzero(frame.value > 0)
    order = order[np.argsort(-frame.value[order], kind="stable")][: 10 * MOST_STARTED]
    nodes = frame.tree.members[order]
    area = frame.regions.area
    among = _iou(nodes, nodes, area)
    kept: list[int] = []
    for k in range(len(nodes)):
        if len(kept) < MOST_STARTED and (among[k, kept] < ALIKE).all():
            kept.append(k)
    new = nodes[kept]
    return new[_iou(new, on, area).max(1, initial=0) < SAME]


def _scores(
    frame: ClipFrame, on: np.ndarray, max_area: float, max_border: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Objectness, agreement with the tree and share of the frame (L,) of members (L,n)."""
    regions = frame.regions
    area = on @ regions.area / regions.total_area
    score, agreement = np.zeros((2, len(on)))
    there = np.flatnonzero(area > 0)
    nodes = np.flatnonzero(frame.score > 0)
    if len(there):
        cues = measure_members(regions, frame.tree, on[there])
        fits = (cues.area <= max_area) & (cues.border <= max_border)
        score[there] = objectness(cues) * fits
        overlap = _iou(on[there], frame.tree.members[nodes], regions.area)
        agreement[there] = (overlap**2 * frame.score[nodes]).max(1, initial=0)
    return score, agreement, area


def _overlaps(frames: Sequence[ClipFrame], members: Sequence[np.ndarray]) -> np.ndarray:
    """Share (L,L) of the smaller of two tracks, over all frames, that the other covers."""
    common, area = 0.0, 0.0
    for frame, on in zip(frames, members, strict=True):
        weighted = on * frame.regions.area.astype(np.float32)
        common = common + weighted @ on.T.astype(np.float32)
        area = area + weighted.sum(1)
    return common / np.maximum(np.minimum(area[:, None], area), 1e-6)


def _iou(one: np.ndarray, other: np.ndarray, area: np.ndarray) -> np.ndarray:
    """IoU (a,b) of members bool (a,n) and (b,n) of regions of some area (n,)."""
    weighted = one * area.astype(np.float32)
    common = weighted @ other.T.astype(np.float32)
    union = weighted.sum(1)[:, None] + other @ area.astype(np.float32) - common
    return common / np.maximum(union, 1e-6)


def _to_tokens(regions: Regions, on: np.ndarray, size: tuple[int, int]) -> Tensor:
    """Members (L,n) -> share (h,w,L) of each token that they cover."""
    maps = np.zeros((*size, len(on)), np.float32)
    for k, track in enumerate(on):
        if track.any():
            mask = track.astype(np.float32)[regions.labels]
            maps[..., k] = cv2.resize(mask, size[::-1], interpolation=cv2.INTER_AREA)
    return torch.from_numpy(maps)
