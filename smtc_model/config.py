"""Hyperparameters of the SMTC model, as plain frozen dataclasses.

The configuration is stored with the weights (see :mod:`smtc_model.weights`), so every field must stay
JSON-serialisable and have a default: an older file then loads with the defaults of the newer fields.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Sizes and switches of the slot head (arXiv 2308.09951, sections 3.2 and 3.3).

    num_semantics: S, slots of the semantic stage.
    num_instances: P, instance slots per semantic.
    train_iterations, infer_iterations: I, iterations of both slot-attention stages.
    correlation_grid: G, the previous frame's keys are resized to G x G positions before the correlation.
    area_threshold: where a semantic counts as present, in (0, 1); see :func:`smtc_model.slots.semantic_area`.
    official_compat: reproduce the released implementation, quirks included. Off, the plain mistakes are
        mended; each module's docstring names its deviations.
    seed: seeds the draw of the instance slots unless a generator or the noise itself is given.
    """

    num_semantics: int = 16
    num_instances: int = 4
    train_iterations: int = 3
    infer_iterations: int = 5
    correlation_grid: int = 16
    area_threshold: float = 0.3
    official_compat: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in (
            "num_semantics",
            "num_instances",
            "train_iterations",
            "infer_iterations",
            "correlation_grid",
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}")
        if not 0 < self.area_threshold < 1:
            raise ValueError(f"area_threshold must lie between 0 and 1, got {self.area_threshold!r}")

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable fields."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Inverse of :meth:`to_dict`; missing fields take their defaults, unknown ones raise ValueError."""
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise ValueError(f"unknown model settings: {', '.join(unknown)}")
        return cls(**values)
