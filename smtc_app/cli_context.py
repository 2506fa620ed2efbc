"""What the headless verbs say and where: progress and sentences on stderr, results on stdout."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from tqdm import tqdm

from smtc_app.jobs.context import Cancelled


class Console:
    """Sentences for people go to stderr, the result to stdout: as text, or (`json_output`) as one object."""

    def __init__(self, *, json_output: bool = False) -> None:
        self.json_output = json_output

    def say(self, sentence: str) -> None:
        """Tell a person something, without breaking a progress bar."""
        tqdm.write(sentence, file=sys.stderr)

    def result(self, summary: dict[str, Any], text: str) -> None:
        """Print what a verb gave: `summary` for machines, `text` for people."""
        sys.stdout.write((json.dumps(summary) if self.json_output else text) + "\n")
        sys.stdout.flush()


class CommandContext:
    """A task's context (`jobs.context.TaskContext`) on the command line: a tqdm bar, Ctrl-C cancels.

    Args:
        on_partial: receives what a task hands over, as it comes.
    """

    def __init__(self, on_partial: Callable[[Any], None] | None = None) -> None:
        self.on_partial = on_partial
        self._cancelled = threading.Event()
        self._bar: tqdm | None = None

    def progress(self, done: int, total: int, message: str = "") -> None:
        self._raise_if_cancelled()
        if self._bar is None or self._bar.total != (total or None):
            self.close()
            self._bar = tqdm(total=total or None, file=sys.stderr, disable=None, leave=False, unit="frame")
        self._bar.set_description_str(message, refresh=False)
        self._bar.n = done
        self._bar.refresh()

    def partial(self, result: Any) -> None:
        if self.on_partial is not None:
            self.on_partial(result)
        self._raise_if_cancelled()

    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask the running task to end at its next report."""
        self._cancelled.set()

    def close(self) -> None:
        """Take the progress bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _raise_if_cancelled(self) -> None:
        if self.cancelled():
            raise Cancelled


@contextmanager
def cancelled_by_interrupt(context: CommandContext) -> Iterator[CommandContext]:
    """Within it a first Ctrl-C cancels the task, which keeps what it has; a second one ends it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield context
        return
    before = signal.getsignal(signal.SIGINT)

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        context.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield context
    finally:
        signal.signal(signal.SIGINT, before)
        context.close()
