"""Exporting as the window and the command line ask for it; runs in a worker thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from smtc_app.core.document import DocumentState
from smtc_app.core.export import FORMATS, ExportRequest, ExportResult
from smtc_app.core.replay import PropagationRun
from smtc_app.jobs.context import TaskContext
from smtc_app.jobs.replay import soft_maps

if TYPE_CHECKING:
    from smtc_app.io.source import FrameSource


def export_task(
    ctx: TaskContext,
    source: FrameSource,
    state: DocumentState,
    request: ExportRequest,
    *,
    runs: Sequence[PropagationRun] = (),
    made_with: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> ExportResult:
    """Write what was asked for; everything is read back before it is put in its place.

    Args:
        runs: the propagation runs behind the labels.
        made_with: what else the provenance should tell.
        settings: model, device and preset for what has to be computed again (soft masks).

    Raises:
        UserError: as `io.export.run.run_export`.
    """
    from smtc_app.io.export.run import run_export

    soft = None
    if FORMATS[request.format].soft:
        soft = soft_maps(ctx, source, state, runs, settings or {})
    return run_export(
        request,
        source,
        state,
        settings=provenance_settings(made_with or {}, runs),
        soft_maps=soft,
        progress=ctx.progress,
    )


def provenance_settings(made_with: Mapping[str, Any], runs: Sequence[PropagationRun]) -> dict[str, Any]:
    """What a provenance tells about the making: the models with their hashes, the settings, the runs."""
    models = {run.model["hash"]: dict(run.model) for run in runs if run.model and "hash" in run.model}
    told = {key: value for key, value in made_with.items() if key != "runs"}
    return {**told, "models": list(models.values()), "runs": [run.to_json() for run in runs]}
