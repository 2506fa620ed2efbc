"""YouTube-VOS: a dataset root with `Annotations/<video>/`, `JPEGImages/<video>/` and `meta.json`.

`meta.json` is {"videos": {<video>: {"objects": {<id>: {"category", "frames": [names where it is seen]}}}}}.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from smtc_app.core.command import counted
from smtc_app.core.mask_regions import label_ids
from smtc_app.io.export.indexed_masks import IndexedMasks, differs
from smtc_app.io.export.job import ExportJob, category_of

META = "meta.json"


class YoutubeVosWriter:
    """Indexed PNGs as in DAVIS, in the folders of YouTube-VOS, and `meta.json`."""

    def __init__(self, job: ExportJob) -> None:
        self._job = job
        self._masks = IndexedMasks(job, job.out / "Annotations" / job.video)
        self._seen: dict[int, list[str]] = {info.id: [] for info in job.objects}

    def write(self, index: int, frame: np.ndarray, labels: np.ndarray) -> None:
        self._masks.write(index, labels)
        for object_id in label_ids(labels):
            self._seen[object_id].append(self._job.source.name(index))

    def finish(self) -> None:
        objects = {
            str(info.id): {"category": category_of(info), "frames": self._seen[info.id]}
            for info in self._job.objects
        }
        meta = {"videos": {self._job.video: {"objects": objects}}}
        (self._job.out / META).write_text(
            json.dumps(meta, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
        )

    def check(self, progress: Callable[[int], None]) -> str:
        meta = json.loads((self._job.out / META).read_text(encoding="utf-8"))
        objects = meta["videos"][self._job.video]["objects"]
        if {int(key): value["frames"] for key, value in objects.items()} != self._seen:
            raise differs(self._job.out / META)
        return f"{counted(self._masks.check(progress), 'mask')} and {META} read back equal."

    def close(self) -> None:
        """Nothing is held open."""
