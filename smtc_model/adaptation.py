"""Adapt to this video: the last layer of the features learns from the video's own confident labels.

Labels are propagated from a keyframe over a part of the video; where they are sure they count as true.
A linear map of the features is then trained so that cells of one frame find their label among the cells of
another by feature similarity alone, as the vote of propagation does (soft nearest neighbours, Goldberger et
al., "Neighbourhood Components Analysis", NIPS 2004, with labels instead of classes). It starts as the
identity, features are held near what they were, and it becomes part of the network's own last layer, so that
the adapted model is as fast as the other and has a hash of its own.

Whether it is better is not taken for granted: with both models the labels are carried to the middle and to
the end of the part and back to the keyframe, and compared with what is true there, and on other keyframes
within the part, which training does not see. No true mask of any other frame is needed.

Letters: H x W pixels, h x w tokens, N = h*w, C channels of the learned features, L labels (0 the background).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .compact import CompactNet
from .errors import ModelError
from .metrics import jaccard
from .propagation import Frames, PropagatedFrame, propagate
from .propagation_config import PropagationConfig
from .smtc import SMTC

Progress = Callable[[int, int], None]

_UNSURE_SHARE = 0.95
"""A cell of a propagated frame of which no label has as much is not learnt: it lies on an edge."""
_FLOOR = 1e-4


@dataclass(frozen=True)
class AdaptConfig:
    """How a model is adapted.

    frames: of the part of the video that is looked at, beginning at a keyframe. learnt_frames: at most so
    many of them, evenly spread. steps, queries: of training, and cells asked in each. rate: of Adam, falling
    to 0. temperature: of the similarities. stay: weight of the features' mean cosine distance from what they
    were. least_confidence: below it an object of a frame is not learnt. margin: by which the mean overlap
    must rise for the adapted model to count as better.
    """

    frames: int = 32
    learnt_frames: int = 24
    steps: int = 150
    queries: int = 512
    rate: float = 1e-3
    temperature: float = 0.1
    stay: float = 10.0
    least_confidence: float = 0.75
    margin: float = 0.002
    seed: int = 0


class Adaptation(NamedTuple):
    """What came out of it."""

    model: SMTC
    """The adapted model, whether or not it is better."""
    before: float
    """Mean overlap (IoU) with what is true, of the model that was given, in [0,1]."""
    after: float
    """The same of the adapted one."""
    better: bool


class _Lesson(NamedTuple):
    """What is learnt of a frame."""

    features: Tensor
    """(C,N) unit length, as they were"""
    labels: Tensor
    """(N,L) in [0,1]"""
    sure: Tensor
    """(L,) weight of each label"""
    chance: np.ndarray
    """(N,) of a cell to be asked"""

    def to(self, device: torch.device) -> _Lesson:
        """The same, computed with on that device."""
        return self._replace(
            features=self.features.to(device), labels=self.labels.to(device), sure=self.sure.to(device)
        )


class _Kept:
    """Features of the part in memory, as a `FeatureStore` keeps them on disk."""

    def __init__(self) -> None:
        self.maps: dict[int, np.ndarray] = {}
        self.hits = 0

    def get(self, index: int, frame: np.ndarray) -> np.ndarray | None:
        del frame
        return self.maps.get(index)

    def put(self, index: int, frame: np.ndarray, features: np.ndarray) -> None:
        del frame
        self.maps[index] = np.array(features)


class _Part(NamedTuple):
    """Frames from a keyframe on, in the direction in which there are more."""

    keyframe: int
    first: int
    stop: int
    direction: str

    @property
    def turns(self) -> tuple[int, int]:
        """The frames from where labels are carried back: in the middle, and farthest from the keyframe."""
        far = self.stop - 1 if self.direction == "forward" else self.first
        return (self.keyframe + far) // 2, far

    def to(self, turn: int) -> tuple[int, int]:
        """First and one past the last frame between the keyframe and one of the turns."""
        return min(self.keyframe, turn), max(self.keyframe, turn) + 1

    @property
    def back(self) -> str:
        return "backward" if self.direction == "forward" else "forward"


def adapt(
    model: SMTC,
    frames: Frames,
    keyframes: Mapping[int, np.ndarray],
    *,
    config: AdaptConfig | None = None,
    propagation: PropagationConfig | None = None,
    cancelled: Callable[[], bool] | None = None,
    progress: Progress | None = None,
) -> Adaptation | None:
    """A model that knows this video (see `with_change`), and whether it is better; None when cancelled.

    keyframes: frame index -> true labels (H,W). propagation: the settings that it will be used with.
    progress: told (done, of how many). Raises ModelError for a model without a layer to adapt, for a video
    too short, and as `propagate` does.
    """
    config, propagation = config or AdaptConfig(), propagation or PropagationConfig()
    cancelled, progress = cancelled or (lambda: False), progress or (lambda done, total: None)
    net = _adaptable(model)
    part = _part_of(keyframes, len(frames), config.frames)
    carried = part.stop - part.first - 1 + sum(abs(turn - part.keyframe) for turn in part.turns)
    total = 2 * carried + config.steps
    kept = _Kept()

    def check(judged: SMTC, store: _Kept, done: int) -> tuple[float, dict, dict] | None:
        return _there_and_back(
            judged,
            frames,
            keyframes,
            part,
            propagation,
            store=store,
            cancelled=cancelled,
            progress=lambda count: progress(done + count, total),
        )

    found = check(model, kept, 0)
    if found is None:
        return None
    before, labels, confidence = found
    truth = {part.keyframe: keyframes[part.keyframe]}
    lessons = _lessons(kept.maps, truth, labels, confidence, config, channels=net.width)
    device = net.project.weight.device
    change = _train(
        [lesson.to(device) for lesson in lessons],
        config,
        cancelled=cancelled,
        progress=lambda n: progress(carried + n, total),
        width=net.width,
    )
    if change is None:
        return None
    adapted = with_change(model, change)
    found = check(adapted, _Kept(), carried + config.steps)
    if found is None:
        return None
    return Adaptation(adapted, before, found[0], found[0] >= before + config.margin)


def with_change(model: SMTC, change: Tensor) -> SMTC:
    """A model whose learned features are x + change x where those of `model` are x (C,...); change: (C,C).

    For propagation: without the slot head and the foreground network, which were trained on the others.
    """
    backbone = copy.copy(model.backbone)
    backbone.__dict__.pop("forward", None)  # wrapped for the other backbone
    backbone._modules = {**backbone._modules, "net": copy.deepcopy(model.backbone.net)}
    last = backbone.net.project
    matrix = torch.eye(len(change)) + change.detach().cpu()
    with torch.no_grad():
        weight, bias = last.weight[:, :, 0, 0].cpu(), last.bias.cpu()
        last.weight.copy_((matrix @ weight)[:, :, None, None])
        last.bias.copy_(matrix @ bias)
    name = f"{model.name}-adapted"
    return SMTC(backbone, name=name, trained=backbone.trained).eval()


def _adaptable(model: SMTC) -> CompactNet:
    net = model.backbone.net
    if not isinstance(net, CompactNet):
        raise ModelError(
            f"The model {model.name!r} cannot be adapted to a video: its backbone {model.backbone.name!r} "
            "has no layer for it; take a model on 'compact', such as the bundled one."
        )
    return net


def _part_of(keyframes: Mapping[int, np.ndarray], count: int, most: int) -> _Part:
    """The part beginning at the keyframe with an object that has the most frames on one side, the first."""
    shown = sorted(int(index) for index, labels in keyframes.items() if np.any(labels))
    if not shown:
        raise ModelError("There is nothing to adapt to: no keyframe holds an object.")
    found = []
    for index in shown:
        found.append(_Part(index, index, min(count, index + most), "forward"))
        found.append(_Part(index, max(0, index + 1 - most), index + 1, "backward"))
    part = max(found, key=lambda p: p.stop - p.first)
    if part.stop - part.first < 4:
        raise ModelError(f"A video of {count} frames is too short to adapt to; it takes 4 or more.")
    return part


def _there_and_back(
    model: SMTC,
    frames: Frames,
    keyframes: Mapping[int, np.ndarray],
    part: _Part,
    config: PropagationConfig,
    *,
    store: _Kept,
    cancelled: Callable[[], bool],
    progress: Callable[[int], None],
) -> tuple[float, dict[int, np.ndarray], dict[int, dict[int, float]]] | None:
    """(mean overlap with what is true, labels and confidence of the way there); None when cancelled."""
    truth = np.asarray(keyframes[part.keyframe])
    ids = [int(i) for i in np.unique(truth) if i]
    common = {"config": config, "cancelled": cancelled, "features": store}
    labels, confidence, done = {}, {}, 0

    def carried(start: int, known: np.ndarray, turn: int, direction: str) -> Iterator[PropagatedFrame]:
        nonlocal done
        span = part.to(turn)
        for frame in propagate(model, frames, {start: known}, direction=direction, span=span, **common):
            done += 1
            progress(done)
            yield frame

    for frame in carried(part.keyframe, truth, part.turns[-1], part.direction):
        labels[frame.index], confidence[frame.index] = frame.labels, frame.confidence
    overlaps = [
        _overlap(labels[index], np.asarray(known), [i for i in ids if np.any(known == i)])
        for index, known in keyframes.items()
        if index in labels and np.isin(ids, known).any()
    ]
    for turn in part.turns:
        home = np.zeros_like(truth)
        if turn in labels and labels[turn].any():
            for frame in carried(turn, labels[turn], turn, part.back):
                home = frame.labels  # the last one is the keyframe's
        overlaps.append(_overlap(home, truth, ids))
    if cancelled():
        return None
    return float(np.mean(overlaps)), labels, confidence


def _overlap(labels: np.ndarray, truth: np.ndarray, ids: Sequence[int]) -> float:
    return float(np.mean([jaccard(truth == i, labels == i) for i in ids]))


def _lessons(
    maps: Mapping[int, np.ndarray],
    truth: Mapping[int, np.ndarray],
    labels: Mapping[int, np.ndarray],
    confidence: Mapping[int, Mapping[int, float]],
    config: AdaptConfig,
    *,
    channels: int,
) -> list[_Lesson]:
    """The keyframe, then the frames that are sure of some object, evenly spread."""
    ids = sorted({int(i) for known in truth.values() for i in np.unique(known)} | {0})
    sure = [
        index
        for index in sorted(labels)
        if any(confidence[index].get(i, 0.0) >= config.least_confidence for i in ids[1:])
    ]
    count = min(len(sure), config.learnt_frames)
    chosen = [sure[int(place)] for place in np.linspace(0, len(sure) - 1, count)] if sure else []
    lessons = [_lesson(maps[index], known, ids, None, channels) for index, known in truth.items()]
    for index in chosen:
        weights = [confidence[index].get(i, 0.0) for i in ids[1:]]
        weights = [1.0, *(w if w >= config.least_confidence else 0.0 for w in weights)]
        lessons.append(_lesson(maps[index], labels[index], ids, weights, channels))
    return lessons


def _lesson(
    features: np.ndarray,
    labels: np.ndarray,
    ids: Sequence[int],
    weights: Sequence[float] | None,
    channels: int,
) -> _Lesson:
    """Of features (C',h,w) and labels (H,W); weights: None for what is true."""
    _, h, w = features.shape
    soft = np.stack(
        [
            cv2.resize((labels == i).astype(np.float32), (w, h), interpolation=cv2.INTER_AREA).ravel()
            for i in ids
        ],
        1,
    )  # (N,L)
    weights = np.ones(len(ids), np.float32) if weights is None else np.asarray(weights, np.float32)
    # Each object is asked as often as any other, the background as often as all, mostly near them.
    near = cv2.dilate((soft[:, 0].reshape(h, w) < 0.5).astype(np.uint8), np.ones((17, 17), np.uint8)).ravel()
    objects = (soft[:, 1:] / np.maximum(soft[:, 1:].sum(0), 4.0) * weights[1:]).sum(1)
    around = soft[:, 0] * near
    around = 0.7 * around / max(1.0, around.sum()) + 0.3 * soft[:, 0] / max(1.0, soft[:, 0].sum())
    chance = objects + around * max(1, len(ids) - 1)
    if not np.all(weights == 1):
        chance = chance * (soft.max(1) > _UNSURE_SHARE)
    chance = chance.astype(np.float64) + 1e-9
    flat = torch.from_numpy(features[:channels].astype(np.float32)).flatten(1)
    return _Lesson(
        F.normalize(flat, dim=0), torch.from_numpy(soft), torch.from_numpy(weights), chance / chance.sum()
    )


def _train(
    lessons: Sequence[_Lesson],
    config: AdaptConfig,
    *,
    cancelled: Callable[[], bool],
    progress: Callable[[int], None],
    width: int,
) -> Tensor | None:
    """The change (C,C) of the features; None when cancelled. The first lesson is the keyframe's.

    Computed where the lessons lie; what is drawn is the same everywhere.
    """
    device = lessons[0].features.device
    change = torch.zeros(width, width, device=device, requires_grad=True)
    if len(lessons) < 2:
        return change.detach()
    optimiser = torch.optim.Adam([change], lr=config.rate)
    rng = np.random.default_rng(config.seed)
    for step in range(config.steps):
        if cancelled():
            return None
        for group in optimiser.param_groups:
            group["lr"] = config.rate * (1 - step / config.steps)
        asked = int(rng.integers(len(lessons)))
        others = [n for n in range(len(lessons)) if n != asked]
        memory = 0 if asked and rng.random() < 0.5 else int(rng.choice(others))
        cells = rng.choice(len(lessons[asked].chance), config.queries, p=lessons[asked].chance)
        loss = _loss(change, lessons[asked], lessons[memory], torch.from_numpy(cells).to(device), config)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        progress(step + 1)
    return change.detach()


def _loss(change: Tensor, asked: _Lesson, memory: _Lesson, cells: Tensor, config: AdaptConfig) -> Tensor:
    """Cells of one frame look for their labels among all cells of another; scalar."""
    queries = F.normalize(asked.features + change @ asked.features, dim=0)
    values = F.normalize(memory.features + change @ memory.features, dim=0)
    affinity = (queries[:, cells].T @ values / config.temperature).softmax(1)
    target = asked.labels[cells]
    weight = (target * asked.sure).sum(1)
    missed = -(target * (affinity @ memory.labels + _FLOOR).log()).sum(1)
    moved = 1 - (queries * asked.features).sum(0).mean()
    return (missed * weight).sum() / weight.sum().clamp_min(1e-6) + config.stay * moved
