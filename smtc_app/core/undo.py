"""The undo stack: the one way to change a document, bounded by bytes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

from smtc_app.core.command import Command
from smtc_app.core.document import Document

logger = logging.getLogger(__name__)


class StackState(NamedTuple):
    """A moment in the history, to tell later that this is what was saved."""

    top: Command | None
    merges: int
    forgotten: int


class UndoStack:
    """Steps done on `document`, newest last, and those undone.

    `limit_bytes` bounds what the steps keep; the oldest are forgotten first, the newest is always kept.
    """

    def __init__(self, document: Document, *, limit_bytes: int = 256 << 20) -> None:
        self.document = document
        self.limit_bytes = limit_bytes
        self._done: list[Command] = []
        self._undone: list[Command] = []
        self._clean: Command | None = None  # the newest step that the saved state contains
        self._clean_reachable = True
        self._forgotten = 0
        self._open = True
        self._subscribers: list[Callable[[], None]] = []

    def push(self, command: Command) -> bool:
        """Do a command and make it the newest step. False, and no step, when it changed nothing.

        Whatever `command.do` raises passes through, with the document and the stack as they were.
        """
        if not command.do(self.document):
            return False
        if self._undone:
            if not self._clean_in(self._done):
                self._clean_reachable = False
            self._undone.clear()
        top = self._done[-1] if self._done else None
        if top is not None and self._open and top.can_merge(command):
            if self._clean is top:
                self._clean_reachable = False  # the saved state lies inside this step now
            top.merge(command)
        else:
            self._done.append(command)
        self._open = True
        self._forget_oldest()
        self._changed()
        return True

    def undo(self) -> bool:
        """Take back the newest step; False when there is none."""
        if not self._done:
            return False
        command = self._done[-1]
        command.undo(self.document)
        self._undone.append(self._done.pop())
        self._open = False
        self._changed()
        return True

    def redo(self) -> bool:
        """Do the step that was undone last again; False when there is none."""
        if not self._undone:
            return False
        command = self._undone[-1]
        command.do(self.document)
        self._done.append(self._undone.pop())
        self._open = False
        self._changed()
        return True

    def close_step(self) -> None:
        """The next command starts a step of its own even if it could merge with the newest (end of a run)."""
        self._open = False

    def clear(self) -> None:
        """Forget all steps; the document stays as it is."""
        self._clean_reachable = self.clean
        self._clean = None
        self._forgotten += len(self._done)
        self._done.clear()
        self._undone.clear()
        self._changed()

    @property
    def can_undo(self) -> bool:
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        return bool(self._undone)

    @property
    def undo_text(self) -> str:
        """What `undo` would take back, "" when nothing."""
        return self._done[-1].text if self._done else ""

    @property
    def redo_text(self) -> str:
        return self._undone[-1].text if self._undone else ""

    @property
    def texts(self) -> tuple[str, ...]:
        """The steps done, oldest first."""
        return tuple(command.text for command in self._done)

    @property
    def nbytes(self) -> int:
        return sum(command.nbytes for command in (*self._done, *self._undone))

    @property
    def clean(self) -> bool:
        """Whether the document is as it was at `mark_clean`, or as opened."""
        return self._clean_reachable and self._clean is (self._done[-1] if self._done else None)

    def state(self) -> StackState:
        """The present moment, for a save that goes on while the document changes."""
        top = self._done[-1] if self._done else None
        return StackState(top, top.merges if top is not None else 0, self._forgotten)

    def mark_clean(self, state: StackState | None = None) -> None:
        """The state of that moment (None: the present one) is saved."""
        top, merges, forgotten = state or self.state()
        self._clean = top
        if top is None:
            self._clean_reachable = forgotten == self._forgotten
        else:
            self._clean_reachable = merges == top.merges and (top in self._done or top in self._undone)
        self._changed()

    def mark_unsaved(self) -> None:
        """The present state exists nowhere on disk as a project (after recovery)."""
        self._clean_reachable = False
        self._changed()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback()` whenever texts, clean or the possibilities may have changed; returns
        `unsubscribe()`."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def _clean_in(self, steps: list[Command]) -> bool:
        return self._clean is None or self._clean in steps

    def _forget_oldest(self) -> None:
        excess = self.nbytes - self.limit_bytes
        forgotten = 0
        while excess > 0 and forgotten < len(self._done) - 1:
            excess -= self._done[forgotten].nbytes
            forgotten += 1
        if forgotten:
            logger.debug("forgot the %d oldest undo steps", forgotten)
            if self._clean is self._done[forgotten - 1]:
                self._clean = None  # the bottom of what is left
            elif self._clean not in self._done[forgotten:]:
                self._clean_reachable = False
            del self._done[:forgotten]
            self._forgotten += forgotten

    def _changed(self) -> None:
        self.document._set_modified(not self.clean)
        for callback in list(self._subscribers):
            callback()
