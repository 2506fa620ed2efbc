"""Producer and consumer: an iterator that runs ahead in a thread of its own, by a bounded number of items."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.05
"""How often a side that waits looks whether it should end."""


class _Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


def in_background(
    items: Iterator[T], *, depth: int, name: str, cancelled: Callable[[], bool] = lambda: False
) -> Generator[T, None, None]:
    """The same items in the same order, made by a thread that is up to `depth` items ahead.

    An exception in `items` is raised here once everything before it has been given. When this generator is
    closed, ends or fails, or `cancelled()` becomes true, the thread ends after the item it is working on,
    closes `items` if that can be closed, and has been joined.
    """
    line: queue.Queue[object] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def give(item: object) -> bool:
        while not stop.is_set():
            try:
                line.put(item, timeout=POLL_S)
            except queue.Full:
                continue
            return True
        return False

    def produce() -> None:
        try:
            try:
                for item in items:
                    if not give(item):
                        break
            finally:
                close = getattr(items, "close", None)
                if close is not None:
                    close()
        except BaseException as error:
            give(_Failed(error))
        else:
            give(_END)

    thread = threading.Thread(target=produce, name=name, daemon=True)
    thread.start()
    try:
        while not cancelled():
            try:
                item = line.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if item is _END:
                return
            if isinstance(item, _Failed):
                raise item.error
            yield item
            del item
    finally:
        stop.set()
        thread.join()
