"""What the timeline shows, without Qt: the axis of frames, ticks, and lanes summed up per column of pixels.

Whatever the length of the video, a lane is drawn from one value per column of the screen. Each lane keeps a
pyramid (every level sums up 16 entries of the one below), so a repaint reads a few values per column, not
frames. Where a column covers many frames, what needs attention wins: a keyframe, then the stale and the least
confident frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from smtc_app.core.annotation import ANCHORED, FrameStatus

FANOUT = 16
MAX_FRAME_WIDTH_PX = 48.0
CONFIDENCE_LEVELS = 255
NO_CONFIDENCE = 0
"""In a code's lower byte: nothing is known; 1..255 stand for 1..0, so that the larger is the less sure."""

PRIORITY: dict[FrameStatus, int] = {
    FrameStatus.ABSENT: 0,
    FrameStatus.PROPAGATED: 1,
    FrameStatus.PROPOSED: 2,
    FrameStatus.STALE: 3,
    FrameStatus.CORRECTED: 4,
    FrameStatus.MANUAL: 5,
}
"""Rank of a status where several frames share a column; also its number in a lane's codes."""
STATUS_OF_PRIORITY: tuple[FrameStatus, ...] = tuple(sorted(PRIORITY, key=PRIORITY.__getitem__))

_ANCHORED = np.zeros(256, bool)
_ANCHORED[list(ANCHORED)] = True
_RANK = np.zeros(256, np.uint16)
for _status, _priority in PRIORITY.items():
    _RANK[int(_status)] = _priority


@dataclass(frozen=True)
class LaneModel:
    """One object's lane; `colour` RGB. A locked object's lane is drawn faded."""

    id: int
    name: str
    colour: tuple[int, int, int]
    visible: bool = True
    locked: bool = False


@dataclass(frozen=True)
class Marker:
    """Something to look at on a frame, such as a region that no label explains."""

    frame: int
    text: str
    kind: str = "warning"


class Tick(NamedTuple):
    """A mark of the ruler; `label` is empty on minor ticks."""

    frame: int
    label: str


@dataclass(frozen=True)
class TimeAxis:
    """Frames along `width` pixels: frame i covers [x_of(i), x_of(i + 1)); `first` (a fraction of a frame) is
    at pixel 0."""

    count: int
    width: int
    first: float = 0.0
    px_per_frame: float = 1.0

    @property
    def fitting_scale(self) -> float:
        """Pixels per frame at which everything is in sight."""
        return min(MAX_FRAME_WIDTH_PX, self.width / max(1, self.count))

    @property
    def visible_frames(self) -> float:
        """How many frames the width covers."""
        return self.width / self.px_per_frame

    def x_of(self, frame: float) -> float:
        """Pixel of the left edge of a frame."""
        return (frame - self.first) * self.px_per_frame

    def frame_at(self, x: float) -> int:
        """The frame at a pixel, clipped to the video."""
        return min(max(math.floor(self.first + x / self.px_per_frame), 0), max(0, self.count - 1))

    def shown(self) -> tuple[int, int]:
        """Half-open range of the frames in sight."""
        last = self.first + self.visible_frames
        return max(0, math.floor(self.first)), min(self.count, math.ceil(last))

    def fitted(self) -> TimeAxis:
        """Everything in sight."""
        return replace(self, first=0.0, px_per_frame=self.fitting_scale)

    def zoomed_at(self, factor: float, x: float) -> TimeAxis:
        """Zoomed; the frame at pixel `x` stays there as far as the ends allow."""
        scale = min(
            max(self.px_per_frame * factor, self.fitting_scale), max(MAX_FRAME_WIDTH_PX, self.fitting_scale)
        )
        anchor = self.first + x / self.px_per_frame
        return replace(self, px_per_frame=scale, first=anchor - x / scale).clipped()

    def scrolled(self, dx: float) -> TimeAxis:
        """Moved on by `dx` pixels."""
        return replace(self, first=self.first + dx / self.px_per_frame).clipped()

    def resized(self, width: int) -> TimeAxis:
        """On another width: fits again if it fitted, else the scale stays."""
        fitted = math.isclose(self.px_per_frame, self.fitting_scale)
        new = replace(self, width=max(1, width))
        return (
            new.fitted()
            if fitted
            else replace(new, px_per_frame=max(new.px_per_frame, new.fitting_scale)).clipped()
        )

    def showing(self, frame: int, margin: float = 0.08) -> TimeAxis:
        """Scrolled to where `frame` is in sight: a little when it is near, a page when it is far."""
        room = self.visible_frames
        keep = min(margin * room, room / 2)
        if self.first <= frame and frame + 1 <= self.first + room:
            return self
        first = frame - keep if frame > self.first else frame + 1 - room + keep
        return replace(self, first=first).clipped()

    def clipped(self) -> TimeAxis:
        """Without empty space before the first and behind the last frame."""
        return replace(self, first=min(max(self.first, 0.0), max(0.0, self.count - self.visible_frames)))


