"""Looking into the videos of a dataset, a thumbnail, length and size each, without keeping anyone waiting.

One thread does it: first what is in sight (`want`, the latest request first), then, so that the list can be
sorted, headers and projects of all the others. A video is opened no further than its first picture.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from smtc_app.core.dataset import MediaInfo, ProjectSummary, VideoEntry
from smtc_app.core.errors import UserError
from smtc_app.io.dataset_state import summarise
from smtc_app.io.images import displayed_size, list_images, read_image
from smtc_app.io.video import open_stream, orientation, upright

logger = logging.getLogger(__name__)

PICTURE_PX = (160, 90)
"""Largest width and height of a thumbnail."""


@dataclass(frozen=True)
class Probed:
    """What was found out about one video.

    looked_inside   whether `media`, `summary` and `problem` are meant; else only the picture is
    pictured        whether `picture` is meant: uint8 (h, w, 3), or None where there is none
    problem         why the video or its project cannot be read, "" when both can
    """

    name: str
    looked_inside: bool = False
    media: MediaInfo | None = None
    summary: ProjectSummary | None = None
    pictured: bool = False
    picture: np.ndarray | None = None
    problem: str = ""


def media_info(path: Path) -> MediaInfo:
    """Length and size of footage from its header or listing.

    Raises:
        UserError: not footage, or not readable.
    """
    if path.is_dir():
        files = list_images(path)
        if not files:
            raise UserError(f"{path} holds no images.")
        return MediaInfo(len(files), True, displayed_size(files[0]))
    container, stream = open_stream(path)
    with container:
        size = (stream.codec_context.width, stream.codec_context.height)
        frames = stream.frames
        if not frames and stream.duration and stream.average_rate:
            frames = round(float(stream.duration * stream.time_base) * float(stream.average_rate))
        elif not frames and container.duration and stream.average_rate:
            frames = round(container.duration / av.time_base * float(stream.average_rate))
        return MediaInfo(frames or None, False, size if all(size) else None)


def first_picture(path: Path, largest_px: tuple[int, int] = PICTURE_PX) -> np.ndarray:
    """The first picture of footage, uint8 (h, w, 3), shrunk to fit.

    Raises:
        UserError: nothing that can be decoded.
    """
    if path.is_dir():
        files = list_images(path)
        if not files:
            raise UserError(f"{path} holds no images.")
        picture = read_image(files[0])
    else:
        picture = _first_frame(path)
    height, width = picture.shape[:2]
    scale = min(largest_px[0] / width, largest_px[1] / height, 1.0)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA)


def _first_frame(path: Path) -> np.ndarray:
    container, stream = open_stream(path)
    # One frame is wanted: threads would decode many ahead.
    stream.thread_type = "NONE"
    with container:
        try:
            for frame in container.decode(stream):
                return upright(frame.to_ndarray(format="rgb24"), orientation(frame))
        except av.error.FFmpegError as error:
            raise UserError(f"{path.name} cannot be decoded: {error.strerror}.") from error
    raise UserError(f"{path.name} holds no frame that can be decoded.")


class DatasetProbe:
    """Looks into videos in a thread of its own until `close`.

    Args:
        entries: all videos, in the order in which those out of sight are looked into.
        project_of: where the project of a video would be.
        deliver: called with a `Probed` from the thread; it must return at once.
    """

    def __init__(
        self,
        entries: Sequence[VideoEntry],
        project_of: Callable[[VideoEntry], Path],
        deliver: Callable[[Probed], None],
    ) -> None:
        self._entries = {entry.name: entry for entry in entries}
        self._project_of, self._deliver = project_of, deliver
        self._unseen = dict.fromkeys(self._entries)
        self._wanted: list[str] = []
        self._condition = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="dataset-probe", daemon=True)
        self._thread.start()

    def want(self, names: Iterable[str]) -> None:
        """Thumbnails that are in sight and missing, the most urgent first; earlier wishes are forgotten."""
        with self._condition:
            self._wanted = [name for name in names if name in self._entries]
            self._condition.notify()

    def refresh(self, name: str) -> None:
        """Look into a video again, soon: its project was written."""
        with self._condition:
            self._unseen = {name: None, **self._unseen}
            self._condition.notify()

    def close(self, timeout_s: float = 5.0) -> None:
        """End the thread; nothing is delivered afterwards."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._closing or self._wanted or self._unseen)
                if self._closing:
                    return
                picture = bool(self._wanted)
                name = self._wanted.pop(0) if picture else next(iter(self._unseen))
                inside = name in self._unseen
                self._unseen.pop(name, None)
            probed = self._probe(self._entries[name], inside, picture)
            if not self._closing:
                self._deliver(probed)

    def _probe(self, entry: VideoEntry, inside: bool, picture: bool) -> Probed:
        media = summary = pixels = None
        problems: list[str] = []
        try:
            if inside:
                media = media_info(entry.path)
            if picture:
                pixels = first_picture(entry.path)
        except UserError as error:
            problems.append(str(error))
        except Exception as error:
            logger.exception("%s could not be looked into", entry.path)
            problems.append(f"{entry.path.name} cannot be read: {error}.")
        try:
            summary = summarise(self._project_of(entry)) if inside else None
        except UserError as error:
            problems.append(str(error))
        return Probed(entry.name, inside, media, summary, picture, pixels, " ".join(dict.fromkeys(problems)))
