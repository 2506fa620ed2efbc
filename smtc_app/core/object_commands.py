"""Commands on the list of objects: add, remove, name, colour, flags, order, merge, split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from smtc_app.core.annotation import MAX_OBJECT_ID, Colour, FrameStatus, ObjectInfo
from smtc_app.core.command import Command, as_ids, counted, quoted
from smtc_app.core.document import Document
from smtc_app.core.edit import Edit
from smtc_app.core.errors import UserError
from smtc_app.core.palette import object_colour, object_name, unused_name
from smtc_app.core.track import FIELDS


class AddObject(Command):
    """A new object at the end of the list; `object_id` is known after `do`.

    None for `object_id`, `name` or `colour`: the next id, "object N", the palette's colour.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        object_id: int | None = None,
        category: str = "",
        colour: Colour | None = None,
    ) -> None:
        super().__init__()
        self.object_id = object_id
        self._name, self._category, self._colour = name, category, colour

    def run(self, edit: Edit) -> None:
        document = edit.document
        object_id = document.free_object_id() if self.object_id is None else int(self.object_id)
        if not 1 <= object_id <= MAX_OBJECT_ID:
            raise UserError(f"{object_id} is no object number: use 1 to {MAX_OBJECT_ID}.")
        if object_id in document.objects:
            raise UserError(f"There already is an object {object_id}: choose another number.")
        taken = {info.name for info in document.objects.values()}
        name = _clean_name(self._name) if self._name is not None else object_name(object_id, taken)
        info = ObjectInfo(object_id, name, self._category, self._colour or object_colour(object_id))
        edit.set_objects([*document.objects.values(), info])
        self.object_id = object_id
        self.text = f"Add '{name}'"


class RemoveObjects(Command):
    """Delete objects with all their pixels on all frames.

    Raises UserError for a locked object, or one with pixels on a locked frame.
    """

    def __init__(self, object_ids: int | Iterable[int]) -> None:
        super().__init__()
        self._ids = as_ids(object_ids)

    def run(self, edit: Edit) -> None:
        self.text = f"Delete {quoted(edit, self._ids)}"
        edit.require_unlocked_objects(self._ids)
        _relabel_everywhere(edit, dict.fromkeys(self._ids, 0))
        edit.set_objects([info for info in edit.document.objects.values() if info.id not in self._ids])


class RenameObject(Command):
    def __init__(self, object_id: int, name: str) -> None:
        super().__init__()
        self._id, self._name = object_id, _clean_name(name)

    def run(self, edit: Edit) -> None:
        old = edit.require_object(self._id).name
        self.text = f"Rename '{old}' to '{self._name}'"
        edit.update_object(self._id, lambda info: info.with_(name=self._name))


class RecolourObject(Command):
    """Give objects a colour (RGB 0..255); None is the palette's."""

    def __init__(self, object_ids: int | Iterable[int], colour: Colour | None) -> None:
        super().__init__()
        if colour is not None and (len(colour) != 3 or not all(0 <= int(value) <= 255 for value in colour)):
            raise ValueError(f"colour must be three values 0..255, got {colour}")
        self._ids = as_ids(object_ids)
        self._colour = None if colour is None else tuple(int(value) for value in colour)

    def run(self, edit: Edit) -> None:
        self.text = f"Recolour {quoted(edit, self._ids)}"
        for object_id in self._ids:
            colour = self._colour or object_colour(object_id)
            edit.update_object(object_id, lambda info, colour=colour: info.with_(colour=colour))


class SetObjectProperty(Command):
    """Show or hide, lock or unlock, or categorise objects; None leaves a property alone."""

    def __init__(
        self,
        object_ids: int | Iterable[int],
        *,
        visible: bool | None = None,
        locked: bool | None = None,
        category: str | None = None,
    ) -> None:
        super().__init__()
        self._ids = as_ids(object_ids)
        given = {"visible": visible, "locked": locked, "category": category}
        self._changes = {key: value for key, value in given.items() if value is not None}
        if len(self._changes) != 1:
            raise ValueError(f"give exactly one of visible, locked, category; got {sorted(self._changes)}")

    def run(self, edit: Edit) -> None:
        (key, value), what = next(iter(self._changes.items())), quoted(edit, self._ids)
        verbs = {("visible", True): "Show", ("visible", False): "Hide", ("locked", True): "Lock"}
        verb = "Categorise" if key == "category" else verbs.get((key, value), "Unlock")
        self.text = f"{verb} {what}"
        for object_id in self._ids:
            edit.update_object(object_id, lambda info: info.with_(**self._changes))