class Lane:
    """Codes of one object, a value per frame: rank of its status in the upper, doubt in the lower byte."""

    def __init__(self, count: int) -> None:
        self._levels: list[np.ndarray] = [np.zeros(count, np.uint16)]
        self._states = np.zeros(count, np.uint8)
        self._confidence: np.ndarray | None = None
        self._dirty = True

    def set_states(self, states: np.ndarray) -> None:
        """Statuses, uint8 (count,) of `FrameStatus` values."""
        self._check(states, "states")
        self._states = np.array(states, np.uint8)
        self._dirty = True

    def set_confidence(self, confidence: np.ndarray | None) -> None:
        """Confidences, float (count,) in [0, 1], NaN where there is none."""
        if confidence is not None:
            self._check(confidence, "confidence")
            confidence = np.array(confidence, np.float32)
        self._confidence = confidence
        self._dirty = True

    def update(self, frame: int, state: int, confidence: float | None = None) -> None:
        """One frame has changed: cheap, for results as they come."""
        self._states[frame] = state
        if confidence is not None and self._confidence is None:
            self._confidence = np.full(len(self._states), np.nan, np.float32)
        if self._confidence is not None:
            self._confidence[frame] = np.nan if confidence is None else confidence
        if not self._dirty:
            self._levels[0][frame] = self._encoded(slice(frame, frame + 1))[0]
            for below, level in zip(self._levels, self._levels[1:], strict=False):
                frame //= FANOUT
                level[frame] = below[frame * FANOUT : (frame + 1) * FANOUT].max()

    def anchored(self, frames: np.ndarray) -> np.ndarray:
        """bool (n,): whether a person stands behind the object on these frames."""
        return _ANCHORED[self._states[frames]]

    def state(self, frame: int) -> FrameStatus:
        """The status of one frame."""
        return FrameStatus(int(self._states[frame]))

    def confidence(self, frame: int) -> float | None:
        """The confidence of one frame."""
        if self._confidence is None or np.isnan(self._confidence[frame]):
            return None
        return float(self._confidence[frame])

    def columns(self, axis: TimeAxis, ratio: float = 1.0) -> np.ndarray:
        """Codes uint16 per device column of the axis (`ratio` device pixels per pixel), 0 beyond the end."""
        if self._dirty:
            self._build()
        return columns_of(self._levels, axis, ratio)

    def _check(self, values: np.ndarray, what: str) -> None:
        if np.shape(values) != self._states.shape:
            raise ValueError(f"{what} must be {self._states.shape}, got {np.shape(values)}")

    def _encoded(self, part: slice) -> np.ndarray:
        codes = _RANK[self._states[part]] << 8
        if self._confidence is not None:
            known = self._confidence[part]
            doubt = 1 + np.rint((1 - np.clip(np.nan_to_num(known, nan=1.0), 0, 1)) * (CONFIDENCE_LEVELS - 1))
            codes |= np.where(np.isnan(known), NO_CONFIDENCE, doubt).astype(np.uint16)
        return codes

    def _build(self) -> None:
        self._levels = pyramid(self._encoded(slice(None)))
        self._dirty = False


def pyramid(codes: np.ndarray) -> list[np.ndarray]:
    """`codes` and its maxima over 16, 256, ... entries, the last level being short."""
    levels = [codes]
    while len(levels[-1]) > FANOUT:
        below = levels[-1]
        levels.append(np.maximum.reduceat(below, np.arange(0, len(below), FANOUT)))
    return levels


