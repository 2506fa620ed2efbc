"""Object proposals without a click: slots and evidence from the video made into masks, linked over frames.

Of each frame: the backbone's features and the slots that its tokens belong to (`region_slots`), small
regions that follow the image's edges (`regions`), a tree of their merges in which slots have their say
(`region_tree`), a score of how much each node of it stands out (`objectness`), and the best set of nodes
that do not overlap. How large the chosen nodes are is the granularity, and choosing again costs next to
nothing: `FrameCandidates` keeps all but the choice.

Deviation from the paper (arXiv 2308.09951), which takes every instance slot as a mask at the size of its
tokens: masks are connected, follow edges, leave the background out and keep their identity over the
video. Without a trained slot head the slots are untrained and say so (`region_slots`).

Letters: H x W pixels of the frame, h x w of the work grid.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F

from .carried_tracks import ClipFrame, carry_tracks
from .foreground import foreground_share
from .frame_candidates import FEW, Between, FrameCandidates, go_on
from .linking import TrackLinker
from .object_motion import camera_compensated_flow
from .objectness import measure, objectness
from .region_slots import HEAD_SIDE_PX, FrameSlots, encode, frame_slots
from .region_tree import build_tree
from .regions import build_regions, work_image
from .smtc import SMTC

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with (frames done, frames in all); what it raises ends the search."""

MOST_TOGETHER = 100
"""Frames up to which tracks are carried over all of them (`carried_tracks`), some 7 MB each; in longer runs
proposals are linked from frame to frame (`linking`)."""
MOST_APART = 5
"""Frames that lie farther apart are linked, too: what moves fast is lost when it is carried so far."""


class Frames(Protocol):
    """Random access to frames uint8 (H,W,3) RGB."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> np.ndarray: ...


@dataclass(frozen=True)
class DiscoveryConfig:
    """What to propose.

    max_objects: most proposals on a frame. granularity: 0 few large to 1 many small. seed: of the
    slots. min_area, max_area: shares of the frame; what is larger is background. max_border: largest
    share of the outline on the frame's border. min_score: least objectness; what is below is
    background, too. likely_score: what scores less is only proposed where a known track should be or
    where there are not even `FEW` better ones. num_slots, iterations: of the slots (a trained head has
    its own number). motion_offsets: other frames whose motion is looked at; () for none.
    head_with_motion: whether a trained slot head is used where there is motion, too, and not only on
    stills. carry: whether tracks are carried through all frames (`carried_tracks`), where these are near
    each other, or, frame by frame, linked (`linking`).
    """

    max_objects: int = 10
    granularity: float = 0.5
    seed: int = 0
    min_area: float = 0.0015
    max_area: float = 0.4
    max_border: float = 0.45
    min_score: float = 0.03
    likely_score: float = 0.0
    num_slots: int = 16
    iterations: int = 5
    motion_offsets: tuple[int, ...] = (2, 4, -2, -4)
    head_with_motion: bool = False
    carry: bool = True

    def __post_init__(self) -> None:
        for name in ("max_objects", "num_slots", "iterations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.granularity <= 1:
            raise ValueError(f"granularity must be from 0 to 1, got {self.granularity}")
        if not 0 <= self.min_area < self.max_area <= 1:
            raise ValueError(f"min_area {self.min_area} must be below max_area {self.max_area}, both 0 to 1")


@dataclass(frozen=True)
class Proposal:
    """One proposed object on one frame."""

    frame: int
    id: int
    """1 for the best of the frame, and so on"""
    mask: np.ndarray
    """bool (H,W), native size, read-only; masks of a frame don't overlap"""
    score: float
    """objectness, 0..1"""
    area: int
    box: tuple[int, int, int, int]
    """x0, y0, x1, y1, half open"""
    slot: int
    """the slot that has most of it"""
    track: int
    """the same number on other frames is the same object"""


class SlotCache:
    """Candidates of frames, so that another granularity is shown at once.

    model, frames, device: as for `propose`. capacity: frames kept, about 30 MB each.
    """

    def __init__(
        self,
        model: SMTC,
        frames: Frames,
        *,
        config: DiscoveryConfig | None = None,
        device: str | torch.device = "auto",
        capacity: int = 8,
    ) -> None:
        self._frames = frames
        self._finder = _Finder(model, frames, config or DiscoveryConfig(), device)
        self._capacity = capacity
        self._kept: dict[int, FrameCandidates] = {}

    def candidates(self, index: int, between: Between = go_on) -> FrameCandidates:
        """Of one frame, from the cache if they are there; between: called while they are made, may raise."""
        if index not in self._kept:
            while len(self._kept) >= self._capacity:
                del self._kept[next(iter(self._kept))]
            self._kept[index] = self._finder(index, between)
        return self._kept[index]

    def _pixels(self, index: int) -> np.ndarray:
        return self._kept[index].frame if index in self._kept else self._frames[index]

    def __contains__(self, index: int) -> bool:
        """Whether the candidates of a frame are there."""
        return index in self._kept

    def propose(self, index: int, config: DiscoveryConfig) -> list[Proposal]:
        """Proposals of one frame, tracks = ids. Slots and motion follow the cache's own configuration."""
        found = self.candidates(index)
        nodes = found.choose(config)
        return _of_nodes(index, found, nodes, range(1, len(nodes) + 1))

    def propose_linked(
        self, indices: Sequence[int], config: DiscoveryConfig, *, looked: Callable[[int], None] | None = None
    ) -> Iterator[tuple[int, list[Proposal]]]:
        """(index, proposals) of frames in the given order; the same track is the same object.

        looked: called with the number of frames looked at so far, again and again; may raise, to end it.
        """
        for index, _, proposals in _linked(
            self.candidates, self._pixels, indices, config, self._finder.device, looked
        ):
            yield index, proposals


