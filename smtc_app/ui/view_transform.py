"""Where the frame lies on the canvas: zoom, pan, fit. Pure arithmetic, no Qt.

*View* pixels are device pixels of the canvas, so one view pixel is one dot of the screen whatever its scale
factor. A point (x, y) of the frame covers pixel (floor(x), floor(y)); its centre is at half coordinates. The
frame's corner always lies on a whole view pixel, so that picture and masks are sampled on the same grid and
nothing is blurred by panning.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

Point = tuple[float, float]
Size = tuple[int, int]  # width, height
Region = tuple[int, int, int, int]  # x0, y0, x1, y1 in view pixels, half open

MAX_SCALE = 64.0
WHEEL_STEP = 1.25
"""Zoom factor of one notch of the wheel."""
MIN_VISIBLE_PX = 48
"""This much of the frame always stays inside the view, so that it cannot be lost."""


@dataclass(frozen=True)
class ViewTransform:
    """`scale` view pixels per frame pixel; the frame's upper left corner at (`x`, `y`) in the view."""

    scale: float = 1.0
    x: int = 0
    y: int = 0

    def to_frame(self, point: Point) -> Point:
        """Frame coordinates of a view point."""
        return (point[0] - self.x) / self.scale, (point[1] - self.y) / self.scale

    def to_view(self, point: Point) -> Point:
        """View coordinates of a frame point."""
        return point[0] * self.scale + self.x, point[1] * self.scale + self.y

    def panned(self, dx: float, dy: float) -> ViewTransform:
        """Moved by view pixels."""
        return replace(self, x=round(self.x + dx), y=round(self.y + dy))

    def zoomed_at(self, factor: float, anchor: Point, *, smallest: float, largest: float) -> ViewTransform:
        """Zoomed by `factor` within the limits; what lies under the view point `anchor` stays there."""
        scale = min(max(self.scale * factor, smallest), largest)
        frame_x, frame_y = self.to_frame(anchor)
        return ViewTransform(scale, round(anchor[0] - frame_x * scale), round(anchor[1] - frame_y * scale))

    def kept_visible(self, frame: Size, view: Size) -> ViewTransform:
        """Moved back as little as needed for a part of the frame to stay inside the view."""
        x = _kept(self.x, frame[0] * self.scale, view[0])
        y = _kept(self.y, frame[1] * self.scale, view[1])
        return replace(self, x=x, y=y)

    def frame_region(self, frame: Size) -> Region:
        """The view pixels that the frame covers, also outside of the view."""
        width, height = frame
        return (
            self.x,
            self.y,
            self.x + max(1, round(width * self.scale)),
            self.y + max(1, round(height * self.scale)),
        )

    def region_of(self, box: tuple[int, int, int, int], margin_px: int = 0) -> Region:
        """The view pixels that a box of frame pixels touches, `margin_px` view pixels more on each side."""
        x0, y0 = self.to_view((box[0], box[1]))
        x1, y1 = self.to_view((box[2], box[3]))
        return (
            int(np.floor(x0)) - margin_px,
            int(np.floor(y0)) - margin_px,
            int(np.ceil(x1)) + margin_px,
            int(np.ceil(y1)) + margin_px,
        )

    def columns(self, start: int, stop: int, count: int) -> np.ndarray:
        """Frame column under the centre of each view column start..stop-1: int64, clipped to 0..count-1."""
        return _sampled(start, stop, self.x, self.scale, count)

    def rows(self, start: int, stop: int, count: int) -> np.ndarray:
        """Frame row under the centre of each view row start..stop-1: int64, clipped to 0..count-1."""
        return _sampled(start, stop, self.y, self.scale, count)


def fitted(frame: Size, view: Size, margin_px: int = 0) -> ViewTransform:
    """The whole frame as large as it goes, in the middle of the view."""
    room = max(1, view[0] - 2 * margin_px), max(1, view[1] - 2 * margin_px)
    scale = min(room[0] / frame[0], room[1] / frame[1], MAX_SCALE)
    return centred(frame, view, scale)


def centred(frame: Size, view: Size, scale: float) -> ViewTransform:
    """The frame's middle in the middle of the view."""
    return ViewTransform(
        scale, round((view[0] - frame[0] * scale) / 2), round((view[1] - frame[1] * scale) / 2)
    )


def resized(transform: ViewTransform, old: Size, new: Size) -> ViewTransform:
    """What was in the middle of a view of size `old` is in the middle of one of size `new`."""
    return transform.panned((new[0] - old[0]) / 2, (new[1] - old[1]) / 2)


def scale_limits(frame: Size, view: Size) -> tuple[float, float]:
    """Smallest and largest zoom: a quarter of what fits (but never above 1:1), and 64 dots a pixel."""
    return min(1.0, fitted(frame, view).scale / 4), MAX_SCALE


def intersection(a: Region, b: Region) -> Region | None:
    """The common part of two regions, None when there is none."""
    x0, y0, x1, y1 = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _kept(position: int, length: float, room: int) -> int:
    keep = min(MIN_VISIBLE_PX, length, room)
    return round(min(max(position, keep - length), room - keep))


def _sampled(start: int, stop: int, origin: int, scale: float, count: int) -> np.ndarray:
    centres = (np.arange(start, stop) + (0.5 - origin)) / scale
    return np.clip(np.floor(centres).astype(np.int64), 0, count - 1)