class ReorderObjects(Command):
    """Put the list in the given order of ids; ids not named follow in their old order."""

    text = "Reorder objects"

    def __init__(self, order: Iterable[int]) -> None:
        super().__init__()
        self._order = as_ids(order)

    def run(self, edit: Edit) -> None:
        objects = dict(edit.document.objects)
        first = [edit.require_object(object_id) for object_id in self._order]
        rest = [info for object_id, info in objects.items() if object_id not in self._order]
        edit.set_objects([*first, *rest])


class MergeObjects(Command):
    """Turn objects into `target` on all frames and remove them, or, with `frames`, only move their pixels
    there.

    On all frames it is a relabelling: the better status of the two holds and nothing becomes stale. On some
    frames it is an edit of `target` and of the objects there.
    """

    def __init__(
        self, object_ids: int | Iterable[int], target: int, *, frames: Iterable[int] | None = None
    ) -> None:
        super().__init__()
        self._ids = tuple(object_id for object_id in as_ids(object_ids) if object_id != target)
        self._target = int(target)
        self._frames = None if frames is None else sorted(set(frames))

    def run(self, edit: Edit) -> None:
        if not self._ids:
            raise UserError("Merging takes at least two objects: select another one too.")
        info = edit.require_object(self._target)
        self.text = f"Merge {quoted(edit, self._ids)} into '{info.name}'"
        if self._frames is not None:
            one = len(self._frames) == 1
            self.text += f" on {f'frame {self._frames[0]}' if one else counted(len(self._frames), 'frame')}"
        edit.require_unlocked_objects((*self._ids, self._target))
        if self._frames is None:
            self._merge_everywhere(edit)
        else:
            for frame in self._frames:
                edit.require_frame(frame)
                labels = edit.document.labels(frame)
                moved = np.isin(labels, self._ids)
                merged = np.where(moved, np.uint16(self._target), labels)
                edit.edit_labels(frame, merged, edited=(*self._ids, self._target) if moved.any() else None)

    def _merge_everywhere(self, edit: Edit) -> None:
        document = edit.document
        _relabel_everywhere(edit, dict.fromkeys(self._ids, self._target))
        # What a person stands behind wins over what the machine made, stale over up to date.
        rank = np.zeros(256, np.uint8)
        order = ("ABSENT", "PROPAGATED", "STALE", "PROPOSED", "MANUAL", "CORRECTED")
        rank[[FrameStatus[name] for name in order]] = range(len(order))
        track = document._track(self._target).copy()
        for object_id in self._ids:
            other = document._track(object_id)
            better = rank[other.status] > rank[track.status]
            for field in FIELDS:
                mine = getattr(track, field)
                mine[better] = getattr(other, field)[better]
        edit.set_track(self._target, track)
        edit.set_objects([info for info in document.objects.values() if info.id not in self._ids])


