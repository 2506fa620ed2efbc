"""Labels through a video: from keyframes to every other frame, one frame at a time.

`Propagator` goes in one direction and holds a bounded memory; `propagate` is the generator that the
application uses: it chooses keyframes and directions, blends both ways between two keyframes and gives labels
of native size. Settings and the published protocols are in :mod:`smtc_model.propagation_config`.

Source of the frame-to-frame voting: arXiv 2308.09951, section 4, after CRW and DINO.

Letters: H x W pixels, h x w tokens of c x c cells, C feature channels, L label channels (0 the background).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .confidence import joined, object_confidence
from .errors import ModelError
from .feature_cache import FeatureStore
from .frame_features import FrameFeatures
from .fusion import FrameFusion, settle
from .lost_objects import LostObjects, Reference, Sighting
from .matching import Window, match, vote
from .memory import LabelMemory, MemoryView, packed, unpacked
from .motion import compose
from .propagation_config import PropagationConfig
from .refine import refine_labels, upsample_labels
from .run_record import RunRecord
from .soft_store import SoftLabels

logger = logging.getLogger(__name__)

# torch's own "nearest" takes a cell's corner; Pillow's, which the published protocol used, its centre.
_GRID_MODES = {"nearest": "nearest-exact", "bilinear": "bilinear", "area": "area"}

_SHOWN = 0.5
"""An object whose best token has less than this share of what it has on keyframes may be lost."""

DIRECTIONS = ("forward", "backward", "both")
TakeSoft = Callable[[int, Mapping[int, np.ndarray]], None]


class Frames(Protocol):
    """Random access to frames uint8 (H,W,3) RGB."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> np.ndarray: ...


class PropagatedFrame(NamedTuple):
    """Labels of one frame as the application keeps them."""

    index: int
    labels: np.ndarray
    """uint16 (H,W), native size, read-only."""
    confidence: dict[int, float]
    """Object id -> [0,1], how far the labels can be trusted there."""
    sources: tuple[int, ...]
    """The keyframes that they came from."""
    consistency: dict[int, float] = {}  # noqa: RUF012 (never changed)
    """Object id -> [0,1], agreement with the keyframes when carried back to them; empty if not asked for."""


