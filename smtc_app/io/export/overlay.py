"""The overlay video as an export: the masks in the colours of their objects over the footage."""

from __future__ import annotations

from collections.abc import Callable

import av
import cv2
import numpy as np

from smtc_app.core.command import counted
from smtc_app.core.errors import UserError
from smtc_app.io.export.job import ExportJob
from smtc_app.io.overlay_video import OverlayVideo, draw_overlay

FRAMES_COMPARED = 500
"""Of longer videos so many frames, evenly spread, are compared with what was drawn; all are counted."""

LARGEST_DIFFERENCE = 16.0
"""Mean difference of 8-bit values that compression may leave between what was drawn and what is decoded."""


class OverlayWriter:
    """`<video>.mp4`, H.264, with the times of the footage or at a frame rate that was chosen."""

    def __init__(self, job: ExportJob) -> None:
        self._job = job
        self._path = job.out / f"{job.video}_overlay.mp4"
        self._colours = np.zeros((max(info.id for info in job.objects) + 1, 3), np.uint8)
        for info in job.objects:
            self._colours[info.id] = info.colour
        fps = job.request.fps
        self._video = OverlayVideo(self._path, job.size, fps=fps or job.source.fps / job.request.step)
        self._open = True
        self._kept: dict[int, np.ndarray] = {}
        self._every = -(-len(job.frames) // FRAMES_COMPARED)
        self._written = 0

    def write(self, index: int, frame: np.ndarray, labels: np.ndarray) -> None:
        picture = draw_overlay(frame, labels, opacity=self._job.request.opacity, colours=self._colours)
        keeps_time = self._job.request.fps is None
        self._video.write_picture(picture, self._job.source.timestamp(index) if keeps_time else None)
        if self._written % self._every == 0:
            self._kept[self._written] = _thumbnail(picture)
        self._written += 1

    def finish(self) -> None:
        self._open = False
        self._video.__exit__(None, None, None)

    def check(self, progress: Callable[[int], None]) -> str:
        width, height = self._job.size
        count, done = len(self._job.frames), 0
        with av.open(str(self._path)) as container:
            stream = container.streams.video[0]
            codec = stream.codec_context.name
            for picture in container.decode(stream):
                pixels = picture.to_ndarray(format="rgb24")[:height, :width]
                if done >= count or pixels.shape[:2] != (height, width):
                    raise self._wrong()
                drawn = self._kept.get(done)
                if drawn is not None and np.abs(_thumbnail(pixels) - drawn).mean() > LARGEST_DIFFERENCE:
                    raise self._wrong()
                done += 1
                progress(done)
        if done != count:
            raise self._wrong()
        return f"{counted(done, 'frame')} of {codec} video decoded again and as drawn."

    def _wrong(self) -> UserError:
        return UserError(f"{self._path.name} does not decode to the frames that were drawn; try again.")

    def close(self) -> None:
        if self._open:
            self._open = False
            self._video.abort()


def _thumbnail(picture: np.ndarray) -> np.ndarray:
    """float32 (h,w,3), means of 16 x 16 px: what compression keeps, and enough to tell frames apart."""
    height, width = (max(1, side // 16) for side in picture.shape[:2])
    return cv2.resize(np.ascontiguousarray(picture), (width, height), interpolation=cv2.INTER_AREA).astype(
        np.float32
    )
