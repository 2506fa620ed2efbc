"""Masks that were made elsewhere enter the document here, a whole folder of them as one step."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from smtc_app.core.annotation import FrameStatus
from smtc_app.core.command import Command, counted
from smtc_app.core.document import Document
from smtc_app.core.edit import Edit
from smtc_app.core.mask_regions import label_ids
from smtc_app.core.object_commands import AddObject


@dataclass(frozen=True)
class ObjectHint:
    """What is known of an imported object: both may be empty."""

    name: str = ""
    category: str = ""


class ImportMask(Command):
    """Replace the labels of one frame by imported ones; ids that are new become objects.

    labels   uint16 (H, W)
    hints    {id: what new objects are called}
    run      names the import: consecutive commands of one run merge into one step

    Raises UserError on a locked frame or where it changes a locked object.
    """

    def __init__(
        self,
        frame: int,
        labels: np.ndarray,
        *,
        hints: Mapping[int, ObjectHint] | None = None,
        run: Hashable = None,
    ) -> None:
        super().__init__()
        self._frame, self._labels, self._hints, self.run_name = int(frame), labels, dict(hints or {}), run
        self._frames = 1
        self.text = "Import a mask"

    def run(self, edit: Edit) -> None:
        assert self._labels is not None
        for object_id in sorted(label_ids(self._labels) - set(edit.document.objects)):
            hint = self._hints.get(object_id, ObjectHint())
            AddObject(hint.name or None, object_id=object_id, category=hint.category).run(edit)
        edit.edit_labels(self._frame, self._labels, status=FrameStatus.MANUAL)

    def do(self, document: Document) -> bool:
        done = super().do(document)
        if done:
            self._labels = None
        return done

    def can_merge(self, other: Command) -> bool:
        return isinstance(other, ImportMask) and other.run_name == self.run_name is not None

    def merge(self, other: Command) -> None:
        super().merge(other)
        self._frames += 1
        self.text = f"Import {counted(self._frames, 'mask')}"
