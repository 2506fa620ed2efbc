"""What is known of one object on every frame, in seven bytes a frame.

Three arrays that start as untouched zero pages: status (uint8), confidence (uint16: 0 is "none", 1..65535
stand for 0..1) and sources (int32: index into the document's table of keyframe tuples, 0 is "no sources").
"""

from __future__ import annotations

import numpy as np

FIELDS = ("status", "confidence", "sources")


class ObjectTrack:
    """Status, confidence and sources of one object, one entry per frame; written only through `edit`."""

    __slots__ = FIELDS

    def __init__(self, frame_count: int) -> None:
        self.status = np.zeros(frame_count, np.uint8)
        self.confidence = np.zeros(frame_count, np.uint16)
        self.sources = np.zeros(frame_count, np.int32)

    @property
    def nbytes(self) -> int:
        return self.status.nbytes + self.confidence.nbytes + self.sources.nbytes

    def copy(self) -> ObjectTrack:
        track = ObjectTrack(0)
        for field in FIELDS:
            setattr(track, field, getattr(self, field).copy())
        return track

    def row(self, frame: int) -> tuple[int, int, int]:
        """(status, confidence, sources) of a frame, as stored."""
        return int(self.status[frame]), int(self.confidence[frame]), int(self.sources[frame])

    def set_row(self, frame: int, row: tuple[int, int, int]) -> None:
        self.status[frame], self.confidence[frame], self.sources[frame] = row


def encode_confidence(value: float | None) -> int:
    """A confidence 0..1 or None as stored; values outside are clipped, NaN is none."""
    if value is None or value != value:
        return 0
    return 1 + round(min(max(float(value), 0.0), 1.0) * 65534)


def decode_confidence(stored: int) -> float | None:
    return None if stored == 0 else (stored - 1) / 65534


def decode_confidences(stored: np.ndarray) -> np.ndarray:
    """float32 of the same shape; NaN where there is none."""
    values = (stored.astype(np.float32) - 1) / np.float32(65534)
    values[stored == 0] = np.nan
    return values