def columns_of(levels: list[np.ndarray], axis: TimeAxis, ratio: float = 1.0) -> np.ndarray:
    """The largest code under each device column of the axis; see `Lane.columns`."""
    count, width = len(levels[0]), round(axis.width * ratio)
    edges = axis.first + np.arange(width + 1) / (axis.px_per_frame * ratio)
    per_column = 1 / (axis.px_per_frame * ratio)
    level = 0
    while level + 1 < len(levels) and FANOUT ** (level + 1) <= per_column:
        level += 1
    values, block = levels[level], FANOUT**level
    starts = np.floor(edges[:-1] / block + 1e-9).astype(np.int64)
    stops = (
        np.maximum(starts + 1, np.ceil(edges[1:] / block - 1e-9).astype(np.int64))
        if per_column > 1
        else starts + 1
    )
    inside = (edges[:-1] < count) & (starts < len(values))
    starts, stops = np.clip(starts, 0, len(values) - 1), np.clip(stops, 1, len(values))
    result = values[starts]
    for offset in range(1, int((stops - starts).max(initial=1))):
        at = starts + offset
        result = np.maximum(result, np.where(at < stops, values[np.minimum(at, len(values) - 1)], 0))
    result[~inside] = 0
    return result


def decoded(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rank uint8, confidence float32 with NaN for none) of codes."""
    doubt = (codes & 0xFF).astype(np.float32)
    confidence = 1 - (doubt - 1) / (CONFIDENCE_LEVELS - 1)
    confidence[doubt == NO_CONFIDENCE] = np.nan
    return (codes >> 8).astype(np.uint8), confidence


def marked_columns(frames: np.ndarray, axis: TimeAxis, spacing_px: float) -> np.ndarray:
    """Frames to draw a mark for, of sorted `frames` int64 (n,): in sight, and at least `spacing_px` apart."""
    low, high = axis.shown()
    shown = frames[np.searchsorted(frames, low) : np.searchsorted(frames, high)]
    if len(shown) < 2 or axis.px_per_frame >= spacing_px:
        return shown
    slots = np.floor((shown - axis.first) * axis.px_per_frame / spacing_px).astype(np.int64)
    return shown[np.flatnonzero(np.diff(slots, prepend=slots[0] - 1))]


def tick_step(axis: TimeAxis, spacing_px: float) -> int:
    """Frames between labelled ticks: 1, 2 or 5 times a power of ten, at least `spacing_px` apart."""
    least = spacing_px / axis.px_per_frame
    power = 10 ** max(0, math.floor(math.log10(max(1.0, least))))
    for factor in (1, 2, 5, 10):
        if factor * power >= least:
            return factor * power
    return 10 * power


def ticks(axis: TimeAxis, spacing_px: float = 72.0) -> list[Tick]:
    """The ticks in sight; minor ones divide the step in five or two where there is room."""
    step = tick_step(axis, spacing_px)
    minor = next(
        (step // parts for parts in (5, 2) if step % parts == 0 and step // parts * axis.px_per_frame >= 6),
        step,
    )
    low, high = axis.shown()
    start = low // minor * minor
    return [
        Tick(frame, str(frame) if frame % step == 0 else "")
        for frame in range(start, high, minor)
        if frame >= low
    ]


def format_time(seconds: float, decimals: int = 2) -> str:
    """`0:01.48`, `12:03.00`, `1:02:03.50`."""
    sign = "-" if seconds < 0 else ""
    units = 10**decimals
    total = round(abs(seconds) * units)
    minutes, rest = divmod(total, 60 * units)
    hours, minutes = divmod(minutes, 60)
    whole, part = divmod(rest, units)
    head = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    tail = f".{part:0{decimals}}" if decimals else ""
    return f"{sign}{head}:{whole:02}{tail}"


def neighbour(frames: Iterable[int], current: int, forward: bool) -> int | None:
    """The next (or previous) of `frames` from `current`, None where there is none."""
    if forward:
        return min((frame for frame in frames if frame > current), default=None)
    return max((frame for frame in frames if frame < current), default=None)


def parse_time(text: str) -> float | None:
    """Seconds of `12.5`, `1:02.5` or `1:00:02`; None when it is not a time."""
    parts = text.strip().replace(",", ".").split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        return None
    if len(numbers) > 3 or any(not math.isfinite(number) or number < 0 for number in numbers):
        return None
    seconds = 0.0
    for number in numbers:
        seconds = 60 * seconds + number
    return seconds
