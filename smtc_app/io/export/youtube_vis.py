"""YouTube-VIS: `instances.json` with one track per object, its masks listed frame by frame.

Format: https://competitions.codalab.org/competitions/20128#participate-get-data. Where an object is not seen,
its mask, box and area are null.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from smtc_app.core.mask_regions import label_ids
from smtc_app.io.export import rle
from smtc_app.io.export.coco import category_list
from smtc_app.io.export.frame_images import image_name
from smtc_app.io.export.indexed_masks import counted, differs
from smtc_app.io.export.job import ExportJob, category_of

FILE = "instances.json"


class YoutubeVisWriter:
    """Collects the masks of every object and writes them as one JSON file."""

    def __init__(self, job: ExportJob) -> None:
        self._job = job
        self._position = {index: position for position, index in enumerate(job.frames)}
        self._masks: dict[int, list[dict[str, Any] | None]] = {
            info.id: [None] * len(job.frames) for info in job.objects
        }

    def write(self, index: int, frame: np.ndarray, labels: np.ndarray) -> None:
        for object_id in label_ids(labels):
            self._masks[object_id][self._position[index]] = rle.encode(labels == object_id)

    def finish(self) -> None:
        job = self._job
        width, height = job.size
        categories = job.categories()
        video = {
            "id": 1,
            "name": job.video,
            "width": width,
            "height": height,
            "length": len(job.frames),
            "file_names": [image_name(job, index) for index in job.frames],
        }
        annotations = [
            {
                "id": info.id,
                "video_id": 1,
                "category_id": categories[category_of(info)],
                "iscrowd": 0,
                "width": width,
                "height": height,
                "length": len(job.frames),
                "name": info.name,
                "segmentations": self._masks[info.id],
                "bboxes": [mask and rle.box(mask) for mask in self._masks[info.id]],
                "areas": [mask and rle.area(mask) for mask in self._masks[info.id]],
            }
            for info in job.objects
        ]
        content = {
            "info": {"description": job.video, "version": "1.0"},
            "licenses": [],
            "videos": [video],
            "categories": category_list(job),
            "annotations": annotations,
        }
        (job.out / FILE).write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")

    def check(self, progress: Callable[[int], None]) -> str:
        job, path = self._job, self._job.out / FILE
        annotations = json.loads(path.read_text(encoding="utf-8"))["annotations"]
        count = 0
        for done, index in enumerate(job.frames, start=1):
            found = np.zeros(job.size[::-1], np.uint16)
            for annotation in annotations:
                parts = [annotation[key][done - 1] for key in ("segmentations", "bboxes", "areas")]
                if parts == [None] * 3:
                    continue
                mask, box, area = parts
                pixels = rle.decode(mask)
                if area != pixels.sum() or box != rle.box(mask) or found[pixels].any():
                    raise differs(path)
                found[pixels] = annotation["id"]
                count += 1
            if not np.array_equal(found, job.labels(index)):
                raise differs(path)
            progress(done)
        return f"{counted(count, 'mask')} of {counted(len(annotations), 'track')} decoded again and equal."

    def close(self) -> None:
        """Nothing is held open."""
