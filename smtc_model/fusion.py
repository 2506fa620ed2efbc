"""Three opinions about a new frame become one: what it matches, where it moved from, what the objects look like.

Matching knows tokens, optical flow knows pixels but only the previous frame, the target model knows what sets the
objects apart. Each gives label probabilities; their weighted product (a logarithmic opinion pool, Genest and
Zidek 1986) is taken on a grid of half the input's resolution and smoothed along the image's edges.

Letters: H x W pixels, hf x wf cells of the fine grid, h x w tokens, C feature channels, L label channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .colour_texture import ColourTexture
from .motion import FlowEstimator, to_tokens, warp
from .propagation_config import PropagationConfig
from .refine import GuidedFilter, lab_guide
from .target_model import TargetModel

_FLOOR = 1e-3
"""No single opinion may rule a label out."""

_SETTLED = 0.03
"""Smaller probabilities of an object become exactly 0, so that plain background stays plain and is skipped."""

_FADE, _FADE_NEW_OBJECT = 0.7, 0.2
"""What is left of the earlier lessons when a keyframe comes; one with a new object contradicts them, since
they took it for background."""


@dataclass
class _View:
    """A frame at the fine grid."""

    grey: np.ndarray
    guide: np.ndarray
    rgb: np.ndarray


class FrameFusion:
    """Holds the previous frame's labels at the fine grid and what the target model learnt.

    Call `start` for a keyframe; for every other frame `look`, then `motion`, then `fuse`.
    """

    def __init__(self, config: PropagationConfig, device: torch.device, *, cells: int) -> None:
        self._config = config
        self._device = device
        self._cells = cells
        self._flow_of = FlowEstimator()
        self._texture = ColourTexture(stride=4).to(device)
        self._target: TargetModel | None = None
        self._fine_size = (0, 0)
        self._previous: _View | None = None
        self._current: _View | None = None
        self._soft: Tensor | None = None  # (L,hf,wf) of the previous frame
        self._flow: Tensor | None = None  # (2,hf,wf)
        self._labels = 0
        self.parts: dict[str, Tensor] = {}

    def start(self, frame: np.ndarray, labels: np.ndarray, ids: tuple[int, ...], features: Tensor) -> None:
        """Take over a keyframe: frame uint8 (H,W,3), labels (H,W), features (h,w,C)."""
        h, w = features.shape[:2]
        self._fine_size = (h * self._cells, w * self._cells)
        self._previous = self._view(frame)
        maps = [
            cv2.resize((labels == i).astype(np.float32), self._fine_size[::-1], interpolation=cv2.INTER_AREA)
            for i in ids
        ]
        self._soft = torch.from_numpy(np.stack(maps)).to(self._device)
        if self._config.target_weight > 0:
            if self._target is not None:
                self._target.fade(_FADE if len(ids) == self._labels else _FADE_NEW_OBJECT)
            self._labels = len(ids)
            self._learn(features, self._previous, self._soft, keep=True)

    def look(self, frame: np.ndarray) -> None:
        """See the next frame and find out how it moved."""
        assert self._previous is not None
        self._current = self._view(frame)
        self._flow = self._flow_of(self._current.grey, self._previous.grey).to(self._device)

    def motion(self, size: tuple[int, int]) -> Tensor:
        """(2,h,w) displacement to the previous frame in tokens."""
        assert self._flow is not None
        return to_tokens(self._flow, size)

    def fuse(self, matched: Tensor, features: Tensor) -> Tensor:
        """matched (L,h,w) of the vote, features (h,w,C) -> probabilities (L,hf,wf); remembers them."""
        assert self._soft is not None
        assert self._current is not None
        config = self._config
        if len(self._soft) < len(matched):
            extra = self._soft.new_zeros((len(matched) - len(self._soft), *self._fine_size))
            self._soft = torch.cat([self._soft, extra])
        opinions = [(config.match_weight, self._upsampled(matched))]
        if config.warp_weight > 0:
            prior = warp(self._soft[None], self._flow[None])[0]
            if config.warp_blur > 0:
                prior = self._blurred(prior)
            opinions.append((config.warp_weight, prior))
        embedded = None
        if config.target_weight > 0:
            embedded = self._target.embed(self._descriptors(features, self._current))
            scores = self._target.predict(embedded).T.reshape(-1, *self._target_size(features))
            scores = (0.5 + config.target_gain * (scores - 0.5)).clamp(0, 1)
            scores = scores / scores.sum(0, keepdim=True).clamp_min(_FLOOR)
            opinions.append((config.target_weight, self._upsampled(scores)))
        self.parts = dict(zip(("match", "warp", "target"), [o for _, o in opinions]))
        logits = sum(weight * (opinion + _FLOOR).log() for weight, opinion in opinions)
        soft = torch.softmax(logits, 0)
        soft = _settle(self._follow_edges(soft))
        self._soft = soft
        if embedded is not None:
            self._learn(features, self._current, soft, keep=False, embedded=embedded)
        self._previous = self._current
        return soft

    def _view(self, frame: np.ndarray) -> _View:
        small = cv2.resize(frame, self._fine_size[::-1], interpolation=cv2.INTER_AREA)
        return _View(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), lab_guide(small), frame)

    def _upsampled(self, maps: Tensor) -> Tensor:
        return F.interpolate(maps[None], self._fine_size, mode="bilinear", align_corners=False)[0]

    def _follow_edges(self, soft: Tensor) -> Tensor:
        config = self._config
        if config.guide_radius < 1:
            return soft
        filtered = GuidedFilter(self._current.guide, radius=config.guide_radius, epsilon=config.guide_epsilon)
        maps = [np.clip(filtered(channel), 0, 1) for channel in soft[1:].cpu().numpy()]
        rest = np.clip(1 - sum(maps), 0, 1)
        smoothed = torch.from_numpy(np.stack([rest, *maps])).to(self._device)
        return smoothed / smoothed.sum(0, keepdim=True).clamp_min(1e-6)

    def _blurred(self, maps: Tensor) -> Tensor:
        sigma = self._config.warp_blur * self._cells
        return torch.from_numpy(np.stack([cv2.GaussianBlur(m, (0, 0), sigma) for m in maps.cpu().numpy()]))

    def _target_size(self, features: Tensor) -> tuple[int, int]:
        scale = self._config.target_scale
        return features.shape[0] * scale, features.shape[1] * scale

    def _descriptors(self, features: Tensor, view: _View) -> Tensor:
        """(m, d): features and colour of each cell of the target model's grid."""
        size = self._target_size(features)
        if size != tuple(features.shape[:2]):
            maps = F.interpolate(features.permute(2, 0, 1)[None], size, mode="bilinear", align_corners=False)
            features = maps[0].permute(1, 2, 0)
        parts = [features * self._config.target_semantics]
        if self._config.target_colour > 0:
            colour = torch.from_numpy(cv2.resize(view.guide, size[::-1], interpolation=cv2.INTER_AREA))
            parts.append(colour.to(self._device) * self._config.target_colour)
        if self._config.target_texture > 0:
            parts.append(self._textured(view, size) * self._config.target_texture)
        return torch.cat(parts, 2).flatten(0, 1)

    def _textured(self, view: _View, size: tuple[int, int]) -> Tensor:
        """(h,w,c) colour and texture of each cell of the target model's grid, at that grid's own resolution."""
        side = self._texture.stride
        rgb = cv2.resize(view.rgb, (size[1] * side, size[0] * side), interpolation=cv2.INTER_LINEAR)
        image = torch.from_numpy(rgb).to(self._device).permute(2, 0, 1)[None].float() / 255
        return self._texture((image - self._texture._mean) / self._texture._std)[0].permute(1, 2, 0)

    def _learn(
        self, features: Tensor, view: _View, soft: Tensor, *, keep: bool, embedded: Tensor | None = None
    ) -> None:
        config = self._config
        if embedded is None:
            descriptors = self._descriptors(features, view)
            if self._target is None:
                self._target = TargetModel(
                    descriptors.shape[1],
                    features=config.target_features,
                    bandwidth=config.target_bandwidth,
                    ridge=config.target_ridge,
                    decay=config.target_decay,
                    device=self._device,
                )
            embedded = self._target.embed(descriptors)
        labels = F.interpolate(soft[None], self._target_size(features), mode="area")[0].flatten(1).T  # (m, L)
        # Every label weighs the same however small; unsure tokens count less.
        sure = labels.max(1).values.sub(0.5).clamp_min(0) * 2
        share = labels.sum(0).clamp_min(1)
        chosen = self._chosen(labels)
        share = labels[chosen].sum(0).clamp_min(1)
        weights = (labels / share).sum(1) * sure * chosen
        weights = weights / weights.sum().clamp_min(1e-6)
        if not keep:
            weights = weights * config.target_rate
        self._target.learn(
            embedded[self._chosen(labels)],
            labels[self._chosen(labels)],
            weights[self._chosen(labels)] * 1000,
            keep=keep,
        )

    def _chosen(self, labels: Tensor) -> Tensor:
        step = max(1, int((labels[:, 0] > 0.99).sum()) // 3000)
        chosen = labels[:, 0] <= 0.99
        chosen[::step] = True
        return chosen


def _settle(soft: Tensor) -> Tensor:
    """(L,hf,wf): drop what is hardly there, so that it does not spread from frame to frame."""
    objects = torch.where(soft[1:] < _SETTLED, 0.0, soft[1:])
    objects = objects / objects.sum(0, keepdim=True).clamp_min(1.0)
    return torch.cat([(1 - objects.sum(0, keepdim=True)).clamp_min(0), objects])
