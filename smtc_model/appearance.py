"""What the objects of this very video look like: descriptors of each cell, and the classifier learnt on them.

The backbone knows what belongs together, raw colour and texture tell where it ends; the kernel of the target
model sees both side by side. Learning uses its own results, so unsure cells count less and keyframes never
fade by themselves.

Letters: h x w tokens, m cells of the target model's grid, C feature channels, L label channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .backbone import create_backbone
from .propagation_config import PropagationConfig
from .target_model import TargetModel

_TEXTURE_CELL_PX = 4
_MARGIN = 4
"""Tokens beyond the cells looked at that their descriptors may depend on: texture sees 3 cells around."""

_FADE, _FADE_NEW_OBJECT = 0.7, 0.2
"""What is left of the earlier lessons when a keyframe comes; one with a new object contradicts them, since
they took it for background."""

_KEYFRAME_WEIGHT = 1000.0
_PLAIN_BACKGROUND = 0.99
_OBJECT_SAMPLES, _BACKGROUND_SAMPLES = 2000, 1000
"""About so many cells with objects, and so many that are surely background, are learnt of a frame."""
_FEWEST_SAMPLES = 200
"""Of each object, if it has so many: with equal shares of all cells a small one would not be learnt."""


class Described(NamedTuple):
    """What a frame shows in some cells of the target model's grid."""

    embedded: Tensor
    """(n,D) embedded descriptors of the n cells looked at."""
    where: Tensor | None
    """(n,) int64, rising, which of the grid's m cells these are; None: all."""
    size: tuple[int, int]
    """Rows and columns of the grid, m = rows * columns."""


class Appearance:
    """Learns label probabilities of cells as a function of what they show.

    Call `describe` for a frame, then `predict`, `learn` or both with what it returned.
    """

    def __init__(self, config: PropagationConfig, device: torch.device) -> None:
        self.between: Callable[[], None] = lambda: None
        """Called between the parts of all that takes long; may raise, to end it."""
        self._config = config
        self._device = device
        self._texture = (
            create_backbone("colour-texture", options={"stride": _TEXTURE_CELL_PX}).to(device).eval()
        )
        self._model: TargetModel | None = None
        self._labels = 0

    def describe(
        self, frame: np.ndarray, features: Tensor, *, look: tuple[Tensor, Tensor] | None = None
    ) -> Described:
        """frame uint8 (H,W,3) RGB, its features (h,w,C) of unit length.

        look: bool maps on any grids: where objects may be, which is looked at closely, and around them, of
        which some cells are looked at, for learning background. None: everywhere.
        """
        where = None if look is None else _cells_to_look_at(*look, self._size(features))
        return self._described(frame, features, where)

    def learn_keyframe(self, frame: np.ndarray, features: Tensor, soft: Tensor) -> None:
        """Learn a frame's true labels (L,hf,wf) on any grid; frame and features as `describe` has them."""
        labels = F.interpolate(soft[None], self._size(features), mode="area")[0].flatten(1).T
        seen = self._described(frame, features, _chosen(labels))
        self.between()
        self.learn(seen, soft, keyframe=True)

    def _size(self, features: Tensor) -> tuple[int, int]:
        """Rows and columns of the grid for features (h,w,C)."""
        return tuple(side * self._config.target_scale for side in features.shape[:2])

    def _described(self, frame: np.ndarray, features: Tensor, where: Tensor | None) -> Described:
        scale, size = self._config.target_scale, self._size(features)
        side = _TEXTURE_CELL_PX
        pixels = cv2.resize(frame, (size[1] * side, size[0] * side), interpolation=cv2.INTER_AREA)
        rows, columns = _tokens_around(where, features.shape[:2], scale)
        part = features[rows, columns].permute(2, 0, 1)[None]
        cells = (part.shape[2] * scale, part.shape[3] * scale)
        maps = F.interpolate(part, cells, mode="bilinear", align_corners=False)
        pixels = pixels[_times(rows, scale * side), _times(columns, scale * side)]
        image = torch.from_numpy(np.ascontiguousarray(pixels)).to(self._device)
        image = image.permute(2, 0, 1)[None].float() / 255
        self.between()
        texture = self._texture(image).tokens * self._config.target_texture
        colour = F.avg_pool2d(image, side) * self._config.target_colour
        descriptors = torch.cat([maps, texture, colour], 1)[0].flatten(1).T
        if where is not None:
            y, x = where // size[1] - rows.start * scale, where % size[1] - columns.start * scale
            descriptors = descriptors[y * cells[1] + x]
        if self._model is None:
            config = self._config
            self._model = TargetModel(
                descriptors.shape[1],
                features=config.target_features,
                bandwidth=config.target_bandwidth,
                ridge=config.target_ridge,
                decay=config.target_decay,
                device=self._device,
            )
        self.between()
        return Described(self._model.embed(descriptors), where, size)

    def predict(self, seen: Described) -> Tensor:
        """(L,*size) in [0,1]: each label against its strongest rival; cells not looked at are background."""
        assert self._model is not None
        scores = self._model.predict(seen.embedded).T
        if len(scores) == 1:
            return scores.new_ones((1, *seen.size))
        best = scores.topk(2, 0).values
        rival = torch.where(scores == best[:1], best[1:], best[:1])
        found = (0.5 + self._config.target_gain / 2 * (scores - rival)).clamp_(0, 1)
        if seen.where is not None:
            everywhere = found.new_zeros((len(found), math.prod(seen.size)))
            everywhere[0] = 1
            everywhere[:, seen.where] = found
            found = everywhere
        return found.reshape(-1, *seen.size)

    def learn(self, seen: Described, soft: Tensor, *, keyframe: bool, frames: int = 1) -> None:
        """Learn a frame from what was seen of it and its labels (L,hf,wf) on any grid.

        frames: how many propagated ones it stands for.
        """
        assert self._model is not None
        if keyframe:
            if self._labels:
                self._model.fade(_FADE if len(soft) == self._labels else _FADE_NEW_OBJECT)
            self._labels = len(soft)
        labels = F.interpolate(soft[None], seen.size, mode="area")[0].flatten(1).T  # (m,L)
        if seen.where is not None:
            labels = labels[seen.where]
        chosen = _chosen(labels)
        embedded, labels = seen.embedded[chosen], labels[chosen]
        # Every label weighs the same however small it is.
        sure = (labels.amax(1) * 2 - 1).clamp_min(0)
        weights = (labels / labels.sum(0).clamp_min(1)).sum(1) * sure
        self.between()
        total = _KEYFRAME_WEIGHT * (1.0 if keyframe else self._config.target_rate * frames)
        weights = weights * (total / weights.sum().clamp_min(1e-6))
        self._model.learn(embedded, labels, weights, keep=keyframe, frames=frames)


