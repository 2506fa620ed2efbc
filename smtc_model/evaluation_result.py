"""What an evaluation found: plain values, as JSON and as a table for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .metrics import Statistics
from .text_table import format_table


@dataclass(frozen=True)
class ObjectScore:
    """J and F of one reference object over the scored frames of its sequence."""

    id: int
    j: Statistics
    f: Statistics
    proposal: int | None = None
    """discovery: the track that was assigned to it"""


@dataclass(frozen=True)
class SequenceScore:
    """Scores of one sequence."""

    name: str
    frames: tuple[int, ...]
    """indices of the scored frames"""
    objects: tuple[ObjectScore, ...]
    seconds: float
    """of computation, without scoring"""
    per_frame: dict[str, float] | None = None
    """discovery: J, F and J&F under the per-frame protocol of the SMTC release"""


@dataclass(frozen=True)
class EvaluationResult:
    """Scores of a model on a data set. `left_out`: sequence -> why it could not be scored."""

    task: str
    protocol: str
    model: str
    model_hash: str
    trained: bool
    settings: dict[str, Any]
    sequences: tuple[SequenceScore, ...]
    left_out: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable: the fields, means per sequence, and the global means over objects."""
        values = asdict(self)
        values["global"] = mean_scores([o for s in self.sequences for o in s.objects])
        for sequence, out in zip(self.sequences, values["sequences"], strict=True):
            out["mean"] = mean_scores(sequence.objects)
            for score, entry in zip(sequence.objects, out["objects"], strict=True):
                entry["j"], entry["f"] = score.j._asdict(), score.f._asdict()
        if self.task == "discovery":
            values["global_per_frame"] = self.global_per_frame()
        return values

    def global_per_frame(self) -> dict[str, float]:
        """Means over the objects of the scores under the release's per-frame protocol."""
        weights = [len(sequence.objects) for sequence in self.sequences]
        return {
            name: float(np.average([s.per_frame[name] for s in self.sequences], weights=weights))
            for name in ("j", "f", "j_and_f")
        }


def mean_scores(objects: list[ObjectScore] | tuple[ObjectScore, ...]) -> dict[str, float]:
    """Plain means over objects."""
    means = {
        f"{measure}_{name}": float(np.mean([getattr(getattr(score, measure), name) for score in objects]))
        for measure in ("j", "f")
        for name in Statistics._fields
    }
    return {"j_and_f": (means["j_mean"] + means["f_mean"]) / 2, **means}


def format_result(result: EvaluationResult) -> str:
    """Tables per object, per sequence and global; measures in percent."""
    trained = "" if result.trained else " (untrained)"
    lines = [f"{result.task}, {result.protocol}; model {result.model}{trained}, {result.model_hash[:12]}", ""]
    header = ("sequence", "object", "J&F", "J", "recall", "decay", "F", "recall", "decay", "frames", "s")
    rows = []
    for sequence in result.sequences:
        frames, seconds = str(len(sequence.frames)), f"{sequence.seconds:.1f}"
        if len(sequence.objects) > 1:
            rows += [
                (sequence.name, str(o.id), *_percent(mean_scores([o])), "", "") for o in sequence.objects
            ]
            mean = _percent(mean_scores(sequence.objects))
            rows.append((sequence.name, "mean", *mean, frames, seconds))
        else:
            only = sequence.objects[0]
            rows.append((sequence.name, str(only.id), *_percent(mean_scores([only])), frames, seconds))
    objects = [score for sequence in result.sequences for score in sequence.objects]
    total = str(sum(len(sequence.frames) for sequence in result.sequences))
    seconds = f"{sum(sequence.seconds for sequence in result.sequences):.1f}"
    rows.append(("global", f"{len(objects)} objects", *_percent(mean_scores(objects)), total, seconds))
    lines.append(format_table(header, rows))
    if result.task == "discovery":
        scores = result.global_per_frame()
        lines += [
            "",
            "per-frame protocol of the SMTC release, not the official measure: "
            f"J&F {100 * scores['j_and_f']:.1f}, J {100 * scores['j']:.1f}, F {100 * scores['f']:.1f}",
        ]
    lines += [f"left out: {name} ({reason})" for name, reason in result.left_out.items()]
    return "\n".join(lines)


def _percent(means: dict[str, float]) -> tuple[str, ...]:
    order = ("j_and_f", "j_mean", "j_recall", "j_decay", "f_mean", "f_recall", "f_decay")
    # Adding zero makes a plain one of -0.0.
    return tuple(f"{round(100 * means[name], 1) + 0.0:.1f}" for name in order)
