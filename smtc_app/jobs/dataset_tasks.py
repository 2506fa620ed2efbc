"""Proposals for many videos of a dataset, each kept in a project of its own; nothing is accepted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smtc_app.core.dataset import VideoEntry
from smtc_app.core.document import Document
from smtc_app.core.errors import UserError
from smtc_app.io.project import holds_project, save_project
from smtc_app.io.source import open_source
from smtc_app.jobs.context import TaskContext
from smtc_app.jobs.tasks import propose_task


@dataclass(frozen=True)
class SurveyResult:
    """Videos that have proposals now, those in which nothing was found, and a sentence per failure."""

    proposed: tuple[str, ...]
    empty: tuple[str, ...]
    problems: tuple[str, ...]


class _VideoContext:
    """A context for one of several videos: a cancel reaches it, its own progress is one step of all."""

    def __init__(self, ctx: TaskContext, done: int, total: int, name: str) -> None:
        self._ctx, self._done, self._total, self._name = ctx, done, total, name

    def progress(self, done: int, total: int, message: str = "") -> None:
        self._ctx.progress(self._done, self._total, f"{self._name}: {message}")

    def partial(self, result: Any) -> None:
        self._ctx.progress(self._done, self._total, self._name)

    def cancelled(self) -> bool:
        return self._ctx.cancelled()


def propose_videos_task(
    ctx: TaskContext,
    entries: Sequence[VideoEntry],
    project_of: Callable[[VideoEntry], Path],
    is_open: Callable[[str], bool],
    parameters: dict[str, Any],
    **settings: Any,
) -> SurveyResult:
    """Save a project with proposals on the first frame for every video that has no project yet.

    The name of each video is handed over once its project is there. One that cannot be read is passed over.

    Args:
        project_of: where the project of a video is to be.
        is_open: whether a video is open in the window, by its name; it is left alone.
        parameters: what projects note about how they were made.
        settings: what `propose_task` takes besides (model, device, max_objects, granularity).
    """
    proposed, empty, problems = [], [], []
    for done, entry in enumerate(entries):
        ctx.progress(done, len(entries), entry.name)
        project = project_of(entry)
        if holds_project(project) or is_open(entry.name):
            continue
        try:
            with open_source(entry.path) as source:
                context = _VideoContext(ctx, done, len(entries), entry.name)
                found, summary = propose_task(context, source, [0], **settings)
                if not found.get(0):
                    empty.append(entry.name)
                    continue
                document = Document(len(source), source.size)
                try:
                    document.suggest(found)
                    # It may have been opened, and even saved, while objects were looked for.
                    if is_open(entry.name) or holds_project(project):
                        continue
                    used = {"name": summary.model.name, "hash": summary.model.hash}
                    save_project(project, document, source, parameters, model=used)
                finally:
                    document.close()
        except UserError as error:
            problems.append(f"{entry.name}: {error}")
            continue
        proposed.append(entry.name)
        ctx.partial(entry.name)
    return SurveyResult(tuple(proposed), tuple(empty), tuple(problems))
