"""What a training run is made of; saved in every checkpoint and in the metadata of the exported weights.

`TrainConfig` holds what every objective needs, `DenseConfig` and `SlotConfig` what one of them needs. Every
field must stay JSON-serialisable; `train.py` makes a command-line option of each.
"""

from __future__ import annotations

import dataclasses
from typing import Any

SCHEDULES = ("cosine", "trapezoid")
AMP_MODES = ("auto", "off", "bf16", "fp16")


def _require(condition: bool, text: str) -> None:
    if not condition:
        raise ValueError(text)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Common to all objectives.

    backbone: registry name, or a checkpoint of ours to go on from.
    steps: optimiser steps in all. clips: clips a step and process, in `accumulate` parts.
    schedule: after `warmup` steps "cosine" falls to `final_lr_share` of `lr` over the whole run, "trapezoid"
    stays at `lr` and falls linearly over the last `decay_share` of the steps, so that a run can be prolonged.
    ema: share of the old teacher kept per step, approached from below while the run is young.
    short_side: clips are decoded to at most this many pixels.
    """

    backbone: str = "compact"
    steps: int = 4000
    clips: int = 8
    accumulate: int = 1
    lr: float = 1e-3
    weight_decay: float = 0.02
    warmup: int = 100
    schedule: str = "trapezoid"
    final_lr_share: float = 0.0
    decay_share: float = 0.25
    clip_gradient: float = 3.0
    ema: float = 0.998
    amp: str = "auto"
    seed: int = 0
    short_side: int = 288

    def __post_init__(self) -> None:
        for name in ("steps", "clips", "accumulate", "short_side"):
            _require(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}")
        _require(
            self.clips % self.accumulate == 0,
            f"clips ({self.clips}) must be a multiple of accumulate ({self.accumulate})",
        )
        _require(self.lr > 0, f"lr must be positive, got {self.lr}")
        _require(self.warmup >= 0, f"warmup must not be negative, got {self.warmup}")
        _require(0 <= self.ema < 1, f"ema must lie in [0, 1), got {self.ema}")
        _require(0 <= self.decay_share <= 1, f"decay_share must lie in [0, 1], got {self.decay_share}")
        _require(self.schedule in SCHEDULES, f"schedule must be one of {SCHEDULES}, got {self.schedule!r}")
        _require(self.amp in AMP_MODES, f"amp must be one of {AMP_MODES}, got {self.amp!r}")


@dataclasses.dataclass(frozen=True)
class DenseConfig:
    """Dense clustering with equivariance (`dense_training.py`). Sides in pixels, gaps in frames.

    crop: side of the views. source_side: side of the square that a view shows, in the decoded frame.
    zoom, rotation_deg: how far the second view differs. clip_colour, clip_hue, clip_grey: changes that both
    views share; view_colour: what they don't. anchors: per side of the lattice.
    """

    crop: int = 128
    frames: int = 4
    gap: tuple[int, int] = (1, 4)
    source_side: tuple[float, float] = (96.0, 288.0)
    zoom: tuple[float, float] = (0.6, 1.2)
    rotation_deg: float = 15.0
    clip_colour: float = 0.3
    clip_hue: float = 0.05
    clip_grey: float = 0.1
    view_colour: float = 0.1
    anchors: int = 8
    temperature: float = 0.05
    temporal_weight: float = 1.0
    cross_weight: float = 1.0
    cycle_weight: float = 0.0
    cycle_dropout: float = 0.1
    cycle_temperature: float = 0.07

    def __post_init__(self) -> None:
        _require(
            self.crop >= 32 and self.crop % 16 == 0, f"crop must be a multiple of 16 from 32, got {self.crop}"
        )
        _require(self.frames >= 2, f"frames must be at least 2, got {self.frames}")
        _require(1 <= self.gap[0] <= self.gap[1], f"gap must be two numbers 1 <= low <= high, got {self.gap}")
        _require(self.temperature > 0, f"temperature must be positive, got {self.temperature}")
        _require(self.anchors >= 2, f"anchors must be at least 2, got {self.anchors}")


@dataclasses.dataclass(frozen=True)
class SlotConfig:
    """The paper's objective (`smtc_training.py`): three losses on the slots.

    size: the clip is squashed to size x size pixels. gap: frames between neighbours of a clip.
    freeze_steps: the backbone learns nothing for so long, without gradients of which clipping would know, and
    at `backbone_lr_share` of the rate afterwards; a share of 0 freezes it for good.
    semantics, instances: S and P. *_weight: of the three losses.
    """

    size: int = 256
    frames: int = 4
    gap: tuple[int, int] = (4, 4)
    freeze_steps: int = 3000
    backbone_lr_share: float = 0.01
    semantics: int = 16
    instances: int = 4
    colour: float = 0.4
    hue: float = 0.1
    colour_probability: float = 0.8
    grey: float = 0.2
    blur: float = 0.5
    min_crop: float = 0.7
    consistency_weight: float = 1.0
    distinctness_weight: float = 1.0
    instance_weight: float = 1.0

    def __post_init__(self) -> None:
        _require(self.size >= 32, f"size must be at least 32, got {self.size}")
        _require(self.frames >= 2, f"frames must be at least 2, got {self.frames}")
        _require(1 <= self.gap[0] <= self.gap[1], f"gap must be two numbers 1 <= low <= high, got {self.gap}")
        _require(0 < self.min_crop <= 1, f"min_crop must lie in (0, 1], got {self.min_crop}")
        _require(self.backbone_lr_share >= 0, "backbone_lr_share must not be negative")


@dataclasses.dataclass(frozen=True)
class ForegroundConfig:
    """The foreground network (`foreground_training.py`).

    size: shorter side in pixels of what the network is shown, in 4:3. min_crop: least share of the frame that
    is shown. colour, hue, grey, blur: changes of the picture. doubt: how much less a still place counts where
    the network is sure of a thing; doubt_after: the step from which on it may doubt.
    """

    size: int = 192
    min_crop: float = 0.55
    colour: float = 0.35
    hue: float = 0.05
    grey: float = 0.15
    blur: float = 0.2
    doubt: float = 0.7
    doubt_after: int = 700

    def __post_init__(self) -> None:
        _require(self.size >= 96 and self.size % 96 == 0, f"size must be a multiple of 96, got {self.size}")
        _require(0 < self.min_crop <= 1, f"min_crop must lie in (0, 1], got {self.min_crop}")
        _require(0 <= self.doubt <= 1, f"doubt must lie in [0, 1], got {self.doubt}")


def from_dict(kind: type, values: dict[str, Any]):
    """A configuration of class `kind` from the JSON of a checkpoint; lists become tuples."""
    known = {field.name for field in dataclasses.fields(kind)}
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known})


def learning_rate(config: TrainConfig, step: int) -> float:
    """The rate of step number `step`, counted from 0."""
    from math import cos, pi

    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    if config.schedule == "cosine":
        done = (step - config.warmup) / max(1, config.steps - config.warmup)
        share = 0.5 * (1 + cos(pi * min(1.0, done)))
    else:
        share = min(1.0, max(0.0, (config.steps - step) / max(1.0, config.decay_share * config.steps)))
    return config.lr * (config.final_lr_share + (1 - config.final_lr_share) * share)


def teacher_momentum(config: TrainConfig, step: int) -> float:
    """Share of the old teacher kept after step number `step`: a young teacher forgets its start quickly."""
    return min(config.ema, 1 - 1 / (1 + step / 10))
