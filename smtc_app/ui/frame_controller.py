"""Brings the wanted frame to the screen: scrubbing, stepping, playing. Never decodes in the GUI thread.

The wanted frame is asked for at once; what is on the screen stays until it has been decoded, so that picture
and masks always belong together. Playing shows every frame in order at its presentation time, and gets
slower, not jumpy, when decoding cannot keep up.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot

from smtc_app.ui.playback import PlaybackClock

logger = logging.getLogger(__name__)


class FrameController(QObject):
    """Signals:
    requested: index of the frame that is wanted now.
    shown: (index, frame) that is to be drawn now.
    playing_changed: whether it plays.
    failed: a sentence about a frame that could not be read.
    """

    requested = Signal(object)
    shown = Signal(object)
    playing_changed = Signal(object)
    failed = Signal(object)
    _decoded = Signal(object)
    _undecodable = Signal(object)

    def __init__(self, make_cache: Callable[..., Any], parent: QObject | None = None) -> None:
        """`make_cache(source, on_frame=..., on_error=...)` gives a frame cache with its own thread."""
        super().__init__(parent)
        self._make_cache = make_cache
        self._cache: Any = None
        self._source: Any = None
        self._generation = 0
        self._wanted = 0
        self._shown = -1
        self._playing = False
        self._clock: PlaybackClock | None = None
        self._speed = 1.0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._on_due)
        self._decoded.connect(self._on_decoded, Qt.ConnectionType.QueuedConnection)
        self._undecodable.connect(self._on_undecodable, Qt.ConnectionType.QueuedConnection)

    @property
    def wanted(self) -> int:
        """Index of the frame that was asked for last."""
        return self._wanted

    @property
    def shown_index(self) -> int:
        """Index of the frame on the screen, -1 before the first."""
        return self._shown

    @property
    def playing(self) -> bool:
        """Whether it plays."""
        return self._playing

    @property
    def count(self) -> int:
        """Number of frames of the open footage."""
        return len(self._source) if self._source is not None else 0

    def open(self, source: Any, first: int = 0) -> None:
        """Show `source`, starting with frame `first`."""
        self.close()
        self._generation += 1
        generation = self._generation
        self._source = source
        self._clock = PlaybackClock(len(source), source.timestamp)
        self._clock.set_speed(self._speed, 0, time.monotonic())
        self._shown = -1

        # Both run in the decoder's thread: emitting is all they may do.
        def on_frame(index: int, frame: np.ndarray) -> None:
            self._decoded.emit((generation, index, frame))

        def on_error(index: int, sentence: str) -> None:
            self._undecodable.emit((generation, index, sentence))

        self._cache = self._make_cache(source, on_frame=on_frame, on_error=on_error)
        self._wanted = -1
        self.go_to(first)

    def close(self) -> None:
        """Stop playing and end the decoder's thread."""
        self.pause()
        self._generation += 1
        cache, self._cache, self._source = self._cache, None, None
        if cache is not None:
            cache.close()

    def go_to(self, index: int) -> None:
        """Want this frame, clipped to the footage."""
        if self._cache is None:
            return
        index = max(0, min(self.count - 1, int(index)))
        if index == self._wanted:
            return
        self._wanted = index
        if self._playing:
            self._clock.start(index, time.monotonic())
        self.requested.emit(index)
        self._fetch(index)

    def cached(self, index: int) -> np.ndarray | None:
        """A frame if it happens to be decoded, without waiting."""
        return self._cache.get(index) if self._cache is not None else None

    def step(self, by: int) -> None:
        """Go `by` frames on from the wanted one."""
        self.go_to(self._wanted + by)

    def toggle_play(self) -> None:
        """Play, from the start again when at the end; or pause."""
        if self._playing:
            self.pause()
        elif self._cache is not None and self.count > 1:
            if self._wanted >= self.count - 1:
                self.go_to(0)
            self._playing = True
            self._clock.start(self._wanted, time.monotonic())
            self.playing_changed.emit(True)
            self._schedule()

    def pause(self) -> None:
        """Stop where it is."""
        if self._playing:
            self._playing = False
            self._timer.stop()
            self.playing_changed.emit(False)

    def hold(self) -> None:
        """Stop playing on the frame that is on the screen: one that is still being decoded is not shown."""
        if self._playing:
            self.pause()
            if 0 <= self._shown != self._wanted:
                self._wanted = self._shown
                self.requested.emit(self._shown)

    def set_speed(self, speed: float) -> None:
        """How many seconds of footage pass in a second."""
        self._speed = speed
        if self._clock is not None:
            self._clock.set_speed(speed, max(0, self._wanted), time.monotonic())

    def _fetch(self, index: int) -> None:
        frame = self._cache.get(index)
        # Asked for even when it is there: the cache decodes ahead from what is asked for.
        self._cache.request(index)
        if frame is not None:
            self._show(index, frame)

    def _show(self, index: int, frame: np.ndarray) -> None:
        if index == self._shown:
            return
        self._shown = index
        self.shown.emit((index, frame))
        if self._playing:
            self._schedule()

    def _schedule(self) -> None:
        if self._shown != self._wanted:
            return
        following = self._clock.following(self._wanted)
        if following is None:
            self.pause()
        else:
            self._timer.start(round(self._clock.wait_s(following, time.monotonic()) * 1000))

    @Slot()
    def _on_due(self) -> None:
        if not self._playing or self._cache is None:
            return
        self._wanted += 1
        self.requested.emit(self._wanted)
        self._fetch(self._wanted)

    @Slot(object)
    def _on_decoded(self, message: tuple[int, int, np.ndarray]) -> None:
        generation, index, frame = message
        if generation == self._generation and index == self._wanted:
            self._show(index, frame)

    @Slot(object)
    def _on_undecodable(self, message: tuple[int, int, str]) -> None:
        generation, index, sentence = message
        if generation == self._generation and index == self._wanted:
            self.pause()
            self.failed.emit(sentence)
