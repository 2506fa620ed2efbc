"""Propagation: the worker computes frame by frame, each frame is merged into the document as it comes.

A whole run is one step of the undo history. Cancelling keeps what came. What a person made (keyframes,
corrected and locked frames, locked objects) is never changed; the document sees to that. What a run computes
is decided in `core.propagation_plan`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Signal

from smtc_app.core import commands
from smtc_app.core.annotation import FrameStatus
from smtc_app.core.command import counted
from smtc_app.core.document import Document
from smtc_app.core.propagation_plan import Part, plan_propagation, plan_update, why_nothing
from smtc_app.core.replay import PropagationRun, as_spans
from smtc_app.jobs.runner import Job, JobRunner
from smtc_app.ui.services import Services
from smtc_app.ui.session import Session

logger = logging.getLogger(__name__)

TITLES = {
    "forward": "Propagating forward",
    "backward": "Propagating backward",
    "both": "Propagating both ways",
}


class PropagationController(QObject):
    """Signals:
    told, failed: a sentence for the person.
    started, ended: the job.
    computed: (first, one past the last) of the frames that a run has changed, after it has ended.
    model_used: the run's summary.
    """

    told = Signal(object)
    failed = Signal(object)
    started = Signal(object)
    ended = Signal(object)
    computed = Signal(object)
    model_used = Signal(object)

    def __init__(
        self, session: Session, runner: JobRunner, services: Services, *, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session, self._runner, self._services = session, runner, services
        self._job: Job | None = None
        self._frames: set[int] = set()
        self._runs: list[PropagationRun] = []
        self._written: dict[int, list[int]] = {}
        """Object id -> frames that the run has written."""
        self._propagated: Document | None = None
        """The document that the run belongs to."""
        self._models: dict[str, dict[str, str]] = {}
        """What the last run with some settings told, for runs that are cancelled before they tell."""
        self.model_settings: Callable[[], dict[str, Any]] = dict
        self.range: tuple[int, int] | None = None
        """Frames to compute at most, (first, one past the last); None: no bound."""

    @property
    def busy(self) -> bool:
        """Whether a run is going on."""
        return self._job is not None and not self._job.state.final

    def propagate(self, direction: str, *, selected: bool = False) -> None:
        """Propagate all unlocked objects, or those selected, from here on, back to the start, or both."""
        self._session.settle(partial(self._propagate, direction, selected))

    def _propagate(self, direction: str, selected: bool) -> None:
        session = self._session
        if not self._ready():
            return
        document = session.document
        if not document.objects:
            self.told.emit("There is no object to propagate: propose some (S) or paint one (N, then P).")
            return
        if selected and not session.selection:
            self.told.emit("Select the objects to propagate.")
            return
        objects = session.selection if selected else None
        if not document.propagation_groups(objects):
            what = "None of the selected objects" if selected else "No object"
            self.told.emit(
                f"{what} is unlocked and on a keyframe: paint or accept one, or mark its frame as a keyframe "
                "(K)."
            )
            return
        plan = plan_propagation(document, direction, session.frame, objects=objects, bounds=self.range)
        if not plan:
            self.told.emit(
                why_nothing(document, direction, session.frame, objects=objects, bounds=self.range)
            )
            return
        names = f" '{document.objects[objects[0]].name}'" if objects and len(objects) == 1 else ""
        names = f" {len(objects)} objects" if objects and len(objects) > 1 else names
        self._start(TITLES[direction].replace("Propagating", f"Propagating{names}"), plan)

    def update_stale(self) -> None:
        """Compute again what corrections have made stale, and nothing else."""
        self._session.settle(self._update_stale)

    def _update_stale(self) -> None:
        if not self._ready():
            return
        document = self._session.document
        plan = plan_update(document, bounds=self.range)
        if plan:
            self._start("Bringing stale frames up to date", plan, only_stale=True)
        elif self.range is not None and document.stale_objects():
            self.told.emit("Nothing in the range is out of date, but frames outside of it are.")
        elif any(document.objects[i].locked for i in document.stale_objects()):
            self.told.emit("Only locked objects are out of date: unlock them first.")
        else:
            self.told.emit("Nothing is out of date.")

    def _ready(self) -> bool:
        if self.busy:
            self.told.emit("A propagation is running: wait for it or cancel it first (Esc).")
        return self._session.document is not None and not self.busy

    def _start(self, title: str, plan: list[Part], *, only_stale: bool = False) -> None:
        session, document = self._session, self._session.document
        revision, run = document.revision, object()
        settings = self.model_settings()
        self._frames, self._propagated = set(), document
        self._written = {}
        noted = {key: settings.get(key) for key in ("model", "preset", "device")}
        self._runs = [
            PropagationRun(
                tuple(sorted(part.objects)),
                tuple(sorted(part.keyframes)),
                part.direction,
                *part.span,
                settings=noted,
            )
            for part in plan
        ]

        def on_partial(message: tuple[frozenset[int], Any]) -> None:
            if document is session.document:
                ids, frame = message
                self._apply(document, ids, frame, revision=revision, run=run, only_stale=only_stale)

        job = self._job = self._runner.submit(
            title,
            self._services.propagate_task,
            session.source,
            [tuple(part) for part in plan],
            on_partial=on_partial,
            on_done=self._on_done,
            on_error=self._on_error,
            on_cancelled=self._on_cancelled,
            **settings,
        )
        logger.info("%s: objects %s", title, sorted(set().union(*(part.objects for part in plan))))
        self.started.emit(job)

    def _apply(
        self,
        document: Document,
        ids: frozenset[int],
        frame: Any,
        *,
        revision: int,
        run: object,
        only_stale: bool,
    ) -> None:
        known = {i for i in ids if i in document.objects}
        if only_stale:
            known = {i for i in known if document.status(frame.index, i) == FrameStatus.STALE}
        if not known:
            return
        command = commands.ApplyPropagation(
            [(frame.index, frame.labels, frame.confidence, tuple(frame.sources))],
            objects=known,
            revision=revision,
            run=run,
        )
        self._session.push(command)
        self._frames.add(frame.index)
        for object_id in known:
            self._written.setdefault(object_id, []).append(frame.index)

    def _on_done(self, summary: Any) -> None:
        self._models[repr(self._runs[0].settings)] = {"name": summary.model.name, "hash": summary.model.hash}
        count = len(self._frames)
        self._end()
        self.told.emit(f"Propagated over {counted(count, 'frame')}.")
        # Last, because it may have to tell that the GPU was left, which matters more.
        self.model_used.emit(summary)

    def _on_error(self, sentence: str) -> None:
        kept = (
            f" The {counted(len(self._frames), 'frame')} computed before were kept." if self._frames else ""
        )
        self._end()
        self.failed.emit(sentence + kept)

    def _on_cancelled(self) -> None:
        count = len(self._frames)
        self._end()
        self.told.emit(f"Cancelled; the {counted(count, 'frame')} computed so far were kept.")

    def _end(self) -> None:
        job, self._job = self._job, None
        if self._session.undo is not None:
            self._session.undo.close_step()
        changed = bool(self._frames) and self._propagated is self._session.document
        if changed:
            self._session.runs += [
                replace(
                    run,
                    model=self._models.get(repr(run.settings)),
                    written={i: as_spans(self._written[i]) for i in run.objects if i in self._written},
                )
                for run in self._runs
            ]
        self.ended.emit(job)
        if changed:
            self.computed.emit((min(self._frames), max(self._frames) + 1))
