"""Writing and reading back one indexed PNG per frame, as DAVIS and YouTube-VOS have them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from smtc_app.core.errors import UserError
from smtc_app.io.davis import encode_mask
from smtc_app.io.export.job import ExportJob


class IndexedMasks:
    """Label maps in one folder, named after the frames."""

    def __init__(self, job: ExportJob, folder: Path) -> None:
        self._job, self._folder = job, folder
        folder.mkdir(parents=True, exist_ok=True)

    def _path(self, index: int) -> Path:
        return self._folder / f"{self._job.source.name(index)}.png"

    def write(self, index: int, labels: np.ndarray) -> None:
        """Write the labels (H,W) of a frame."""
        self._path(index).write_bytes(encode_mask(labels))

    def check(self, progress: Callable[[int], None]) -> int:
        """Read all back; how many there are. Raises UserError for one that differs."""
        ids = {info.id for info in self._job.objects}
        for done, index in enumerate(self._job.frames, start=1):
            with Image.open(self._path(index)) as image:
                values = np.asarray(image)
                equal = image.mode == "P" and image.size == self._job.size
            if not equal or not np.array_equal(values, self._job.labels(index)):
                raise differs(self._path(index))
            if not set(np.unique(values).tolist()) <= {0, *ids}:
                raise differs(self._path(index))
            progress(done)
        return len(self._job.frames)


def differs(path: Path) -> UserError:
    """The sentence for a file that does not hold what was written."""
    return UserError(f"{path.name} does not read back as it was written; the disk may be failing.")