def propose(
    model: SMTC,
    frames: Frames,
    indices: Sequence[int],
    *,
    config: DiscoveryConfig | None = None,
    device: str | torch.device = "auto",
    progress: Progress | None = None,
) -> dict[int, list[Proposal]]:
    """Proposals, best first, of each of the given frames; the same track is the same object.

    device: where the model lies; "auto" finds out. Raises ValueError for an index outside the video.
    """
    config = config or DiscoveryConfig()
    order = sorted({int(index) for index in indices})
    told = -1

    def looked(done: int) -> None:
        nonlocal told
        if progress is not None and done > told:
            told = done
            progress(done, len(order))

    looked(0)
    each = propose_each(model, frames, order, config=config, device=device, looked=looked)
    return {index: proposals for index, _, proposals in each}


def propose_each(
    model: SMTC,
    frames: Frames,
    indices: Sequence[int],
    *,
    config: DiscoveryConfig,
    device: str | torch.device = "auto",
    looked: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, FrameCandidates, list[Proposal]]]:
    """(index, candidates, proposals) of the frames in the given order, see `SlotCache.propose_linked`."""
    finder = _Finder(model, frames, config, device)
    return _linked(finder, frames.__getitem__, indices, config, finder.device, looked)


def _linked(
    candidates: Callable[[int, Between], FrameCandidates],
    pixels: Callable[[int], np.ndarray],
    indices: Sequence[int],
    config: DiscoveryConfig,
    device: torch.device,
    looked: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, FrameCandidates, list[Proposal]]]:
    looked = looked or (lambda done: None)
    near = bool(len(indices) > 1 and np.median(np.diff(indices)) <= MOST_APART)
    if not (config.carry and near and len(indices) <= MOST_TOGETHER):
        yield from _linked_in_turn(candidates, indices, config, looked)
        return
    groups: list[list[tuple[int, FrameCandidates]]] = []
    for done, index in enumerate(indices, 1):
        found = candidates(index, functools.partial(looked, done - 1))
        looked(done)
        if not groups or groups[-1][-1][1].tokens.shape != found.tokens.shape:
            groups.append([])
        # The pixels are read again when the masks are made.
        groups[-1].append((index, replace(found, frame=np.empty((0, 0, 3), np.uint8))))
    first_track = 1
    for kept in groups:
        first_track = yield from _carried(
            kept, pixels, config, first_track, device, functools.partial(looked, len(indices))
        )


def _carried(
    kept: Sequence[tuple[int, FrameCandidates]],
    pixels: Callable[[int], np.ndarray],
    config: DiscoveryConfig,
    first_track: int,
    device: torch.device,
    between: Between,
) -> Generator[tuple[int, FrameCandidates, list[Proposal]], None, int]:
    """Proposals of frames of one size by carried tracks; returns the first track number that is free."""
    clip = [
        ClipFrame(index, found.tokens, found.regions, found.tree, found.score, found.value(config))
        for index, found in kept
    ]
    tracks = carry_tracks(
        clip,
        size_power=1 - config.granularity,
        max_area=config.max_area,
        max_border=config.max_border,
        device=device,
        between=between,
    )
    there = np.array([on.any(1) for on in tracks.members]).sum(0)
    likely = tracks.score.sum(0) >= config.likely_score * there
    likely[:FEW] = True
    likely &= tracks.score.mean(0) >= config.min_score
    for t, (index, without_pixels) in enumerate(kept):
        between()
        found = replace(without_pixels, frame=pixels(index))
        here = np.flatnonzero(likely & tracks.members[t].any(1))[: config.max_objects]
        score = tracks.score[t, here]
        numbers = first_track + here
        yield index, found, _proposals(index, found, tracks.members[t][here], score, numbers, between)
    return first_track + len(tracks.rank)