def _cells_to_look_at(possible: Tensor, around: Tensor, size: tuple[int, int]) -> Tensor:
    """(n,) cells of the grid of that size: all that may hold an object, and a share of what is around."""
    close = F.adaptive_max_pool2d(possible[None, None].float(), size)
    close = F.max_pool2d(close, 3, stride=1, padding=1)[0, 0].flatten() > 0
    near = F.interpolate(around[None, None].float(), size, mode="nearest")[0, 0].flatten() > 0
    near &= ~close
    counted = near.cumsum(0)
    near &= _evenly(counted - 1, counted[-1].clamp_min(1), _BACKGROUND_SAMPLES)
    return (close | near).nonzero()[:, 0]


def _tokens_around(where: Tensor | None, size: tuple[int, int], scale: int) -> tuple[slice, slice]:
    """Rows and columns of the (h,w) tokens of scale x scale cells that cells (n,) are described from."""
    h, w = size
    if where is None or not len(where):
        return slice(0, h), slice(0, w)
    columns = where % (w * scale)
    ends = torch.stack([where[0] // (w * scale), where[-1] // (w * scale), *columns.aminmax()]).tolist()
    bounds = []
    for first, last, length in ((*ends[:2], h), (*ends[2:], w)):
        bounds.append(slice(max(0, first // scale - _MARGIN), min(length, last // scale + 1 + _MARGIN)))
    return bounds[0], bounds[1]


def _times(tokens: slice, factor: int) -> slice:
    return slice(tokens.start * factor, tokens.stop * factor)


def _evenly(rank: Tensor, size: Tensor, most: int | Tensor) -> Tensor:
    """bool: of groups of `size` members, evenly, as many as `most`, or all; rank: of each in its group."""
    number = (rank * most + size - 1) // size  # of the first one chosen that does not come before
    return (number * size // most == rank) & (number < most)


def _chosen(labels: Tensor) -> Tensor:
    """Which of m cells with labels (m,L) are learnt, (n,): with something in them, and plain background."""
    plain = labels[:, 0] > _PLAIN_BACKGROUND
    groups = (labels.argmax(1) + 1).masked_fill_(plain, 0)
    ordered, order = groups.sort(stable=True)  # all groups at once: on a GPU each would be waited for
    numbers = torch.arange(labels.shape[1] + 1, device=labels.device)
    starts = torch.searchsorted(ordered, numbers)
    sizes = torch.searchsorted(ordered, numbers, right=True) - starts
    most = torch.full_like(numbers, max(_FEWEST_SAMPLES, _OBJECT_SAMPLES // max(1, labels.shape[1] - 1)))
    most[0] = _BACKGROUND_SAMPLES
    rank = torch.arange(len(groups), device=labels.device) - starts[ordered]
    chosen = torch.zeros_like(plain)
    chosen[order] = _evenly(rank, sizes[ordered], most[ordered])
    return chosen.nonzero()[:, 0]
