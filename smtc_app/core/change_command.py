"""Edits of one frame whose pixels take a while: worked out ahead, in any thread (`label_change`)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from smtc_app.core.command import Command, as_ids
from smtc_app.core.document import Document
from smtc_app.core.edit import Edit
from smtc_app.core.label_change import LabelChange, compare_labels
from smtc_app.core.mask_store import MaskStore, PackedMask
from smtc_app.core.object_commands import AddObject

LabelsFunction = Callable[[np.ndarray, Collection[int]], np.ndarray]
"""(labels uint16 (H, W), ids that are locked) -> the labels after an edit; pure."""


@dataclass(frozen=True)
class ChangePart:
    """The pixels of an edit of one frame; `compute` may run in any thread.

    before   the frame's labels, None where there are none
    objects  those the edit is about
    locked   objects that keep their pixels
    """

    store: MaskStore
    before: PackedMask | None
    function: LabelsFunction
    objects: tuple[int, ...]
    locked: frozenset[int]

    def compute(self) -> LabelChange | None:
        """The change of the frame's labels; None where there is none."""
        before = self.store.empty if self.before is None else self.before.labels()
        return compare_labels(self.store, before, self.function(before, self.locked), edited=self.objects)


class ChangeLabels(Command):
    """What a function makes of a frame's labels (smooth, grow, fill holes, ...), for some objects.

    `changed` tells after `do` whether it made any difference. The pixels can be worked out ahead:
    `take(part, part.compute())` for each of `parts`; when the frame has changed by the time of `do` they are
    worked out again.
    """

    def __init__(self, frame: int, function: LabelsFunction, text: str, *, objects: Collection[int]) -> None:
        super().__init__()
        self.frame, self.text = int(frame), text
        self._function, self._objects = function, as_ids(objects)
        self._computed: dict[ChangePart, LabelChange | None] = {}
        self.changed = False

    def parts(self, document: Document) -> tuple[ChangePart, ...]:
        """What there is to work out. Raises UserError for what `do` would refuse."""
        edit = Edit(document)
        edit.require_frame(self.frame)
        edit.require_unlocked_frames((self.frame,))
        return (
            ChangePart(
                document.store,
                document.packed(self.frame),
                self._function,
                self._objects,
                document.locked_objects,
            ),
        )

    def take(self, part: ChangePart, change: LabelChange | None) -> None:
        """Use what `part.compute()` gave, should the part still be the same when the command is done."""
        self._computed[part] = change

    def run(self, edit: Edit) -> None:
        for part in self.parts(edit.document):
            change = self._computed[part] if part in self._computed else part.compute()
            if change is not None:
                self.apply(edit, change)
                self.changed = True
        self._computed.clear()

    def apply(self, edit: Edit, change: LabelChange) -> None:
        """Change the frame."""
        edit.take_change(self.frame, change, edited=self._objects)


class DrawShape(ChangeLabels):
    """What a function gives to one object on a frame; a `new` object is made by the step."""

    def __init__(
        self, frame: int, function: LabelsFunction, text: str, *, target: int, new: bool = False
    ) -> None:
        super().__init__(frame, function, text, objects=(target,))
        self.target, self._new = target, new

    def parts(self, document: Document) -> tuple[ChangePart, ...]:
        """As `ChangeLabels.parts`; an object that is not new and has been deleted since is refused, too."""
        if not self._new:
            Edit(document).require_object(self.target)
        return super().parts(document)

    def apply(self, edit: Edit, change: LabelChange) -> None:
        """Change the frame, and the list of objects before if need be."""
        if self.target not in edit.document.objects:
            AddObject(object_id=self.target).run(edit)
        super().apply(edit, change)