def _linked_in_turn(
    candidates: Callable[[int, Between], FrameCandidates],
    indices: Sequence[int],
    config: DiscoveryConfig,
    looked: Callable[[int], None],
) -> Iterator[tuple[int, FrameCandidates, list[Proposal]]]:
    linker = TrackLinker()
    for done, index in enumerate(indices, 1):
        between = functools.partial(looked, done - 1)
        found = candidates(index, between)
        nodes = found.choose(config, expected=linker.expect(found.regions.image))
        masks = [found.work_mask(node) for node in nodes]
        features = [found.feature(node) for node in nodes]
        tracks = linker.link(masks, features)
        yield index, found, _of_nodes(index, found, nodes, tracks, between)
        looked(done)


def split_mask(
    model: SMTC,
    frame: np.ndarray,
    mask: np.ndarray,
    *,
    parts: int = 2,
    device: str | torch.device = "auto",
    seed: int = 0,
) -> list[np.ndarray]:
    """Split a mask bool (H,W) of a frame into `parts` masks at most, by slot attention inside it.

    The parts, largest first, don't overlap and together are the mask.

    Raises ValueError for an empty mask or fewer than 2 parts.
    """
    from .splitting import split

    return split(model, frame, mask, parts=parts, device=device, seed=seed)


class _Finder:
    """Candidates of any frame of a video; remembers the last keys, for frames that follow one another."""

    def __init__(
        self, model: SMTC, frames: Frames, config: DiscoveryConfig, device: str | torch.device
    ) -> None:
        from .weights import device_for

        self._model = model
        self._frames = frames
        self._config = config
        self.device = device_for(model, device)
        self._kept: dict[int, torch.Tensor] = {}

    def __call__(self, index: int, between: Between = go_on) -> FrameCandidates:
        if not 0 <= index < len(self._frames):
            raise ValueError(f"frame {index} is outside the video, which has {len(self._frames)} frames")
        frame = self._frames[index]
        image = work_image(frame)
        others = [index + offset for offset in self._config.motion_offsets]
        others = [other for other in others if 0 <= other < len(self._frames) and other != index]
        images = (work_image(self._frames[other]) for other in others)
        same_size = [other for other in images if other.shape == image.shape]
        motion = camera_compensated_flow(image, same_size) if same_size else []
        between()
        slots = self._slots(index, frame, moving=bool(motion))
        between()
        foreground = None
        if self._model.foreground is not None:
            foreground = foreground_share(self._model.foreground, frame, device=self.device)
            between()
        regions = build_regions(image, slots.features, slots.shares, motion=motion, foreground=foreground)
        between()
        tree = build_tree(regions)
        between()
        limits = self._config.min_area, self._config.max_area
        cues = measure(regions, tree, min_area=limits[0], max_area=limits[1])
        fits = (cues.area >= limits[0]) & (cues.area <= limits[1])
        score = np.where(fits, objectness(cues), 0)
        tokens = F.normalize(torch.from_numpy(slots.features), dim=2).half()
        return FrameCandidates(frame, regions, tree, cues, score, slots.trained, tokens)

    def _slots(self, index: int, frame: np.ndarray, *, moving: bool) -> FrameSlots:
        model, device = self._model, self.device
        keys = encode(model, frame, device=device)
        head_keys = previous = None
        if model.has_slots and moving and not self._config.head_with_motion:
            # Motion tells things apart by itself, and beside it slots of the features' own measure better.
            model = SMTC(model.backbone, name=model.name)
        if model.has_slots:
            if index > 0:
                previous = self._head_keys(index - 1)
            head_keys = self._head_keys(index, frame)
        config = self._config
        return frame_slots(
            model,
            keys,
            previous,
            head_keys=head_keys,
            num_slots=config.num_slots,
            iterations=config.iterations,
            seed=config.seed,
        )

    def _head_keys(self, index: int, frame: np.ndarray | None = None) -> torch.Tensor:
        """Keys for the slot head; those of the last two frames are remembered."""
        if index not in self._kept:
            frame = self._frames[index] if frame is None else frame
            while len(self._kept) > 1:
                del self._kept[next(iter(self._kept))]
            self._kept[index] = encode(self._model, frame, device=self.device, side_px=HEAD_SIDE_PX)
        return self._kept[index]


def _of_nodes(
    index: int,
    found: FrameCandidates,
    nodes: np.ndarray,
    tracks: Sequence[int],
    between: Between = go_on,
) -> list[Proposal]:
    return _proposals(index, found, found.tree.members[nodes], found.score[nodes], tracks, between)


def _proposals(
    index: int,
    found: FrameCandidates,
    members: np.ndarray,
    scores: np.ndarray,
    tracks: Sequence[int],
    between: Between,
) -> list[Proposal]:
    proposals = []
    masks = found.masks(members, between=between)
    for inside, score, track, mask in zip(members, scores, tracks, masks, strict=True):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not len(rows):
            continue
        mask.setflags(write=False)
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        area, slot = int(mask.sum()), found.slot(inside)
        number = len(proposals) + 1
        proposals.append(Proposal(index, number, mask, float(score), area, box, slot, int(track)))
    return proposals
