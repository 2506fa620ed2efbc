"""What the timeline shows, without Qt: the axis of frames, ticks, and lanes summed up per column of pixels.

Whatever the length of the video, a lane is drawn from one value per column of the screen. Each lane keeps a
pyramid (every level sums up 16 entries of the one below), so a repaint reads a few values per column, not
frames. Where a column covers many frames, what needs attention wins: a keyframe, then the stale and the least
confident frames.
"""

from __future__ import annotations

import itertools
import math
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
        return self.width / max(1, self.count)

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
        self._states = np.zeros(count, np.uint8)
        self._doubt = np.zeros(count, np.uint8)
        self._levels: list[np.ndarray] | None = None

    def set_states(self, states: np.ndarray) -> None:
        """Statuses, uint8 (count,) of `FrameStatus` values."""
        self._check(states, "states")
        self._states = np.array(states, np.uint8)
        self._levels = None

    def set_confidence(self, confidence: np.ndarray | None) -> None:
        """Confidences, float (count,) in [0, 1], NaN where there is none; None: nowhere."""
        if confidence is None:
            self._doubt = np.zeros(len(self._states), np.uint8)
        else:
            self._check(confidence, "confidence")
            self._doubt = _doubt_of(np.asarray(confidence, np.float32))
        self._levels = None

    def update(self, frame: int, state: int, confidence: float | None = None) -> None:
        """One frame has changed: cheap, for results as they come."""
        self._states[frame] = state
        self._doubt[frame] = 0 if confidence is None else _doubt_of(np.array([confidence], np.float32))[0]
        if self._levels is not None:
            self._levels[0][frame] = _RANK[self._states[frame]] << 8 | int(self._doubt[frame])
            for below, level in itertools.pairwise(self._levels):
                frame //= FANOUT
                level[frame] = below[frame * FANOUT : (frame + 1) * FANOUT].max()

    def anchored(self, frames: np.ndarray) -> np.ndarray:
        """bool (n,): whether a person stands behind the object on these frames."""
        return _ANCHORED[self._states[frames]]

    def state(self, frame: int) -> FrameStatus:
        """The status of one frame."""
        return FrameStatus(int(self._states[frame]))

    def confidence(self, frame: int) -> float | None:
        """The confidence of one frame, to 1/254."""
        doubt = int(self._doubt[frame])
        return None if doubt == NO_CONFIDENCE else 1 - (doubt - 1) / (CONFIDENCE_LEVELS - 1)

    def columns(self, plan: ColumnPlan) -> np.ndarray:
        """Codes uint16 per device column, 0 beyond the end."""
        if self._levels is None:
            self._levels = pyramid(_RANK[self._states] << 8 | self._doubt)
        return plan.columns(self._levels)

    def _check(self, values: np.ndarray, what: str) -> None:
        if np.shape(values) != self._states.shape:
            raise ValueError(f"{what} must be {self._states.shape}, got {np.shape(values)}")


def _doubt_of(confidence: np.ndarray) -> np.ndarray:
    """uint8 (n,): 1 for confidence 1 to 255 for 0; 0 for NaN."""
    doubt = 1 + np.rint((1 - np.clip(confidence, 0, 1)) * (CONFIDENCE_LEVELS - 1))
    return np.nan_to_num(doubt, nan=NO_CONFIDENCE).astype(np.uint8)


def pyramid(codes: np.ndarray) -> list[np.ndarray]:
    """`codes` and its maxima over 16, 256, ... entries, the last level being short."""
    levels = [codes]
    while len(levels[-1]) > FANOUT:
        below = levels[-1]
        levels.append(np.maximum.reduceat(below, np.arange(0, len(below), FANOUT)))
    return levels


class ColumnPlan:
    """Which entries of which level of a pyramid each device column sums up; the same for all lanes.

    `ratio` device pixels stand for a pixel of the axis.
    """

    def __init__(self, axis: TimeAxis, ratio: float = 1.0) -> None:
        self.width = round(axis.width * ratio)
        per_column = 1 / (axis.px_per_frame * ratio)
        edges = axis.first + np.arange(self.width + 1) * per_column
        self.level, size = 0, axis.count
        while size > FANOUT and FANOUT ** (self.level + 1) <= per_column:
            self.level, size = self.level + 1, -(-size // FANOUT)
        block = FANOUT**self.level
        if per_column > 1:
            # A hair inwards: an edge that lies on a frame's border must not reach over it by rounding.
            starts = np.floor(edges[:-1] / block + 1e-9).astype(np.int64)
            stops = np.ceil(edges[1:] / block - 1e-9).astype(np.int64)
        else:
            starts = np.floor(axis.first + (np.arange(self.width) + 0.5) * per_column).astype(np.int64)
            stops = starts + 1
        self._inside = starts * block < axis.count
        self._starts = np.clip(starts, 0, max(0, size - 1))
        self._stops = np.clip(stops, self._starts + 1, max(1, size))

    def columns(self, levels: list[np.ndarray]) -> np.ndarray:
        """The largest code under each column."""
        values = levels[self.level]
        result = values[self._starts]
        for offset in range(1, int((self._stops - self._starts).max(initial=1))):
            at = self._starts + offset
            np.maximum(result, values[np.minimum(at, self._stops - 1)], out=result)
        result[~self._inside] = 0
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
