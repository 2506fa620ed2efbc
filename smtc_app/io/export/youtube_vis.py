"""YouTube-VIS: `instances.json` with one track per object, its masks listed frame by frame.

Format: https://competitions.codalab.org/competitions/20128#participate-get-data. Where an object is not seen,
its mask, box and area are null.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from smtc_app.core.command import counted
from smtc_app.core.export import ExportedObject
from smtc_app.core.mask_regions import label_ids
from smtc_app.io.export import rle
from smtc_app.io.export.coco import category_list
from smtc_app.io.export.frame_images import image_name
from smtc_app.io.export.indexed_masks import differs
from smtc_app.io.export.job import ExportJob, category_of
from smtc_app.io.export.json_stream import JsonReader, Spool, dumps

FILE = "instances.json"
MASK_BYTES = 1 << 11
"""About as long as a mask's text is, to read it back in one go."""


class YoutubeVisWriter:
    """Keeps the masks aside on the disk, frame by frame, and writes them object by object at the end.

    Memory holds eight bytes a mask: where it lies.
    """

    def __init__(self, job: ExportJob) -> None:
        self._job = job
        self._aside = Spool(job.out)
        self._position = {index: position for position, index in enumerate(job.frames)}
        self._places = {info.id: np.full(len(job.frames), -1, np.int64) for info in job.objects}

    def write(self, index: int, frame: np.ndarray, labels: np.ndarray) -> None:
        for object_id in label_ids(labels):
            line = dumps(rle.encode(labels == object_id)) + "\n"
            self._places[object_id][self._position[index]] = self._aside.append(line.encode())

    def finish(self) -> None:
        job = self._job
        width, height = job.size
        head = {
            "info": {"description": job.video, "version": "1.0"},
            "licenses": [],
            "videos": [
                {
                    "id": 1,
                    "name": job.video,
                    "width": width,
                    "height": height,
                    "length": len(job.frames),
                    "file_names": [image_name(job, index) for index in job.frames],
                }
            ],
            "categories": category_list(job),
        }
        with (job.out / FILE).open("wb") as file:
            file.write((dumps(head).removesuffix("}") + ', "annotations": [').encode())
            for number, info in enumerate(job.objects):
                self._write_track(file, info, ", " if number else "")
            file.write(b"]}\n")
        self.close()

    def _write_track(self, file: BinaryIO, info: ExportedObject, separator: str) -> None:
        width, height = self._job.size
        head = {
            "id": info.id,
            "video_id": 1,
            "category_id": self._job.categories()[category_of(info)],
            "iscrowd": 0,
            "width": width,
            "height": height,
            "length": len(self._job.frames),
            "name": info.name,
        }
        file.write((separator + dumps(head).removesuffix("}") + ', "segmentations": [').encode())
        boxes, areas = [], []
        for number, place in enumerate(self._places[info.id].tolist()):
            line = b"null" if place < 0 else self._aside.line(place)
            file.write((b", " if number else b"") + line)
            mask = json.loads(line)
            boxes.append(dumps(mask and rle.box(mask)))
            areas.append(dumps(mask and rle.area(mask)))
        file.write(f'], "bboxes": [{", ".join(boxes)}], "areas": [{", ".join(areas)}]}}'.encode())

    def check(self, progress: Callable[[int], None]) -> str:
        job, path = self._job, self._job.out / FILE
        count = 0
        with path.open("rb") as file:
            tracks = dict(_tracks(JsonReader(file, path), len(job.frames), path))
            for done, index in enumerate(job.frames, start=1):
                found = np.zeros(job.size[::-1], np.uint16)
                for object_id, places in tracks.items():
                    place = int(places[done - 1])
                    if place < 0:
                        continue
                    mask = JsonReader(file, path, offset=place, chunk_bytes=MASK_BYTES).value()
                    pixels = rle.decode(mask)
                    if found[pixels].any():
                        raise differs(path)
                    found[pixels] = object_id
                    count += 1
                if not np.array_equal(found, job.labels(index)):
                    raise differs(path)
                progress(done)
        return f"{counted(count, 'mask')} of {counted(len(tracks), 'track')} decoded again and equal."

    def close(self) -> None:
        self._aside.close()


def _tracks(reader: JsonReader, length: int, path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """(id, where in the file each frame's mask is, -1 for null) of all annotations; boxes and areas must be
    those of the masks."""
    for key in reader.members():
        if key != "annotations":
            reader.skip()
            continue
        for _ in reader.items():
            yield _track(reader, length, path)


def _track(reader: JsonReader, length: int, path: Path) -> tuple[int, np.ndarray]:
    number, position = 0, 0
    places, areas = np.full(length, -1, np.int64), np.zeros(length, np.int64)
    boxes = np.zeros((length, 4))
    measures = {"bboxes": boxes, "areas": areas}
    for key in reader.members():
        if key == "id":
            number = reader.value()
        elif key == "segmentations":
            for position, _ in enumerate(reader.items(), start=1):
                place, mask = reader.offset, reader.value()
                if mask is not None and position <= length:
                    places[position - 1] = place
                    boxes[position - 1], areas[position - 1] = rle.box(mask), rle.area(mask)
        elif key in measures:
            rows = zip(places, measures.pop(key), strict=True)
            expected = (None if place < 0 else row.tolist() for place, row in rows)
            for _ in reader.items():
                if reader.value() != next(expected, ...):
                    raise differs(path)
            if next(expected, ...) is not ...:
                raise differs(path)
        else:
            reader.skip()
    if position != length or measures:
        raise differs(path)
    return number, places
