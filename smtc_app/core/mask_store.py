"""Label maps of any number of frames in a bounded number of bytes.

A label map becomes an immutable `PackedMask` (runs, deflated: a few kilobytes at 1080p, about 3 ms). The
document, the undo history and the autosave share these handles, so a snapshot costs nothing. The store keeps

* decoded arrays, the most recently used up to `decoded_bytes`;
* packed bytes in memory up to `packed_bytes`; the oldest beyond that go to unnamed temporary files;
* nothing at all for masks that lie in a project's folder until they are looked at.

A relabelled mask (an object merged or removed over a hundred thousand frames) is only its parent and a table
until somebody looks at it.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from smtc_app.core.errors import UserError
from smtc_app.core.mask_packing import count_packed, pack_labels, relabel_packed, unpack_labels

logger = logging.getLogger(__name__)

_SEGMENT_BYTES = 64 << 20


class FileStamp(NamedTuple):
    """A file and what tells whether somebody has written to it since."""

    path: Path
    modified_ns: int
    size_bytes: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> FileStamp:
        """Raises OSError when the file is not there."""
        stat = os.stat(path)
        return cls(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)

    def holds(self) -> bool:
        """Whether the file is there and unchanged."""
        try:
            return FileStamp.of(self.path) == self
        except OSError:
            return False


class PackedMask:
    """A label map that never changes, wherever its bytes are at the moment. Made and read by a `MaskStore`.

    Two handles are the same mask if they are the same object; comparing contents means unpacking.
    """

    __slots__ = ("__weakref__", "_backing", "_counts", "saved", "store")

    def __init__(self, store: MaskStore, backing: object) -> None:
        self.store = store
        self._backing = backing
        self._counts: np.ndarray | None = None
        self.saved: FileStamp | None = None
        """The project's file that holds this very mask, as it was when written or read."""

    @property
    def nbytes(self) -> int:
        """Packed bytes that this handle keeps (in memory or spilled); 0 while the mask is a project's
        file."""
        return getattr(self._backing, "nbytes", 0)

    def labels(self) -> np.ndarray:
        """uint16 (H, W), read-only. Raises UserError when a file that held it is gone or damaged."""
        return self.store.unpack(self)

    def counts(self) -> np.ndarray:
        """Pixels of each label: int64 (highest label + 1,), read-only, kept. Raises as `labels`."""
        if self._counts is None:
            counts = self.store.count(self)
            counts.setflags(write=False)
            self._counts = counts
        return self._counts

    def data(self) -> bytes:
        """The bytes of `pack_labels`."""
        return self.store.packed_bytes_of(self)

    @property
    def file(self) -> Path | None:
        """The project's file this mask lies in, while it is only there."""
        return self._backing.path if isinstance(self._backing, _File) else None

    def __del__(self) -> None:
        self.store._forget(self._backing)


class _Memory:
    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    @property
    def nbytes(self) -> int:
        return len(self.data)


class _Spilled:
    __slots__ = ("nbytes", "offset", "segment")

    def __init__(self, segment: _Segment, offset: int, nbytes: int) -> None:
        self.segment, self.offset, self.nbytes = segment, offset, nbytes


class _File:
    __slots__ = ("read", "stamp")

    def __init__(self, stamp: FileStamp, read: Callable[[Path], np.ndarray]) -> None:
        self.stamp, self.read = stamp, read

    @property
    def path(self) -> Path:
        return self.stamp.path


class _Relabelled:
    __slots__ = ("parent", "table")
    nbytes = 64  # the handle itself; table and parent are shared

    def __init__(self, parent: PackedMask, table: np.ndarray) -> None:
        self.parent, self.table = parent, table


