"""COCO: `annotations.json` with an image per frame and an annotation per object that is seen on it.

Masks are run lengths by pycocotools, which every reader of COCO takes; `track_id` says which annotations are
the same object, `name` what people call it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from smtc_app.core.command import counted
from smtc_app.core.mask_regions import label_ids
from smtc_app.io.export import rle
from smtc_app.io.export.frame_images import image_name
from smtc_app.io.export.indexed_masks import differs
from smtc_app.io.export.job import ExportJob, category_of
from smtc_app.io.export.json_stream import JsonReader, Spool, dumps

FILE = "annotations.json"


def category_list(job: ExportJob) -> list[dict[str, Any]]:
    """The categories as COCO lists them."""
    return [{"id": i, "name": name, "supercategory": "object"} for name, i in job.categories().items()]


class CocoWriter:
    """Writes images as they come, and annotations aside, as they follow the images in the file."""

    def __init__(self, job: ExportJob) -> None:
        self._job = job
        self._categories = job.categories()
        self._images = self._annotations = 0
        self._file = (job.out / FILE).open("wb")
        self._aside = Spool(job.out)
        head = {
            "info": {"description": job.video, "version": "1.0"},
            "licenses": [],
            "videos": [{"id": 1, "name": job.video}],
        }
        self._file.write((dumps(head).removesuffix("}") + ', "images": [').encode())

    def write(self, index: int, frame: np.ndarray, labels: np.ndarray) -> None:
        job = self._job
        width, height = job.size
        separator = ", " if self._images else ""
        self._images += 1
        image = {
            "id": self._images,
            "file_name": image_name(job, index),
            "width": width,
            "height": height,
            "video_id": 1,
            "frame_index": index,
        }
        self._file.write((separator + dumps(image)).encode())
        for object_id in sorted(label_ids(labels)):
            info = job.objects[object_id - 1]
            mask = rle.encode(labels == object_id)
            separator = ", " if self._annotations else ""
            self._annotations += 1
            annotation = {
                "id": self._annotations,
                "image_id": self._images,
                "category_id": self._categories[category_of(info)],
                "segmentation": mask,
                "area": rle.area(mask),
                "bbox": rle.box(mask),
                "iscrowd": 0,
                "track_id": object_id,
                "name": info.name,
            }
            self._aside.append((separator + dumps(annotation)).encode())

    def finish(self) -> None:
        self._file.write(b'], "annotations": [')
        self._aside.copy_to(self._file)
        self._file.write(f'], "categories": {dumps(category_list(self._job))}}}\n'.encode())
        self.close()

    def check(self, progress: Callable[[int], None]) -> str:
        job, path = self._job, self._job.out / FILE
        with path.open("rb") as file, path.open("rb") as other:
            images = _values(JsonReader(file, path), "images")
            annotations = _values(JsonReader(other, path), "annotations")
            count, following = 0, next(annotations, None)
            for done, index in enumerate(job.frames, start=1):
                image = next(images, None)
                if image is None or image["frame_index"] != index:
                    raise differs(path)
                found = np.zeros(job.size[::-1], np.uint16)
                while following is not None and following["image_id"] == image["id"]:
                    _put(following, found, path)
                    count, following = count + 1, next(annotations, None)
                if not np.array_equal(found, job.labels(index)):
                    raise differs(path)
                progress(done)
            if following is not None or next(images, None) is not None:
                raise differs(path)
        return f"{counted(count, 'annotation')} decoded again and equal to the masks."

    def close(self) -> None:
        self._file.close()
        self._aside.close()


def _put(annotation: dict[str, Any], found: np.ndarray, path: Path) -> None:
    """Draw an annotation into labels (H,W), which must have room for it; its area and box must be right."""
    mask = rle.decode(annotation["segmentation"])
    rows, columns = np.nonzero(mask)
    if not len(rows):
        raise differs(path)
    x, y = int(columns.min()), int(rows.min())
    box = [x, y, int(columns.max()) + 1 - x, int(rows.max()) + 1 - y]
    if annotation["area"] != len(rows) or annotation["bbox"] != box or found[mask].any():
        raise differs(path)
    found[mask] = annotation["track_id"]


def _values(reader: JsonReader, wanted: str) -> Iterator[dict[str, Any]]:
    """The values of the array under a key of the file's object; the whole file is read for it."""
    for key in reader.members():
        if key != wanted:
            reader.skip()
            continue
        for _ in reader.items():
            yield reader.value()
