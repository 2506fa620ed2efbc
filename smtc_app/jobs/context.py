"""What a task may say while it runs, whoever runs it: the window's worker thread or the command line."""

from __future__ import annotations

from typing import Any, Protocol


class Cancelled(Exception):  # noqa: N818 - not an error: the person asked for it
    """Raised inside a task at its next report once it has been cancelled."""


class TaskContext(Protocol):
    """The only thing a task knows about the outside; every call may raise `Cancelled`."""

    def progress(self, done: int, total: int, message: str = "") -> None:
        """Report `done` of `total` steps (total 0: unknown) and what is going on now."""

    def partial(self, result: Any) -> None:
        """Hand over one finished part; what was handed over stays, also after a cancel."""

    def cancelled(self) -> bool:
        """Whether the task should end; for loops inside libraries that take a callback. Never raises."""
