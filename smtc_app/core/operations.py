"""The smallest reversible changes of a document, and a list of them that belongs to one command.

Each operation *swaps* a value with the document's, so the same list run backwards undoes and run forwards
redoes, to the exact bytes, and only the value that the document does not hold is kept. To extend: add a class
with `swap`, `nbytes` and `touched`, and a method of `edit.Edit` that records it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Protocol

import numpy as np

from smtc_app.core.annotation import Change, ObjectInfo, ProposalMask
from smtc_app.core.document import Document
from smtc_app.core.mask_store import PackedMask
from smtc_app.core.track import ObjectTrack

Row = tuple[int, int, int]  # status, confidence, sources as an ObjectTrack stores them
EMPTY_ROW: Row = (0, 0, 0)
_ALL_FRAMES = range(0)  # by identity: every frame of the document, without listing them
_OVERHEAD_BYTES = 160  # a small Python object with its list entry


class Operation(Protocol):
    """One reversible change; `touched` is (kind of Change, frames, objects)."""

    def swap(self, document: Document) -> None: ...

    @property
    def nbytes(self) -> int: ...

    def touched(self) -> tuple[str, Iterable[int], Iterable[int]]: ...


class MaskOperation:
    __slots__ = ("frame", "objects", "other")

    def __init__(self, frame: int, other: PackedMask | None, objects: tuple[int, ...]) -> None:
        self.frame, self.other, self.objects = frame, other, objects

    def swap(self, document: Document) -> None:
        current = document._masks.pop(self.frame, None)
        if self.other is not None:
            document._masks[self.frame] = self.other
        self.other = current
        for object_id in self.objects:
            document._edited_at[self.frame, object_id] = document._revision + 1

    @property
    def nbytes(self) -> int:
        return _OVERHEAD_BYTES + (self.other.nbytes if self.other is not None else 0)

    def touched(self) -> tuple[str, Iterable[int], Iterable[int]]:
        return "labels", (self.frame,), self.objects


class RowOperation:
    """Status, confidence and sources of several objects on one frame."""

    __slots__ = ("frame", "objects", "rows")

    def __init__(self, frame: int, objects: tuple[int, ...], rows: tuple[Row, ...]) -> None:
        self.frame, self.objects, self.rows = frame, objects, rows

    def swap(self, document: Document) -> None:
        tracks = [document._tracks[object_id] for object_id in self.objects]
        current = tuple(track.row(self.frame) for track in tracks)
        for track, row in zip(tracks, self.rows, strict=True):
            track.set_row(self.frame, row)
        # The usual case, a frame that had nothing before, costs one shared tuple.
        self.rows = (EMPTY_ROW,) * len(current) if not any(map(any, current)) else current

    @property
    def nbytes(self) -> int:
        return _OVERHEAD_BYTES + 64 * len(self.objects)

    def touched(self) -> tuple[str, Iterable[int], Iterable[int]]:
        return "status", (self.frame,), self.objects


class SpanOperation:
    """Statuses of one object from `start` on, deflated."""

    __slots__ = ("data", "object_id", "start", "stop")

    def __init__(self, object_id: int, start: int, statuses: np.ndarray) -> None:
        self.object_id, self.start, self.stop = object_id, start, start + statuses.size
        self.data = zlib.compress(statuses.tobytes(), 1)

    def swap(self, document: Document) -> None:
        status = document._tracks[self.object_id].status[self.start : self.stop]
        current = zlib.compress(status.tobytes(), 1)
        status[:] = np.frombuffer(zlib.decompress(self.data), np.uint8)
        self.data = current

    @property
    def nbytes(self) -> int:
        return _OVERHEAD_BYTES + len(self.data)

    def touched(self) -> tuple[str, Iterable[int], Iterable[int]]:
        return "status", range(self.start, self.stop), (self.object_id,)


class TrackOperation:
    """A whole track, or its absence."""

    __slots__ = ("object_id", "other")

    def __init__(self, object_id: int, other: ObjectTrack | None) -> None:
        self.object_id, self.other = object_id, other

    def swap(self, document: Document) -> None:
        current = document._tracks.pop(self.object_id, None)
        if self.other is not None:
            document._tracks[self.object_id] = self.other
        self.other = current

    @property
    def nbytes(self) -> int:
        return _OVERHEAD_BYTES + (self.other.nbytes if self.other is not None else 0)

    def touched(self) -> tuple[str, Iterable[int], Iterable[int]]:
        return "status", _ALL_FRAMES, (self.object_id,)


class ObjectsOperation:
    __slots__ = ("objects", "other")

    def __init__(self, other: tuple[ObjectInfo, ...], objects: tuple[int, ...]) -> None:
        self.other, self.objects = other, objects

    def swap(self, document: Document) -> None:
        current = tuple(document._objects.values())
        # In place: views given out by Document.objects follow.
        document._objects.clear()
        document._objects.update((info.id, info) for info in self.other)
        self.other = current

    @property
    def nbytes(self) -> int:
        return _OVERHEAD_BYTES + 8 * len(self.other)

    def touched(self) -> tuple[str, Iterable[int], Iterable[int]]:
        return "objects", (), self.objects


class ToggleOperation:
    """A frame enters or leaves the keyframes or the locked frames."""

    __slots__ = ("frame", "kind")

    def __init__(self, kind: str, frame: int) -> None:
        self.kind, self.frame = kind, frame

    def swap(self, document: Document) -> None:
        if self.kind == "keyframes":
            document._keyframes ^= {self.frame}
            document._sorted_keyframes = None
        else:
            document._locked ^= {self.frame}

    @property
    def nbytes(self) -> int:
        return _OVERHEAD_BYTES

    def touched(self) -> tuple[str, Iterable[int], Iterable[int]]:
        return self.kind, (self.frame,), ()


class ProposalsOperation:
    __slots__ = ("frame", "other")

    def __init__(self, frame: int, other: tuple[ProposalMask, ...]) -> None:
        self.frame, self.other = frame, other

    def swap(self, document: Document) -> None:
        current = document._proposals.pop(self.frame, ())
        if self.other:
            document._proposals[self.frame] = self.other
        self.other = current

    @property
    def nbytes(self) -> int:
        return _OVERHEAD_BYTES + sum(proposal.nbytes for proposal in self.other)

    def touched(self) -> tuple[str, Iterable[int], Iterable[int]]:
        return "proposals", (self.frame,), ()


class Patch:
    """What one command changed; `undo` and `redo` alternate."""

    def __init__(self, operations: list[Operation]) -> None:
        self.operations = operations

    def __bool__(self) -> bool:
        return bool(self.operations)

    @property
    def nbytes(self) -> int:
        return sum(operation.nbytes for operation in self.operations)

    def undo(self, document: Document) -> None:
        for operation in reversed(self.operations):
            operation.swap(document)

    def redo(self, document: Document) -> None:
        for operation in self.operations:
            operation.swap(document)

    def announce(self, document: Document) -> None:
        """Raise the revision and tell subscribers, one Change for each kind touched."""
        document._revision += 1
        frames: dict[str, set[int]] = {}
        objects: dict[str, set[int]] = {}
        everywhere: set[str] = set()
        for operation in self.operations:
            kind, touched_frames, touched_objects = operation.touched()
            frames.setdefault(kind, set())
            objects.setdefault(kind, set()).update(touched_objects)
            if touched_frames is _ALL_FRAMES:
                everywhere.add(kind)
            elif kind not in everywhere:
                frames[kind].update(touched_frames)
        document._announce(
            [
                Change(
                    kind,
                    range(document.frame_count) if kind in everywhere else frozenset(frames[kind]),
                    frozenset(objects[kind]),
                )
                for kind in ("objects", "labels", "status", "keyframes", "locked", "proposals")
                if kind in frames
            ]
        )
