"""What every kind of footage looks like to the rest of the application, and how a path is opened.

To add a kind of footage, subclass `FrameSource` in its own module and let `open_source` recognise its paths.
"""

from __future__ import annotations

import operator
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from smtc_app.core.errors import UserError

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"}
    | {".ts", ".mts", ".m2ts", ".flv", ".ogv", ".3gp", ".mxf", ".gif"}
)
"""Files that are taken for videos in a folder; any file can be opened as one by its name."""


class FrameSource(ABC):
    """Frames of one video or image sequence, addressed by index from 0.

    `source[i]` is uint8 (H,W,3) RGB, C-contiguous; the same index gives the same pixels however it is
    reached. A source may be used from several threads, one read at a time; for steady parallel reading (the
    window and a worker) give each thread its own `reopen()`, or they drag one decoder to and fro.

    Attributes:
        kind: "video", "images" or "davis".
        path: what was opened.
        size: (width, height) in px of every frame, as displayed.
        fps: frames per second for playing; a variable rate is averaged.
        annotations: folder of indexed PNG masks that belongs to the footage (DAVIS layout), or None.
    """

    kind: str
    path: Path
    size: tuple[int, int]
    fps: float
    annotations: Path | None = None

    @abstractmethod
    def __len__(self) -> int:
        """Number of frames."""

    @abstractmethod
    def _read(self, index: int) -> np.ndarray:
        """Decode one frame whose index is known to exist."""

    @abstractmethod
    def name(self, index: int) -> str:
        """Name without suffix that files belonging to this frame carry."""

    def image_file(self, index: int) -> Path | None:
        """The image file that a frame is, None for frames of a video."""
        return None

    @abstractmethod
    def timestamp(self, index: int) -> float:
        """Presentation time in seconds on the clock of the file."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digest that changes when the footage does; cheap, so it samples the content of long files."""

    @abstractmethod
    def reopen(self) -> FrameSource:
        """An independent source of the same footage, sharing what was learned when opening this one."""

    @abstractmethod
    def close(self) -> None:
        """Release files; the source cannot be read afterwards."""

    def __getitem__(self, index: int) -> np.ndarray:
        """The frame at `index`; IndexError outside 0..len-1, UserError when its file cannot be read."""
        return self._read(self._checked(index))

    def __iter__(self) -> Iterator[np.ndarray]:
        for index in range(len(self)):
            yield self._read(index)

    def _checked(self, index: int) -> int:
        number = operator.index(index)
        if not 0 <= number < len(self):
            raise IndexError(f"frame {number} of {self.path.name}, which has frames 0 to {len(self) - 1}")
        return number

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_source(path: str | Path) -> FrameSource:
    """Open a video, a folder of images, one image, a DAVIS sequence or a DAVIS root that holds just one.

    Raises:
        UserError: nothing there, not readable, no frames, or not footage.
    """
    from smtc_app.io.images import IMAGE_SUFFIXES, open_images
    from smtc_app.io.video import VideoSource

    if not str(path):
        raise UserError("No source was given: name a video file or a folder of images.")
    where = Path(path).expanduser()
    try:
        status = where.stat()
    except FileNotFoundError as error:
        raise UserError(f"There is no file or folder {where}; check the path.") from error
    except OSError as error:
        raise UserError(f"{where} cannot be read: {error.strerror or error}.") from error
    if where.is_dir():
        return open_images(where)
    if not where.is_file():
        raise UserError(f"{where} is neither a file nor a folder; name a video file or a folder of images.")
    if status.st_size == 0:
        raise UserError(f"{where} is empty (0 bytes); it may be an unfinished download or recording.")
    if not os.access(where, os.R_OK):
        raise UserError(f"{where} cannot be read: permission denied; check who may read the file.")
    if where.suffix.lower() in IMAGE_SUFFIXES:
        return open_images(where)
    return VideoSource(where)
