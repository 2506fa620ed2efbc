"""A question that is asked again and again while its answer takes time: only the latest one matters.

At most one job runs and one waits. A new question takes the place of the waiting one; the running one is
cancelled only when it is about something else (its `group` differs), so that a cursor that never rests does
not keep every answer from being finished.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, Signal

from smtc_app.jobs.runner import Job, JobRunner


@dataclass(frozen=True)
class _Question:
    group: Hashable
    task: Callable[..., Any]
    arguments: tuple[Any, ...]
    settings: dict[str, Any]


class LatestJob(QObject):
    """Signals:
    answered: what a task returned; of a question that was replaced meanwhile, too.
    failed: a sentence about the latest question.
    busy_changed: whether a question waits for its answer.
    """

    answered = Signal(object)
    failed = Signal(object)
    busy_changed = Signal(object)

    def __init__(self, runner: JobRunner, title: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runner, self._title = runner, title
        self._running: tuple[Job, _Question] | None = None
        self._waiting: _Question | None = None

    @property
    def busy(self) -> bool:
        """Whether a question waits for its answer."""
        return self._running is not None

    @property
    def job(self) -> Job | None:
        """The job that runs."""
        return self._running[0] if self._running is not None else None

    def ask(self, group: Hashable, task: Callable[..., Any], *arguments: Any, **settings: Any) -> None:
        """Run `task(ctx, *arguments, **settings)` as soon as what runs now has ended."""
        question = _Question(group, task, arguments, settings)
        if self._running is None:
            self._start(question)
            self.busy_changed.emit(True)
            return
        self._waiting = question
        job, running = self._running
        if running.group != group:
            job.cancel()

    def drop(self) -> None:
        """Nobody wants to know any more."""
        self._waiting = None
        if self._running is not None:
            self._running[0].cancel()

    def _start(self, question: _Question) -> None:
        job = self._runner.submit(
            self._title,
            question.task,
            *question.arguments,
            background=True,
            on_done=self._on_done,
            on_error=self._on_error,
            on_cancelled=self._on_ended,
            **question.settings,
        )
        self._running = (job, question)

    def _on_done(self, answer: Any) -> None:
        self._on_ended()
        self.answered.emit(answer)

    def _on_error(self, sentence: str) -> None:
        latest = self._waiting is None
        self._on_ended()
        if latest:
            self.failed.emit(sentence)

    def _on_ended(self) -> None:
        self._running = None
        if self._waiting is not None:
            question, self._waiting = self._waiting, None
            self._start(question)
        else:
            self.busy_changed.emit(False)
