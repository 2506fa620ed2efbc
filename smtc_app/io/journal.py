"""A file of records that only grows, written by a thread, and readable up to where a crash cut it.

    magic, then records: length (uint32), CRC-32 of the payload (uint32), payload
    payload: length of the head (uint32), head (JSON), blobs one after the other; head["blobs"] are their
    lengths

A record is in the hands of the operating system within milliseconds of `append`, which is all that a kill -9
asks for, and however slow the machine is before the `append` after it returns; it is flushed to the disk when
nothing comes for a moment, and at least every two seconds, for power cuts.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from smtc_app.core.files import sync_folder, why

logger = logging.getLogger(__name__)

MAGIC = b"SMTCJ001"
_NOT_WHOLE = bytes(len(MAGIC))
"""In its place while a file is filled: a crash then must not find a file that lacks the newest records."""
SUFFIX = ".journal"
_FRAME = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_LONGEST_UNSYNCED_S = 2.0
_IDLE_S = 0.3


class Record(NamedTuple):
    """One entry: a JSON object and bytes."""

    head: dict[str, Any]
    blobs: Sequence[bytes] = ()


def encode_record(record: Record) -> bytes:
    head = json.dumps({**record.head, "blobs": [len(blob) for blob in record.blobs]}).encode()
    payload = b"".join((_LENGTH.pack(len(head)), head, *record.blobs))
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def read_records(file: Path) -> Iterator[Record]:
    """The whole records of a journal; it ends where the first one is cut short or damaged. Raises OSError."""
    with file.open("rb") as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            return
        remaining = os.fstat(stream.fileno()).st_size - len(MAGIC)
        while remaining >= _FRAME.size:
            length, checksum = _FRAME.unpack(stream.read(_FRAME.size))
            remaining -= _FRAME.size + length
            if remaining < 0:
                break
            payload = stream.read(length)
            if len(payload) != length or zlib.crc32(payload) != checksum:
                break
            record = _decode_payload(payload)
            if record is None:
                break
            yield record


def _decode_payload(payload: bytes) -> Record | None:
    try:
        (length,) = _LENGTH.unpack_from(payload)
        head = json.loads(payload[_LENGTH.size : _LENGTH.size + length])
        offset, blobs = _LENGTH.size + length, []
        for size in head.pop("blobs"):
            blobs.append(payload[offset : offset + size])
            offset += size
    except (ValueError, KeyError, TypeError, AttributeError, struct.error):
        return None  # the checksum fits, so another version wrote it
    return Record(head, blobs)


@dataclass(eq=False)
class _NewFile:
    """A file that is being filled while records still go to the one before it, and to `carried` for this
    one."""

    path: Path
    obsolete: Callable[[], None]
    carried: list[bytes] = field(default_factory=list)
    broken: bool = False
    descriptor: int = -1
    size: int = 0


class JournalWriter:
    """Writes records, made by functions that run on the writer's own thread, to one file after another.

    on_problem  called on that thread with a sentence when the disk fails; records are dropped from then on,
                until `start` has begun a new file
    """

    def __init__(self, on_problem: Callable[[str], None] | None = None) -> None:
        self._on_problem = on_problem
        self._condition = threading.Condition()
        self._tasks: deque[Callable[[], None]] = deque()
        self._new_files: list[_NewFile] = []
        self._running = False
        self._queued = 0
        """Records in the queue, and the one that is being written."""
        self._in_memory = 0
        """Records that no file holds yet: the first one is not whole."""
        self._closed = False
        self._durable = True
        """Whether what is written has to be on the disk."""
        self._descriptor: int | None = None
        self._unsynced_since: float | None = None
        self.file: Path | None = None
        """The file that records go to now."""
        self.size = 0
        """Its bytes."""
        self.failed = False
        """Whether records are being dropped; a new `start` is needed."""
        self._thread = threading.Thread(target=self._work, name="autosave", daemon=True)
        self._thread.start()

    def start(self, file: Path, first: Callable[[], list[Record]], obsolete: Callable[[], None]) -> None:
        """Begin `file` with the records that `first()` makes, then call `obsolete()` (to remove older files).

        Records go to the old file as well until the new one is whole and on the disk, and only there if it
        fails. `first` runs on a thread of its own, `obsolete` on the writer's.
        """
        self._put(lambda: self._begin(_NewFile(file, obsolete), first))

    def append(self, make: Callable[[], Record], *, backlog: int = 1) -> None:
        """Write the record that `make()` makes.

        Returns when at most `backlog` records are not yet written, this one counted, however long that takes:
        a crash loses no more than these. Usually the ones before were written long ago, and nothing waits.
        """
        with self._condition:
            if self._closed:
                raise ValueError("the journal is closed")
            self._tasks.append(lambda: self._append(make))
            self._queued += 1
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._queued + self._in_memory <= backlog or self._closed)

    def flush(self, timeout_s: float = 30.0) -> bool:
        """Wait until all records are on the disk; False when that took too long."""
        deadline = time.monotonic() + timeout_s
        with self._condition:
            if self._closed:
                return True
            self._tasks.append(self._sync)
            self._condition.notify_all()
            while self._tasks or self._running or self._new_files:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._condition.wait(left)
        return True

    def close(self, *, durable: bool = True) -> None:
        """Write what waits, and stop; not `durable`: the files are about to go, and nothing is flushed."""
        with self._condition:
            self._closed, self._durable = True, durable
            self._condition.notify_all()
        self._thread.join()
        self._end_file()

    def _put(self, task: Callable[[], None]) -> None:
        with self._condition:
            if self._closed:
                raise ValueError("the journal is closed")
            self._tasks.append(task)
            self._condition.notify_all()

    def _work(self) -> None:
        while True:
            task = self._next_task()
            if task is None:
                return
            try:
                task()
                since = self._unsynced_since
                if since is not None and time.monotonic() - since > _LONGEST_UNSYNCED_S:
                    self._sync()
            except Exception as error:
                # Also what only a bug can raise: an autosave that dies in silence is the worst of all.
                self._unsynced_since = None
                self.failed = self.failed or self._descriptor is None
                logger.exception("autosave failed")
                if self._on_problem is not None:
                    reason = why(error) if isinstance(error, OSError) else str(error)
                    self._on_problem(f"Autosave does not work at the moment: {reason}. Save the project.")

    def _next_task(self) -> Callable[[], None] | None:
        """The next in the queue, a flush when nothing comes for a moment, None at the end."""
        with self._condition:
            self._running = False
            self._condition.notify_all()
            while not self._tasks:
                if self._closed and not self._new_files:
                    return self._last_sync()
                # Flushing at once would make a hand that paints quickly wait for the disk.
                waited = self._condition.wait(None if self._unsynced_since is None else _IDLE_S)
                if not waited and not self._tasks and self._unsynced_since is not None:
                    self._running = True
                    return self._sync
            self._running = True
            return self._tasks.popleft()

    def _last_sync(self) -> Callable[[], None] | None:
        return None if self._unsynced_since is None else self._sync

    def _begin(self, new: _NewFile, first: Callable[[], list[Record]]) -> None:
        self._new_files.append(new)

        def fill() -> None:
            try:
                self._fill(new, first)
            except Exception as error:
                failure = error
                done = lambda: self._give_up(new, failure)  # noqa: E731  keeps the error past its block
            else:
                done = lambda: self._switch(new)  # noqa: E731
            with self._condition:
                self._tasks.append(done)
                self._condition.notify_all()

        threading.Thread(target=fill, name="autosave-start", daemon=True).start()

    def _fill(self, new: _NewFile, first: Callable[[], list[Record]]) -> None:
        new.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        new.descriptor = os.open(new.path, flags, 0o644)
        for data in (_NOT_WHOLE, *map(encode_record, first())):
            _write_all(new.descriptor, data)
            new.size += len(data)
        self._flush_to_disk(new.descriptor)

    def _switch(self, new: _NewFile) -> None:
        if new not in self._new_files:
            _abandon(new)  # a later one was ready first
            return
        if new.broken:
            self._give_up(new, ValueError("a step could not be recorded"))
        try:
            for data in new.carried:
                _write_all(new.descriptor, data)
                new.size += len(data)
            self._flush_to_disk(new.descriptor)
            os.lseek(new.descriptor, 0, os.SEEK_SET)
            _write_all(new.descriptor, MAGIC)
            os.lseek(new.descriptor, 0, os.SEEK_END)
            self._flush_to_disk(new.descriptor)
            if self._durable:
                sync_folder(new.path.parent)
        except OSError as error:
            self._give_up(new, error)
        self._end_file()
        self._descriptor, self.file, self.size = new.descriptor, new.path, new.size
        self.failed, self._unsynced_since = False, None
        new.obsolete()
        self._forget_up_to(new)

    def _give_up(self, new: _NewFile, error: Exception) -> None:
        if new in self._new_files:
            with self._condition:
                self._new_files.remove(new)
                if not self._new_files:
                    self._in_memory = 0
        _abandon(new)
        raise error

    def _forget_up_to(self, new: _NewFile) -> None:
        with self._condition:
            del self._new_files[: self._new_files.index(new) + 1]
            self._in_memory = 0

    def _append(self, make: Callable[[], Record]) -> None:
        try:
            self._write(make)
        finally:
            with self._condition:
                self._queued -= 1
                if self._descriptor is None and self._new_files:
                    self._in_memory += 1
                self._condition.notify_all()

    def _write(self, make: Callable[[], Record]) -> None:
        writable = not self.failed and self._descriptor is not None
        if not writable and not self._new_files:
            return
        # Later records build on this one: without it the file is of no use.
        try:
            data = encode_record(make())
        except BaseException:
            self.failed = True
            for new in self._new_files:
                new.broken = True
            raise
        for new in self._new_files:
            new.carried.append(data)
        if not writable:
            return
        try:
            _write_all(self._descriptor, data)
        except BaseException:
            self.failed = True
            os.ftruncate(self._descriptor, self.size)  # nothing behind half a record could be read
            raise
        self.size += len(data)
        if self._unsynced_since is None:
            self._unsynced_since = time.monotonic()

    def _sync(self) -> None:
        if self._descriptor is not None and self._unsynced_since is not None:
            self._flush_to_disk(self._descriptor)
        self._unsynced_since = None

    def _flush_to_disk(self, descriptor: int) -> None:
        if self._durable:
            os.fsync(descriptor)

    def _end_file(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _abandon(new: _NewFile) -> None:
    if new.descriptor >= 0:
        os.close(new.descriptor)
        new.path.unlink(missing_ok=True)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
