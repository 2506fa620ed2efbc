"""Giving two objects each other's masks: what repairs an identity switch."""

from __future__ import annotations

import numpy as np

from smtc_app.core.annotation import FrameStatus
from smtc_app.core.command import Command, counted
from smtc_app.core.document import Document
from smtc_app.core.edit import Edit
from smtc_app.core.errors import UserError
from smtc_app.core.track import FIELDS

_BY_HAND = (FrameStatus.MANUAL, FrameStatus.CORRECTED)


class SwapObjects(Command):
    """Give `first` and `second` each other's masks on `frame`, or from there up to `stop` (exclusive).

    On `frame` it is a correction by a person: the masks there are manual or corrected, the frame becomes a
    keyframe, and with `stop` None what depends on it becomes stale, as after every correction.

    With `stop` the frames after it are relabelled without touching a pixel: status and confidence go with the
    masks, and `frame` is the keyframe that they come from now. Nothing among them becomes stale, nor before
    `frame`: there the masks are what the person has just called right. Locked frames are passed over; it ends
    before the next frame on which a person has drawn or confirmed one of the two, because who they are has
    been said there. Frames after the end that depend on the ones before it become stale.

    `ids` are the two. After `do`: `frames`, how many were changed, up to `last`; `locked`, how many were
    passed over; `drawn`, the frame at which it ended early, or None.

    Raises UserError for a locked `frame` or object, or when neither of the two is on `frame`.
    """

    def __init__(self, first: int, second: int, frame: int, *, stop: int | None = None) -> None:
        super().__init__()
        if first == second:
            raise ValueError(f"first and second must be two objects, got {first} twice")
        self.ids = int(first), int(second)
        self._frame, self._stop = int(frame), stop
        self.frames, self.last, self.locked = 0, self._frame, 0
        self.drawn: int | None = None

    def run(self, edit: Edit) -> None:
        document, frame = edit.document, self._frame
        names = [edit.require_object(object_id).name for object_id in self.ids]
        edit.require_frame(frame)
        edit.require_unlocked_frames((frame,))
        edit.require_unlocked_objects(self.ids)
        labels = document.labels(frame)
        here = [labels == object_id for object_id in self.ids]
        if not any(mask.any() for mask in here):
            raise UserError(
                f"Neither '{names[0]}' nor '{names[1]}' is on frame {frame}: go to the first frame on which "
                "they have changed places."
            )
        stop = frame + 1 if self._stop is None else self._end(document)
        first, second = self.ids
        swapped = np.array(labels)
        swapped[here[0]], swapped[here[1]] = second, first
        edit.edit_labels(
            frame, swapped, edited=self.ids, stale_from=0 if self._stop is None else max(stop, frame + 1)
        )
        self.frames = 1 + self._relabel(edit, frame + 1, stop)
        where = "" if self.frames == 1 else f" on {counted(self.frames, 'frame')}"
        self.text = f"Swap '{names[0]}' and '{names[1]}'{where}"

    def _end(self, document: Document) -> int:
        """One past the last frame of the swap; `drawn` is what ends it before its time."""
        stop = min(self._stop, document.frame_count)
        start = self._frame + 1
        by_hand = np.zeros(max(0, stop - start), bool)
        for object_id in self.ids:
            by_hand |= np.isin(document.status_array(object_id)[start:stop], _BY_HAND)
        found = np.flatnonzero(by_hand)
        self.drawn = start + int(found[0]) if found.size else None
        return stop if self.drawn is None else self.drawn

    def _relabel(self, edit: Edit, start: int, stop: int) -> int:
        """Exchange everything the two have on the unlocked frames start..stop-1; how many that changed."""
        document, (first, second) = edit.document, self.ids
        frames = np.array([f for f in range(start, stop) if not document.is_locked(f)], np.int64)
        self.locked = max(0, stop - start) - frames.size
        tracks = [document._track(object_id).copy() for object_id in self.ids]
        known = np.zeros(frames.size, bool)
        for track in tracks:
            known |= (track.status[frames] != FrameStatus.ABSENT) | (track.sources[frames] != 0)
        frames = frames[known]
        if not frames.size:
            return 0
        table = document.store.relabel_table({first: second, second: first})
        for frame in frames.tolist():
            mask = document._masks.get(frame)
            if mask is not None:
                edit.set_mask(frame, document.store.relabel(mask, table), objects=self.ids)
        for field in FIELDS:
            one, other = (getattr(track, field) for track in tracks)
            one[frames], other[frames] = other[frames], one[frames].copy()
        origin = document._intern_sources((self._frame,))
        for object_id, track in zip(self.ids, tracks, strict=True):
            track.sources[frames[track.sources[frames] != 0]] = origin
            edit.set_track(object_id, track)
        self.last = int(frames[-1])
        return int(frames.size)
