"""Small pictures along the timeline: which ones are wanted, where they stand, and who decodes them.

`places` and `ThumbnailQueue` are pure. `ThumbnailLoader` decodes in a thread of its own with footage of its
own, so that thumbnails never take the decoder away from the frame that a person is waiting for.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import cv2
import numpy as np

from smtc_app.ui.timeline_model import TimeAxis

logger = logging.getLogger(__name__)

Deliver = Callable[[int, np.ndarray | None], None]
"""deliver(frame, picture uint8 (h, w, 3) or None where it cannot be read); callable from any thread."""
Provider = Callable[[int, Deliver], None]
"""provider(frame, deliver): returns at once and calls `deliver` sooner or later, or never."""

MAX_KEPT = 600
MAX_IN_FLIGHT = 2
MAX_WAITING = 64
STEPS = (1, 2, 3, 4, 6, 8, 12)


class Place(NamedTuple):
    """A frame's thumbnail covers [x, x + width) pixels."""

    frame: int
    x: float
    width: float


def places(axis: TimeAxis, thumbnail_width: float) -> list[Place]:
    """Where thumbnails stand: at multiples of a step of frames, so that scrolling asks for nothing twice."""
    if axis.count < 1:
        return []
    least = thumbnail_width / axis.px_per_frame
    power = max(0, math.floor(math.log2(max(1.0, least) / 8)))
    step = next((s << power for s in STEPS if (s << power) >= least), 16 << power)
    low, high = axis.shown()
    return [
        Place(frame, axis.x_of(frame), step * axis.px_per_frame)
        for frame in range(low // step * step, high, step)
    ]


def shrunk(picture: np.ndarray, height_px: int) -> np.ndarray:
    """A picture uint8 (H, W, 3) made `height_px` high, uint8 (h, w, 3)."""
    height, width = picture.shape[:2]
    size = max(1, round(width * height_px / height)), height_px
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


class ThumbnailQueue:
    """What is kept, what is wanted now, and what may be asked for next; bounded everywhere."""

    def __init__(self, max_kept: int = MAX_KEPT, max_in_flight: int = MAX_IN_FLIGHT) -> None:
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self._wanted: list[int] = []
        self._in_flight: set[int] = set()
        self._max_kept, self._max_in_flight = max_kept, max_in_flight

    def get(self, frame: int) -> Any | None:
        """The thumbnail of a frame, or None."""
        if frame in self._kept:
            self._kept.move_to_end(frame)
            return self._kept[frame]
        return None

    def nearest(self, frame: int, reach: int) -> Any | None:
        """A thumbnail within `reach` frames, to show until the right one is there."""
        best = min(self._kept, key=lambda kept: abs(kept - frame), default=None)
        return self._kept[best] if best is not None and abs(best - frame) <= reach else None

    def want(self, frames: Iterable[int]) -> None:
        """What is in sight now; what was wanted before is forgotten."""
        self._wanted = [frame for frame in frames if frame not in self._kept]

    def next_requests(self) -> list[int]:
        """What to ask for now, in the order of `want`; counted as under way until `put`."""
        ready = [frame for frame in self._wanted if frame not in self._in_flight]
        chosen = ready[: max(0, self._max_in_flight - len(self._in_flight))]
        self._in_flight.update(chosen)
        return chosen

    def put(self, frame: int, thumbnail: Any) -> None:
        """A thumbnail has come (anything but None is kept, also a sign that there is none)."""
        self._in_flight.discard(frame)
        self._kept[frame] = thumbnail
        self._kept.move_to_end(frame)
        while len(self._kept) > self._max_kept:
            self._kept.popitem(last=False)
        self._wanted = [wanted for wanted in self._wanted if wanted != frame]

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._wanted = []
        self._in_flight.clear()


class ThumbnailLoader:
    """A `Provider` that decodes in its own thread, the latest request first.

    `open_source()` is called in that thread and gives footage of its own (`source[i]` -> uint8 (H, W, 3),
    `source.close()`); where it or a frame fails, None is delivered.
    """

    def __init__(self, open_source: Callable[[], Any]) -> None:
        self._open_source = open_source
        self._waiting: deque[tuple[int, Deliver]] = deque(maxlen=MAX_WAITING)
        self._condition = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="thumbnails", daemon=True)
        self._thread.start()

    def __call__(self, frame: int, deliver: Deliver) -> None:
        """Ask for a frame."""
        with self._condition:
            self._waiting.append((frame, deliver))
            self._condition.notify()

    def close(self) -> None:
        """End the thread; nothing is delivered afterwards."""
        with self._condition:
            self._closing = True
            self._waiting.clear()
            self._condition.notify()
        self._thread.join()

    def _run(self) -> None:
        source = None
        try:
            source = self._open_source()
        except Exception:
            logger.exception("no thumbnails: the footage could not be opened a second time")
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._closing or self._waiting)
                if self._closing:
                    break
                frame, deliver = self._waiting.pop()
            picture = None
            if source is not None:
                try:
                    picture = source[frame]
                except Exception:
                    logger.exception("no thumbnail of frame %d", frame)
            if not self._closing:
                deliver(frame, picture)
        if source is not None:
            source.close()
