"""CSV: `objects.csv` with a row per object and frame, for spreadsheets and statistics.

Boxes are in px, x1 and y1 one past the last pixel; the centroid of a single pixel at (0, 0) is (0.5, 0.5).
Rows of frames where an object is not seen have an area of 0 and no box.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Any

import numpy as np

from smtc_app.core.annotation import FrameStatus
from smtc_app.core.command import counted
from smtc_app.core.mask_regions import measure_objects
from smtc_app.core.track import decode_confidence
from smtc_app.io.export.indexed_masks import differs
from smtc_app.io.export.job import ExportJob

FILE = "objects.csv"
PLACE = ["area_px", "x0", "y0", "x1", "y1", "centroid_x", "centroid_y"]
HEADER = [
    *("frame", "frame_name", "timestamp_s", "object_id", "name", "category"),
    *PLACE,
    *("status", "confidence"),
]


class TableWriter:
    """Writes rows as the frames come."""

    def __init__(self, job: ExportJob) -> None:
        self._job = job
        self._file = (job.out / FILE).open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._rows.writerow(HEADER)

    def write(self, index: int, frame: np.ndarray, labels: np.ndarray) -> None:
        source = self._job.source
        measures = measure_objects(labels)
        for info in self._job.objects:
            status, confidence, _ = self._job.state.tracks[info.document_id].row(index)
            confidence = decode_confidence(confidence)
            found = measures.get(info.id)
            place: list[Any] = [0] + [""] * (len(PLACE) - 1)
            if found is not None:
                place = [found.area_px, *found.box, *(f"{value:.3f}" for value in found.centroid)]
            self._rows.writerow(
                [
                    index,
                    source.name(index),
                    f"{source.timestamp(index):.6f}",
                    info.id,
                    info.name,
                    info.category,
                    *place,
                    FrameStatus(status).name.lower(),
                    "" if confidence is None else f"{confidence:.4f}",
                ]
            )

    def finish(self) -> None:
        self._file.close()

    def check(self, progress: Callable[[int], None]) -> str:
        path = self._job.out / FILE
        count = 0
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            for done, index in enumerate(self._job.frames, start=1):
                labels = self._job.labels(index)
                for info in self._job.objects:
                    row = next(rows, None)
                    if row is None or not _fits(row, index, info.id, labels):
                        raise differs(path)
                    count += 1
                progress(done)
        return f"{counted(count, 'row')} read back and right."

    def close(self) -> None:
        self._file.close()


def _fits(row: dict[str, str], index: int, object_id: int, labels: np.ndarray) -> bool:
    """Whether a row says what the labels (H,W) show, counted in another way than when it was written."""
    if (int(row["frame"]), int(row["object_id"])) != (index, object_id):
        return False
    y, x = np.nonzero(labels == object_id)
    if int(row["area_px"]) != len(x) or not len(x):
        return int(row["area_px"]) == len(x) and row["x0"] == ""
    box = [int(row[key]) for key in ("x0", "y0", "x1", "y1")]
    centroid = [float(row["centroid_x"]), float(row["centroid_y"])]
    return box == [x.min(), y.min(), x.max() + 1, y.max() + 1] and np.allclose(
        centroid, [x.mean() + 0.5, y.mean() + 0.5], atol=1e-3
    )
