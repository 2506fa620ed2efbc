"""Edits of many frames that nobody has to wait for: worked out by a worker, done as one step.

The window stays live meanwhile, and what is done to the same frames in between is respected, because the
command works out again whatever is not as it was. Cancelling leaves everything as it was. Whoever needs the
edit now (undo, saving, closing) calls `settle`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from PySide6.QtCore import QObject, Signal

from smtc_app.core.document import Document
from smtc_app.core.errors import UserError
from smtc_app.jobs.context import TaskContext
from smtc_app.jobs.runner import Job, JobRunner
from smtc_app.ui.session import Session

AT_ONCE_PX = 4 << 20
"""Up to so many pixels are worked out at once: two frames of 1080p."""


class EditPart(Hashable, Protocol):
    """A part of an edit that reads nothing but what it holds itself."""

    def compute(self) -> Any:
        """What the part comes to; in any thread."""


class LongCommand(Protocol):
    """A command that can be worked out ahead (`core.label_change`)."""

    def parts(self, document: Document) -> tuple[EditPart, ...]: ...

    def take(self, part: EditPart, result: Any) -> None: ...


@dataclass(frozen=True)
class _Pending:
    job: Job
    finish: Callable[[], None]


class LongEdits(QObject):
    """Signals:
    told: a sentence for the person.
    failed: a sentence about what went wrong.
    """

    told = Signal(object)
    failed = Signal(object)

    def __init__(self, session: Session, runner: JobRunner, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._runner = session, runner
        self._pending: _Pending | None = None
        session.settle = self.settle

    @property
    def busy(self) -> bool:
        """Whether an edit is being worked out."""
        return self._pending is not None

    def push(self, command: LongCommand, title: str, then: Callable[[], None]) -> None:
        """Do a command, at once or when it is worked out; `then` follows if it has changed anything.

        `title` is shown meanwhile. An edit that is still being worked out is done first.
        """
        session = self._session
        self.settle()
        document = session.document
        if document is None:
            return
        try:
            parts = command.parts(document)
        except UserError as error:
            session.failed.emit(str(error))
            return

        def finish() -> None:
            # Nothing but the open document waits: another one may be there by now.
            if document is session.document and session.push(command):
                then()

        width, height = document.size
        if len(parts) * width * height <= AT_ONCE_PX:
            finish()
            return

        def on_partial(message: tuple[EditPart, Any]) -> None:
            command.take(*message)

        def current() -> bool:
            if self._pending is None or self._pending.job is not job:
                return False
            self._pending = None
            return True

        def on_done(_count: int) -> None:
            if current():
                finish()

        def on_cancelled() -> None:
            if current():
                self.told.emit("Cancelled; nothing was changed.")

        def on_error(sentence: str) -> None:
            if current():
                self.failed.emit(sentence)

        job = self._runner.submit(
            title,
            _compute_parts,
            parts,
            on_partial=on_partial,
            on_done=on_done,
            on_cancelled=on_cancelled,
            on_error=on_error,
        )
        self._pending = _Pending(job, finish)

    def settle(self) -> None:
        """Do now what is still being worked out, in the time that its remaining parts take."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        cancelled = pending.job.cancel_requested
        pending.job.cancel()
        if not cancelled:
            pending.finish()


def _compute_parts(ctx: TaskContext, parts: Sequence[EditPart]) -> int:
    for done, part in enumerate(parts):
        ctx.progress(done, len(parts), "working out masks")
        ctx.partial((part, part.compute()))
    return len(parts)