class Propagator:
    """Carries labels from frame to frame in one direction, with bounded memory.

    Give it at least one keyframe, then the frames in order, one `step` each; further keyframes at any time.
    """

    def __init__(
        self, model: nn.Module, *, config: PropagationConfig | None = None, device: torch.device | str = "cpu"
    ) -> None:
        self._backbone = getattr(model, "backbone", model)
        self.config = config or PropagationConfig()
        self.device = torch.device(device)
        self._memory = LabelMemory(
            max_keyframes=self.config.max_keyframes, recent_frames=self.config.recent_frames
        )
        self._ids: list[int] = [0]
        self._size: tuple[int, int] | None = None
        self._motion: dict[int, Tensor] = {}  # of the keyframes' slots, (2,h,w) in tokens
        self._first: tuple[Tensor, Tensor] | None = None
        self._between: Callable[[], None] = lambda: None
        self._features = FrameFeatures(model, self.config, self.device)
        cells = max(1, self._backbone.stride // self._features.enlarge // 2)
        self._fusion = None
        self._lost = None
        if self.config.refine:
            self._fusion = FrameFusion(self.config, self.device, cells=cells)
            if self.config.search_lost:
                self._lost = LostObjects(
                    cells=self.config.label_cells,
                    top_k=self.config.top_k,
                    temperature=self.config.temperature,
                )

    @property
    def between(self) -> Callable[[], None]:
        """Called between the parts of all that takes long; may raise, to end the run within it."""
        return self._between

    @between.setter
    def between(self, between: Callable[[], None]) -> None:
        self._between = between
        if self._fusion is not None:
            self._fusion.between = between

    @property
    def ids(self) -> tuple[int, ...]:
        """Labels of the channels; new objects are appended."""
        return tuple(self._ids)

    @torch.inference_mode()
    def add_keyframe(
        self, index: int, frame: np.ndarray, labels: np.ndarray, *, features: Tensor | None = None
    ) -> None:
        """Labels that are true: they stay in the memory, and the next `step` follows on this frame.

        frame: uint8 (H,W,3) RGB; labels: integer (H,W), 0 background. features: of `FrameFeatures`; None:
        they are computed. Raises ValueError if the sizes differ.
        """
        if labels.shape != frame.shape[:2]:
            raise ValueError(f"labels {labels.shape} do not fit a frame of {frame.shape[:2]}")
        if self._size not in (None, frame.shape[:2]):
            raise ValueError(f"frame {index} is {frame.shape[:2]}, the ones before were {self._size}")
        self._size = frame.shape[:2]
        known = set(self._ids)
        new = [int(i) for i in np.unique(labels) if int(i) not in known]
        if self._first is not None and not self.config.pad_with_first:
            self._memory.forget_recent()  # what the keyframe corrects must not vote any longer
        self._ids += new
        features = self._features(index, frame) if features is None else features
        grid = self._keyframe_labels(labels, tuple(features.shape[:2]))
        slot = self._memory.add_keyframe(index, features, grid, now=index)
        if new and self._first is not None:
            self._find_earlier(slot, channels=range(len(self._ids) - len(new), len(self._ids)))
        self._motion[slot] = self._still(features)
        if self._lost is not None:
            self._lost.keyframe(grid)
        if self._first is None:
            self._first = (features, grid)
            if self.config.pad_with_first:
                for _ in range(self.config.recent_frames):
                    self._memory.add_recent(index, features, grid)
        if self._fusion is not None:
            self._fusion.start(frame, labels, self.ids, features)

    @torch.inference_mode()
    def follow(self, index: int, frame: np.ndarray, labels: np.ndarray) -> None:
        """Labels of the next frame as an earlier run left them: remembered, but nothing is learnt from them.

        frame: uint8 (H,W,3) RGB of the keyframes' size; labels: integer (H,W), of which ids that no keyframe
        shows count for nothing. Raises ValueError before any keyframe.
        """
        if self._first is None:
            raise ValueError("add a keyframe before the frames that follow on it")
        features = self._features(index, frame)
        if self._fusion is not None:
            self._fusion.look(frame)
            self._follow_motion(self._fusion.motion(tuple(features.shape[:2])))
            self._fusion.follow(frame, labels, self.ids, features)
        self._remember(index, features, self._keyframe_labels(labels, tuple(features.shape[:2])))

    @property
    def opinions(self) -> dict[str, tuple[float, Tensor]]:
        """What spoke for each label in the last `step`: {name: (exponent, probabilities (L,hf,wf))}.

        "match", "motion" and "appearance" of `fusion`; empty where the settings have votes only.
        """
        if self._fusion is None:
            return {}
        return {name: (self._fusion.weights[name], maps) for name, maps in self._fusion.opinions.items()}

    @torch.inference_mode()
    def step(self, index: int, frame: np.ndarray, *, features: Tensor | None = None) -> SoftLabels:
        """Labels of the next frame, uint8 (H,W,3) RGB of the keyframes' size.

        features: of `FrameFeatures`; None: they are computed. Raises ValueError before any keyframe and for
        another size.
        """
        if self._first is None:
            raise ValueError("add a keyframe before the first step")
        if frame.shape[:2] != self._size:
            raise ValueError(f"frame {index} is {frame.shape[:2]}, the keyframes are {self._size}")
        features = self._features(index, frame) if features is None else features
        h, w = features.shape[:2]
        if self._fusion is not None:
            self._fusion.look(frame)
            self._follow_motion(self._fusion.motion((h, w)))
        self.between()
        soft = self._matched(index, features)
        self.between()
        sighting = self._seen_as_a_whole(index, features, soft)
        self.between()
        if self._fusion is not None:
            if sighting is not None:
                soft = self._corrected(soft, sighting)
            fine = self._fusion.fuse(soft, features, sighting=sighting)
            self.between()
            size = tuple(soft.shape[1:])
            soft = self._to_remember(soft, F.interpolate(fine[None], size, mode="area")[0])
        self._remember(index, features, packed(soft, self.config.label_cells))
        if self._fusion is not None:
            appearance = self._fusion.opinions.get("appearance")
            return SoftLabels(index, fine, self.ids, object_confidence(fine, self.ids, appearance=appearance))
        return SoftLabels(index, soft, self.ids, object_confidence(soft, self.ids))

    def labels(self, soft: SoftLabels, frame: np.ndarray) -> np.ndarray:
        """SoftLabels -> uint16 (H,W) of the frame's size."""
        maps = soft.soft.float().cpu().numpy()
        if self.config.minmax:
            maps = _minmax(maps)
        if self.config.refine:
            return refine_labels(maps, soft.ids, frame, between=self.between)
        return upsample_labels(maps, soft.ids, frame.shape[:2])

    def _to_remember(self, vote: Tensor, fused: Tensor) -> Tensor:
        """Of a vote and what fusion made of it, both (L,h*c,w*c): what later frames shall match.

        Where both name the same winner the vote is kept as it is: going through the fine grid and back blurs,
        and over many frames blurring eats what is thin.
        """
        if not self.config.remember_vote:
            return fused
        return settle(torch.where(vote.argmax(0) == fused.argmax(0), vote, fused))

    def _remember(self, index: int, features: Tensor, labels: Tensor) -> None:
        """A frame (h,w,C) and its labels (h,w,L*c*c), for the frames to come."""
        self._memory.add_recent(index, features, labels)
        if self._lost is not None:
            self._lost.note(features, labels)

    def _seen_as_a_whole(self, index: int, features: Tensor, soft: Tensor) -> Sighting | None:
        """What a frame (h,w,C) whose vote is soft (L,h*c,w*c) shows elsewhere, or not at all."""
        if self._lost is None or self._fusion is None:
            return None
        doubtful = self._fusion.lost_share > self.config.flow_lost[0]
        if self._lost.all_in_sight and not doubtful:
            return None
        memory, frame_of = self._memory.view(), self._memory.frames
        nearest = sorted(memory.slots, key=lambda slot: abs(frame_of[slot] - index))
        references = {slot: Reference(memory.features[slot], memory.labels[slot]) for slot in nearest}
        keyframes = dict(zip(memory.slots, memory.is_keyframe, strict=True))
        return self._lost.look(
            features,
            F.avg_pool2d(soft[None], self.config.label_cells)[0],
            keyframes=[references[slot] for slot in nearest if keyframes[slot]],
            newest=references[nearest[0]],
            doubtful=doubtful,
        )

    def _corrected(self, soft: Tensor, sighting: Sighting) -> Tensor:
        """A vote (L,h*c,w*c) without what is gone, and with what was found."""
        cells = self.config.label_cells
        gone = list(sighting.gone)
        soft = soft.clone()
        soft[0] += soft[gone].sum(0)
        soft[gone] = 0
        where = sighting.where.any(0).repeat_interleave(cells, 0).repeat_interleave(cells, 1)
        return torch.where(where, unpacked(sighting.labels, cells), soft)

    def _keyframe_labels(self, labels: np.ndarray, size: tuple[int, int]) -> Tensor:
        """(h,w,L*c*c) on the token grid."""
        config = self.config
        size = (size[0] * config.label_cells, size[1] * config.label_cells)
        maps = []
        for label in self._ids:
            mask = torch.from_numpy((labels == label).astype(np.float32)).to(self.device)[None, None]
            align = {"align_corners": False} if config.label_grid == "bilinear" else {}
            maps.append(F.interpolate(mask, size, mode=_GRID_MODES[config.label_grid], **align)[0, 0])
            self.between()
        return packed(torch.stack(maps), config.label_cells)

    def _find_earlier(self, slot: int, *, channels: range) -> None:
        """Objects that a keyframe shows first may lie in older keyframes as background that nobody had named.

        Background there that looks like one of them takes its label, or it would vote against it.
        """
        memory = self._memory.view()
        cells = self.config.label_cells**2
        shown = memory.labels[slot].flatten(0, 1)
        for older, is_keyframe in zip(memory.slots, memory.is_keyframe, strict=True):
            if not is_keyframe or older == slot:
                continue
            features, labels = memory.features[older], memory.labels[older]
            matches = match(
                features, memory.features, windows=[Window(None)], slots=[slot], k=self.config.top_k
            )
            local = matches._replace(indices=matches.indices - slot * len(shown))
            found = vote(local, shown, temperature=self.config.temperature).view(labels.shape)
            claimed = found[..., channels.start * cells :].unflatten(-1, (-1, cells))
            claimed = torch.where(claimed > 0.5, claimed, 0.0) * labels[..., None, :cells]
            labels[..., channels.start * cells :] += claimed.flatten(-2)
            labels[..., :cells] -= claimed.sum(-2)

    def _worth_asking(self, memory: MemoryView) -> Tensor:
        """Where each of the n remembered frames holds something that a position near it may be, (n,h,w) bool.

        While the recent frames show every object of the keyframes, what none of them shows near a position
        is not there: keyframes are matched where recent frames reach an object, too, but not for themselves.
        """
        labels = torch.stack([memory.labels[slot] for slot in memory.slots])
        cells = self.config.label_cells**2
        foreground = labels[..., :cells].amin(-1) < 1
        keyframes = sum(memory.is_keyframe)  # they come first
        if self.config.refine and keyframes < len(labels):
            objects = labels[..., cells:].unflatten(-1, (-1, cells))
            held, shown = (part.amax((0, 1, 2, 4)) for part in (objects[:keyframes], objects[keyframes:]))
            foreground[:keyframes] &= (shown < _SHOWN * held).any()
        return foreground

    @staticmethod
    def _still(features: Tensor) -> Tensor:
        return features.new_zeros((2, *features.shape[:2]))

    def _follow_motion(self, newest: Tensor) -> None:
        slots = list(self._motion)
        moved = compose(torch.stack([self._motion[s] for s in slots]), newest)
        self._motion.update(zip(slots, moved, strict=True))

    def _matched(self, index: int, features: Tensor) -> Tensor:
        """Vote of the memory (L,h*c,w*c)."""
        config = self.config
        memory = self._memory.view()
        windows = [config.keyframe_window if key else config.window for key in memory.is_keyframe]
        slots = list(memory.slots)
        motion = None
        if config.follow_motion:
            # Where flow errs it would lead windows off the object, and recent frames are near enough.
            still = self._still(features)
            frame_of = self._memory.frames
            old = {s: m for s, m in self._motion.items() if abs(index - frame_of[s]) > config.recent_frames}
            motion = torch.stack([old.get(slot, still) for slot in slots])
        foreground = self._worth_asking(memory)
        matches = match(
            features,
            memory.features,
            windows=windows,
            k=config.top_k,
            slots=slots,
            foreground=foreground if all(w.radius is not None for w in windows) else None,
            motion=motion,
        )
        flat = memory.labels.view(-1, memory.labels.shape[-1])
        cells = config.label_cells
        voted = vote(matches, flat, temperature=config.temperature, background=cells**2)
        return unpacked(voted.view(*features.shape[:2], -1), cells)


def _minmax(soft: np.ndarray) -> np.ndarray:
    """DINO's rescaling of every channel that has anything in it to 0..1."""
    result = soft.copy()
    for channel in result:
        if channel.max() > 0:
            channel -= channel.min()
            channel /= max(channel.max(), 1e-12)
    return result


def propagate(
    model: nn.Module,
    frames: Frames,
    keyframes: Mapping[int, np.ndarray],
    *,
    direction: str = "forward",
    span: tuple[int, int] | None = None,
    config: PropagationConfig | None = None,
    device: torch.device | str = "auto",
    objects: set[int] | None = None,
    cancelled: Callable[[], bool] | None = None,
    features: FeatureStore | None = None,
    overlap: bool = True,
    take_soft: TakeSoft | None = None,
    check: bool = False,
    record: RunRecord | None = None,
) -> Iterator[PropagatedFrame]:
    """Labels of every frame that keyframes reach, except the keyframes, in the order computed.

    Args:
        keyframes: frame index -> true labels (H,W), integer. A keyframe is the truth about all objects: one
            that it does not show is absent there, one that it shows first starts there.
        direction: "forward" (frames after the first keyframe), "backward" (before the last), or "both":
            between two keyframes both ways are blended by distance and confidence, before the first they come
            from backward, after the last from forward.
        span: first and one past the last frame to give; None: the whole video.
        device: "auto" takes the model's own; for another, the model must lie there.
        objects: ids to give labels for; None: all. The others still compete.
        cancelled: asked again and again, from several threads; the generator ends when it says True.
        features: where features are kept: `cached_for` these frames and settings; None: nowhere.
        check: carry every frame's labels back to its keyframes as well, see `PropagatedFrame.consistency`.
        overlap: read and describe the next frames, match, and refine at the same time, in three threads.
        take_soft: called with (frame, {id: probability float32 (H,W)}) before each frame is given, in the
            thread that refines.
        record: where the run's state is saved now and then, once the frame before has been taken. If it is
            there already, the run goes on behind that frame, with the bytes that it would have had.

    Raises ModelError for labels that are empty, do not fit the frames, or lie outside the video, and for a
    wrong direction or span.
    """
    from .propagation_run import PropagationRun
    from .weights import device_for

    config = config or PropagationConfig()
    start, stop = span or (0, len(frames))
    if direction not in DIRECTIONS:
        raise ModelError(f"The direction must be one of {', '.join(DIRECTIONS)}, not {direction!r}.")
    if not 0 <= start < stop <= len(frames):
        raise ModelError(f"The span {start}-{stop} does not lie within the video's {len(frames)} frames.")
    truth = {int(i): np.asarray(labels) for i, labels in sorted(keyframes.items())}
    if not any(labels.any() for labels in truth.values()):
        raise ModelError("There is nothing to propagate: no keyframe holds an object.")
    for index, labels in truth.items():
        if not 0 <= index < len(frames):
            raise ModelError(f"Keyframe {index} lies outside the video, which has {len(frames)} frames.")
        if labels.ndim != 2 or labels.shape != frames[index].shape[:2]:
            raise ModelError(
                f"The mask of frame {index} has size {labels.shape[::-1]}, "
                f"its frame {frames[index].shape[1::-1]}; give a mask of the frame's size."
            )
    chosen = device_for(model, device)
    run = PropagationRun(
        model,
        frames,
        truth,
        config,
        chosen,
        objects,
        cancelled or (lambda: False),
        features=FrameFeatures(model, config, chosen, store=features),
        overlap=overlap,
        check=check,
        record=record,
    )
    run.take_soft = take_soft
    if direction == "both":
        found = run.both_ways(start, stop)
    else:
        found = run.one_way(start, stop, backward=direction == "backward")
    return _sharing_cores(found) if overlap and chosen.type == "cpu" else found


def _sharing_cores(frames: Iterator[PropagatedFrame]) -> Iterator[PropagatedFrame]:
    """The same frames, with half of the cores for each of torch's operations while they are computed.

    The run's own threads keep the cores busy; operations that wait for one another's threads as well take
    more processor time, and many times longer where another program is busy.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(min(before, max(1, (os.cpu_count() or 1) // 2)))
    try:
        yield from frames
    finally:
        torch.set_num_threads(before)


def blend(one: SoftLabels, other: SoftLabels, position: float, ids: tuple[int, ...]) -> SoftLabels:
    """Mean of both ways, weighted by closeness to their keyframes and by their certainty in each cell.

    position: 0 at the keyframe of `one`, 1 at that of `other`. ids: the order of the result's first channels.
    """
    order = list(dict.fromkeys((*ids, *other.ids)))
    first, second = _in_order(one, order), _in_order(other, order)
    weights = []
    for soft, closeness in ((first, 1 - position), (second, position)):
        top = soft.topk(min(2, len(soft)), 0).values
        margin = top[0] - top[1] if len(top) > 1 else top[0]
        weights.append(max(closeness, 1e-3) * (margin + 0.05))
    soft = (weights[0] * first + weights[1] * second) / (weights[0] + weights[1])
    masks = [maps.argmax(0) for maps in (first, second)]
    agreement = dict(zip(order[1:], _overlaps(masks[0], masks[1], len(order)), strict=True))
    confidence = joined(one.confidence, other.confidence, position, agreement)
    return SoftLabels(one.index, soft, tuple(order), confidence)


def _overlaps(one: Tensor, other: Tensor, channels: int) -> list[float]:
    """Of each channel but the first: the overlap of where two maps of winners name it; 1 if neither does."""
    counts = [
        torch.stack([(here & there).sum(), (here | there).sum()])
        for here, there in ((one == channel, other == channel) for channel in range(1, channels))
    ]
    found = torch.stack(counts).tolist() if counts else []
    return [shared / union if union else 1.0 for shared, union in found]


def _in_order(labels: SoftLabels, order: list[int]) -> Tensor:
    result = labels.soft.new_zeros((len(order), *labels.soft.shape[1:]))
    for channel, label in enumerate(labels.ids):
        result[order.index(label)] = labels.soft[channel]
    return result
