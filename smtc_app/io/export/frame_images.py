"""The frames as JPEG files, for training code that wants them beside the masks."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from smtc_app.io.export.job import ExportJob
from smtc_app.io.images import is_plain_jpeg

JPEG_QUALITY = 95
FOLDER = "JPEGImages"


def image_name(job: ExportJob, index: int) -> str:
    """Path of a frame's image below the folder of all images: `video/00000.jpg`.

    Where the frames are not written, it is that of the image they came from.
    """
    file = job.source.image_file(index)
    suffix = file.suffix if file is not None and not job.request.images else ".jpg"
    return f"{job.video}/{job.source.name(index)}{suffix}"


class FrameImages:
    """Writes frames to `JPEGImages/<video>/`; JPEGs of the source are copied, so that nothing is lost."""

    def __init__(self, job: ExportJob) -> None:
        self._job = job
        self._folder = job.out / FOLDER
        (self._folder / job.video).mkdir(parents=True)

    def write(self, index: int, frame: np.ndarray) -> None:
        """Write a frame uint8 (H,W,3)."""
        target: Path = self._folder / image_name(self._job, index)
        file = self._job.source.image_file(index)
        if file is not None and is_plain_jpeg(file):
            shutil.copyfile(file, target)
        else:
            Image.fromarray(frame).save(target, "JPEG", quality=JPEG_QUALITY, subsampling=0)
