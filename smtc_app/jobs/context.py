"""What a task may say while it runs, whoever runs it: the window's worker thread or the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

STATE_EVERY_S = 30.0


@dataclass(frozen=True)
class StateChoice:
    """Where a task saves how far it is, to go on with later, and how often."""

    path: Path
    every_s: float = STATE_EVERY_S


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
