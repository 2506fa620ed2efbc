"""Every edit a person can make, each one step on the undo stack.

This module holds those of labels and frames and re-exports the rest, so that `commands` is the one place to
look: pixels that take a while in `change_command`, objects in `object_commands`, proposals in
`proposal_commands`, propagation in `propagation_commands`, exchanging masks in `swap_command`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from smtc_app.core.annotation import Box, FrameStatus, mask_box
from smtc_app.core.change_command import ChangeLabels, DrawShape
from smtc_app.core.command import Command, Compound, as_ids, counted, quoted
from smtc_app.core.document import Document
from smtc_app.core.edit import Edit
from smtc_app.core.object_commands import (
    AddObject,
    ExtendSplit,
    MergeObjects,
    RecolourObject,
    RemoveObjects,
    RenameObject,
    ReorderObjects,
    SetObjectProperty,
    SplitObject,
)
from smtc_app.core.propagation_commands import ApplyPropagation
from smtc_app.core.proposal_commands import AcceptProposals, RejectProposals
from smtc_app.core.proposal_merging import MergeProposals
from smtc_app.core.swap_command import SwapObjects

__all__ = [
    "AcceptProposals",
    "AddObject",
    "ApplyPropagation",
    "ChangeLabels",
    "ClearObjects",
    "Command",
    "Compound",
    "DrawShape",
    "ExtendSplit",
    "LockFrames",
    "MergeObjects",
    "MergeProposals",
    "PaintStroke",
    "RecolourObject",
    "RejectProposals",
    "RemoveObjects",
    "RenameObject",
    "ReorderObjects",
    "SetKeyframe",
    "SetLabels",
    "SetObjectProperty",
    "SplitObject",
    "SwapObjects",
]


class SetLabels(Command):
    """Replace the label map of one frame (fill, polygon, grow, import, ...).

    labels   integers (H, W); every id in it must be an object
    objects  those the edit is about; None: the ones that gained pixels or, if none did, the ones that lost
             some
    box      (x0, y0, x1, y1) of all that differs from the frame's labels, for large frames; None: not known
    status   recorded for `objects` (and any other that appears); None: manual, or corrected where a machine's
             label was
    """

    def __init__(
        self,
        frame: int,
        labels: np.ndarray,
        text: str = "Edit labels",
        *,
        objects: Collection[int] | None = None,
        status: FrameStatus | None = None,
        box: Box | None = None,
    ) -> None:
        super().__init__()
        self.frame, self.text = int(frame), text
        self._labels: np.ndarray | None = labels
        self._objects, self._status, self._box = objects, status, box

    def run(self, edit: Edit) -> None:
        assert self._labels is not None
        edit.edit_labels(self.frame, self._labels, edited=self._objects, status=self._status, box=self._box)

    def do(self, document: Document) -> bool:
        done = super().do(document)
        if done:
            self._labels = None  # the document holds it now; a step keeps only what undo needs
        return done


class PaintStroke(SetLabels):
    """A finished brush or eraser stroke: `labels` is the frame with the stroke in it.

    object_id  what was painted; None for the eraser, which is then about every object that lost pixels
    """

    def __init__(
        self, frame: int, labels: np.ndarray, object_id: int | None, *, box: Box | None = None
    ) -> None:
        objects = None if object_id is None else (object_id,)
        super().__init__(frame, labels, "Erase", objects=objects, box=box)
        self._object_id = object_id

    def run(self, edit: Edit) -> None:
        if self._object_id is not None:
            self.text = f"Paint '{edit.require_object(self._object_id).name}'"
        super().run(edit)


class ClearObjects(Command):
    """Remove the pixels of objects on some frames; the objects stay."""

    def __init__(self, object_ids: int | Iterable[int], frames: Iterable[int]) -> None:
        super().__init__()
        self._ids, self._frames = as_ids(object_ids), sorted(set(frames))

    def run(self, edit: Edit) -> None:
        document = edit.document
        self.text = f"Clear {quoted(edit, self._ids)} on {counted(len(self._frames), 'frame')}"
        for frame in self._frames:
            edit.require_frame(frame)
            labels = document.labels(frame)
            gone = labels == self._ids[0]
            for object_id in self._ids[1:]:
                gone |= labels == object_id
            box = mask_box(gone)
            if box is not None:
                left = labels.copy()
                left[gone] = 0
                edit.edit_labels(frame, left, box=box)


class SetKeyframe(Command):
    """Make frames keyframes ("this is right, propagate from here"), or ordinary frames again.

    Confirming a frame turns what was propagated or stale on it into corrected, absence included, and makes
    stale what depends on those objects there. Labels do not change, so locked frames may be keyframes.
    """

    def __init__(self, frames: int | Iterable[int], on: bool) -> None:
        super().__init__()
        self._frames = sorted({frames} if isinstance(frames, int) else set(frames))
        self._on = on
        what = f"frame {self._frames[0]}" if len(self._frames) == 1 else counted(len(self._frames), "frame")
        self.text = f"Mark {what} as keyframe" if on else f"Unmark {what} as keyframe"

    def run(self, edit: Edit) -> None:
        machine = (FrameStatus.PROPAGATED, FrameStatus.STALE)
        for frame in self._frames:
            edit.require_frame(frame)
            if not self._on:
                edit.set_keyframe(frame, False)
                continue
            rows = {}
            for object_id, track in edit.document._tracks.items():
                status, _, sources = track.row(frame)
                if status in machine or (status == FrameStatus.ABSENT and sources):
                    rows[object_id] = (int(FrameStatus.CORRECTED), 0, 0)
            edit.set_rows(frame, rows)
            edit.set_keyframe(frame, True)
            for object_id in rows:
                edit.mark_stale(frame, object_id)


class LockFrames(Command):
    """Lock frames against every change of their labels, or unlock them."""

    def __init__(self, frames: int | Iterable[int], on: bool = True) -> None:
        super().__init__()
        self._frames = sorted({frames} if isinstance(frames, int) else set(frames))
        self._on = on
        what = f"frame {self._frames[0]}" if len(self._frames) == 1 else counted(len(self._frames), "frame")
        self.text = f"Lock {what}" if on else f"Unlock {what}"

    def run(self, edit: Edit) -> None:
        for frame in self._frames:
            edit.require_frame(frame)
            edit.set_locked(frame, self._on)
