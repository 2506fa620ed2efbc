"""Footage that several readers go through one shortly after the other, decoded once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import numpy as np

from smtc_app.io.source import FrameSource

RECENT = 12


class RecentFrames:
    """A source whose last frames stay at hand, so that who lags behind does not drag the decoder back.

    Everything but the pixels comes from the source itself, which stays its owner's to close. Safe to use from
    several threads.

    count: frames that stay, 12 of 4K are 300 MB.
    """

    def __init__(self, source: FrameSource, *, count: int = RECENT) -> None:
        self._source = source
        self._count = count
        self._lock = threading.Lock()
        self._frames: OrderedDict[int, np.ndarray] = OrderedDict()

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> np.ndarray:
        with self._lock:
            frame = self._frames.get(index)
        if frame is None:
            frame = self._source[index]
            with self._lock:
                self._frames[index] = frame
                while len(self._frames) > self._count:
                    self._frames.popitem(last=False)
        return frame

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)
