"""Which frame is due at which moment: the clock of playing, without Qt and without a clock of its own.

Every frame is shown, in order, at its presentation time divided by the speed. Where decoding or drawing
cannot keep up, playing gets slower instead of leaving frames out: the clock starts anew from the late frame.
"""

from __future__ import annotations

from collections.abc import Callable

LATE_S = 0.25
"""Further behind than this, the clock starts anew instead of hurrying after it."""
SPEEDS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)


class PlaybackClock:
    """Presentation times of frames against the time of day.

    `timestamp(i)` gives the presentation time of frame i in seconds, not decreasing; `now_s` everywhere is a
    monotonic time in seconds.
    """

    def __init__(self, count: int, timestamp: Callable[[int], float]) -> None:
        self._count = count
        self._timestamp = timestamp
        self._speed = 1.0
        self._start_s = 0.0
        self._frame = 0

    @property
    def speed(self) -> float:
        """How many seconds of footage pass in a second."""
        return self._speed

    def start(self, frame: int, now_s: float) -> None:
        """`frame` is on the screen now."""
        self._frame, self._start_s = frame, now_s

    def set_speed(self, speed: float, frame: int, now_s: float) -> None:
        """Go on from `frame` at another speed.

        Raises:
            ValueError: a speed that is not above 0.
        """
        if not speed > 0:
            raise ValueError(f"speed must be above 0, got {speed}")
        self._speed = speed
        self.start(frame, now_s)

    def following(self, frame: int) -> int | None:
        """The frame to show after `frame`, None at the end."""
        return frame + 1 if frame + 1 < self._count else None

    def wait_s(self, frame: int, now_s: float) -> float:
        """Seconds until `frame` is due, 0 when it is late."""
        due_s = self._start_s + (self._timestamp(frame) - self._timestamp(self._frame)) / self._speed
        if now_s - due_s > LATE_S:
            self.start(frame, now_s)
            return 0.0
        return max(0.0, due_s - now_s)
