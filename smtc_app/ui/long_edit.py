"""Edits that take a while and that nobody has to wait for: worked out by a worker, done as one step.

The window stays live meanwhile, and what is done to the same frames in between is respected: whatever is not
as it was is worked out again. Edits are done in the order in which they were asked for.
Cancelling leaves everything as it was. What needs the edits (undo, saving, closing) follows them by `settle`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from PySide6.QtCore import QObject, Signal, Slot

from smtc_app.core.document import Document
from smtc_app.core.errors import UserError
from smtc_app.jobs.context import TaskContext
from smtc_app.jobs.runner import Job, JobRunner
from smtc_app.ui.session import Session

AT_ONCE_PX = 4 << 20
"""Up to so many pixels are worked out at once, unless the edit says otherwise: two frames of 1080p."""


class EditPart(Hashable, Protocol):
    """A part of an edit that reads nothing but what it holds itself."""

    def compute(self) -> Any:
        """What the part comes to; in any thread."""


class LongCommand(Protocol):
    """A command that can be worked out ahead (`core.label_change`)."""

    def parts(self, document: Document) -> tuple[EditPart, ...]: ...

    def take(self, part: EditPart, result: Any) -> None: ...


@dataclass(frozen=True)
class _Edit:
    document: Document
    command: LongCommand
    title: str
    then: Callable[[], None]
    or_else: Callable[[], None]
    at_once_px: int


@dataclass(frozen=True)
class _Follower:
    then: Callable[[], None]
    or_else: Callable[[], None]


@dataclass(frozen=True)
class _Pending:
    job: Job
    edit: _Edit


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
        self._waiting: deque[_Edit | _Follower] = deque()
        session.settle, session.unsettled = self.settle, lambda: self.busy
        session.closed.connect(self._on_closed)

    @property
    def busy(self) -> bool:
        """Whether an edit is being worked out, or something waits for one."""
        return self._pending is not None or bool(self._waiting)

    def push(
        self,
        command: LongCommand,
        title: str,
        then: Callable[[], None],
        *,
        or_else: Callable[[], None] = lambda: None,
        at_once_px: int | None = None,
    ) -> None:
        """Do a command, at once or when it is worked out; `then` follows, or `or_else` if it is not done.

        `title` is shown meanwhile. An edit that is still being worked out is done first. Up to `at_once_px`
        pixels are not worth a worker (None: `AT_ONCE_PX`).
        """
        document = self._session.document
        if document is None:
            return
        self._waiting.append(
            _Edit(document, command, title, then, or_else, AT_ONCE_PX if at_once_px is None else at_once_px)
        )
        self._go_on()

    def _go_on(self) -> None:
        while self._pending is None and self._waiting:
            following = self._waiting.popleft()
            if isinstance(following, _Edit):
                self._start(following)
            else:
                following.then()

    def _start(self, edit: _Edit, known: frozenset[EditPart] = frozenset()) -> None:
        """Work out the parts that are not known yet, or finish."""
        if edit.document is not self._session.document:
            edit.or_else()
            return
        try:
            parts = tuple(part for part in edit.command.parts(edit.document) if part not in known)
        except UserError as error:
            self._session.failed.emit(str(error))
            self._give_up(edit)
            return
        except Exception:
            # What went wrong is for whoever catches it; those who wait for the edit must hear that it failed.
            self._give_up(edit)
            raise
        width, height = edit.document.size
        if len(parts) * width * height <= edit.at_once_px:
            self._finish(edit)
            return

        def on_partial(message: tuple[EditPart, Any]) -> None:
            edit.command.take(*message)

        def current() -> bool:
            if self._pending is None or self._pending.job is not job:
                return False
            self._pending = None
            return True

        def on_done(_count: int) -> None:
            if current():
                # Frames that have been edited meanwhile are worked out anew, in the worker again.
                self._start(edit, known.union(parts))
                self._go_on()

        def on_cancelled() -> None:
            if current():
                self.told.emit("Cancelled; nothing was changed.")
                self._give_up(edit)

        def on_error(sentence: str) -> None:
            if current():
                self.failed.emit(sentence)
                self._give_up(edit)

        job = self._runner.submit(
            edit.title,
            _compute_parts,
            parts,
            on_partial=on_partial,
            on_done=on_done,
            on_cancelled=on_cancelled,
            on_error=on_error,
        )
        self._pending = _Pending(job, edit)

    def _finish(self, edit: _Edit) -> None:
        try:
            done = self._session.push(edit.command)
        except Exception:
            self._give_up(edit)
            raise
        if done:
            edit.then()
        else:
            self._give_up(edit)

    def settle(self, then: Callable[[], None], or_else: Callable[[], None] = lambda: None) -> None:
        """Call `then` after everything that was asked for so far: at once where nothing is being worked out.

        `or_else` is called in its place when that was cancelled or went wrong.
        """
        self._waiting.append(_Follower(then, or_else))
        self._go_on()

    @Slot(object)
    def _on_closed(self, _nothing: object) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.job.cancel()
        self._give_up(*([] if pending is None else [pending.edit]))

    def _give_up(self, *failed: _Edit) -> None:
        """Drop what waits: it was meant for masks as the edit that failed would have made them."""
        dropped = [*failed, *self._waiting]
        self._waiting.clear()
        for each in dropped:
            each.or_else()


def _compute_parts(ctx: TaskContext, parts: Sequence[EditPart]) -> int:
    for done, part in enumerate(parts):
        ctx.progress(done, len(parts), "working out masks")
        ctx.partial((part, part.compute()))
    return len(parts)
