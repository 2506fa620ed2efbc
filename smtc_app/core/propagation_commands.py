"""Propagated labels enter the document here: merged, never replacing what a person made or locked."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping

import numpy as np

from smtc_app.core.annotation import ANCHORED, FrameStatus
from smtc_app.core.command import Command, counted
from smtc_app.core.document import Document
from smtc_app.core.edit import Edit
from smtc_app.core.mask_regions import label_ids
from smtc_app.core.operations import Row
from smtc_app.core.track import encode_confidence

PropagatedLabels = tuple[int, np.ndarray, Mapping[int, float], tuple[int, ...]]


class ApplyPropagation(Command):
    """Merge propagated frames into the document.

    frames    (frame, labels uint16 (H, W), {id: confidence 0..1}, keyframes it came from), in any order
    objects   ids that were propagated; None: those in a frame's labels or confidences, and those anchored on
              its keyframes. Naming them is better: an object that vanished is then known to have vanished.
    revision  the document's revision when the run started: frames whose keyframes were edited since come in
              as stale. None: taken as up to date.
    run       names the run: consecutive commands of one run merge into one step, whatever their number, until
              `UndoStack.close_step()`

    Unchanged stay: locked frames, locked objects, objects that were not propagated, and objects on frames
    where they are manual, corrected, or anchored on a keyframe. Ids without an object are left out.
    Propagated pixels give way to those that stay.
    """

    def __init__(
        self,
        frames: Iterable[PropagatedLabels],
        *,
        objects: Collection[int] | None = None,
        revision: int | None = None,
        run: Hashable = "propagation",
    ) -> None:
        super().__init__()
        self._input: list[PropagatedLabels] | None = list(frames)
        self._objects = None if objects is None else frozenset(objects)
        self._revision, self.run_name = revision, run
        self.frames: set[int] = set()
        self._rename()

    def _rename(self) -> None:
        self.text = f"Propagate {counted(len(self.frames), 'frame')}"

    def run(self, edit: Edit) -> None:
        assert self._input is not None
        for frame, labels, confidence, sources in self._input:
            edit.require_frame(frame)
            if not edit.document.is_locked(frame):
                self._merge_frame(edit, int(frame), labels, confidence, tuple(sources))
                self.frames.add(int(frame))
        self._rename()

    def do(self, document: Document) -> bool:
        done = super().do(document)
        if done:
            self._input = None
        return done

    def can_merge(self, other: Command) -> bool:
        return isinstance(other, ApplyPropagation) and other.run_name == self.run_name

    def merge(self, other: Command) -> None:
        assert isinstance(other, ApplyPropagation)
        super().merge(other)
        self.frames |= other.frames
        self._rename()

    def _merge_frame(
        self,
        edit: Edit,
        frame: int,
        labels: np.ndarray,
        confidence: Mapping[int, float],
        sources: tuple[int, ...],
    ) -> None:
        document = edit.document
        labels = document.store.checked(labels)
        targets = [
            object_id
            for object_id in self._targets(edit, labels, confidence, sources)
            if not _stays(edit, frame, object_id)
        ]
        if not targets:
            return
        current = document.labels(frame)
        merged, present = _merged(current, labels, set(targets))
        if not np.array_equal(merged, current):
            edit.set_mask(frame, document.store.pack(merged))
        origin = document._intern_sources(sources)
        rows: dict[int, Row] = {}
        for object_id in targets:
            status = FrameStatus.PROPAGATED if object_id in present else FrameStatus.ABSENT
            if self._revision is not None and any(
                document.edited_since(source, object_id, self._revision) for source in sources
            ):
                status = FrameStatus.STALE
            rows[object_id] = (int(status), encode_confidence(confidence.get(object_id)), origin)
        edit.set_rows(frame, rows)

    def _targets(
        self, edit: Edit, labels: np.ndarray, confidence: Mapping[int, float], sources: tuple[int, ...]
    ) -> list[int]:
        document = edit.document
        if self._objects is not None:
            named = self._objects
        else:
            anchored = {
                object_id
                for object_id, track in document._tracks.items()
                if any(0 <= k < document.frame_count and track.status[k] in ANCHORED for k in sources)
            }
            named = {*label_ids(labels), *confidence, *anchored}
        return [object_id for object_id in document.objects if object_id in named]


def _merged(current: np.ndarray, labels: np.ndarray, targets: set[int]) -> tuple[np.ndarray, set[int]]:
    """The targets' pixels of `labels` around what stays of `current` (H, W); and the ids in the result.

    Works id by id, because comparing a whole map with one id takes a tenth of looking every pixel up in a
    table, and this runs in the window's thread for every propagated frame.
    """
    present = label_ids(current)
    staying = present - targets
    new = label_ids(labels)
    if not staying and new <= targets:
        return labels, new
    merged = labels.copy()
    if new - targets:
        merged[_where(labels, new - targets, new & targets)] = 0
    if staying:
        np.copyto(merged, current, where=_where(current, staying, present & targets))
    return merged, label_ids(merged)


def _where(labels: np.ndarray, ids: set[int], others: set[int]) -> np.ndarray:
    """bool (H, W): where `labels`, which holds `ids`, `others` and 0 only, is one of `ids`."""
    if len(ids) <= len(others) + 1:
        mask = np.zeros(labels.shape, bool)
        for object_id in ids:
            mask |= labels == object_id
    else:
        mask = labels != 0
        for object_id in others:
            mask &= labels != object_id
    return mask


def _stays(edit: Edit, frame: int, object_id: int) -> bool:
    document = edit.document
    if document.objects[object_id].locked:
        return True
    status = document.status(frame, object_id)
    if status in (FrameStatus.MANUAL, FrameStatus.CORRECTED):
        return True
    return status == FrameStatus.PROPOSED and frame in document._keyframes
