"""Three opinions about a new frame become one: what it matches, where it moved from, what it looks like.

Matching knows tokens, optical flow knows pixels but only the previous frame, the target model knows what sets
the objects apart. Each gives label probabilities; their weighted product (a logarithmic opinion pool, Genest
and Zidek 1986) is taken on a grid of half the input's resolution and smoothed along the image's edges.

Letters: H x W pixels, hf x wf cells of the fine grid, h x w tokens of c x c cells that remember
labels, C feature channels, L label channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .appearance import Appearance
from .exposure import Exposure
from .lost_objects import Sighting
from .motion import FlowEstimator, lost, to_tokens, warp
from .propagation_config import PropagationConfig, mix
from .refine import GuidedFilter, lab_guide

_FLOOR = 1e-3
"""No single opinion may rule a label out."""

_SETTLED = 0.03
"""Smaller probabilities of an object become exactly 0: plain background stays plain and is skipped."""


_POSSIBLE = 0.002
"""Smaller probabilities of an object cannot win, whatever it looks like there."""

_TOLERANCE = 0.375
"""Tokens that flow there and back may end away from its start and still be believed."""

_NEAR, _GROWTH = (1.5, 4.0), (0.1, 0.3)
"""Tokens around where an object is expected that cost nothing, or that share of its side if that is more;
where flow can be believed, and where it is lost."""

_REACH = 8
"""Tokens around an object whose background is learnt."""


@dataclass(frozen=True)
class _View:
    """A frame and what is needed of it at the fine grid."""

    frame: np.ndarray
    small: np.ndarray
    grey: np.ndarray
    guide: np.ndarray


class FrameFusion:
    """Holds the previous frame's labels at the fine grid, and what was learnt about the objects.

    Call `start` for a keyframe; for every other frame `look`, then `motion`, then `fuse`.

    cells: cells of the fine grid along each side of a token.
    """

    def __init__(self, config: PropagationConfig, device: torch.device, *, cells: int) -> None:
        self._between: Callable[[], None] = lambda: None
        self._config = config
        self._device = device
        self._cells = cells
        self._flow_of = FlowEstimator()
        self._appearance = Appearance(config, device) if config.target_weight > 0 else None
        self._exposure = Exposure()
        self._fine_size = (0, 0)
        self._previous: _View | None = None
        self._current: _View | None = None
        self._soft: Tensor | None = None  # (L,hf,wf) of the previous frame
        self._flow: Tensor | None = None  # (2,hf,wf)
        self._moved: Tensor | None = None  # (L,hf,wf) of the previous frame, where flow takes them
        self.lost_share = 0.0
        """How much of what is labelled flow loses on the way to the frame looked at, 0 to 1."""
        self._unlearnt = 0  # frames since one was learnt
        self.opinions: dict[str, Tensor] = {}
        """Each opinion about the last frame (L,hf,wf), before they were joined: for looking at."""
        self.weights: dict[str, float] = {}
        """Its exponent in their product."""

    @property
    def between(self) -> Callable[[], None]:
        """Called again and again while work is going on; may raise, to end it."""
        return self._between

    @between.setter
    def between(self, between: Callable[[], None]) -> None:
        self._between = between
        if self._appearance is not None:
            self._appearance.between = between

    def start(self, frame: np.ndarray, labels: np.ndarray, ids: tuple[int, ...], features: Tensor) -> None:
        """Take over a keyframe: frame uint8 (H,W,3), labels (H,W), features (h,w,C)."""
        self.follow(frame, labels, ids, features)
        if self._appearance is not None:
            assert self._soft is not None
            self._appearance.learn_keyframe(self._exposure.undone(frame), features, self._soft)
            self._unlearnt = 0

    def follow(self, frame: np.ndarray, labels: np.ndarray, ids: tuple[int, ...], features: Tensor) -> None:
        """Go on from a frame whose labels are known but no truth to learn from; arguments as of `start`."""
        h, w = features.shape[:2]
        self._fine_size = (h * self._cells, w * self._cells)
        self._previous = self._view(frame)
        size = self._fine_size[::-1]
        maps = []
        for label in ids:
            mask = (labels == label).astype(np.float32)
            maps.append(cv2.resize(mask, size, interpolation=cv2.INTER_AREA))
            self.between()
        self._soft = torch.from_numpy(np.stack(maps)).to(self._device)

    def look(self, frame: np.ndarray) -> None:
        """See the next frame and find out how it moved."""
        assert self._previous is not None
        assert self._soft is not None
        self._current = self._view(frame)
        flow = self._flow_of(self._current.grey, self._previous.grey)
        back = self._flow_of(self._previous.grey, self._current.grey)
        astray = lost(flow, back, tolerance=_TOLERANCE * self._cells)
        self._exposure.see(self._previous.small, self._current.small, flow.numpy(), ~astray.numpy())
        astray = astray.to(self._device)
        self._flow = flow.to(self._device)
        self._moved = warp(self._soft[None], self._flow[None])[0]
        held = 1 - self._moved[0]
        self.lost_share = float((astray * held).sum() / held.sum().clamp_min(1))

    def motion(self, size: tuple[int, int]) -> Tensor:
        """(2,h,w) displacement to the previous frame in tokens."""
        assert self._flow is not None
        return to_tokens(self._flow, size)

    def fuse(self, matched: Tensor, features: Tensor, *, sighting: Sighting | None = None) -> Tensor:
        """matched (L,h*c,w*c) of the vote, features (h,w,C) -> probabilities (L,hf,wf); remembers them.

        sighting: what to expect elsewhere or not at all.
        """
        assert self._soft is not None
        assert self._flow is not None
        assert self._current is not None
        config = self._config
        assert self._moved is not None
        moved, self._moved = self._moved, None
        share = self.lost_share
        match_weight, warp_weight, target_weight = config.weights(share)
        lostness = config.lostness(share)
        if lostness > 0 and config.label_cells > 1:
            # What flow loses changes in its details: tokens as a whole are surer.
            whole = F.interpolate(matched[None], features.shape[:2], mode="area")
            whole = F.interpolate(whole, matched.shape[1:], mode="bilinear", align_corners=False)[0]
            matched = torch.lerp(matched, whole, lostness)
        opinions = [
            ("match", match_weight, self._upsampled(matched)),
            ("motion", warp_weight, moved),
        ]
        self.between()
        seen = None
        self._unlearnt += 1
        learning = self._unlearnt >= config.target_every or lostness > 0
        if self._appearance is not None:
            possible, around = _where_to_look([opinion for _, _, opinion in opinions], features.shape[:2])
            if not learning:
                around = torch.zeros_like(around)
            self.between()
            in_first_light = self._exposure.undone(self._current.frame)
            seen = self._appearance.describe(in_first_light, features, look=(possible, around))
            self.between()
            scores = self._appearance.predict(seen)
            self.between()
            opinions.append(("appearance", target_weight, self._upsampled(scores)))
            self.between()
        self.opinions = {name: opinion for name, _, opinion in opinions}
        self.weights = {name: weight for name, weight, _ in opinions}
        floors = {"appearance": config.target_floor}
        logits = torch.zeros_like(self._soft)
        for name, weight, opinion in opinions:
            logits += (opinion + floors.get(name, _FLOOR)).log_().mul_(weight)
            self.between()
        if config.distance_weight > 0:
            # Where flow errs the object is rather where it was.
            expected = torch.maximum(moved, self._soft)
            if sighting is not None:
                expected = torch.maximum(expected, self._enlarged(sighting.where))
            expected = expected[1:].cpu().numpy()
            near, growth = (mix(believed, gone, lostness) for believed, gone in (_NEAR, _GROWTH))
            remote = [_remoteness(m, near * self._cells, growth) for m in expected]
            remote = torch.from_numpy(np.stack(remote)).to(self._device)
            self.between()
            weight = mix(config.distance_weight, config.lost_distance_weight, lostness)
            logits[1:] -= (remote * (weight / self._cells)).clamp_max_(8.0)
        if sighting is not None and sighting.gone:
            gone = list(sighting.gone)
            logits[gone] = torch.where(self._enlarged(sighting.where[gone]) > 0, logits[gone], -torch.inf)
        soft = torch.softmax(logits, 0)
        self.between()
        soft = self._follow_edges(settle(soft))
        self.between()
        soft = settle(soft)
        self.between()
        if self._appearance is not None and learning:
            assert seen is not None
            self._appearance.learn(seen, soft, keyframe=False, frames=self._unlearnt)
            self._unlearnt = 0
        self._soft, self._previous = soft, self._current
        return soft

    def _view(self, frame: np.ndarray) -> _View:
        small = cv2.resize(frame, self._fine_size[::-1], interpolation=cv2.INTER_AREA)
        return _View(frame, small, cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), lab_guide(small))

    def _upsampled(self, maps: Tensor) -> Tensor:
        return F.interpolate(maps[None], self._fine_size, mode="bilinear", align_corners=False)[0]

    def _enlarged(self, where: Tensor) -> Tensor:
        """(n,h,w) bool -> 0 or 1 on the fine grid (n,hf,wf)."""
        return F.interpolate(where[None].float(), self._fine_size, mode="nearest-exact")[0]

    def _follow_edges(self, soft: Tensor) -> Tensor:
        config = self._config
        assert self._current is not None
        if config.guide_radius < 1:
            return soft
        filtered = GuidedFilter(self._current.guide, radius=config.guide_radius, epsilon=config.guide_epsilon)
        maps = []
        for channel in soft[1:].cpu().numpy():
            maps.append(np.clip(filtered(channel), 0, 1))
            self.between()
        rest = np.clip(1 - sum(maps), 0, 1)
        smoothed = torch.from_numpy(np.stack([rest, *maps])).to(self._device)
        return smoothed / smoothed.sum(0, keepdim=True).clamp_min(1e-6)


def settle(soft: Tensor) -> Tensor:
    """(L,hf,wf): drop what is hardly there, so that it does not spread from frame to frame."""
    limit = (soft.amax(0, keepdim=True) / 2).clamp_max(_SETTLED)
    kept = torch.where(soft < limit, 0.0, soft)
    return kept.div_(kept.sum(0, keepdim=True))


def _where_to_look(opinions: list[Tensor], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Where objects may be (hf,wf), and the tokens (h,w) around them, both bool, from opinions (L,hf,wf).

    What no other opinion holds possible, the target model cannot win against their floors.
    """
    possible = torch.stack(opinions).amax(0)[1:].amax(0) > _POSSIBLE
    coarse = F.adaptive_max_pool2d(possible[None, None].float(), size)
    around = F.max_pool2d(coarse, 2 * _REACH + 1, stride=1, padding=_REACH)[0, 0] > 0
    return possible, around


def _remoteness(prior: np.ndarray, near: float, growth: float) -> np.ndarray:
    """How far each cell lies from where an object is expected, beyond what it may grow in one frame.

    prior: (hf,wf) of one object. near: cells that count as no distance; growth: the same as a share of the
    object's side, if that is more.
    Returns (hf,wf) in cells; all 0 for an object that is expected nowhere: it may turn up anywhere.
    """
    expected = prior > 0.5
    area = np.count_nonzero(expected)
    if not area:
        return np.zeros(prior.shape, np.float32)
    distance = cv2.distanceTransform((~expected).astype(np.uint8), cv2.DIST_L2, 3)
    return np.maximum(distance - max(near, growth * math.sqrt(area)), 0)  # stays float32
