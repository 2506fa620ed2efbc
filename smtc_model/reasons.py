"""Why a pixel got its label: the last step of its propagation, done again for one frame.

A run keeps no record of what spoke for which label, so the step is repeated from the keyframes and the labels
of the frames just before, as they are now. What the target model had learnt of other frames is not repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .matching import Window
from .propagation import Propagator
from .propagation_config import PropagationConfig

Position = tuple[float, float]

NEAR_FRAMES = 4
"""A keyframe further away is matched as a whole: where its objects went since is not known here."""


class Labelled(NamedTuple):
    """A frame uint8 (H,W,3) RGB with its labels (H,W), integer."""

    index: int
    frame: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class RepeatedStep:
    """What spoke for each label everywhere on one frame.

    ids       labels of the channels
    opinions  {"match", "motion", "appearance": (exponent in their product, probabilities (L,hf,wf))}; empty
              where the settings have votes only
    together  (L,hf,wf), what came of them, before edges are made exact to the pixel
    """

    ids: tuple[int, ...]
    opinions: Mapping[str, tuple[float, Tensor]]
    together: Tensor

    def opinions_at(self, position: Position) -> dict[str, tuple[float, dict[int, float]]]:
        """{name: (exponent, {label: probability})} at (x, y), in shares of the frame's width and height."""
        return {name: (w, _at(maps, position, self.ids)) for name, (w, maps) in self.opinions.items()}

    def together_at(self, position: Position) -> dict[int, float]:
        """{label: probability}, the likeliest first; they sum to 1."""
        return _at(self.together, position, self.ids)


def repeat_step(
    model: nn.Module,
    index: int,
    frame: np.ndarray,
    *,
    keyframes: Sequence[Labelled],
    recent: Sequence[Labelled],
    config: PropagationConfig,
    device: torch.device | str = "cpu",
    between: Callable[[], None] = lambda: None,
) -> RepeatedStep:
    """Label a frame once more.

    Args:
        keyframes: those that its labels came from, all on one side of it, the furthest first.
        recent: frames between them and this one, the furthest first.
        between: called between parts of the work; may raise, to end it.

    Raises ValueError without a keyframe.
    """
    if not keyframes:
        raise ValueError("no keyframe is given, so nothing could be propagated")
    if min(abs(index - key.index) for key in keyframes) > NEAR_FRAMES:
        config = replace(config, keyframe_window=Window(None))
    propagator = Propagator(model, config=config, device=device)
    propagator.between = between
    for key in keyframes:
        propagator.add_keyframe(*key)
    for one in recent:
        between()
        propagator.follow(*one)
    soft = propagator.step(index, frame)
    return RepeatedStep(soft.ids, propagator.opinions, soft.soft)


def _at(maps: Tensor, position: Position, ids: Sequence[int]) -> dict[int, float]:
    """{label: probability}, the likeliest first, of maps (L,h,w) between the cells around a position."""
    place = torch.tensor(position, dtype=torch.float32) * 2 - 1
    found = F.grid_sample(
        maps.float().cpu()[None],
        place.view(1, 1, 1, 2),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    ).flatten()
    found = found.clamp_min(0)
    found /= found.sum().clamp_min(1e-6)
    pairs = sorted(zip(ids, found.tolist(), strict=True), key=lambda pair: -pair[1])
    return {int(label): share for label, share in pairs}
