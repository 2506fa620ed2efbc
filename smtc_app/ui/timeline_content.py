"""What the timeline knows of a video, frame by frame and object by object; without Qt.

The widget keeps one `TimelineContent` a video and asks it what is where; painting only reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from smtc_app.core.annotation import FrameStatus
from smtc_app.ui.time_text import format_time
from smtc_app.ui.timeline_model import Lane, LaneModel, Marker, TimeAxis

DENSE_PX = 14
"""Keyframes nearer than this on the average are not marked in every lane."""

STATUS_TEXT: dict[FrameStatus, str] = {
    FrameStatus.ABSENT: "not on this frame",
    FrameStatus.MANUAL: "drawn by hand",
    FrameStatus.PROPOSED: "accepted proposal",
    FrameStatus.PROPAGATED: "propagated",
    FrameStatus.CORRECTED: "corrected",
    FrameStatus.STALE: "out of date: a keyframe it came from has changed",
}


class TimelineContent:
    """Frames, lanes, marks and the chosen range of one video of `count` frames.

    Attributes:
        order: the objects, top lane first.
        lanes: what is known of each object, by id.
        selected: ids of the highlighted objects.
        keyframes, locked: int64 (n,), sorted.
        markers: sorted by frame.
        span: the chosen frames (start, stop), half open, or None for all.
    """

    def __init__(
        self, count: int = 0, fps: float = 25.0, timestamp: Callable[[int], float] | None = None
    ) -> None:
        self.count = max(0, count)
        self._fps = fps if fps > 0 else 25.0
        self._timestamp = timestamp
        self.order: list[LaneModel] = []
        self.lanes: dict[int, Lane] = {}
        self.selected: frozenset[int] = frozenset()
        self.keyframes = self.locked = np.zeros(0, np.int64)
        self.markers: tuple[Marker, ...] = ()
        self._markers_of: dict[str, tuple[Marker, ...]] = {}
        self.span: tuple[int, int] | None = None

    def seconds(self, frame: int) -> float:
        """When a frame is shown."""
        return frame / self._fps if self._timestamp is None else self._timestamp(frame)

    def set_lanes(self, lanes: Sequence[LaneModel]) -> None:
        """The objects, in order. What is known of an object stays while it has a lane."""
        self.order = list(lanes)
        self.lanes = {model.id: self.lanes.get(model.id) or Lane(self.count) for model in self.order}

    def row_of(self, object_id: int) -> int | None:
        """Which lane from the top belongs to an object."""
        return next((row for row, lane in enumerate(self.order) if lane.id == object_id), None)

    def set_keyframes(self, frames: Iterable[int]) -> None:
        """Frames with a diamond."""
        self.keyframes = np.array(sorted(frames), np.int64)

    def set_locked(self, frames: Iterable[int]) -> None:
        """Frames that nothing changes."""
        self.locked = np.array(sorted(frames), np.int64)

    def set_markers(self, markers: Iterable[Marker], *, source: str = "") -> None:
        """Frames to look at, as one of several sources sees it; those of the other sources stay."""
        self._markers_of[source] = tuple(markers)
        everything = (marker for found in self._markers_of.values() for marker in found)
        self.markers = tuple(sorted(everything, key=lambda marker: marker.frame))

    def clipped_span(self, span: tuple[int, int] | None) -> tuple[int, int] | None:
        """The range as far as there are frames, of one frame at least."""
        if span is None:
            return None
        start = min(max(span[0], 0), max(0, self.count - 1))
        return start, min(max(span[1], start + 1), self.count)

    def span_from(self, frame: int) -> tuple[int, int]:
        """The range when it begins at a frame; its end stays if it lies behind."""
        return frame, self.span[1] if self.span is not None and self.span[1] > frame else self.count

    def span_to(self, frame: int) -> tuple[int, int]:
        """The range when it ends with a frame; its beginning stays if it lies before."""
        return self.span[0] if self.span is not None and self.span[0] <= frame else 0, frame + 1

    def nearest_mark(self, frame: int) -> int | None:
        """The keyframe or marker nearest to a frame."""
        marks = np.concatenate([self.keyframes, np.array([m.frame for m in self.markers], np.int64)])
        return int(marks[np.argmin(np.abs(marks - frame))]) if len(marks) else None

    def keyframes_in_sight(self, axis: TimeAxis) -> np.ndarray:
        """Those to mark in the lanes: none where they stand so close that colours say it better."""
        low, high = axis.shown()
        shown = self.keyframes[np.searchsorted(self.keyframes, low) : np.searchsorted(self.keyframes, high)]
        return shown if len(shown) * DENSE_PX <= axis.width else shown[:0]

    def describe(self, frame: int, lane: LaneModel | None) -> str:
        """A frame in words, and what is known of an object there; a line each."""
        lines = [f"Frame {frame}  ·  {format_time(self.seconds(frame))}"]
        if frame in self.keyframes:
            lines.append("Keyframe")
        if frame in self.locked:
            lines.append("Locked")
        lines += [marker.text for marker in self.markers if marker.frame == frame]
        if lane is not None:
            data = self.lanes[lane.id]
            text = f"{lane.name}: {STATUS_TEXT[data.state(frame)]}"
            confidence = data.confidence(frame)
            lines.append(text if confidence is None else f"{text}, confidence {confidence:.0%}")
        return "\n".join(lines)
