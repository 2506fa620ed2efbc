"""Features on disk, so that propagating again after a correction costs matching only.

A cache is a folder; below it one folder for each identity (footage, model, input size and whatever else
decides over the features), and in it one file a frame: a header of 64 bytes and the features as float16, to
be mapped into memory. All of it may be deleted at any time, also while it is in use.

Several processes may share a cache: a file appears whole, by renaming, and what another process has removed
is simply not there. What is damaged, or was computed from other pixels, is noticed and computed again.

The limit holds for all files together; the least recently used go first, but never what this run has used:
of a video that needs more than the limit, as many frames as fit are kept, instead of all going around in
vain. Each process may exceed the limit by a sixteenth of it between two looks at the folder.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import struct
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

logger = logging.getLogger(__name__)

FOLDER = "features-v1"
_SUFFIX = ".f16"
_NAME = re.compile(r"[0-9a-f]{32}")
_HEADER = struct.Struct("<8s3III")
_HEADER_BYTES = 64
_MAGIC = b"SMTCF16\x01"
_CHECKED_BYTES = 1 << 20
"""About so many bytes of a frame's pixels are compared, evenly spread."""
_LOOKS = 16
_ABANDONED_S = 3600.0


class FeatureCache:
    """A folder of features with a limit; one object per run. Safe to use from several threads.

    folder: where `features-v1` lies or will be made. limit_bytes: of all files together.
    """

    def __init__(self, folder: str | Path, *, limit_bytes: int) -> None:
        self.folder = Path(folder).expanduser() / FOLDER
        self._limit = limit_bytes
        self._started_ns = time.time_ns()
        self._lock = threading.Lock()
        self._used: int | None = None
        self._since_look = 0
        self._full = False

    def store(self, identity: Mapping[str, object]) -> FeatureStore:
        """The features of one identity: everything that decides over them, as JSON values."""
        text = json.dumps(identity, sort_keys=True)
        return FeatureStore(self, self.folder / hashlib.sha256(text.encode()).hexdigest()[:32])

    def used_bytes(self) -> int:
        """Size of all files."""
        return sum(size for _, size, _ in self._files())

    def clear(self) -> int:
        """Delete all features, and nothing else that may lie in the folder; returns the bytes freed."""
        freed = 0
        for _, size, path in list(self._files()):
            with suppress(OSError):
                path.unlink()
                freed += size
        for folder in self._folders():
            with suppress(OSError):
                folder.rmdir()
        with suppress(OSError):
            self.folder.rmdir()
        with self._lock:
            self._used, self._full = None, False
        return freed

    def _room_for(self, size: int) -> bool:
        """Whether a file of that size may be added; makes room if need be, and counts it."""
        with self._lock:
            if self._full:
                return False
            if self._used is None or self._since_look > self._limit // _LOOKS:
                self._used, self._since_look = self.used_bytes(), 0
            if self._used + size > self._limit:
                self._evict(size)
            if self._used + size > self._limit:
                self._full = True
                logger.info("the feature cache %s is full with what this run uses", self.folder)
                return False
            self._used += size
            self._since_look += size
            return True

    def _evict(self, size: int) -> None:
        """Remove the least recently used until a tenth of the limit is free as well as `size`."""
        files = sorted(self._files())
        self._used, self._since_look = sum(entry[1] for entry in files), 0
        wanted = self._limit - self._limit // 10 - size
        for used_ns, file_bytes, path in files:
            if self._used <= wanted or used_ns >= self._started_ns:
                break
            try:
                path.unlink(missing_ok=True)
            except OSError as error:  # Windows keeps what another process has mapped
                logger.debug("%s stays: %s", path, error)
                continue
            self._used -= file_bytes

    def _folders(self) -> Iterator[Path]:
        with suppress(OSError):
            for entry in os.scandir(self.folder):
                if _NAME.fullmatch(entry.name):
                    yield Path(entry.path)

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """(last use in ns, bytes, path) of each file; temporary files of the dead are removed by the way."""
        for folder in self._folders():
            with suppress(OSError):
                for entry in os.scandir(folder):
                    with suppress(OSError):
                        status = entry.stat()
                        abandoned = time.time() - status.st_mtime > _ABANDONED_S
                        if entry.name.endswith(_SUFFIX):
                            yield status.st_mtime_ns, status.st_size, Path(entry.path)
                        elif entry.name.endswith(".tmp") and abandoned:
                            os.unlink(entry.path)


class FeatureStore:
    """The features of one video, model and setting, by frame index; from `FeatureCache.store`."""

    def __init__(self, cache: FeatureCache, folder: Path) -> None:
        self._cache = cache
        self._folder = folder
        self._broken = False
        self.hits = 0
        """How many frames were found."""

    def get(self, index: int, frame: np.ndarray) -> np.ndarray | None:
        """float16 (C,h,w), read-only and mapped into memory, or None if it is not there or not right.

        frame: uint8 (H,W,3), the pixels that the features must have been computed from.
        """
        path = self._path(index)
        try:
            mapped = np.memmap(path, np.uint8, "r")
            magic, c, h, w, pixels, content = _HEADER.unpack_from(mapped)
            data = mapped[_HEADER_BYTES:]
            whole = magic == _MAGIC and data.nbytes == 2 * c * h * w
            if not whole or zlib.crc32(data) != content:
                raise ValueError("damaged")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, struct.error) as error:
            logger.info("features %s are computed again: %s", path, error)
            with suppress(OSError):
                path.unlink(missing_ok=True)
            return None
        if pixels != _pixels_crc(frame):
            return None
        with suppress(OSError):
            os.utime(path)
        self.hits += 1
        return data.view(np.float16).reshape(c, h, w)

    def put(self, index: int, frame: np.ndarray, features: np.ndarray) -> None:
        """Keep the features float16 (C,h,w) of a frame, if there is room. Never raises OSError."""
        size = _HEADER_BYTES + features.nbytes
        if self._broken or not self._cache._room_for(size):
            return
        path = self._path(index)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
        data = np.ascontiguousarray(features)
        header = _HEADER.pack(_MAGIC, *data.shape, _pixels_crc(frame), zlib.crc32(data))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(header.ljust(_HEADER_BYTES, b"\0"))
                file.write(data)
            os.replace(temporary, path)
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                return  # the folder was deleted meanwhile; the next frame makes it again
            self._broken = True
            logger.warning("features are no longer kept in %s: %s", self._folder.parent, error)
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _path(self, index: int) -> Path:
        return self._folder / f"{index:08d}{_SUFFIX}"


def _pixels_crc(frame: np.ndarray) -> int:
    step = max(1, frame.nbytes // _CHECKED_BYTES)
    return zlib.crc32(np.ascontiguousarray(frame[::step]), frame.shape[0] & 0xFFFF)