class SplitObject(Command):
    """Cut an object into parts: the first mask keeps the id, every further one becomes a new object.

    masks  bool (H, W) each, on `frame`; pixels in none of them keep the id; masks without any are left out
    also   {frame: masks} for further frames, part k there being the same thing as part k here
    `object_ids` are the ids of the parts after `do`. `ExtendSplit` carries it on to more frames, as one step.
    """

    def __init__(
        self,
        frame: int,
        object_id: int,
        masks: Sequence[np.ndarray],
        *,
        also: Mapping[int, Sequence[np.ndarray]] | None = None,
    ) -> None:
        super().__init__()
        self._id = object_id
        self._masks = {
            int(frame): tuple(masks),
            **{int(key): tuple(value) for key, value in (also or {}).items()},
        }
        self.object_ids: tuple[int, ...] = ()
        self.status_before = np.zeros(0, np.uint8)
        """Of the object on every frame, before the split made others stale."""

    @property
    def object_id(self) -> int:
        """The object that was split, now its first part."""
        return self._id

    def can_merge(self, other: Command) -> bool:
        return isinstance(other, ExtendSplit) and other.split is self

    def run(self, edit: Edit) -> None:
        document, info = edit.document, edit.require_object(self._id)
        self.status_before = document.status_array(self._id).copy()
        parts: dict[int, list[np.ndarray]] = {}
        for frame, masks in self._masks.items():
            edit.require_frame(frame)
            mine = document.labels(frame) == self._id
            parts[frame] = [mine & np.asarray(mask, bool) for mask in masks]
        count = max(len(masks) for masks in parts.values())
        used = [k for k in range(count) if any(k < len(p) and p[k].any() for p in parts.values())]
        if len(used) < 2:
            raise UserError(f"'{info.name}' has only one part here: there is nothing to split.")
        edit.require_unlocked_objects((self._id,))
        self.text = f"Split '{info.name}' into {counted(len(used), 'part')}"
        ids = {used[0]: self._id, **{k: self._add_part(edit, info) for k in used[1:]}}
        for frame, masks in parts.items():
            labels = np.array(document.labels(frame))
            # The first mask last: where parts overlap the original keeps the pixel.
            for k, mask in reversed(list(enumerate(masks))):
                if k in ids:
                    labels[mask] = ids[k]
            here = {ids[k] for k, mask in enumerate(masks) if mask.any()}
            edit.edit_labels(frame, labels, edited=sorted({self._id, *here}))
        self.object_ids = tuple(ids.values())

    @staticmethod
    def _add_part(edit: Edit, info: ObjectInfo) -> int:
        document = edit.document
        object_id = document.free_object_id()
        name = unused_name(info.name, {other.name for other in document.objects.values()})
        part = ObjectInfo(object_id, name, info.category, object_colour(object_id))
        edit.set_objects([*document.objects.values(), part])
        return object_id


class ExtendSplit(Command):
    """Divide the pixels of a split object on one more frame among the parts, `labels` uint16 (H, W) of ids.

    It is a relabelling: every part keeps the status, confidence and sources that the object had there before
    the split. Pixels that `labels` gives to no part keep the object's id; locked frames are passed over.
    """

    def __init__(self, split: SplitObject, frame: int, labels: np.ndarray) -> None:
        super().__init__()
        self.split, self._frame = split, int(frame)
        self._labels: np.ndarray | None = labels

    def do(self, document: Document) -> bool:
        done = super().do(document)
        if done:
            self._labels = None
        return done

    def can_merge(self, other: Command) -> bool:
        return isinstance(other, ExtendSplit) and other.split is self.split

    def run(self, edit: Edit) -> None:
        document, frame, ids = edit.document, self._frame, self.split.object_ids
        edit.require_frame(frame)
        info = edit.require_object(self.split.object_id)
        for object_id in ids:
            edit.require_object(object_id)
        edit.require_unlocked_objects(ids)
        self.text = f"Split '{info.name}' on more frames"
        if document.is_locked(frame):
            return
        labels = np.array(document.labels(frame))
        mine = (labels == self.split.object_id) & np.isin(self._labels, ids)
        labels[mine] = self._labels[mine]
        if np.array_equal(labels, document.labels(frame)):
            return
        _, confidence, sources = document._track(self.split.object_id).row(frame)
        status = int(self.split.status_before[frame])
        present = set(np.unique(labels).tolist())
        edit.set_mask(frame, document.store.pack(labels))
        absent = (int(FrameStatus.ABSENT), 0, sources)
        edit.set_rows(frame, {i: (status, confidence, sources) if i in present else absent for i in ids})


def _relabel_everywhere(edit: Edit, mapping: dict[int, int]) -> None:
    """Replace ids on all frames that show them, without decoding one mask."""
    document = edit.document
    shown = np.zeros(document.frame_count, bool)
    for object_id in mapping:
        shown |= document._track(object_id).status != FrameStatus.ABSENT
    frames = [int(frame) for frame in np.flatnonzero(shown) if int(frame) in document._masks]
    edit.require_unlocked_frames(frames)
    kept = np.zeros(document.frame_count, bool)
    for object_id, track in document._tracks.items():
        if mapping.get(object_id, object_id) != 0:
            kept |= track.status != FrameStatus.ABSENT
    table = document.store.relabel_table(mapping)
    for frame in frames:
        handle = document.store.relabel(document._masks[frame], table) if kept[frame] else None
        edit.set_mask(frame, handle)


def _clean_name(name: str) -> str:
    name = " ".join(name.split())
    if not name:
        raise UserError("An object needs a name: type at least one letter.")
    return name
