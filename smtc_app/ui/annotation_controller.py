"""Turns what a person does on the canvas and in the list of objects into commands on the document.

Painting on a frame makes it a keyframe (the document sees to that): who corrects a frame means it to count.
Brush, fill and polygon paint the active object, a new one when there is none; they never touch locked
objects.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial

import numpy as np
from PySide6.QtCore import QObject, Signal

from smtc_app.core import commands, mask_ops
from smtc_app.core.command import counted
from smtc_app.core.document import Document
from smtc_app.core.errors import UserError
from smtc_app.core.frame_regions import FrameRegions
from smtc_app.core.mask_regions import label_ids
from smtc_app.core.ordering import dropped, moved
from smtc_app.ui import mask_edits, no_effect
from smtc_app.ui.long_edit import LongEdits
from smtc_app.ui.session import Session
from smtc_app.ui.tools import Drawn

logger = logging.getLogger(__name__)

REFINED_AT_ONCE_PX = 1 << 19
"""Frames up to this size, a little more than 854x480, are refined for one object without a worker."""
SMOOTHED_AT_ONCE_PX = 1 << 17
"""Smoothing takes its time for every part of an object."""


class AnnotationController(QObject):
    """Signals:
    told: a sentence about something that had no effect, and why.
    drawn: None; a shape that was being worked out is done, or will not be.
    """

    told = Signal(object)
    drawn = Signal(object)

    def __init__(self, session: Session, edits: LongEdits, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._edits = session, edits
        self._drawing = 0
        self.fill_tolerance = mask_ops.FILL_TOLERANCE
        """How much a colour may differ in any channel, 0..255, and still be filled."""

    @property
    def drawing(self) -> bool:
        """Whether a shape is still being worked out."""
        return self._drawing > 0

    # Painting

    def paint(self, points: Sequence[mask_ops.Point], radius_px: float, drawn: Drawn | None = None) -> None:
        """A brush stroke of the active object through `points` (x, y), `drawn` if it was shown already."""
        session, target = self._session, self._target()
        if target is None:
            return
        document, change = session.document, partial(mask_edits.stroke, points, radius_px, drawn)
        before = document.labels(session.frame)
        edited = change(before, target, document.locked_objects)
        if edited.box is None:
            self._tell_not_painted(change, target, before)
            return
        step: commands.Command = commands.PaintStroke(session.frame, edited.labels, target, box=edited.box)
        if target not in document.objects:
            step = commands.Compound(
                [commands.AddObject(object_id=target), step], f"Paint new object {target}"
            )
        if session.push(step):
            session.select((target,))
            self._tell_hidden(before, edited, target)

    def erase(self, points: Sequence[mask_ops.Point], radius_px: float, drawn: Drawn | None = None) -> None:
        """An eraser stroke: removes whatever is not locked."""
        session, document = self._session, self._session.document
        if document is None:
            return
        before = document.labels(session.frame)
        edited = mask_edits.stroke(points, radius_px, drawn, before, 0, document.locked_objects)
        if edited.box is None:
            under = mask_edits.labels_under(before, partial(mask_edits.stroke, points, radius_px, None))
            self.told.emit(no_effect.why_not_erased(under, self._locked_names(under)))
        elif session.push(commands.PaintStroke(session.frame, edited.labels, None, box=edited.box)):
            self._tell_hidden(before, edited, None)

    def fill_polygon(self, points: Sequence[mask_ops.Point]) -> None:
        """Give the inside of a polygon with corners (x, y) to the active object."""
        self._draw(partial(mask_edits.polygon, points), "Polygon")

    def flood_fill(self, x: int, y: int) -> None:
        """Give what is connected to the point, of its label and about its colour, to the active object."""
        image, tolerance = self._session.pixels, self.fill_tolerance
        self._draw(partial(mask_edits.flood, (x, y), image, tolerance), "Fill")

    def take_region(self, regions: FrameRegions, points: Sequence[tuple[int, int]], step: int) -> None:
        """Give what belongs together at pixels (x, y), `step` steps more than usual, to the active object."""
        self._draw(partial(mask_edits.region, regions, points, step), "Region")

    def erase_region(self, regions: FrameRegions, points: Sequence[tuple[int, int]], step: int) -> None:
        """Take what belongs together at pixels (x, y) away from the object at the first of them."""
        session, document = self._session, self._session.document
        if document is None:
            return
        x, y = points[0]
        under = int(document.labels(session.frame)[y, x])
        locked = self._locked_names({under})
        if locked or not under:
            self.told.emit(no_effect.why_not_erased({under}, locked))
            return
        change = partial(mask_edits.shaped, partial(mask_edits.region, regions, points, step), 0)
        text = f"Erase region of '{document.objects[under].name}'"
        command = commands.ChangeLabels(session.frame, change, text, objects=(under,))
        self._edits.push(command, text, lambda: None)

    def _target(self) -> int | None:
        """The object to paint, which may not exist yet; None where nothing can be painted, which is told."""
        session, document = self._session, self._session.document
        if document is None:
            return None
        if session.active is None:
            return document.free_object_id()
        info = document.objects[session.active]
        if info.locked:
            session.failed.emit(f"The object '{info.name}' is locked: unlock it to paint it.")
            return None
        return session.active

    def _draw(self, change: mask_edits.Change, text: str) -> None:
        """Give a shape to the active object; on large frames a worker finds out which pixels change."""
        session, target = self._session, self._target()
        if target is None:
            return
        document, frame = session.document, session.frame
        before = document.labels(frame)
        known = document.objects.get(target)
        name = f"{text} '{known.name}'" if known is not None else f"Paint new object {target}"
        function = partial(mask_edits.shaped, change, target)
        command = commands.DrawShape(frame, function, name, target=target, new=known is None)

        def end() -> None:
            self._drawing -= 1
            self.drawn.emit(None)

        def then() -> None:
            end()
            if not command.changed:
                self._tell_not_painted(change, target, before, filling=text == "Fill")
                return
            session.select((target,))
            height, width = before.shape
            self._tell_hidden(before, mask_ops.Edited(document.labels(frame), (0, 0, width, height)), target)

        self._drawing += 1
        self._edits.push(command, command.text, then, or_else=end)

    def _tell_not_painted(
        self, change: mask_edits.Change, target: int, before: np.ndarray, *, filling: bool = False
    ) -> None:
        known = self._session.document.objects.get(target)
        name = known.name if known is not None else f"object {target}"
        under = mask_edits.labels_under(before, change)
        self.told.emit(no_effect.why_not_painted(under, name, self._locked_names(under), filling=filling))

    def _locked_names(self, ids: Collection[int]) -> list[str]:
        document = self._session.document
        return no_effect.names_of(document.locked_objects.intersection(ids), document.objects)

    def _tell_hidden(self, before: np.ndarray, edited: mask_ops.Edited, target: int | None) -> None:
        """Say it when objects have changed that nobody sees."""
        objects = self._session.document.objects
        hidden = self._session.hidden_ids() | {info.id for info in objects.values() if not info.visible}
        if not hidden:
            return
        x0, y0, x1, y1 = edited.box
        was, now = before[y0:y1, x0:x1], edited.labels[y0:y1, x0:x1]
        lost = no_effect.names_of(hidden.intersection(np.unique(was[was != now]).tolist()), objects)
        painted = objects[target].name if target in hidden else None
        if painted is not None or lost:
            self.told.emit(no_effect.what_is_hidden(painted, lost))

    # Objects

    def pick(self, x: int, y: int, *, extend: bool = False) -> None:
        """Select the object under the point; `extend` adds it to the selection or takes it out."""
        session, document = self._session, self._session.document
        if document is None:
            return
        object_id = int(document.labels(session.frame)[y, x])
        if object_id not in document.objects:
            if not extend and session.selection:
                session.select(())
            else:
                self.told.emit("There is no object at this place: click on a mask to select its object.")
            return
        if not extend:
            session.select((object_id,))
        elif object_id in session.selection:
            session.select([i for i in session.selection if i != object_id])
        else:
            session.select((*session.selection, object_id))

    def new_object(self) -> None:
        """Add an object and select it."""
        command = commands.AddObject()
        if self._session.push(command):
            self._session.select((command.object_id,))

    def delete(self) -> None:
        """Delete the selection on every frame; what stood next in the list is selected then."""
        document, chosen = self._document_and_selection(1, "Select the objects to delete.")
        if document is None:
            return
        ids = list(document.objects)
        position = ids.index(chosen[0])
        if self._session.push(commands.RemoveObjects(chosen)):
            left = list(document.objects)
            self._session.select(left[min(position, len(left) - 1) :][:1] if left else ())

    def clear_here(self) -> None:
        """Erase the selection from this frame."""
        document, chosen = self._document_and_selection(1, "Select the objects to erase from this frame.")
        if document is None:
            return
        frame = self._session.frame
        if any(document.area(frame, object_id) for object_id in chosen):
            self._session.push(commands.ClearObjects(chosen, (frame,)))
        else:
            self.told.emit("There is nothing to erase: none of the selected objects is on this frame.")

    def rename(self, object_id: int, name: str) -> None:
        """Name an object."""
        try:
            command = commands.RenameObject(object_id, name)
        except UserError as error:
            self._session.failed.emit(str(error))
            return
        self._session.push(command)

    def recolour(self, ids: Sequence[int], colour: tuple[int, int, int]) -> None:
        """Give objects a colour."""
        self._session.push(commands.RecolourObject(ids, colour))

    def categorise(self, ids: Sequence[int], category: str) -> None:
        """Give objects a category."""
        self._session.push(commands.SetObjectProperty(ids, category=" ".join(category.split())))

    def toggle_visible(self, ids: Sequence[int]) -> None:
        """Hide objects when all of them are shown, else show them."""
        self._toggle(ids, "visible")

    def toggle_locked(self, ids: Sequence[int]) -> None:
        """Unlock objects when all of them are locked, else lock them."""
        self._toggle(ids, "locked")

    def _toggle(self, ids: Sequence[int], key: str) -> None:
        document = self._session.document
        if document is None or not ids:
            self.told.emit("Select an object first.")
            return
        on = not all(getattr(document.objects[i], key) for i in ids)
        self._session.push(commands.SetObjectProperty(ids, **{key: on}))

    def move(self, by: int) -> None:
        """Move the selected objects up (-1) or down (1) in the list."""
        document, chosen = self._document_and_selection(1, "Select the objects to move.")
        if document is not None:
            self._reorder(moved(list(document.objects), chosen, by))

    def drop_at(self, ids: Sequence[int], row: int) -> None:
        """Put objects before the one at `row` of the list (its length: at the end)."""
        document = self._session.document
        if document is not None:
            self._reorder(dropped(list(document.objects), ids, row))

    def _reorder(self, order: Sequence[int]) -> None:
        if list(order) != list(self._session.document.objects):
            self._session.push(commands.ReorderObjects(order))

    def select_number(self, number: int) -> None:
        """Select object `number`."""
        document = self._session.document
        if document is None:
            return
        if number in document.objects:
            self._session.select((number,))
        else:
            self.told.emit(f"There is no object {number}.")

    # Masks and frames

    def refine(self, what: str) -> None:
        """Fill holes, remove specks, grow or shrink the selection on this frame."""
        document, chosen = self._document_and_selection(1, "Select an object first.")
        if document is None:
            return
        frame, text = self._session.frame, mask_edits.REFINEMENTS[what][0]
        names = f"'{document.objects[chosen[0]].name}'" if len(chosen) == 1 else f"{len(chosen)} objects"
        present = any(document.area(frame, object_id) for object_id in chosen)
        locked = self._locked_names(chosen)
        if len(locked) == len(chosen):
            self.told.emit(no_effect.why_locked(locked))
        elif not present:
            self.told.emit(f"{text} {names}: not on this frame.")
        else:
            change = partial(mask_edits.refined, what, chosen)
            command = commands.ChangeLabels(frame, change, f"{text} {names}", objects=chosen)

            def then() -> None:
                if not command.changed:
                    self.told.emit(f"{text} {names}: nothing to change on this frame.")

            at_once_px = SMOOTHED_AT_ONCE_PX if what == "smooth" else REFINED_AT_ONCE_PX
            self._edits.push(command, command.text, then, at_once_px=at_once_px // len(chosen))

    # What would come of it

    def refinement_of(self, what: str) -> Callable[[], np.ndarray] | None:
        """Gives the labels that `refine` would give, in any thread; None where there is nothing selected."""
        session, document = self._session, self._session.document
        if document is None or not session.selection:
            return None
        labels = document.labels(session.frame)
        return partial(mask_edits.refined, what, session.selection, labels, document.locked_objects)

    def region_of(
        self, regions: FrameRegions, points: Sequence[tuple[int, int]], step: int, *, erasing: bool
    ) -> Callable[[], np.ndarray] | None:
        """Gives the labels that `take_region` or `erase_region` would give, in any thread; None where
        nothing is open."""
        return self._shape_of(partial(mask_edits.region, regions, points, step), erasing=erasing)

    def fill_of(self, x: int, y: int) -> Callable[[], np.ndarray] | None:
        """Gives the labels that `flood_fill` would give, in any thread; None where nothing can be filled."""
        pixels = self._session.pixels
        if pixels is None:
            return None
        return self._shape_of(partial(mask_edits.flood, (x, y), pixels, self.fill_tolerance))

    def _shape_of(
        self, change: mask_edits.Change, *, erasing: bool = False
    ) -> Callable[[], np.ndarray] | None:
        session, document = self._session, self._session.document
        if document is None:
            return None
        target = 0
        if not erasing:
            target = session.active if session.active is not None else document.free_object_id()
        labels, locked = document.labels(session.frame), document.locked_objects
        return partial(mask_edits.shaped, change, target, labels, locked)

    def set_keyframe(self, on: bool) -> None:
        """Mark this frame as a keyframe, or as none."""
        if self._session.document is not None:
            self._session.push(commands.SetKeyframe(self._session.frame, on))

    def lock_frame(self, on: bool) -> None:
        """Lock or unlock this frame."""
        if self._session.document is not None:
            self._session.push(commands.LockFrames((self._session.frame,), on))

    def import_labels(self, labels: np.ndarray, name: str, frame: int) -> None:
        """Take a label map over for a frame, and say what came of it; ids that are new become objects."""
        session, document = self._session, self._session.document
        if document is None:
            return
        ids, before = sorted(label_ids(labels)), document.labels(frame)
        new = [i for i in ids if i not in document.objects]
        steps: list[commands.Command] = [commands.AddObject(object_id=i) for i in new]
        steps.append(commands.SetLabels(frame, labels, f"Import {name}"))
        if not session.push(commands.Compound(steps, f"Import {name}")):
            return
        if new:
            session.select(new[:1])
        if document.labels(frame) is before:
            what = "it is empty" if not ids else "it has the same labels"
            self.told.emit(f"{name} changes nothing on frame {frame}: {what}.")
        else:
            self.told.emit(f"Imported {name}: {counted(len(ids), 'object')} on frame {frame}.")

    def _document_and_selection(self, least: int, otherwise: str) -> tuple[Document | None, tuple[int, ...]]:
        document, chosen = self._session.document, self._session.selection
        if document is None:
            return None, ()
        if len(chosen) < least:
            self.told.emit(otherwise)
            return None, ()
        return document, chosen
