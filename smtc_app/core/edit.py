"""How commands change a document: an `Edit` applies changes at once and remembers how to take them back.

It also holds the rules of editing: what is refused, which status an edit leaves, what becomes stale.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np

from smtc_app.core.annotation import ANCHORED, Box, FrameStatus, ObjectInfo, ProposalMask
from smtc_app.core.document import Document
from smtc_app.core.errors import UserError
from smtc_app.core.label_change import LabelChange, compare_labels
from smtc_app.core.mask_store import PackedMask
from smtc_app.core.operations import (
    EMPTY_ROW,
    MaskOperation,
    ObjectsOperation,
    Operation,
    Patch,
    ProposalsOperation,
    Row,
    RowOperation,
    SpanOperation,
    ToggleOperation,
    TrackOperation,
)
from smtc_app.core.track import ObjectTrack


class Edit:
    """Applies changes to `document` and records them. `finish()` gives the patch, `rollback()` takes all
    back."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._operations: list[Operation] = []

    def finish(self) -> Patch:
        return Patch(self._operations)

    def rollback(self) -> None:
        Patch(self._operations).undo(self.document)
        self._operations = []

    def _apply(self, operation: Operation) -> None:
        operation.swap(self.document)
        self._operations.append(operation)

    # Guards: the sentences people see

    def require_frame(self, frame: int) -> None:
        count = self.document.frame_count
        if not 0 <= frame < count:
            raise UserError(f"There is no frame {frame}: the video has frames 0 to {count - 1}.")

    def require_unlocked_frames(self, frames: Iterable[int]) -> None:
        locked = sorted(self.document._locked.intersection(frames))
        if locked:
            shown = ", ".join(str(frame) for frame in locked[:3]) + (", ..." if len(locked) > 3 else "")
            noun, verb = ("Frame", "is") if len(locked) == 1 else ("Frames", "are")
            raise UserError(f"{noun} {shown} {verb} locked: unlock before changing labels there.")

    def require_object(self, object_id: int) -> ObjectInfo:
        info = self.document._objects.get(object_id)
        if info is None:
            raise UserError(
                f"There is no object {object_id} (it may have been deleted): choose another object."
            )
        return info

    def require_unlocked_objects(self, object_ids: Iterable[int]) -> None:
        for object_id in object_ids:
            info = self.document._objects.get(object_id)
            if info is not None and info.locked:
                raise UserError(f"The object '{info.name}' is locked: unlock it before changing it.")

    # Labels

    def edit_labels(
        self,
        frame: int,
        labels: np.ndarray,
        *,
        edited: Collection[int] | None = None,
        status: FrameStatus | None = None,
        stale_from: int = 0,
        box: Box | None = None,
    ) -> None:
        """A person's edit of one frame, with everything that follows from it.

        `edited` are the objects the edit is about; None means those that gained pixels or, if none did, those
        that lost some. Their status becomes `status`, or when None: manual where they were absent or manual,
        else corrected; the frame becomes a keyframe; their stale spans are marked, from `stale_from` on.
        Other objects that lost pixels keep their status, or become absent with their last pixel. `box` says
        that nothing outside of it differs.

        Raises UserError on a locked frame, a locked object, or an id without an object.
        """
        document = self.document
        self.require_frame(frame)
        labels = document.store.checked(labels)
        change = compare_labels(document.store, document.labels(frame), labels, edited=edited or (), box=box)
        if change is not None:
            self.take_change(frame, change, edited=edited, status=status, stale_from=stale_from)

    def take_change(
        self,
        frame: int,
        change: LabelChange,
        *,
        edited: Collection[int] | None = None,
        status: FrameStatus | None = None,
        stale_from: int = 0,
    ) -> None:
        """`edit_labels` with what `compare_labels` has found for the frame's labels as they are now, and for
        the same `edited`."""
        document = self.document
        self.require_frame(frame)
        self.require_unlocked_frames((frame,))
        gained, lost = change.gained, change.lost
        for object_id in gained:
            self.require_object(object_id)
        self.require_unlocked_objects(sorted({*gained, *lost}))
        if edited is None:
            edited = gained or lost
        edited = [object_id for object_id in edited if object_id in document._objects]

        self.set_mask(frame, change.mask, objects=tuple(sorted({*gained, *lost, *edited})))
        rows: dict[int, Row] = {}
        for object_id in edited:
            old = FrameStatus(int(document._tracks[object_id].status[frame]))
            rows[object_id] = (int(_edited_status(old, object_id not in change.gone, status)), 0, 0)
        for object_id in {*gained, *lost}.difference(edited).intersection(document._objects):
            row = document._tracks[object_id].row(frame)
            if object_id not in change.gone and row[0] == FrameStatus.ABSENT:
                rows[object_id] = (int(status or FrameStatus.MANUAL), 0, 0)
            elif object_id in change.gone and row[0] != FrameStatus.ABSENT:
                rows[object_id] = EMPTY_ROW
        self.set_rows(frame, rows)
        for object_id in edited:
            self.mark_stale(frame, object_id, first=stale_from)
        self._keep_keyframe(frame)

    def _keep_keyframe(self, frame: int) -> None:
        """An edited frame is a keyframe while some object is anchored there or it shows any label."""
        document = self.document
        anchored = any(track.status[frame] in ANCHORED for track in document._tracks.values())
        if anchored:
            self.set_keyframe(frame, True)
        elif frame not in document._masks:
            self.set_keyframe(frame, False)

    def mark_stale(self, frame: int, object_id: int, *, first: int = 0) -> None:
        """Make stale what depends on an object's labels on `frame`, up to the neighbouring anchors.

        Frames before `first` are left as they are.

        Between the object's anchors around `frame`, a propagated frame (or one where propagation found
        nothing) depends on `frame` when it came from it, or when it is nearer to it than to any keyframe it
        came from. Locked frames stay.
        """
        document = self.document
        track = document._tracks[object_id]
        if not track.sources.any():
            return
        anchors = document.anchors(object_id)
        before, after = anchors[anchors < frame], anchors[anchors > frame]
        start = max(first, int(before[-1]) + 1 if before.size else 0)
        stop = int(after[0]) if after.size else document.frame_count
        if start >= stop:
            return
        status, sources = track.status[start:stop], track.sources[start:stop]
        candidates = np.flatnonzero(
            (sources != 0) & ((status == FrameStatus.PROPAGATED) | (status == FrameStatus.ABSENT))
        )
        if not candidates.size:
            return
        stale = np.zeros(candidates.size, bool)
        for index in np.unique(sources[candidates]):
            of_index = np.flatnonzero(sources[candidates] == index)
            origin = np.asarray(document._source_table[index], np.int64)
            frames = candidates[of_index] + start
            if frame in origin:
                stale[of_index] = True
            else:
                nearest = np.abs(frames[:, None] - origin[None, :]).min(axis=1)
                stale[of_index] = np.abs(frames - frame) < nearest
        if document._locked:
            stale &= ~np.isin(candidates + start, list(document._locked))
        chosen = candidates[stale]
        if chosen.size:
            low, high = int(chosen[0]), int(chosen[-1]) + 1
            statuses = status[low:high].copy()
            statuses[chosen - low] = FrameStatus.STALE
            self._apply(SpanOperation(object_id, start + low, statuses))

    def set_mask(self, frame: int, mask: PackedMask | None, *, objects: tuple[int, ...] = ()) -> None:
        """Replace a frame's mask; `objects` are those whose pixels a person changed (for `edited_since`)."""
        if self.document._masks.get(frame) is not mask:
            self._apply(MaskOperation(frame, mask, objects))

    def set_rows(self, frame: int, rows: dict[int, Row]) -> None:
        """Status, confidence and sources of objects on a frame, as stored."""
        tracks = self.document._tracks
        rows = {object_id: row for object_id, row in rows.items() if tracks[object_id].row(frame) != row}
        if rows:
            self._apply(RowOperation(frame, tuple(rows), tuple(rows.values())))

    def set_track(self, object_id: int, track: ObjectTrack | None) -> None:
        self._apply(TrackOperation(object_id, track))

    # Objects, frames, proposals

    def set_objects(self, objects: Sequence[ObjectInfo]) -> None:
        """The whole list in its order; objects that are new get a track, those that go lose theirs."""
        document = self.document
        new, old = {info.id: info for info in objects}, document._objects
        if len(new) != len(objects):
            raise ValueError("two objects with one id")
        if list(new.items()) == list(old.items()):
            return
        ids = {*new, *old}
        touched = tuple(i for i in ids if new.get(i) != old.get(i)) or tuple(new)
        removed, added = [i for i in old if i not in new], [i for i in new if i not in old]
        for object_id in added:
            self.set_track(object_id, ObjectTrack(document.frame_count))
        self._apply(ObjectsOperation(tuple(objects), touched))
        for object_id in removed:
            self.set_track(object_id, None)

    def update_object(self, object_id: int, change: Callable[[ObjectInfo], ObjectInfo]) -> None:
        self.require_object(object_id)
        objects = self.document._objects.values()
        self.set_objects([change(info) if info.id == object_id else info for info in objects])

    def set_keyframe(self, frame: int, on: bool) -> None:
        if (frame in self.document._keyframes) != on:
            self._apply(ToggleOperation("keyframes", frame))

    def set_locked(self, frame: int, on: bool) -> None:
        if (frame in self.document._locked) != on:
            self._apply(ToggleOperation("locked", frame))

    def set_proposals(self, frame: int, proposals: Sequence[ProposalMask]) -> None:
        if tuple(proposals) != self.document._proposals.get(frame, ()):
            self._apply(ProposalsOperation(frame, tuple(proposals)))


def _edited_status(old: FrameStatus, present: bool, status: FrameStatus | None) -> FrameStatus:
    if not present:
        # Erasing one's own drawing leaves nothing; erasing the machine's says "it is not here", which must
        # hold.
        own = old in (FrameStatus.ABSENT, FrameStatus.MANUAL, FrameStatus.PROPOSED)
        return FrameStatus.ABSENT if own else FrameStatus.CORRECTED
    if status is not None:
        return status
    return FrameStatus.MANUAL if old in (FrameStatus.ABSENT, FrameStatus.MANUAL) else FrameStatus.CORRECTED
