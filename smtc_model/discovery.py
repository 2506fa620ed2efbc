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

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
from skimage.segmentation import watershed

from .foreground import foreground_share
from .linking import TrackLinker
from .object_motion import camera_compensated_flow
from .objectness import Cues, measure, objectness
from .region_slots import HEAD_SIDE_PX, FrameSlots, encode, frame_slots
from .region_tree import RegionTree, best_antichain, build_tree
from .regions import Regions, build_regions, work_image
from .smtc import SMTC

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with (frames done, frames in all); what it raises ends the search."""

EXPECTED_BONUS = 12.0
"""How much the value of a node grows that is where a known track should be: so much that a track is left for
another way to cut the frame only where the tree has nothing like it."""
FEW = 3
"""So many proposals a frame gets even if none of them is likely."""


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
    stills.
    """

    max_objects: int = 10
    granularity: float = 0.5
    seed: int = 0
    min_area: float = 0.0015
    max_area: float = 0.4
    max_border: float = 0.45
    min_score: float = 0.02
    likely_score: float = 0.0
    num_slots: int = 16
    iterations: int = 5
    motion_offsets: tuple[int, ...] = (2, 4, -2, -4)
    head_with_motion: bool = False

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

    def choose(self, config: DiscoveryConfig, *, expected: Sequence[np.ndarray] = ()) -> np.ndarray:
        """Nodes of the tree that don't overlap, best first.

        expected: masks (h,w), 0 to 1, of known tracks: nodes there are preferred, so that they stay.
        """
        cues = self.cues
        # The exponent weighs one large node against its parts; at 0.5 two parts of half the size
        # must each score 0.7 of the whole to win.
        value = self.score * cues.area ** (1 - config.granularity)
        known = self._overlap(expected)
        fits = (cues.area >= config.min_area) & (cues.area <= config.max_area)
        fits &= cues.border <= config.max_border
        value = np.where(fits, value * (1 + EXPECTED_BONUS * known), 0)
        chosen = best_antichain(self.tree.parent, value)
        chosen = chosen[self.score[chosen] >= config.min_score]
        rank = self.score[chosen] + 0.5 * EXPECTED_BONUS * known[chosen]
        chosen = chosen[np.argsort(-rank, kind="stable")][: config.max_objects]
        likely = (self.score[chosen] >= config.likely_score) | (known[chosen] >= 0.5)
        likely[:FEW] = True
        return chosen[likely]

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

    def slot(self, node: int) -> int:
        """The slot that has most of a node."""
        members = self.tree.members[node]
        return int((self.regions.area[members] @ self.regions.slots[members]).argmax())

    def masks(self, nodes: Sequence[int]) -> list[np.ndarray]:
        """Native masks bool (H,W) of nodes that don't overlap, on the frame's own edges."""
        labels = np.zeros(self.regions.labels.shape, np.int32)
        for number, node in enumerate(nodes, 1):
            labels[(_without_pinholes(self.work_mask(node))) & (labels == 0)] = number
        native = to_native(labels, self.frame)
        return [_main_part(native == number) for number in range(1, len(nodes) + 1)]

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
        device="auto",
        capacity: int = 8,
    ) -> None:
        self._finder = _Finder(model, frames, config or DiscoveryConfig(), device)
        self._capacity = capacity
        self._kept: dict[int, FrameCandidates] = {}

    def candidates(self, index: int) -> FrameCandidates:
        """Of one frame, from the cache if they are there."""
        if index not in self._kept:
            while len(self._kept) >= self._capacity:
                del self._kept[next(iter(self._kept))]
            self._kept[index] = self._finder(index)
        return self._kept[index]

    def __contains__(self, index: int) -> bool:
        """Whether the candidates of a frame are there."""
        return index in self._kept

    def propose(self, index: int, config: DiscoveryConfig) -> list[Proposal]:
        """Proposals of one frame, tracks = ids. Slots and motion follow the cache's own configuration."""
        found = self.candidates(index)
        nodes = found.choose(config)
        return _proposals(index, found, nodes, range(1, len(nodes) + 1))

    def propose_linked(
        self, indices: Sequence[int], config: DiscoveryConfig
    ) -> Iterator[tuple[int, list[Proposal]]]:
        """(index, proposals) of frames in the given order; the same track is the same object."""
        for index, _, proposals in _linked(self.candidates, indices, config):
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

    Raises ValueError for an index outside the video.
    """
    config = config or DiscoveryConfig()
    order = sorted({int(index) for index in indices})
    if progress is not None:
        progress(0, len(order))
    found: dict[int, list[Proposal]] = {}
    for done, (index, _, proposals) in enumerate(
        propose_each(model, frames, order, config=config, device=device), 1
    ):
        found[index] = proposals
        if progress is not None:
            progress(done, len(order))
    return found


def propose_each(
    model: SMTC,
    frames: Frames,
    indices: Sequence[int],
    *,
    config: DiscoveryConfig,
    device: str | torch.device = "auto",
) -> Iterator[tuple[int, FrameCandidates, list[Proposal]]]:
    """(index, candidates, proposals) of the frames in the given order, one after the other."""
    return _linked(_Finder(model, frames, config, device), indices, config)


def _linked(
    candidates: Callable[[int], FrameCandidates], indices: Sequence[int], config: DiscoveryConfig
) -> Iterator[tuple[int, FrameCandidates, list[Proposal]]]:
    linker = TrackLinker()
    for index in indices:
        found = candidates(index)
        nodes = found.choose(config, expected=linker.expect(found.regions.image))
        masks = [found.work_mask(node) for node in nodes]
        features = [found.feature(node) for node in nodes]
        tracks = linker.link(masks, features)
        yield index, found, _proposals(index, found, nodes, tracks)


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
        from .weights import resolve_device

        self._model = model
        self._frames = frames
        self._config = config
        self._device = resolve_device(device)
        self._kept: dict[int, torch.Tensor] = {}

    def __call__(self, index: int) -> FrameCandidates:
        if not 0 <= index < len(self._frames):
            raise ValueError(f"frame {index} is outside the video, which has {len(self._frames)} frames")
        frame = self._frames[index]
        image = work_image(frame)
        others = [index + offset for offset in self._config.motion_offsets]
        others = [other for other in others if 0 <= other < len(self._frames) and other != index]
        images = (work_image(self._frames[other]) for other in others)
        same_size = [other for other in images if other.shape == image.shape]
        motion = camera_compensated_flow(image, same_size) if same_size else []
        slots = self._slots(index, frame, moving=bool(motion))
        foreground = None
        if self._model.foreground is not None:
            foreground = foreground_share(self._model.foreground, frame, device=self._device)
        regions = build_regions(image, slots.features, slots.shares, motion=motion, foreground=foreground)
        tree = build_tree(regions)
        limits = self._config.min_area, self._config.max_area
        cues = measure(regions, tree, min_area=limits[0], max_area=limits[1])
        fits = (cues.area >= limits[0]) & (cues.area <= limits[1])
        score = np.where(fits, objectness(cues), 0)
        return FrameCandidates(frame, regions, tree, cues, score, slots.trained)

    def _slots(self, index: int, frame: np.ndarray, *, moving: bool) -> FrameSlots:
        model, device = self._model, self._device
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
            self._kept[index] = encode(self._model, frame, device=self._device, side_px=HEAD_SIDE_PX)
        return self._kept[index]


def _proposals(
    index: int, found: FrameCandidates, nodes: Sequence[int], tracks: Sequence[int]
) -> list[Proposal]:
    proposals = []
    for node, track, mask in zip(nodes, tracks, found.masks(nodes), strict=True):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not len(rows):
            continue
        mask.setflags(write=False)
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        proposals.append(
            Proposal(
                frame=index,
                id=len(proposals) + 1,
                mask=mask,
                score=float(found.score[node]),
                area=int(mask.sum()),
                box=box,
                slot=found.slot(node),
                track=int(track),
            )
        )
    return proposals


def to_native(labels: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Labels int32 (h,w) of the work grid -> (H,W), their boundaries moved to the frame's edges nearby."""
    height, width = frame.shape[:2]
    native = cv2.resize(labels.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST).astype(
        np.int32
    )
    reach = int(np.ceil(max(height / labels.shape[0], 1.0)))
    changes = np.zeros((height, width), np.uint8)
    changes[:, 1:] |= native[:, 1:] != native[:, :-1]
    changes[1:] |= native[1:] != native[:-1]
    band = cv2.dilate(changes, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
    # The band is flooded from both of its rims; the rest keeps its labels.
    rim = cv2.dilate(band.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    markers = np.where(band, 0, native + 1)
    smooth = cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2LAB), (0, 0), 1.0).astype(np.float32)
    x, y = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    flooded = watershed(np.sqrt((x**2 + y**2).sum(2)), markers=markers, mask=rim) - 1
    # What no rim reaches (a mask thinner than the band) keeps its label too.
    return np.where(band & (flooded >= 0), flooded, native)


