"""The verbs that work on a project: export its masks, and replay how they were made."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smtc_app.cli_context import CommandContext
from smtc_app.core.document import Document
from smtc_app.core.errors import UserError
from smtc_app.core.settings import CacheChoice
from smtc_app.io.davis import MAX_EXPORT_ID, contiguous_ids, export_davis, too_many_ids
from smtc_app.io.source import FrameSource
from smtc_app.verbs import Say, output_folder, told

if TYPE_CHECKING:
    from smtc_app.io.project import ProjectInfo


def export(
    project: Path, out: Path, *, context: CommandContext, say: Say, overwrite: bool = False
) -> dict[str, Any]:
    """Export a project's masks in DAVIS format, ids numbered from 1."""
    _, source, document = _open_project(project, say)
    with source:
        return _export_document(source, document, out, context=context, say=say, overwrite=overwrite)


def run(
    project: Path,
    out: Path,
    *,
    context: CommandContext,
    say: Say,
    model: str | None = None,
    preset: str | None = None,
    device: str = "auto",
    overwrite: bool = False,
    cache: CacheChoice | None = None,
) -> dict[str, Any]:
    """Replay a project: propagate anew from its keyframes with its parameters, and export.

    Labels that a person stands behind, locked frames and locked objects stay as they are; everything
    propagated is computed again over the frames it covered (over the whole video where nothing was propagated
    yet). The same project, model and machine give the same bytes.

    Args:
        model, preset: instead of the project's.
        cache: where features are kept between runs; None: nowhere.
    """
    from smtc_app.core.commands import ApplyPropagation
    from smtc_app.jobs.window_tasks import propagate_groups_task

    info, source, document = _open_project(project, say)
    with source:
        _exportable(document)
        groups = [
            (ids, keyframes, "both", _recorded_span(document, ids, keyframes))
            for ids, keyframes in document.propagation_groups()
        ]
        if not groups:
            raise UserError(
                f"{project.name} has no object on a keyframe: there is nothing to propagate from."
            )
        started_s = time.monotonic()
        with output_folder(out, source, overwrite):

            def on_frame(message: tuple[frozenset[int], Any]) -> None:
                ids, frame = message
                step = (frame.index, frame.labels, frame.confidence, tuple(frame.sources))
                ApplyPropagation([step], objects=ids).do(document)

            context.on_partial = on_frame
            summary = propagate_groups_task(
                context,
                source,
                groups,
                model=model or info.parameters.get("model"),
                preset=preset or info.parameters.get("preset") or "default",
                device=device,
                cache=cache,
            )
            if info.model is not None and info.model.get("hash") not in (None, summary.model.hash):
                say(
                    f"The project was made with the model {info.model.get('name')}, not {summary.model.name}."
                )
            exported = _export_document(source, document, out, context=context, say=say, overwrite=overwrite)
    return {**exported, **told(summary, out, exported["frames"], started_s, say)}


def _recorded_span(
    document: Document, ids: frozenset[int], keyframes: Mapping[int, np.ndarray]
) -> tuple[int, int]:
    """First and one past the last frame that the objects were propagated to, their keyframes included."""
    tracks = document.snapshot().tracks
    recorded = np.flatnonzero(np.any([tracks[i].sources > 0 for i in ids], axis=0))
    if not len(recorded):
        return 0, document.frame_count
    return min(int(recorded[0]), *keyframes), max(int(recorded[-1]), *keyframes) + 1


def _open_project(project: Path, say: Say) -> tuple[ProjectInfo, FrameSource, Document]:
    from smtc_app.io.project import load_project
    from smtc_app.io.project_source import find_source

    info, document = load_project(project)
    for note in info.notes:
        say(note)
    found = find_source(info)
    if found.note:
        say(found.note)
    return info, found.source, document


def _exportable(document: Document) -> list[int]:
    ids = sorted(document.objects)
    if len(ids) > MAX_EXPORT_ID:
        raise too_many_ids(len(ids))
    return ids


def _export_document(
    source: FrameSource, document: Document, out: Path, *, context: CommandContext, say: Say, overwrite: bool
) -> dict[str, Any]:
    ids = _exportable(document)
    export_davis(
        out,
        source,
        document.labels,
        ids=ids,
        overwrite=overwrite,
        progress=lambda done, total: context.progress(done, total, "writing masks"),
    )
    empty = document.frame_count - len(document.labelled_frames)
    if empty:
        say(f"{empty} of {document.frame_count} frames have no labels: their masks are all background.")
    names = {str(new): document.objects[old].name for old, new in contiguous_ids(ids).items()}
    return {"output": str(out), "frames": document.frame_count, "objects": names}
