"""The annotated video: objects, label maps, and what is known of every object on every frame.

A document is read through this class and changed only by commands on an `undo.UndoStack`; whatever changes is
announced to subscribers. Only proposals come and go without a command (`suggest`): they are the machine's,
and nothing of them is in the labels before a person accepts them, which is a command. A document belongs to
one thread (the window's); arrays it gives out are read-only and never mutated, so they may be handed to any
other thread, and `snapshot()` gives a worker a frozen copy of everything.

Words: a frame is a *keyframe* when propagation may start from it; an object is *anchored* on a keyframe where
its status is manual, proposed or corrected. Editing an object on a frame makes it anchored there and the
frame a keyframe, and makes those propagated frames stale, for that object only, that depend on it
(`Edit.edit_labels`).
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from smtc_app.core.annotation import (
    ANCHORED,
    MAX_OBJECT_ID,
    Change,
    FrameStatus,
    ObjectInfo,
    ProposalMask,
)
from smtc_app.core.errors import UserError
from smtc_app.core.mask_store import MaskStore, PackedMask
from smtc_app.core.track import FIELDS, ObjectTrack, decode_confidence, decode_confidences

__all__ = ["Change", "Document", "DocumentState", "FrameStatus", "ObjectInfo", "ProposalMask"]

logger = logging.getLogger(__name__)

_ANCHORED_TABLE = np.zeros(256, bool)
_ANCHORED_TABLE[list(ANCHORED)] = True


@dataclass(frozen=True)
class DocumentState:
    """A frozen copy of a document, safe to read from any thread while the document goes on changing.

    `masks` holds handles (`PackedMask.labels()` decodes one); `tracks` are copies; `source_table[i]` are the
    keyframes that a track's `sources == i` stands for.
    """

    frame_count: int
    size: tuple[int, int]
    revision: int = 0
    objects: tuple[ObjectInfo, ...] = ()
    masks: Mapping[int, PackedMask] = field(default_factory=dict)
    tracks: Mapping[int, ObjectTrack] = field(default_factory=dict)
    source_table: tuple[tuple[int, ...], ...] = ((),)
    keyframes: tuple[int, ...] = ()
    locked_frames: frozenset[int] = frozenset()
    proposals: Mapping[int, tuple[ProposalMask, ...]] = field(default_factory=dict)

    def labels(self, frame: int) -> np.ndarray:
        """uint16 (H, W), read-only; zeros on a frame without labels."""
        handle = self.masks.get(frame)
        if handle is not None:
            return handle.labels()
        width, height = self.size
        return np.zeros((height, width), np.uint16)


class Document:
    """Labels of `frame_count` frames of `size` (width, height) pixels.

    Reading raises IndexError for a frame outside 0..frame_count-1 and KeyError for an unknown object.
    """

    def __init__(self, frame_count: int, size: tuple[int, int], *, store: MaskStore | None = None) -> None:
        width, height = (int(side) for side in size)
        if frame_count < 1 or width < 1 or height < 1:
            raise ValueError(
                f"a document needs frames and pixels, got {frame_count} frames of {width}x{height}"
            )
        self.frame_count = int(frame_count)
        self.size = (width, height)
        self.store = store or MaskStore((height, width))
        self._objects: dict[int, ObjectInfo] = {}
        self._tracks: dict[int, ObjectTrack] = {}
        self._masks: dict[int, PackedMask] = {}
        self._keyframes: set[int] = set()
        self._sorted_keyframes: tuple[int, ...] | None = ()
        self._locked: set[int] = set()
        self._proposals: dict[int, tuple[ProposalMask, ...]] = {}
        self._source_table: list[tuple[int, ...]] = [()]
        self._source_index: dict[tuple[int, ...], int] = {(): 0}
        self._edited_at: dict[tuple[int, int], int] = {}
        self._revision = 0
        self._modified = False
        self._subscribers: list[Callable[[Change], None]] = []
        self._step_subscribers: list[Callable[[tuple[Change, ...]], None]] = []

    # Reading

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of every label map."""
        return self.size[1], self.size[0]

    @property
    def revision(self) -> int:
        """Grows with every command, undo, redo and suggestion; the same revision means the same content."""
        return self._revision

    @property
    def modified(self) -> bool:
        """Whether there is something that the last save does not hold (kept by the undo stack)."""
        return self._modified

    @property
    def objects(self) -> Mapping[int, ObjectInfo]:
        """The objects by id, in the order of the list; a live read-only view."""
        return MappingProxyType(self._objects)

    def object_named(self, name: str) -> ObjectInfo | None:
        return next((info for info in self._objects.values() if info.name == name), None)

    def labels(self, frame: int) -> np.ndarray:
        """The label map of a frame: uint16 (H, W), read-only, zeros where nothing is labelled.

        Raises UserError when the mask lies in a project folder and its file is gone or damaged.
        """
        self._check_frame(frame)
        handle = self._masks.get(frame)
        return self.store.empty if handle is None else self.store.unpack(handle)

    def packed(self, frame: int) -> PackedMask | None:
        """The immutable handle behind `labels(frame)`, None without labels; the same handle is the same
        mask."""
        self._check_frame(frame)
        return self._masks.get(frame)

    def area(self, frame: int, object_id: int) -> int:
        """Pixels of an object on a frame; cheap, the mask need not be unpacked. Raises as `labels`."""
        handle = self.packed(frame)
        counts = () if handle is None else handle.counts()
        return int(counts[object_id]) if object_id < len(counts) else 0

    def has_labels(self, frame: int) -> bool:
        """Whether a frame has at least one labelled pixel."""
        self._check_frame(frame)
        return frame in self._masks

    @property
    def labelled_frames(self) -> tuple[int, ...]:
        return tuple(sorted(self._masks))

    @property
    def keyframes(self) -> tuple[int, ...]:
        """Sorted frames that propagation may start from."""
        if self._sorted_keyframes is None:
            self._sorted_keyframes = tuple(sorted(self._keyframes))
        return self._sorted_keyframes

    @property
    def locked_frames(self) -> frozenset[int]:
        """Frames whose labels no command may change."""
        return frozenset(self._locked)

    def is_locked(self, frame: int) -> bool:
        return frame in self._locked

    @property
    def locked_objects(self) -> frozenset[int]:
        return frozenset(info.id for info in self._objects.values() if info.locked)

    def status(self, frame: int, object_id: int) -> FrameStatus:
        self._check_frame(frame)
        return FrameStatus(int(self._track(object_id).status[frame]))

    def confidence(self, frame: int, object_id: int) -> float | None:
        """0..1 where propagation gave one, else None."""
        self._check_frame(frame)
        return decode_confidence(int(self._track(object_id).confidence[frame]))

    def sources(self, frame: int, object_id: int) -> tuple[int, ...]:
        """The keyframes that a propagated label came from; empty for everything else."""
        self._check_frame(frame)
        return self._source_table[int(self._track(object_id).sources[frame])]

    def status_array(self, object_id: int) -> np.ndarray:
        """uint8 (frame_count,) of FrameStatus values: a read-only view that follows later changes."""
        view = self._track(object_id).status.view()
        view.setflags(write=False)
        return view

    def confidence_array(self, object_id: int) -> np.ndarray:
        """float32 (frame_count,), a copy; NaN where there is no confidence."""
        return decode_confidences(self._track(object_id).confidence)

    @property
    def source_table(self) -> tuple[tuple[int, ...], ...]:
        """Keyframe tuples by the index that tracks store; entries are only ever added."""
        return tuple(self._source_table)

    def track_slice(self, object_id: int, start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Copies of an object's (status, confidence, sources) on frames start..stop-1, as an ObjectTrack
        stores them."""
        track = self._track(object_id)
        return tuple(getattr(track, field)[start:stop].copy() for field in FIELDS)

    def proposals(self, frame: int) -> tuple[ProposalMask, ...]:
        """What waits for acceptance on a frame, in the order it was given."""
        self._check_frame(frame)
        return self._proposals.get(frame, ())

    @property
    def proposal_frames(self) -> tuple[int, ...]:
        return tuple(sorted(self._proposals))

    def free_object_id(self) -> int:
        """The id the next new object gets. Raises UserError when all 65534 are taken."""
        return self.free_object_ids(1)[0]

    def free_object_ids(self, count: int) -> tuple[int, ...]:
        """The ids the next `count` new objects get. Raises UserError when there are not so many left."""
        highest = max(self._objects, default=0)
        found = list(range(highest + 1, min(MAX_OBJECT_ID, highest + count) + 1))
        if len(found) < count:
            gaps = (i for i in range(1, highest) if i not in self._objects)
            found += itertools.islice(gaps, count - len(found))
        if len(found) < count:
            raise UserError(f"All {MAX_OBJECT_ID} object numbers are taken: merge or delete objects first.")
        return tuple(found)

    # Propagation: what to start from, and what is out of date

    def anchors(self, object_id: int) -> np.ndarray:
        """Sorted keyframes (int64) on which an object is manual, proposed or corrected."""
        status = self._track(object_id).status
        keyframes = np.asarray(self.keyframes, np.int64)
        return keyframes[_ANCHORED_TABLE[status[keyframes]]] if keyframes.size else keyframes

    def propagation_groups(
        self, objects: Iterable[int] | None = None
    ) -> list[tuple[frozenset[int], dict[int, np.ndarray]]]:
        """What to propagate together: [(ids, {keyframe: labels of those ids only})], one group per set of
        anchors.

        Objects that are anchored on the same keyframes share a run. An object first drawn in mid-video gets a
        run of its own, so that keyframes that do not know it never erase it, nor it the others. Locked
        objects and objects without an anchor are left out; `objects` None means all.
        """
        wanted = self._objects if objects is None else dict.fromkeys(objects)
        groups: dict[tuple[int, ...], list[int]] = {}
        for object_id in wanted:
            anchors = tuple(self.anchors(object_id).tolist())
            if anchors and not self._objects[object_id].locked:
                groups.setdefault(anchors, []).append(object_id)
        found = []
        for anchors, ids in groups.items():
            table = np.zeros(65536, np.uint16)
            table[ids] = ids
            found.append((frozenset(ids), {frame: table[self.labels(frame)] for frame in anchors}))
        return found

    def stale_spans(self, object_id: int) -> list[tuple[int, int]]:
        """Half-open spans of frames that are out of date for an object."""
        return spans(self._track(object_id).status == FrameStatus.STALE)

    def stale_objects(self) -> tuple[int, ...]:
        """Objects with at least one stale frame, in list order."""
        return tuple(i for i in self._objects if (self._tracks[i].status == FrameStatus.STALE).any())

    def edited_since(self, frame: int, object_id: int, revision: int) -> bool:
        """Whether a person changed an object on a frame after the document had that revision."""
        return self._edited_at.get((frame, object_id), -1) > revision

    # Proposals

    def suggest(self, proposals: Mapping[int, Sequence[ProposalMask]]) -> None:
        """Replace what waits for acceptance on these frames; an empty sequence for nothing.

        No step of the history, which is what a person did. What an undone answer brings back replaces what
        has been suggested for its frames since.

        Raises IndexError for a frame outside, ValueError for masks of another size or two with one id.
        """
        for frame, found in proposals.items():
            self._check_frame(frame)
            if len({proposal.id for proposal in found}) != len(found):
                raise ValueError(f"two proposals with one id on frame {frame}")
            for proposal in found:
                if proposal.shape != self.shape:
                    raise ValueError(f"proposal masks must be {self.shape}, got {proposal.shape}")
        changed = {frame for frame, found in proposals.items() if tuple(found) != self.proposals(frame)}
        if not changed:
            return
        for frame in changed:
            self._proposals.pop(frame, None)
            if proposals[frame]:
                self._proposals[frame] = tuple(proposals[frame])
        self._revision += 1
        self._announce([Change("proposals", frozenset(changed))])

    # Whole state

    def snapshot(self) -> DocumentState:
        """A frozen copy; cheap, because masks are shared."""
        return DocumentState(
            frame_count=self.frame_count,
            size=self.size,
            revision=self._revision,
            objects=tuple(self._objects.values()),
            masks=dict(self._masks),
            tracks={object_id: track.copy() for object_id, track in self._tracks.items()},
            source_table=tuple(self._source_table),
            keyframes=self.keyframes,
            locked_frames=frozenset(self._locked),
            proposals=dict(self._proposals),
        )

    def restore(self, state: DocumentState) -> None:
        """Take over a state as if freshly opened; for loading and recovery only, never with a filled undo
        stack.

        Raises ValueError for a state of another size or length, or whose parts contradict each other.
        """
        if (state.frame_count, state.size) != (self.frame_count, self.size):
            raise ValueError(
                f"state of {state.frame_count} frames of {state.size} does not fit this document"
            )
        ids = {info.id for info in state.objects}
        if len(ids) != len(state.objects) or set(state.tracks) != ids:
            raise ValueError("every object of a state needs its own id and one track")
        frames = {*state.masks, *state.keyframes, *state.locked_frames, *state.proposals}
        if frames and not (min(frames) >= 0 and max(frames) < self.frame_count):
            raise ValueError(f"a state of {self.frame_count} frames names frames outside of them")
        for track in state.tracks.values():
            if track.status.shape != (self.frame_count,) or int(track.sources.max()) >= len(
                state.source_table
            ):
                raise ValueError("a track does not fit its document")
        self._objects = {info.id: info for info in state.objects}
        self._tracks = {object_id: track.copy() for object_id, track in state.tracks.items()}
        self._masks = dict(state.masks)
        self._keyframes, self._sorted_keyframes = set(state.keyframes), None
        self._locked = set(state.locked_frames)
        self._proposals = dict(state.proposals)
        self._source_table = list(state.source_table)
        self._source_index = {sources: index for index, sources in enumerate(self._source_table)}
        self._revision += 1
        everything = range(self.frame_count)
        kinds = ("objects", "labels", "status", "keyframes", "locked", "proposals")
        self._announce([Change(kind, everything, tuple(self._objects)) for kind in kinds])

    def close(self) -> None:
        """Release temporary files. Labels cannot be read afterwards."""
        self.store.close()

    # Subscribers

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call `callback(Change)` after every change, on the thread that made it; returns `unsubscribe()`."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def subscribe_steps(self, callback: Callable[[tuple[Change, ...]], None]) -> Callable[[], None]:
        """Like `subscribe`, but one call with all changes of a step, before any subscriber of single changes.

        For what must never see half a step: the autosave.
        """
        self._step_subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._step_subscribers:
                self._step_subscribers.remove(callback)

        return unsubscribe

    def _announce(self, changes: Iterable[Change]) -> None:
        step = tuple(changes)
        for callback in list(self._step_subscribers):
            callback(step)
        for change in step:
            self._notify(change)

    def _notify(self, change: Change) -> None:
        for callback in list(self._subscribers):
            callback(change)

    # For `edit` and `undo` only

    def _track(self, object_id: int) -> ObjectTrack:
        track = self._tracks.get(object_id)
        if track is None:
            raise KeyError(f"no object {object_id}")
        return track

    def _check_frame(self, frame: int) -> None:
        if not 0 <= frame < self.frame_count:
            raise IndexError(f"frame {frame} is outside 0..{self.frame_count - 1}")

    def _intern_sources(self, sources: Iterable[int]) -> int:
        key = tuple(sorted({int(frame) for frame in sources}))
        index = self._source_index.get(key)
        if index is None:
            index = self._source_index[key] = len(self._source_table)
            self._source_table.append(key)
        return index

    def _set_modified(self, modified: bool) -> None:
        if modified != self._modified:
            self._modified = modified
            self._notify(Change("modified"))


def spans(flags: np.ndarray) -> list[tuple[int, int]]:
    """Half-open runs of true values in bool (N,)."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]
