"""Propagation: the worker computes frame by frame, each frame is merged into the document as it comes.

A whole run is one step of the undo history. Cancelling keeps what came. What a person made (keyframes,
corrected and locked frames, locked objects) is never changed; the document sees to that.
"""

from __future__ import annotations

import bisect
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Signal

from smtc_app.core import commands
from smtc_app.core.replay import PropagationRun
from smtc_app.jobs.runner import Job, JobRunner
from smtc_app.ui.services import Services
from smtc_app.ui.session import Session

logger = logging.getLogger(__name__)

TITLES = {
    "forward": "Propagating forward",
    "backward": "Propagating backward",
    "both": "Propagating both ways",
}


def plan_span(
    direction: str, frame: int, keyframes: tuple[int, ...], frame_count: int
) -> tuple[int, int] | None:
    """Frames to compute when a person on `frame` asks for `direction`: (first, one past the last), or None.

    Forward starts at the keyframe at or before `frame` and runs to the end, backward at the one at or after
    it and runs to the beginning; both covers the video. None: there is no keyframe on that side.
    """
    if not keyframes:
        return None
    if direction == "both":
        return 0, frame_count
    if direction == "forward":
        position = bisect.bisect_right(keyframes, frame)
        return (keyframes[position - 1], frame_count) if position else None
    if direction == "backward":
        position = bisect.bisect_left(keyframes, frame)
        return (0, keyframes[position] + 1) if position < len(keyframes) else None
    raise ValueError(f"direction {direction!r}: must be forward, backward or both")


class PropagationController(QObject):
    """Signals:
    told, failed: a sentence for the person.
    started, ended: the job.
    model_used: the run's summary.
    """

    told = Signal(object)
    failed = Signal(object)
    started = Signal(object)
    ended = Signal(object)
    model_used = Signal(object)

    def __init__(
        self, session: Session, runner: JobRunner, services: Services, *, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session, self._runner, self._services = session, runner, services
        self._job: Job | None = None
        self._count = 0
        self._runs: list[PropagationRun] = []
        self._propagated: Any = None
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

    def propagate(self, direction: str) -> None:
        """Propagate all unlocked objects from this frame on, back to the start, or over the video."""
        session, document = self._session, self._session.document
        if document is None:
            return
        if self.busy:
            self.told.emit("A propagation is running: wait for it or cancel it first (Esc).")
            return
        groups = self._plan(direction)
        if groups is None:
            return
        revision, run, title = document.revision, object(), TITLES[direction]
        objects = sorted(set().union(*(ids for ids, *_ in groups)))
        settings = self.model_settings()

        def on_partial(message: tuple[frozenset[int], Any]) -> None:
            if document is self._session.document:
                self._apply(message, revision, run)

        job = self._job = self._runner.submit(
            title,
            self._services.propagate_task,
            session.source,
            groups,
            on_partial=on_partial,
            on_done=self._on_done,
            on_error=self._on_error,
            on_cancelled=self._on_cancelled,
            **settings,
        )
        logger.info("%s: objects %s", title, objects)
        self._count, self._propagated = 0, document
        noted = {key: settings.get(key) for key in ("model", "preset", "device")}
        self._runs = [
            PropagationRun(tuple(sorted(ids)), tuple(sorted(used)), way, *span, settings=noted)
            for ids, used, way, span in groups
        ]
        self.started.emit(job)

    def _plan(
        self, direction: str
    ) -> list[tuple[frozenset[int], Mapping[int, np.ndarray], str, tuple[int, int]]] | None:
        session, document = self._session, self._session.document
        if not document.objects:
            self.told.emit("There is no object to propagate: propose some (S) or paint one (N, then P).")
            return None
        found = document.propagation_groups()
        if not found:
            self.told.emit(
                "No object is on a keyframe: paint or accept one, or mark its frame as a keyframe (K)."
            )
            return None
        planned = []
        for ids, keyframes in found:
            reach = plan_span(direction, session.frame, tuple(sorted(keyframes)), document.frame_count)
            if reach is None:
                continue
            first, stop = self.range or reach
            span = max(reach[0], first), min(reach[1], stop)
            # A pass in one direction must not look at keyframes on the other side of its start.
            used = {frame: labels for frame, labels in keyframes.items() if reach[0] <= frame < reach[1]}
            if any(frame not in used for frame in range(*span)):
                planned.append((ids, used, direction, span))
        if not planned:
            side = {"forward": "at or before", "backward": "at or after", "both": "on"}[direction]
            self.told.emit(f"There is nothing to compute from a keyframe {side} this frame.")
            return None
        return planned

    def _apply(self, message: tuple[frozenset[int], Any], revision: int, run: object) -> None:
        ids, frame = message
        known = self._session.document.objects
        ids = {i for i in ids if i in known}
        if not ids:
            return
        self._count += 1
        self._session.push(
            commands.ApplyPropagation(
                [(frame.index, frame.labels, frame.confidence, tuple(frame.sources))],
                objects=ids,
                revision=revision,
                run=run,
            )
        )

    def _on_done(self, summary: Any) -> None:
        self._models[repr(self._runs[0].settings)] = {"name": summary.model.name, "hash": summary.model.hash}
        self._end()
        self.told.emit(f"Propagated over {self._count} frames.")
        # Last, because it may have to tell that the GPU was left, which matters more.
        self.model_used.emit(summary)

    def _on_error(self, sentence: str) -> None:
        kept = f" The {self._count} frames computed before were kept." if self._count else ""
        self._end()
        self.failed.emit(sentence + kept)

    def _on_cancelled(self) -> None:
        self._end()
        self.told.emit(f"Cancelled; the {self._count} frames computed so far were kept.")

    def _end(self) -> None:
        job, self._job = self._job, None
        if self._session.undo is not None:
            self._session.undo.close_step()
        if self._count and self._propagated is self._session.document:
            self._session.runs += [
                replace(run, model=self._models.get(repr(run.settings))) for run in self._runs
            ]
        self.ended.emit(job)
