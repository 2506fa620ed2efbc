"""Run tasks in one worker thread and bring what they say into the GUI thread.

A task is a plain function `task(ctx, *args, **kwargs)` (see `context.TaskContext`). Everything it reports
crosses threads through one `Signal(object)` into a slot of `JobRunner`, which lives in the GUI thread; the
callbacks given to `submit` therefore always run in the GUI thread. To add a kind of work, write a task;
nothing here changes.

What a person waits for need not queue behind minutes of work: it gets a runner of its own, and the runner of
the long jobs gives way to it. A long job then stands still at its next report until the other one is idle.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal, Slot

from smtc_app.core.errors import UserError
from smtc_app.jobs.context import Cancelled

logger = logging.getLogger(__name__)

PROGRESS_INTERVAL_MS = 50
GIVE_WAY_POLL_S = 0.05
"""How often a job that gives way looks whether it has been cancelled."""
RATE_WINDOW_S = 12.0
"""A job's rate is that of its last seconds of work: the first ones load and learn."""
MAX_WAITING_PARTIALS = 8
"""A task faster than the window waits here, so that results in flight stay bounded in memory."""


class JobState(Enum):
    """Where a job is in its life; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Whether nothing more will be reported."""
        return self in (JobState.DONE, JobState.CANCELLED, JobState.FAILED)


@dataclass
class Job:
    """One submitted task as the GUI thread sees it; only the GUI thread writes its fields."""

    id: int
    title: str
    background: bool
    yields: bool = False
    """Whether it gives way to every other job."""
    state: JobState = JobState.QUEUED
    done: int = 0
    total: int = 0
    message: str = ""
    error: str = ""
    _cancel: threading.Event = field(default_factory=threading.Event, repr=False)
    _reports: deque[tuple[float, int]] = field(default_factory=lambda: deque([(0.0, 0)]), repr=False)
    """(seconds worked, steps done) of the reports of the last `RATE_WINDOW_S`, and one before them."""

    def note_progress(self, worked_s: float, done: int, total: int, message: str) -> None:
        """Take over a report. worked_s: seconds since the start, without those it gave way to others."""
        if done < self.done:  # another stage, which counts anew
            self._reports = deque([(worked_s, done)])
        else:
            self._reports.append((worked_s, done))
        while len(self._reports) > 2 and worked_s - self._reports[1][0] >= RATE_WINDOW_S:
            self._reports.popleft()
        self.done, self.total, self.message = done, total, message

    @property
    def rate_per_s(self) -> float | None:
        """Steps per second of work lately, or None where it cannot be told."""
        (first_s, first), (last_s, last) = self._reports[0], self._reports[-1]
        return (last - first) / (last_s - first_s) if last > first and last_s > first_s else None

    @property
    def remaining_s(self) -> float | None:
        """Estimated seconds to the end, or None where it cannot be told."""
        rate = self.rate_per_s
        return (self.total - self.done) / rate if rate and self.total else None

    @property
    def cancel_requested(self) -> bool:
        """Whether `cancel` has been called."""
        return self._cancel.is_set()

    def cancel(self) -> None:
        """Ask the task to end at its next report; safe from any thread and at any time."""
        self._cancel.set()


@dataclass(frozen=True)
class _Work:
    job: Job
    task: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    on_partial: Callable[[Any], None] | None
    on_done: Callable[[Any], None] | None
    on_error: Callable[[str], None] | None
    on_cancelled: Callable[[], None] | None
    room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(MAX_WAITING_PARTIALS))


@dataclass(frozen=True)
class _Message:
    work: _Work
    kind: str  # "running" | "progress" | "partial" | "done" | "cancelled" | "failed"
    value: Any = None


class _Context:
    """The worker's side of a running job (`context.TaskContext`)."""

    def __init__(
        self, work: _Work, send: Callable[[_Message], None], gives_way_to: JobRunner | None = None
    ) -> None:
        self._work = work
        self._send = send
        self._gives_way_to = gives_way_to
        self._last_progress_s = 0.0
        self._started_s = time.monotonic()
        self._stood_s = 0.0

    def cancelled(self) -> bool:
        return self._work.job._cancel.is_set()

    def _raise_if_cancelled(self) -> None:
        if self.cancelled():
            raise Cancelled

    def _give_way(self) -> None:
        if self._gives_way_to is None:
            return
        since_s = time.monotonic()
        while not self._gives_way_to.wait_until_idle(GIVE_WAY_POLL_S):
            self._raise_if_cancelled()
        self._stood_s += time.monotonic() - since_s

    def progress(self, done: int, total: int, message: str = "") -> None:
        self._raise_if_cancelled()
        self._report(done, total, message)
        self._give_way()
        self._raise_if_cancelled()

    def _report(self, done: int, total: int, message: str) -> None:
        now_s = time.monotonic()
        if done < total and (now_s - self._last_progress_s) * 1000 < PROGRESS_INTERVAL_MS:
            return
        self._last_progress_s = now_s
        worked_s = now_s - self._started_s - self._stood_s
        self._send(_Message(self._work, "progress", (worked_s, done, total, message)))

    def partial(self, result: Any) -> None:
        while not self._work.room.acquire(timeout=0.05):
            self._raise_if_cancelled()
        self._send(_Message(self._work, "partial", result))
        self._give_way()
        self._raise_if_cancelled()