class _Segment:
    """One temporary file; it has no name and vanishes with its last mask or with the process."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = 0
        self.live_bytes = 0

    def __del__(self) -> None:
        self.file.close()


class MaskStore:
    """Packs, unpacks and bounds the masks of one document, all (H, W) = `shape`. Thread-safe.

    decoded_bytes   bound of decoded arrays kept for the next look
    packed_bytes    bound of packed masks in memory before the oldest go to disk
    spill_folder    where they go; None is the system's temporary folder
    """

    def __init__(
        self,
        shape: tuple[int, int],
        *,
        decoded_bytes: int = 128 << 20,
        packed_bytes: int = 256 << 20,
        spill_folder: Path | None = None,
    ) -> None:
        self.shape = shape
        self.decoded_bytes, self.packed_bytes = decoded_bytes, packed_bytes
        self._spill_folder = spill_folder
        self._lock = threading.RLock()
        self._decoded: OrderedDict[PackedMask, np.ndarray] = OrderedDict()
        self._decoded_size = 0
        self._memory_size = 0
        self._in_memory: deque[weakref.ref[PackedMask]] = deque()
        self._segments: list[_Segment] = []
        self._files: weakref.WeakSet[PackedMask] = weakref.WeakSet()
        self._spilling = True
        self._empty = np.zeros(shape, np.uint16)
        self._empty.setflags(write=False)

    @property
    def empty(self) -> np.ndarray:
        """The label map without labels, read-only; always the same array."""
        return self._empty

    @property
    def memory_bytes(self) -> int:
        """Bytes held in memory now: decoded and packed."""
        return self._decoded_size + self._memory_size

    @property
    def spilled_bytes(self) -> int:
        """Bytes of masks on disk now, those of project files not counted."""
        with self._lock:
            return sum(segment.live_bytes for segment in self._segments)

    def pack(self, labels: np.ndarray) -> PackedMask | None:
        """A handle of `labels` (integers (H, W), 0..65534), or None when there is not one label in it.

        An array that is already read-only uint16 and owns its data is kept as the decoded copy, others are
        copied.
        """
        labels = self.checked(labels)
        if not labels.size or labels.max() == 0:  # a quarter of the time of any()
            return None
        if labels.flags.writeable or not labels.flags.c_contiguous or labels.base is not None:
            labels = np.array(labels, np.uint16, order="C")
            labels.setflags(write=False)
        handle = self.adopt(pack_labels(labels))
        with self._lock:
            self._remember(handle, labels)
        return handle

    def checked(self, labels: np.ndarray) -> np.ndarray:
        """`labels` as uint16; ValueError when its shape, type or values are no label map of this store."""
        labels = np.asarray(labels)
        if labels.shape != self.shape:
            raise ValueError(f"labels must have shape {self.shape}, got {labels.shape}")
        if labels.dtype != np.uint16:
            if labels.dtype.kind not in "iub":
                raise ValueError(f"labels must be integers, got {labels.dtype}")
            if labels.size and (labels.min() < 0 or labels.max() > 65535):
                raise ValueError("labels must lie in 0..65534")
            labels = labels.astype(np.uint16)
        return labels

    def adopt(self, data: bytes) -> PackedMask:
        """A handle of bytes from `pack_labels`; they are checked when first looked at."""
        handle = PackedMask(self, _Memory(data))
        with self._lock:
            self._memory_size += len(data)
            self._in_memory.append(weakref.ref(handle))
            self._spill()
        return handle

    def adopt_file(self, path: Path, read: Callable[[Path], np.ndarray]) -> PackedMask:
        """A handle of the mask in `path`, read by `read(path) -> labels` each time its decoded copy is
        gone."""
        stamp = FileStamp.of(path)
        handle = PackedMask(self, _File(stamp, read))
        handle.saved = stamp
        with self._lock:
            self._files.add(handle)
        return handle

    @staticmethod
    def relabel_table(mapping: Mapping[int, int]) -> np.ndarray:
        """uint16 (65536,) for `relabel`: ids replaced all at once."""
        table = np.arange(65536, dtype=np.uint16)
        for old, new in mapping.items():
            table[old] = new
        return table

    def relabel(self, handle: PackedMask, table: np.ndarray) -> PackedMask:
        """A handle of `table[labels]`, worked out when first looked at."""
        return PackedMask(self, _Relabelled(handle, table))

    def unpack(self, handle: PackedMask) -> np.ndarray:
        """The label map of a handle: uint16 (H, W), read-only."""
        while True:
            with self._lock:
                labels = self._decoded.get(handle)
                if labels is not None:
                    self._decoded.move_to_end(handle)
                    return labels
                backing, data = self._held(handle)
            # Reading takes a while, and whoever wants to look at another mask must not wait for it.
            try:
                labels = self._decode(backing, data)
            except UserError:
                if handle._backing is backing:
                    raise
                continue
            labels.setflags(write=False)
            packed = pack_labels(labels) if isinstance(backing, _Relabelled) else None
            with self._lock:
                if isinstance(backing, _File) and handle._backing is not backing:
                    continue  # it may have been replaced while it was read
                known = self._decoded.get(handle)
                if known is not None:
                    return known
                if packed is not None and handle._backing is backing:
                    self._keep_in_memory(handle, packed)
                self._remember(handle, labels)
                return labels

    def count(self, handle: PackedMask) -> np.ndarray:
        """Pixels of each label of a handle: int64 (highest label + 1,), fresh; cheaper than unpacking."""
        with self._lock:
            backing, data = self._held(handle)
        if data is not None:
            return count_packed(data, self.shape)
        if isinstance(backing, _Relabelled):
            before = backing.parent.counts()
            targets = backing.table[: before.size]
            return np.bincount(targets, before).astype(np.int64)
        return np.bincount(self.unpack(handle).ravel())

    def packed_bytes_of(self, handle: PackedMask) -> bytes:
        with self._lock:
            backing, data = self._held(handle)
        if data is not None:
            return data
        if isinstance(backing, _Relabelled):
            data = relabel_packed(backing.parent.data(), backing.table, self.shape)
            with self._lock:
                if handle._backing is backing:
                    self._keep_in_memory(handle, data)
            return data
        labels = self.unpack(handle)
        with self._lock:
            _, data = self._held(handle)
        return pack_labels(labels) if data is None else data

    def _held(self, handle: PackedMask) -> tuple[object, bytes | None]:
        """Where a mask is, and its packed bytes if they are here."""
        backing = handle._backing
        return backing, None if isinstance(backing, (_File, _Relabelled)) else self._bytes(backing)

    def _decode(self, backing: object, data: bytes | None) -> np.ndarray:
        if data is not None:
            return unpack_labels(data, self.shape)
        if isinstance(backing, _File):
            return self._read_file(backing)
        assert isinstance(backing, _Relabelled)
        return backing.table[self.unpack(backing.parent)]

    def detach_files(self, under: Path) -> None:
        """Read every mask that lies at or under `under` only, because those files are about to change."""
        for path, handles in self.file_handles().items():
            if path == under or under in path.parents:
                for handle in handles:
                    self.detach(handle)

    def move_file(self, handle: PackedMask, stamp: FileStamp) -> None:
        """A mask that is only a file lies in another file now."""
        with self._lock:
            if isinstance(handle._backing, _File):
                handle._backing = _File(stamp, handle._backing.read)

    def detach(self, handle: PackedMask) -> None:
        """Read a mask that is only a file into the store."""
        if not isinstance(handle._backing, _File):
            return
        data = pack_labels(self.unpack(handle))
        with self._lock:
            if isinstance(handle._backing, _File):
                self._keep_in_memory(handle, data)

    def file_handles(self) -> dict[Path, list[PackedMask]]:
        """The handles that are only files now, by path."""
        found: dict[Path, list[PackedMask]] = {}
        with self._lock:
            for handle in list(self._files):
                if handle.file is not None:
                    found.setdefault(handle.file, []).append(handle)
        return found

    def close(self) -> None:
        """Give up decoded copies and temporary files; handles that were spilled are lost."""
        with self._lock:
            self._decoded.clear()
            self._decoded_size = 0
            for segment in self._segments:
                segment.file.close()
            self._segments.clear()

    def _read_file(self, backing: _File) -> np.ndarray:
        path = backing.path
        try:
            changed = FileStamp.of(path) != backing.stamp
        except OSError as error:
            raise UserError(
                f"The mask {path} is gone ({error.strerror}): put the file back, or close the project "
                "without saving and open it again."
            ) from error
        if changed:
            raise UserError(
                f"The mask {path} was changed by another program while the project is open: "
                "open the project again."
            )
        labels = np.require(backing.read(path), np.uint16, ["C_CONTIGUOUS", "OWNDATA"])
        if labels.shape != self.shape:
            height, width = self.shape
            raise UserError(
                f"{path} has {labels.shape[1]}x{labels.shape[0]} pixels, the video {width}x{height}: "
                "replace or remove the file."
            )
        return labels

    def _bytes(self, backing: object) -> bytes:
        if isinstance(backing, _Memory):
            return backing.data
        assert isinstance(backing, _Spilled)
        backing.segment.file.seek(backing.offset)
        return backing.segment.file.read(backing.nbytes)

    def _keep_in_memory(self, handle: PackedMask, data: bytes) -> None:
        self._forget(handle._backing)
        handle._backing = _Memory(data)
        self._memory_size += len(data)
        self._in_memory.append(weakref.ref(handle))
        self._spill()

    def _remember(self, handle: PackedMask, labels: np.ndarray) -> None:
        if handle not in self._decoded:
            self._decoded_size += labels.nbytes
        self._decoded[handle] = labels
        while self._decoded_size > self.decoded_bytes and len(self._decoded) > 1:
            _, dropped = self._decoded.popitem(last=False)
            self._decoded_size -= dropped.nbytes

    def _spill(self) -> None:
        # A quarter at a time, so that a store at its bound does not write a file for every mask.
        if self._memory_size <= self.packed_bytes or not self._spilling:
            return
        while self._in_memory and self._memory_size > self.packed_bytes * 3 // 4:
            handle = self._in_memory.popleft()()
            if handle is None or not isinstance(handle._backing, _Memory):
                continue
            data = handle._backing.data
            try:
                handle._backing = self._write(data)
            except OSError as error:
                # Masks matter more than the bound: keep them, and say why memory grows.
                self._in_memory.appendleft(weakref.ref(handle))
                self._spilling = False
                logger.warning("masks stay in memory, the temporary folder takes no more: %s", error)
                return
            self._memory_size -= len(data)

    def _write(self, data: bytes) -> _Spilled:
        if not self._segments or self._segments[-1].size > _SEGMENT_BYTES:
            file = tempfile.TemporaryFile(dir=self._spill_folder)  # noqa: SIM115  the segment closes it
            self._segments.append(_Segment(file))
        segment = self._segments[-1]
        segment.file.seek(segment.size)
        segment.file.write(data)
        segment.file.flush()
        spilled = _Spilled(segment, segment.size, len(data))
        segment.size += len(data)
        segment.live_bytes += len(data)
        return spilled

    def _forget(self, backing: object) -> None:
        """The bytes of a backing that is no longer used; called by the handle's finaliser, from any
        thread."""
        with self._lock:
            if isinstance(backing, _Memory):
                self._memory_size -= backing.nbytes
            elif isinstance(backing, _Spilled):
                segment = backing.segment
                segment.live_bytes -= backing.nbytes
                if (
                    segment.live_bytes == 0
                    and segment in self._segments
                    and segment is not self._segments[-1]
                ):
                    self._segments.remove(segment)
                    segment.file.close()
