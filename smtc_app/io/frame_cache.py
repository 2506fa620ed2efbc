"""Frames for the window: decoded by one thread, the latest request first, kept within a bound of bytes."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from smtc_app.core.errors import UserError
from smtc_app.io.source import FrameSource

logger = logging.getLogger(__name__)

DEFAULT_LIMIT_BYTES = 512 << 20
PREFETCH_FRAMES = 12
PREFETCH_SHARE = 0.5
"""Prefetching fills at most this share of the cache, so that it never pushes out what was just seen."""


class FrameCache:
    """Decodes in its own thread with its own decoder (`source.reopen()`).

    A new request replaces one that has not been started. Between requests the frames ahead, in the direction
    of travel, are decoded too.

    Args:
        source: stays the caller's; it is not read from here.
        limit_bytes: bound on decoded frames kept (at least the two last frames are).
        on_frame: called in the decoder thread with (index, frame (H,W,3) uint8, read-only), for requested
            frames only.
        on_error: called in the decoder thread with (index, one sentence).
    """

    def __init__(
        self,
        source: FrameSource,
        *,
        limit_bytes: int = DEFAULT_LIMIT_BYTES,
        on_frame: Callable[[int, np.ndarray], None],
        on_error: Callable[[int, str], None] | None = None,
    ) -> None:
        self._source = source.reopen()
        self._count = len(source)
        self._limit_bytes = limit_bytes
        self._on_frame = on_frame
        self._on_error = on_error
        self._frames: OrderedDict[int, np.ndarray] = OrderedDict()
        self._bytes = 0
        self._wanted: int | None = None
        self._position = 0
        self._step = 1
        self._ahead: list[int] = []
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="smtc-frames", daemon=True)
        self._thread.start()

    def request(self, index: int) -> None:
        """Ask for a frame; `on_frame` is called once it is there, unless another request came first.

        Raises:
            IndexError: no such frame.
        """
        if not 0 <= index < self._count:
            raise IndexError(f"index must be in 0..{self._count - 1}, got {index}")
        with self._changed:
            if index != self._position:
                self._step = 1 if index > self._position else -1
            self._position = self._wanted = index
            self._ahead = []
            self._changed.notify()

    def get(self, index: int) -> np.ndarray | None:
        """The frame if it is decoded already, without waiting for anything."""
        with self._changed:
            frame = self._frames.get(index)
            if frame is not None:
                self._frames.move_to_end(index)
            return frame

    @property
    def used_bytes(self) -> int:
        """Bytes of decoded frames held."""
        with self._changed:
            return self._bytes

    def close(self, timeout_s: float = 10.0) -> None:
        """End the thread, release frames and files; no callback runs afterwards. May be repeated."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    def _next(self) -> tuple[int, bool] | None:
        """Wait for the next (index, whether it was requested); None once closed."""
        with self._changed:
            while not self._closed:
                if self._wanted is not None:
                    index, self._wanted = self._wanted, None
                    return index, True
                while self._ahead:
                    index = self._ahead.pop(0)
                    if index not in self._frames:
                        return index, False
                self._changed.wait()
            return None

    def _work(self) -> None:
        while (job := self._next()) is not None:
            index, requested = job
            frame = self.get(index)
            if frame is None:
                frame = self._decode(index, requested)
            if frame is None:
                continue
            self._store(index, frame)
            if requested:
                self._plan_ahead(index, frame.nbytes)
                if not self._closed:
                    self._on_frame(index, frame)
        self._source.close()
        with self._changed:
            self._frames.clear()
            self._bytes = 0

    def _decode(self, index: int, requested: bool) -> np.ndarray | None:
        try:
            frame = self._source[index]
        except Exception as error:
            # Whatever happens, the thread lives on: the next frame may well be readable.
            if not isinstance(error, UserError):
                logger.exception("frame %d of %s", index, self._source.path)
            if requested and not self._closed and self._on_error is not None:
                self._on_error(index, str(error))
            return None
        frame.setflags(write=False)
        return frame

    def _store(self, index: int, frame: np.ndarray) -> None:
        with self._changed:
            old = self._frames.pop(index, None)
            self._bytes += frame.nbytes - (0 if old is None else old.nbytes)
            self._frames[index] = frame
            while self._bytes > self._limit_bytes and len(self._frames) > 2:
                _, dropped = self._frames.popitem(last=False)
                self._bytes -= dropped.nbytes

    def _plan_ahead(self, index: int, frame_bytes: int) -> None:
        room = int(self._limit_bytes * PREFETCH_SHARE / max(frame_bytes, 1))
        with self._changed:
            if self._wanted is not None:
                return
            reach = [index + self._step * k for k in range(1, min(PREFETCH_FRAMES, room) + 1)]
            self._ahead = [i for i in reach if 0 <= i < self._count]
            self._changed.notify()
