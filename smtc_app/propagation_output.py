"""What `smtc-app propagate` writes while it runs: masks, the report, and the state to go on with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from smtc_app.core.correct_next import ObjectEvidence, suggest
from smtc_app.io.davis import DavisWriter
from smtc_app.io.propagation_report import ReportWriter
from smtc_app.io.source import FrameSource
from smtc_app.jobs.context import Cancelled

STATE_NAME = ".propagation.safetensors"


class PropagationOutput:
    """The masks of one run in a folder, and its report.

    keyframes: frame index -> labels, written beside what is propagated. report: where, or None. resume: a run
    in this folder is gone on with; masks and rows that it left count as written.
    """

    def __init__(
        self,
        folder: Path,
        source: FrameSource,
        keyframes: Mapping[int, np.ndarray],
        *,
        report: Path | None = None,
        resume: bool = False,
    ) -> None:
        self.writer = DavisWriter(folder, source)
        self._source = source
        self._keyframes = keyframes
        self._resume = resume
        self._report = None if report is None else ReportWriter(report, resume=resume)
        self._sums: dict[int, tuple[float, int]] = {}

    def add(self, frame: Any) -> None:
        """One `PropagatedFrame`."""
        if not self.writer.count:  # nothing is written before the model has shown that it works
            self._write_keyframes()
        for object_id, value in frame.confidence.items():
            total, count = self._sums.get(int(object_id), (0.0, 0))
            self._sums[int(object_id)] = total + float(value), count + 1
        self.writer.write(frame.index, frame.labels)
        if self._report is not None:
            self._report.add(
                frame.index,
                frame.labels,
                confidence=frame.confidence,
                consistency=frame.consistency,
                sources=frame.sources,
            )

    @property
    def confidence(self) -> dict[str, float]:
        """Mean of each object over the frames of this run, by id as text."""
        return {str(i): round(total / count, 4) for i, (total, count) in sorted(self._sums.items())}

    @contextmanager
    def kept(self, say: Any) -> Iterator[PropagationOutput]:
        """Whatever ends the run, the masks so far are listed in `frames.csv`, and a person is told."""
        try:
            yield self
        except BaseException as error:
            self._close(error, say)
            raise
        self._write_keyframes()
        self._take_over()
        self.writer.finish()

    def _close(self, error: BaseException, say: Any) -> None:
        if self._resume and self.writer.count:
            self._take_over()
        count = self.writer.count
        if count:
            self.writer.finish()
        if self._report is not None:
            self._report.close()
        if count or isinstance(error, Cancelled | KeyboardInterrupt):
            way_on = "; --resume goes on with it" if (self.writer.out / STATE_NAME).exists() else ""
            say(f"The run ended early: the masks of {count} frames are in {self.writer.out}{way_on}.")

    def finish_report(self, *, model: Any, device: str, settings: Mapping[str, Any]) -> None:
        """Write the report, if one was asked for. model: with name, hash and trained."""
        if self._report is None:
            return
        source, ids = self._source, sorted({int(i) for m in self._keyframes.values() for i in np.unique(m)})
        ids = [i for i in ids if i]
        self._report.finish(
            {
                "source": {
                    "path": str(source.path),
                    "fingerprint": source.fingerprint(),
                    "frames": len(source),
                    "size": [int(side) for side in source.size],
                },
                "model": {"name": model.name, "hash": model.hash, "trained": model.trained},
                "device": device,
                "settings": dict(settings),
                "seed": 0,
                "objects": ids,
                "keyframes": sorted(int(k) for k in self._keyframes),
                "correct_next": self._correct_next(ids),
            }
        )

    def _correct_next(self, ids: list[int]) -> list[dict[str, Any]]:
        table = np.full((len(ids), len(self._source)), np.nan, np.float32)
        row_of = {i: row for row, i in enumerate(ids)}
        for row in self._report.rows():
            for entry in row["objects"]:
                table[row_of[entry["id"]], row["frame"]] = entry["confidence"]
        evidence = [ObjectEvidence(i, "", table[row]) for i, row in row_of.items()]
        return [
            {"frame": s.frame, "object": s.object_id, "gain": round(s.gain, 2), "reason": s.reason}
            for s in suggest(evidence, keyframes=self._keyframes)
        ]

    def _write_keyframes(self) -> None:
        for index, labels in self._keyframes.items():
            if not self.writer.has(index):
                self.writer.write(index, labels)

    def _take_over(self) -> None:
        """Count the masks that the run before left."""
        if self._resume:
            for index in range(len(self._source)):
                if not self.writer.has(index) and self.writer.path(index).is_file():
                    self.writer.take_over(index)