def _without_pinholes(mask: np.ndarray) -> np.ndarray:
    """A mask with holes of less than 2% of its area filled."""
    window = _box_of(mask, margin=1)
    if window is None:
        return mask
    inside = mask[window]
    # A component of the outside that does not reach the frame of the window is a hole.
    padded = cv2.copyMakeBorder((~inside).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    count, outside, stats, _ = cv2.connectedComponentsWithStats(padded, connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < 0.02 * np.count_nonzero(inside)
    small[[0, outside[0, 0]]] = False
    if count < 3 or not small.any():
        return mask
    filled = mask.copy()
    filled[window] |= small[outside[1:-1, 1:-1]]
    return filled


def _main_part(mask: np.ndarray) -> np.ndarray:
    """A mask without the fragments that are less than a tenth of its largest part."""
    window = _box_of(mask)
    if window is None:
        return mask
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask[window].astype(np.uint8), connectivity=4)
    sizes = stats[:, cv2.CC_STAT_AREA].copy()
    sizes[0] = 0
    kept = sizes >= 0.1 * sizes.max()
    kept[0] = False
    if kept[1:].all():
        return mask
    main = np.zeros_like(mask)
    main[window] = kept[parts]
    return main


def _box_of(mask: np.ndarray, *, margin: int = 0) -> tuple[slice, slice] | None:
    """The window of a mask's true pixels, `margin` wider where there is room; None when it is empty."""
    rows = np.flatnonzero(mask.any(1))
    if not len(rows):
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(0))
    return tuple(slice(max(0, int(side[0]) - margin), int(side[-1]) + 1 + margin) for side in (rows, columns))
