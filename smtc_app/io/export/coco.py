"""COCO: `annotations.json` with an image per frame and an annotation per object that is seen on it.

Masks are run lengths by pycocotools, which every reader of COCO takes; `track_id` says which annotations are
the same object, `name` what people call it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from smtc_app.core.mask_regions import label_ids
from smtc_app.io.export import rle
from smtc_app.io.export.frame_images import image_name
from smtc_app.io.export.indexed_masks import counted, differs
from smtc_app.io.export.job import ExportJob, category_of

FILE = "annotations.json"


def category_list(job: ExportJob) -> list[dict[str, Any]]:
    """The categories as COCO lists them."""
    return [{"id": i, "name": name, "supercategory": "object"} for name, i in job.categories().items()]


class CocoWriter:
    """Collects annotations and writes them as one JSON file."""

    def __init__(self, job: ExportJob) -> None:
        self._job = job
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._categories = job.categories()

    def write(self, index: int, frame: np.ndarray, labels: np.ndarray) -> None:
        job = self._job
        width, height = job.size
        image_id = len(self._images) + 1
        self._images.append(
            {
                "id": image_id,
                "file_name": image_name(job, index),
                "width": width,
                "height": height,
                "video_id": 1,
                "frame_index": index,
            }
        )
        for object_id in sorted(label_ids(labels)):
            info = job.objects[object_id - 1]
            mask = rle.encode(labels == object_id)
            self._annotations.append(
                {
                    "id": len(self._annotations) + 1,
                    "image_id": image_id,
                    "category_id": self._categories[category_of(info)],
                    "segmentation": mask,
                    "area": rle.area(mask),
                    "bbox": rle.box(mask),
                    "iscrowd": 0,
                    "track_id": object_id,
                    "name": info.name,
                }
            )

    def finish(self) -> None:
        content = {
            "info": {"description": self._job.video, "version": "1.0"},
            "licenses": [],
            "videos": [{"id": 1, "name": self._job.video}],
            "images": self._images,
            "annotations": self._annotations,
            "categories": category_list(self._job),
        }
        (self._job.out / FILE).write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")

    def check(self, progress: Callable[[int], None]) -> str:
        job, path = self._job, self._job.out / FILE
        content = json.loads(path.read_text(encoding="utf-8"))
        by_image: dict[int, list[dict[str, Any]]] = {}
        for annotation in content["annotations"]:
            by_image.setdefault(annotation["image_id"], []).append(annotation)
        for done, (index, image) in enumerate(zip(job.frames, content["images"], strict=True), start=1):
            found = np.zeros(job.size[::-1], np.uint16)
            for annotation in by_image.get(image["id"], ()):
                mask = rle.decode(annotation["segmentation"])
                rows, columns = np.nonzero(mask)
                x, y = int(columns.min()), int(rows.min())
                box = [x, y, int(columns.max()) + 1 - x, int(rows.max()) + 1 - y]
                if annotation["area"] != len(rows) or annotation["bbox"] != box or found[mask].any():
                    raise differs(path)
                found[mask] = annotation["track_id"]
            if image["frame_index"] != index or not np.array_equal(found, job.labels(index)):
                raise differs(path)
            progress(done)
        return f"{counted(len(content['annotations']), 'annotation')} decoded again and equal to the masks."

    def close(self) -> None:
        """Nothing is held open."""
