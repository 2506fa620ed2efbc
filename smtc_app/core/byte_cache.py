"""What was computed or read before, within a bound of bytes: the least recently used goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class ByteCache(Generic[Value]):
    """Values by key; `limit_bytes` bounds the sum of the sizes that `put` is told. Not for several threads.

    A value that is larger than the bound is not kept at all.
    """

    def __init__(self, limit_bytes: int) -> None:
        if limit_bytes < 0:
            raise ValueError(f"limit_bytes must not be negative, got {limit_bytes}")
        self._limit_bytes = limit_bytes
        self._entries: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self.used_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> Value | None:
        """The value, which counts as used now, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Hashable, value: Value, nbytes: int) -> None:
        """Keep a value of `nbytes`; it takes the place of the one before."""
        self.drop(key)
        if nbytes > self._limit_bytes:
            return
        self._entries[key] = (value, nbytes)
        self.used_bytes += nbytes
        while self.used_bytes > self._limit_bytes:
            _, (_, dropped_bytes) = self._entries.popitem(last=False)
            self.used_bytes -= dropped_bytes

    def drop(self, key: Hashable) -> None:
        """Forget a value, if it is there."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.used_bytes -= entry[1]

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self.used_bytes = 0
