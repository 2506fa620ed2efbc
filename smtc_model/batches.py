"""Batches made ahead of the steps that use them, so that a GPU need not wait for the CPU.

Threads, not processes: nearly all of the work is OpenCV's and NumPy's, which let other threads run meanwhile,
and nothing has to be copied between processes or fit into a container's small shared memory.

A batch is a function of its step and part alone, so neither the number of threads nor their order decides
over what a run learns.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

B = TypeVar("B")


class BatchesAhead(Generic[B]):
    """`take` gives a batch; meanwhile those that follow it are made.

    make: (step, part) -> batch, called by any thread. parts: of each step. workers: threads; 0: every batch
    is made when it is taken, by who takes it.
    """

    def __init__(self, make: Callable[[int, int], B], *, parts: int, workers: int) -> None:
        if workers < 0:
            raise ValueError(f"workers must not be negative, got {workers}")
        self._make = make
        self._parts = parts
        self._depth = workers + 1
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="batches") if workers else None
        self._pending: dict[int, Future[B]] = {}

    def take(self, step: int, part: int) -> B:
        """The batch of a step and part; best taken in order. Raises what making it raised."""
        if self._pool is None:
            return self._make(step, part)
        first = step * self._parts + part
        wanted = range(first, first + self._depth)
        for number in [number for number in self._pending if number not in wanted]:
            self._pending.pop(number).cancel()
        for number in wanted:
            if number not in self._pending:
                self._pending[number] = self._pool.submit(self._make, *divmod(number, self._parts))
        return self._pending.pop(first).result()

    def close(self) -> None:
        """Give up what is not made yet and wait for the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._pending.clear()
