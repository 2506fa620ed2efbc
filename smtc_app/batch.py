"""A whole dataset at once: a project per video, masks where a first one was given, and a queue by doubt.

For every video that has no project yet: where a mask lies beside it (`Annotations`), that is propagated
through the video and exported, checked, in the layout of the dataset; elsewhere objects are proposed, and
wait in the project for a person. The projects lie where the window's browser looks for them.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smtc_app.cli_context import CommandContext
from smtc_app.core.annotation import FrameStatus
from smtc_app.core.commands import AddObject, ApplyPropagation, SetLabels
from smtc_app.core.dataset import Dataset, VideoEntry
from smtc_app.core.document import Document
from smtc_app.core.errors import UserError
from smtc_app.core.export import ExportRequest
from smtc_app.core.replay import PropagationRun
from smtc_app.core.settings import CacheChoice
from smtc_app.core.undo import UndoStack
from smtc_app.io.davis import check_output, write_atomically
from smtc_app.io.source import FrameSource, open_source
from smtc_app.verbs import ModelChoice, Say

logger = logging.getLogger(__name__)

QUEUE_JSON, QUEUE_CSV = "queue.json", "queue.csv"


@dataclass(frozen=True)
class QueueRow:
    """One video in the queue.

    task         "propagated", "proposed", "kept" (it has a project already) or "failed"
    confidence   mean over objects and frames of propagated labels, or the mean score of proposals
    worst_frame, worst_object   where the propagated labels are the least sure
    note         why it is where it is in the queue
    """

    video: str
    task: str
    frames: int = 0
    objects: int = 0
    confidence: float | None = None
    worst_frame: int | None = None
    worst_object: str | None = None
    project: str = ""
    masks: str = ""
    note: str = ""

    def urgency(self) -> tuple[int, float, str]:
        """Sort key: what failed first, then the least sure; what was left alone last."""
        rank = {"failed": 0, "kept": 2}.get(self.task, 1)
        return rank, 1.0 if self.confidence is None else self.confidence, self.video


@dataclass(frozen=True)
class BatchChoice:
    """How to work: which task, what with, and where projects go (None: where the browser looks).

    most_frames   of each video, from its beginning; None: all
    """

    model: ModelChoice
    task: str = "auto"
    max_objects: int = 10
    most_frames: int | None = None
    projects: Path | None = None
    overwrite: bool = False
    cache: CacheChoice | None = None


def batch(root: Path, out: Path, *, choice: BatchChoice, context: CommandContext, say: Say) -> dict[str, Any]:
    """Work through all videos below `root`; masks and the queue go to `out`.

    A video that cannot be worked on is told, queued first and passed over. Projects that are there already
    are never touched.

    Raises:
        UserError: no videos, an output that cannot be used, or every single video failed (the queue, which
            says why, has been written).
        Cancelled: the queue of what was done by then has been written.
    """
    from smtc_app.io.dataset import scan_dataset

    dataset = scan_dataset(root)
    out = out.expanduser()
    _check_output(out, dataset, choice.overwrite)
    started_s = time.monotonic()
    rows: list[QueueRow] = []
    try:
        for number, entry in enumerate(dataset.entries, start=1):
            say(f"[{number}/{len(dataset.entries)}] {entry.name}")
            rows.append(_one_video(dataset, entry, out, choice, context, say))
    finally:
        context.close()
        if rows:
            _write_queue(out, rows)
    rows.sort(key=QueueRow.urgency)
    if all(row.task == "failed" for row in rows):
        raise UserError(f"No video of {root} could be worked on ({out / QUEUE_JSON} says why of each).")
    return {
        "output": str(out),
        "videos": len(rows),
        "seconds": round(time.monotonic() - started_s, 3),
        "queue": [asdict(row) for row in rows],
    }


def _check_output(out: Path, dataset: Dataset, overwrite: bool) -> None:
    root = dataset.root.resolve()
    if out.resolve() in (root, root / "Annotations", root / "JPEGImages"):
        raise UserError(f"{out} is the dataset itself; choose another output folder.")
    check_output(out, overwrite=overwrite)


def _one_video(
    dataset: Dataset, entry: VideoEntry, out: Path, choice: BatchChoice, context: CommandContext, say: Say
) -> QueueRow:
    from smtc_app.io.project import holds_project

    project = _project_place(dataset, entry, choice)
    if holds_project(project):
        return QueueRow(entry.name, "kept", project=str(project), note="it has a project already")
    try:
        with open_source(entry.path) as source:
            return _annotated(source, entry, project, _mask_place(dataset, entry, out), choice, context, say)
    except UserError as error:
        say(f"  {error}")
        return QueueRow(entry.name, "failed", note=str(error))


def _project_place(dataset: Dataset, entry: VideoEntry, choice: BatchChoice) -> Path:
    from smtc_app.io.dataset_state import DatasetFolder
    from smtc_app.io.project import SUFFIX

    if choice.projects is not None:
        return choice.projects.expanduser() / f"{entry.name}{SUFFIX}"
    return DatasetFolder(dataset.root).project_of(entry)


def _mask_place(dataset: Dataset, entry: VideoEntry, out: Path) -> Path:
    """`OUT/Annotations/<res>/<seq>` for a sequence below JPEGImages, by its name for other videos."""
    parts = entry.path.relative_to(dataset.root).parts if entry.path.is_relative_to(dataset.root) else ()
    if "JPEGImages" in parts:
        place = parts.index("JPEGImages")
        return out.joinpath(*parts[:place], "Annotations", *parts[place + 1 :])
    return out / "Annotations" / entry.name


def _annotated(
    source: FrameSource,
    entry: VideoEntry,
    project: Path,
    masks: Path,
    choice: BatchChoice,
    context: CommandContext,
    say: Say,
) -> QueueRow:
    from smtc_app.jobs.file_tasks import first_mask

    document = Document(len(source), source.size)
    try:
        given = first_mask(source) if choice.task != "propose" else None
        if given is None and choice.task == "propagate":
            raise UserError(f"{entry.name} has no mask beside it: give it one, or propose objects.")
        if given is None:
            return _proposed(source, document, entry, project, choice, context)
        return _propagated(source, document, entry, project, masks, given, choice, context, say)
    finally:
        document.close()


def _proposed(
    source: FrameSource,
    document: Document,
    entry: VideoEntry,
    project: Path,
    choice: BatchChoice,
    context: CommandContext,
) -> QueueRow:
    from smtc_app.jobs.tasks import propose_task

    context.on_partial = None
    found, summary = propose_task(
        context,
        source,
        [0],
        model=choice.model.model,
        device=choice.model.device,
        max_objects=choice.max_objects,
    )
    document.suggest(found)
    scores = [proposal.score for proposal in found.get(0, ())]
    _save(project, document, source, choice, summary.model, [])
    return QueueRow(
        entry.name,
        "proposed",
        frames=len(source),
        objects=len(scores),
        confidence=round(float(np.mean(scores)), 4) if scores else None,
        project=str(project),
        note=f"{len(scores)} proposals on frame 0 wait for an answer",
    )


def _propagated(
    source: FrameSource,
    document: Document,
    entry: VideoEntry,
    project: Path,
    masks: Path,
    given: tuple[int, Path],
    choice: BatchChoice,
    context: CommandContext,
    say: Say,
) -> QueueRow:
    from smtc_app.io.masks import object_ids, read_mask
    from smtc_app.jobs.export_tasks import export_task
    from smtc_app.jobs.window_tasks import propagate_groups_task

    frame, path = given
    labels, notes = read_mask(path, source.size)
    for note in notes:
        say(f"  {note}")
    if not labels.any():
        raise UserError(f"There is no object in {path}: every pixel is background.")
    stack = UndoStack(document)
    for object_id in object_ids(labels):
        stack.push(AddObject(object_id=object_id))
    stack.push(SetLabels(frame, labels, "Import a mask"))
    stop = len(source) if choice.most_frames is None else min(len(source), frame + choice.most_frames)
    run = PropagationRun(tuple(object_ids(labels)), (frame,), "both", 0, stop, _noted(choice))
    context.on_partial = lambda message: _apply(document, message)
    summary = propagate_groups_task(
        context,
        source,
        [(frozenset(run.objects), {frame: labels}, run.direction, (run.first, run.stop))],
        model=choice.model.model,
        preset=choice.model.preset,
        device=choice.model.device,
        cache=choice.cache,
    )
    model = {"name": summary.model.name, "hash": summary.model.hash}
    runs = [PropagationRun(run.objects, run.keyframes, "both", 0, stop, run.settings, model)]
    _save(project, document, source, choice, summary.model, runs)
    request = ExportRequest(masks, 0, stop, run.objects, choice.overwrite)
    result = export_task(
        context,
        source,
        document.snapshot(),
        request,
        runs=runs,
        made_with={**_noted(choice), "project": project.name},
    )
    say(f"  {result.checked}")
    return _judged(document, entry, project, masks)


def _apply(document: Document, message: tuple[frozenset[int], Any]) -> None:
    ids, frame = message
    step = (frame.index, frame.labels, frame.confidence, tuple(frame.sources))
    ApplyPropagation([step], objects=ids).do(document)


def _noted(choice: BatchChoice) -> dict[str, Any]:
    return {"model": choice.model.model, "preset": choice.model.preset, "device": choice.model.device}


def _save(
    project: Path,
    document: Document,
    source: FrameSource,
    choice: BatchChoice,
    model: Any,
    runs: Sequence[PropagationRun],
) -> None:
    from smtc_app.io.project import save_project

    parameters = {**_noted(choice), "runs": [run.to_json() for run in runs]}
    used = {"name": model.name, "hash": model.hash}
    save_project(project, document, source, parameters, model=used)


def _judged(document: Document, entry: VideoEntry, project: Path, masks: Path) -> QueueRow:
    """The row of a video after its propagation: how sure it is, and where it is the least."""
    values = {i: _confidence(document, i) for i in document.objects}
    every = np.concatenate(list(values.values()))
    known = every[np.isfinite(every)]
    row = QueueRow(
        entry.name,
        "propagated",
        frames=document.frame_count,
        objects=len(values),
        project=str(project),
        masks=str(masks),
    )
    if not known.size:
        return row
    worst = min(values, key=lambda i: np.nanmin(values[i]) if np.isfinite(values[i]).any() else np.inf)
    frame = int(np.nanargmin(values[worst]))
    name = document.objects[worst].name
    lowest = float(values[worst][frame])
    return QueueRow(
        **{
            **asdict(row),
            "confidence": round(float(known.mean()), 4),
            "worst_frame": frame,
            "worst_object": name,
            "note": f"least sure of '{name}' on frame {frame} ({lowest:.0%})",
        }
    )


def _confidence(document: Document, object_id: int) -> np.ndarray:
    """float32 (frame_count,): of propagated labels and of frames where the object was not found, else NaN."""
    values = document.confidence_array(object_id)
    own = np.isin(document.status_array(object_id), (FrameStatus.MANUAL, FrameStatus.PROPOSED))
    values[own] = np.nan
    return values


def _write_queue(out: Path, rows: Sequence[QueueRow]) -> None:
    ordered: list[Mapping[str, Any]] = [asdict(row) for row in sorted(rows, key=QueueRow.urgency)]
    write_atomically(out / QUEUE_JSON, (json.dumps(ordered, indent=1, ensure_ascii=False) + "\n").encode())
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(ordered[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(ordered)
    write_atomically(out / QUEUE_CSV, text.getvalue().encode())
