"""Masks drawn over their frames as an H.264 video, for a look without any tool."""

from __future__ import annotations

import logging
import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np

from smtc_app.core.errors import UserError
from smtc_app.core.files import why
from smtc_app.core.palette import davis_palette

logger = logging.getLogger(__name__)

TIME_BASE = Fraction(1, 90_000)


def draw_overlay(
    frame: np.ndarray, labels: np.ndarray, *, opacity: float = 0.5, colours: np.ndarray | None = None
) -> np.ndarray:
    """The frame uint8 (H,W,3) with each object of labels (H,W) tinted and outlined.

    colours: uint8 (largest id + 1, 3) by id; None takes those of DAVIS.
    """
    tint = davis_palette()[labels.astype(np.uint16) % 256] if colours is None else colours[labels]
    inside = (labels > 0)[..., None]
    mixed = np.where(inside, frame * (1 - opacity) + tint * opacity, frame).astype(np.uint8)
    values = labels.astype(np.float32)
    edge = (cv2.dilate(values, np.ones((3, 3), np.uint8)) != values) & inside[..., 0]
    mixed[edge] = np.maximum(tint[edge], 96)
    return mixed


class OverlayVideo:
    """Writes frames with masks to an MP4; use as a context manager.

    Args:
        path: the file; appears only once it is complete.
        size: (width, height) in px of the frames. Odd sizes lose nothing: the last row or column is repeated.
        fps: for frames written without a timestamp.

    Raises:
        UserError: the file cannot be written.
    """

    def __init__(self, path: str | Path, size: tuple[int, int], *, fps: float = 25.0) -> None:
        self.path = Path(path)
        self._size = size
        self._fps = fps
        self._last_pts = -1
        self._origin_s: float | None = None
        self._temporary = self.path.with_name(f".{self.path.name}.tmp")
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        try:
            self._container = av.open(
                str(self._temporary), "w", format="mp4", options={"movflags": "+faststart"}
            )
            self._stream = self._add_stream(codec, size, fps)
            self._container.start_encoding()
        except (av.error.FFmpegError, OSError) as error:
            raise UserError(f"{self.path} cannot be written: {why(error)}.") from error

    def _add_stream(self, codec: str, size: tuple[int, int], fps: float) -> av.VideoStream:
        stream = self._container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height = size[0] + size[0] % 2, size[1] + size[1] % 2
        stream.pix_fmt = "yuv420p"
        stream.time_base = TIME_BASE
        stream.codec_context.time_base = TIME_BASE
        # Without mbtree: x264's lookahead for it reads memory that it has not written, so that the same
        # pictures gave other files (of 100 each, 64 kinds at 64x48 and 18 at 320x240; without it, one kind).
        x264 = {"crf": "18", "preset": "veryfast", "mbtree": "0"}
        stream.options = x264 if codec == "libx264" else {"q": "3"}
        return stream

    def write(self, frame: np.ndarray, labels: np.ndarray, timestamp_s: float | None = None) -> None:
        """Append a frame uint8 (H,W,3) with its labels (H,W), shown from `timestamp_s` on."""
        self.write_picture(draw_overlay(frame, labels), timestamp_s)

    def write_picture(self, picture: np.ndarray, timestamp_s: float | None = None) -> None:
        """Append what `draw_overlay` gave."""
        picture = np.pad(picture, ((0, self._size[1] % 2), (0, self._size[0] % 2), (0, 0)), mode="edge")
        image = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        step = max(1, round(1 / self._fps / TIME_BASE))
        if timestamp_s is None:
            pts = self._last_pts + step if self._last_pts >= 0 else 0
        else:
            self._origin_s = timestamp_s if self._origin_s is None else self._origin_s
            pts = max(round((timestamp_s - self._origin_s) / TIME_BASE), self._last_pts + 1)
        image.pts, image.time_base = pts, TIME_BASE
        self._last_pts = pts
        self._mux(image)

    def _mux(self, image: av.VideoFrame | None) -> None:
        try:
            for packet in self._stream.encode(image):
                self._container.mux(packet)
        except (av.error.FFmpegError, OSError) as error:
            raise UserError(f"{self.path} cannot be written: {why(error)}.") from error

    def abort(self) -> None:
        """Drop the video; nothing is left of it."""
        self._container.close()
        self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._last_pts >= 0:
                self._mux(None)
            self._container.close()
            if kind is None:
                os.replace(self._temporary, self.path)
        except OSError as problem:
            raise UserError(f"{self.path} cannot be written: {why(problem)}.") from problem
        finally:
            self._temporary.unlink(missing_ok=True)
