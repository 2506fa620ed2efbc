"""A folder per object with a grey PNG per frame: binary masks (0 and 255), and soft ones.

A soft mask holds what the propagation computed before it decided: the probability of the object at a pixel,
from 0 to 1 over the 8 or 16 bits. On frames where a person decided (painted, accepted, corrected, locked) it
is 0 or the largest value, like a binary mask: there is nothing between. `soft.json` says which is which.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np

from smtc_app.core.command import counted
from smtc_app.core.errors import UserError
from smtc_app.io.export.indexed_masks import differs
from smtc_app.io.export.job import ExportJob, folder_of

SOFT_JSON = "soft.json"
COMPRESSION = [cv2.IMWRITE_PNG_COMPRESSION, 3]


def _write_png(path: Path, image: np.ndarray) -> None:
    done, data = cv2.imencode(".png", image, COMPRESSION)
    if not done:
        raise UserError(f"{path.name} cannot be encoded as PNG.")
    path.write_bytes(data.tobytes())


def _read_png(path: Path) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise differs(path)
    return image


class BinaryWriter:
    """`<id>_<name>/<frame>.png`, 8-bit grey, 255 where the object is."""

    top = 255

    def __init__(self, job: ExportJob) -> None:
        self._job = job
        self._folders = {info.id: job.out / folder_of(info) for info in job.objects}
        for folder in self._folders.values():
            folder.mkdir()

    def _path(self, index: int, object_id: int) -> Path:
        return self._folders[object_id] / f"{self._job.source.name(index)}.png"

    def _image(self, labels: np.ndarray, object_id: int) -> np.ndarray:
        kind = np.uint8 if self.top == 255 else np.uint16
        return np.where(labels == object_id, kind(self.top), kind(0))

    def write(self, index: int, frame: np.ndarray, labels: np.ndarray) -> None:
        for object_id in self._folders:
            _write_png(self._path(index, object_id), self._image(labels, object_id))

    def finish(self) -> None:
        """Everything is written already."""

    def check(self, progress: Callable[[int], None]) -> str:
        for done, index in enumerate(self._job.frames, start=1):
            labels = self._job.labels(index)
            for object_id in self._folders:
                path = self._path(index, object_id)
                image = _read_png(path)
                if image.dtype != np.uint8 or not np.array_equal(image, self._image(labels, object_id)):
                    raise differs(path)
            progress(done)
        return f"{counted(len(self._folders) * len(self._job.frames), 'mask')} read back equal."

    def close(self) -> None:
        """Nothing is held open."""


class SoftWriter(BinaryWriter):
    """Like binary masks, with the model's probabilities on the frames that it labelled."""

    def __init__(self, job: ExportJob) -> None:
        super().__init__(job)
        if job.soft_maps is None:
            raise UserError("Soft masks hold the model's probabilities, and there is no model here.")
        self.top = 255 if job.request.bits == 8 else 65535
        self._ids = {info.document_id: info.id for info in job.objects}
        self._soft: dict[int, set[int]] = {info.id: set() for info in job.objects}
        self._frames = set(job.frames)

    def finish(self) -> None:
        """Compute the probabilities, and write them over the binary masks."""
        assert self._job.soft_maps is not None
        self._job.soft_maps(self._take)
        content = {
            "bits": self._job.request.bits,
            "scale": f"0 to {self.top} is a probability of 0 to 1",
            "soft_frames": {
                str(i): [self._job.source.name(frame) for frame in sorted(frames)]
                for i, frames in self._soft.items()
            },
            "note": "Frames that are not listed hold 0 and the largest value: a person decided there.",
        }
        (self._job.out / SOFT_JSON).write_text(
            json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
        )

    def _take(self, index: int, maps: Mapping[int, np.ndarray]) -> None:
        if index not in self._frames:
            return
        kind = np.uint8 if self.top == 255 else np.uint16
        for document_id, probability in maps.items():
            object_id = self._ids.get(document_id)
            if object_id is not None:
                values = np.rint(np.clip(probability, 0, 1) * self.top).astype(kind)
                _write_png(self._path(index, object_id), values)
                self._soft[object_id].add(index)

    def check(self, progress: Callable[[int], None]) -> str:
        kind = np.uint8 if self.top == 255 else np.uint16
        agreeing = pixels = soft = 0
        for done, index in enumerate(self._job.frames, start=1):
            labels = self._job.labels(index)
            for object_id in self._folders:
                path = self._path(index, object_id)
                image = _read_png(path)
                if image.dtype != kind or image.shape != labels.shape:
                    raise differs(path)
                if index not in self._soft[object_id]:
                    if not np.array_equal(image, self._image(labels, object_id)):
                        raise differs(path)
                    continue
                mask, likely = labels == object_id, image > self.top / 2
                agreeing += int(np.count_nonzero(mask & likely))
                pixels += int(np.count_nonzero(mask | likely))
                soft += 1
            progress(done)
        masks = counted(len(self._folders) * len(self._job.frames), "mask")
        if not soft:
            return f"{masks} read back; all are from frames where a person decided, so none is soft."
        share = agreeing / pixels if pixels else 1.0
        return (
            f"{masks} read back, {soft:,} of them soft; where they exceed one half they overlap the labels "
            f"by {share:.0%} (intersection over union)."
        )