class JobRunner(QObject):
    """Owns the worker thread; create and use it in the GUI thread, `close` it before the application ends.

    gives_way_to: another runner; while that has anything to do, jobs of this one wait at their next report.

    Signals:
        job_changed: the `Job` whose state, progress or message changed.
    """

    job_changed = Signal(object)
    _crossed = Signal(object)

    def __init__(self, parent: QObject | None = None, *, gives_way_to: JobRunner | None = None) -> None:
        super().__init__(parent)
        self._gives_way_to = gives_way_to
        self._unfinished = 0
        self._idle = threading.Condition()
        self._ids = itertools.count(1)
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._jobs: dict[int, Job] = {}
        self._closed = False
        self._crossed.connect(self._on_crossed, Qt.ConnectionType.QueuedConnection)
        self._thread = threading.Thread(target=self._work, name="smtc-worker", daemon=True)
        self._thread.start()

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Jobs that wait or run, oldest first."""
        return tuple(self._jobs.values())

    @property
    def busy(self) -> bool:
        """Whether a job that the person asked for waits or runs."""
        return any(not job.background for job in self._jobs.values())

    def submit(
        self,
        title: str,
        task: Callable[..., Any],
        *args: Any,
        background: bool = False,
        yields: bool = False,
        on_partial: Callable[[Any], None] | None = None,
        on_done: Callable[[Any], None] | None = None,
        on_error: Callable[[str], None] | None = None,
        on_cancelled: Callable[[], None] | None = None,
        **kwargs: Any,
    ) -> Job:
        """Queue `task(ctx, *args, **kwargs)`; the callbacks run in the GUI thread, in order.

        `background` marks work nobody asked for (preloading): it is not counted as busy. What `yields` is
        cancelled when another job comes, so that nobody waits for it. `on_error` receives one sentence for
        people; without it the error is only in `Job.error`.

        Raises:
            RuntimeError: after `close`.
        """
        if self._closed:
            raise RuntimeError("JobRunner.submit after close")
        job = Job(next(self._ids), title, background, yields)
        for other in self.jobs:
            if other.yields:
                other.cancel()
        self._jobs[job.id] = job
        with self._idle:
            self._unfinished += 1
        self._queue.put(_Work(job, task, args, kwargs, on_partial, on_done, on_error, on_cancelled))
        self.job_changed.emit(job)
        return job

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Whether the worker has nothing to do, now or within that time; from any thread but the worker's."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._unfinished, timeout_s)

    def cancel_all(self) -> None:
        """Ask every job that the person started to end."""
        for job in self.jobs:
            if not job.background:
                job.cancel()

    def close(self, timeout_s: float = 30.0) -> bool:
        """Cancel everything and join the worker; after it no callback runs any more.

        Returns whether the worker ended in time: a library call that cannot be interrupted may outlast it,
        and the thread, a daemon, then ends with the process.
        """
        if not self._closed:
            self._closed = True
            for job in self.jobs:
                job.cancel()
            self._queue.put(None)
        self._thread.join(timeout_s)
        self._crossed.disconnect(self._on_crossed)
        return not self._thread.is_alive()

    def _send(self, message: _Message) -> None:
        try:
            self._crossed.emit(message)
        except RuntimeError:
            # The window is gone and Qt has deleted the C++ half: nobody is left to tell.
            message.work.job.cancel()

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            self._run(work)
            with self._idle:
                self._unfinished -= 1
                self._idle.notify_all()

    def _run(self, work: _Work) -> None:
        if work.job._cancel.is_set():
            self._send(_Message(work, "cancelled"))
            return
        self._send(_Message(work, "running"))
        try:
            value = work.task(_Context(work, self._send, self._gives_way_to), *work.args, **work.kwargs)
        except Cancelled:
            self._send(_Message(work, "cancelled"))
        except UserError as error:
            self._send(_Message(work, "failed", str(error)))
        except Exception as error:
            logger.exception("%s failed", work.job.title)
            sentence = f"{work.job.title} failed: {type(error).__name__}: {error}"
            self._send(_Message(work, "failed", sentence))
        else:
            self._send(_Message(work, "done", value))

    @Slot(object)
    def _on_crossed(self, message: _Message) -> None:
        work, job = message.work, message.work.job
        if message.kind == "partial":
            work.room.release()
            if not self._closed and work.on_partial is not None:
                work.on_partial(message.value)
            return
        if self._closed:
            return
        if message.kind == "running":
            job.state = JobState.RUNNING
        elif message.kind == "progress":
            job.note_progress(*message.value)
        else:
            self._finish(message)
            return
        self.job_changed.emit(job)

    def _finish(self, message: _Message) -> None:
        work, job = message.work, message.work.job
        del self._jobs[job.id]
        if message.kind == "done":
            job.state = JobState.DONE
            callback, arguments = work.on_done, (message.value,)
        elif message.kind == "failed":
            job.state, job.error = JobState.FAILED, message.value
            callback, arguments = work.on_error, (message.value,)
        else:
            job.state = JobState.CANCELLED
            callback, arguments = work.on_cancelled, ()
        self.job_changed.emit(job)
        if callback is not None:
            callback(*arguments)
