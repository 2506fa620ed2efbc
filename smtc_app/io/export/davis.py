"""DAVIS: an indexed PNG per frame in one folder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smtc_app.core.command import counted
from smtc_app.io.export.indexed_masks import IndexedMasks
from smtc_app.io.export.job import ExportJob


class DavisExport:
    """`<frame>.png`, native size, the DAVIS palette, ids from 1 without gaps, never 255."""

    def __init__(self, job: ExportJob) -> None:
        self._masks = IndexedMasks(job, job.out)

    def write(self, index: int, frame: np.ndarray, labels: np.ndarray) -> None:
        self._masks.write(index, labels)

    def finish(self) -> None:
        """Everything is written already."""

    def check(self, progress: Callable[[int], None]) -> str:
        return f"{counted(self._masks.check(progress), 'mask')} read back equal."

    def close(self) -> None:
        """Nothing is held open."""
