"""Adapting the model to one video, kept as a model file that every later run may name.

The file is a model like any other: the feature cache, replays and reports know it by its own hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smtc_app.core.errors import UserError
from smtc_app.core.replay import ADAPTED
from smtc_app.jobs.context import Cancelled, TaskContext
from smtc_app.jobs.model_use import loaded_model, model_task, with_cpu_to_fall_back_on

if TYPE_CHECKING:
    from smtc_app.io.source import FrameSource


@dataclass(frozen=True)
class AdaptSummary:
    """What adapting came to.

    before, after: overlap in [0,1] of labels carried there and back with what is true, without and with it.
    path: of the adapted model, None if it is not better and was not kept.
    """

    before: float
    after: float
    path: Path | None

    @property
    def message(self) -> str:
        """One sentence for people."""
        found = f"labels carried there and back agree to {self.after:.1%}, before to {self.before:.1%}"
        if self.path is None:
            return f"Adapting to this video does not help ({found}), so the model stays as it was."
        return f"The model was adapted to this video: {found}."


@model_task
def adapt_task(
    ctx: TaskContext,
    source: FrameSource,
    keyframes: Mapping[int, np.ndarray],
    path: Path | None = None,
    *,
    model: str | Path | None = None,
    preset: str = "default",
    device: str = "auto",
) -> AdaptSummary:
    """Train the model on the video and its keyframes' labels, and keep it where that is measured to help.

    Args:
        keyframes: frame index -> label map (H,W) of the source's size.
        path: the file to write; None: one in the user's folder of weights, named after its hash.

    Raises:
        UserError: nothing to learn from, a model that cannot be adapted, a file that cannot be written.
        Cancelled: when the person cancels; nothing is kept.
    """
    from smtc_model.adaptation import adapt
    from smtc_model.assets import user_weights_folder
    from smtc_model.propagation_config import PRESETS
    from smtc_model.weights import save_model

    if preset not in PRESETS:
        raise UserError(f"There is no propagation preset {preset!r}; choose one of {', '.join(PRESETS)}.")
    ctx.progress(0, 1, "loading the model")

    def run(chosen: str) -> AdaptSummary:
        loaded = loaded_model(model, chosen)
        found = adapt(
            loaded,
            source,
            keyframes,
            propagation=PRESETS[preset],
            cancelled=ctx.cancelled,
            progress=lambda done, total: ctx.progress(done, total, "adapting to this video"),
        )
        if found is None:
            raise Cancelled
        if not found.better:
            return AdaptSummary(found.before, found.after, None)
        target = path or user_weights_folder() / f"{ADAPTED}{found.model.hash[:12]}.safetensors"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            save_model(
                found.model,
                target,
                licence=loaded.backbone.licence,
                description=f"{loaded.name} adapted to {source.path.name}",
                provenance={
                    "model": loaded.hash,
                    "footage": source.fingerprint(),
                    "keyframes": sorted(int(index) for index in keyframes),
                    "agreement": [round(found.before, 4), round(found.after, 4)],
                },
            )
        except OSError as error:
            raise UserError(f"The adapted model cannot be written to {target}: {error}.") from error
        return AdaptSummary(found.before, found.after, target)

    summary, _, _ = with_cpu_to_fall_back_on(run, device)
    return summary
