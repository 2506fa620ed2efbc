"""No work is lost: every step goes to a journal beside the project, and comes back after a crash.

The journal holds what the last save does not: for every command, undo and redo, the masks, statuses and lists
it changed, as they are afterwards. A project's lies in its folder, an unsaved document's in the user's data
folder.

    autosave = Autosave(document, source, project=info)        after opening; or without project
    save_id = autosave.mark_save(); state = document.snapshot()
    info = save_project(path, state, source, save_id=save_id)  in any thread, while editing goes on
    autosave.saved(info, state)
    autosave.close(discard=True)                               when nothing unsaved is left, or wanted

After a crash `recovery.find_recovery(info)` and `recovery.list_recoveries()` give a `Recovery`:

    saved = document.snapshot(); recovery.apply(document)
    autosave = Autosave(document, source, project=info, saved_state=saved, recovery=recovery)

A save in progress may be cut off anywhere: the journal has a mark where its snapshot was taken, and recovery
starts from there if the save did happen, else from the save before.

Proposals that wait for an answer are kept too, but are no step: a journal that holds nothing else brings
nothing back, because they can be made again.
"""

from __future__ import annotations

import logging
import os
import socket
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from smtc_app.core.annotation import Change, ObjectInfo, ProposalMask
from smtc_app.core.document import Document, DocumentState
from smtc_app.core.errors import UserError
from smtc_app.core.mask_store import PackedMask
from smtc_app.core.track import ObjectTrack
from smtc_app.io.journal import SUFFIX, JournalWriter, Record
from smtc_app.io.project import ProjectInfo, SourceInfo, new_save_id
from smtc_app.io.project_lock import ProjectLock
from smtc_app.io.project_proposals import encode_proposals
from smtc_app.io.project_schema import frames_to_runs
from smtc_app.io.recovery import (
    Recovery,
    journal_folder,
    journals_in,
    recovery_root,
    remove_empty_folder,
    remove_files,
)

logger = logging.getLogger(__name__)

_COMPACT_BYTES = 64 << 20
_MACHINE_BACKLOG = 16


class Autosave:
    """Keeps the journal of one open document. All methods belong to the document's thread.

    project      the project it was opened from or saved to; the caller holds its ProjectLock
    saved_state  what that project (without one: nothing) holds, if the document has moved on since; None: the
                 document is as saved, or new
    recovery     what the document was recovered from; its files go once their content is in the new journal
    on_problem   called with a sentence, on the writing thread, when the journal cannot be written; it is
                 tried again at every step
    """

    def __init__(
        self,
        document: Document,
        source: Any,
        *,
        project: ProjectInfo | None = None,
        saved_state: DocumentState | None = None,
        recovery: Recovery | None = None,
        on_problem: Callable[[str], None] | None = None,
    ) -> None:
        self._document = document
        self._source = SourceInfo.of(source)
        self._lock: ProjectLock | None = None
        if project is not None:
            self._folder = journal_folder(project.path)
            self._base: str | None = project.save_id
            self._saved_state = saved_state or document.snapshot()
        else:
            self._folder = recovery_root() / uuid4().hex
            self._base = None
            self._saved_state = saved_state or DocumentState(document.frame_count, document.size)
        self._project = project
        self._writer = JournalWriter(on_problem)
        self._known_sources = 0
        self._checkpoint_bytes = 0
        self._obsolete: list[Path] = list(recovery.files) if recovery is not None else []
        self._recovery = recovery
        self._unsubscribe = document.subscribe_steps(self._on_step)
        self._start_file()

    @property
    def working(self) -> bool:
        """Whether the last steps could be written."""
        return not self._writer.failed

    @property
    def folder(self) -> Path:
        """Where the journal lies."""
        return self._folder

    def mark_save(self) -> str:
        """Call right before the snapshot that is going to be saved; gives the save's id."""
        save_id = new_save_id()
        self._writer.append(lambda: Record({"kind": "save", "save_id": save_id}))
        return save_id

    def saved(self, project: ProjectInfo, state: DocumentState) -> None:
        """The snapshot `state` is saved as `project`: the journal starts anew with what has changed since."""
        self._project, self._base, self._saved_state = project, project.save_id, state
        self._folder = journal_folder(project.path)
        self._start_file()

    def flush(self, timeout_s: float = 30.0) -> bool:
        """Wait until everything is on the disk; False when that took too long."""
        return self._writer.flush(timeout_s)

    def close(self, *, discard: bool) -> None:
        """Stop. `discard` removes the journal: everything is saved, or not wanted."""
        self._unsubscribe()
        self._writer.close(durable=not discard)
        if discard:
            remove_files([self._writer.file, *self._obsolete])
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        if discard:
            remove_empty_folder(self._folder)

    # Recording

    def _on_step(self, changes: tuple[Change, ...]) -> None:
        too_long = self._writer.size > max(_COMPACT_BYTES, 3 * self._checkpoint_bytes)
        if self._writer.failed:
            self._start_file()
            return
        document = self._document
        head: dict[str, Any] = {"kind": "step"}
        masks: list[tuple[int, PackedMask | None]] = []
        tracks: list[_TrackPart] = []
        proposals: dict[int, tuple[ProposalMask, ...]] = {}
        for change in changes:
            if change.kind == "labels":
                masks = [(frame, document.packed(frame)) for frame in change.frames]
            elif change.kind == "status":
                present = [object_id for object_id in change.objects if object_id in document.objects]
                tracks = _track_parts(document, present, change.frames)
            elif change.kind == "objects":
                head["objects"] = [_object_data(info) for info in document.objects.values()]
            elif change.kind in ("keyframes", "locked"):
                members = document.keyframes if change.kind == "keyframes" else document.locked_frames
                on = set(members).intersection(change.frames)
                head[change.kind] = {"on": sorted(on), "off": sorted(set(change.frames) - on)}
            elif change.kind == "proposals":
                proposals = {frame: document.proposals(frame) for frame in change.frames}
        if len(head) == 1 and not masks and not tracks:
            head["kind"] = "proposals"
        head["sources"] = self._new_sources()
        # What the machine made can be made again: it need not wait for the disk frame by frame.
        by_hand = len(head) > 2 or any(change.kind == "labels" and change.objects for change in changes)
        backlog = 1 if by_hand else _MACHINE_BACKLOG
        self._writer.append(lambda: _record(head, masks, tracks, proposals), backlog=backlog)
        if too_long:
            # Should the new file fail, the old one may grow some more before the next attempt.
            self._checkpoint_bytes = max(self._checkpoint_bytes, self._writer.size)
            self._start_file()

    def _new_sources(self) -> list[list[int]]:
        entries = self._document.source_table[self._known_sources :]
        self._known_sources += len(entries)
        return [list(entry) for entry in entries]

    def _start_file(self) -> None:
        """A new file: where it starts from, and everything that differs from there."""
        document, saved = self._document, self._saved_state
        if self._project is None and self._lock is None:
            self._lock = self._own_recovery_folder()
        start = Record(
            {
                "kind": "start",
                "base": self._base,
                "project": None if self._project is None else str(self._project.path),
                "frame_count": document.frame_count,
                "size": list(document.size),
                "source": {**vars(self._source), "path": str(self._source.path)},
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        )
        frames = {
            frame
            for frame in {*document.labelled_frames, *saved.masks}
            if document.packed(frame) is not saved.masks.get(frame)
        }
        masks = [(frame, document.packed(frame)) for frame in sorted(frames)]
        state = document.snapshot()
        changed = [
            object_id
            for object_id, track in state.tracks.items()
            if object_id not in saved.tracks or not _same_track(track, saved, state, object_id)
        ]
        tracks = _track_parts(document, changed, range(document.frame_count))
        same_lists = (state.objects, state.keyframes, state.locked_frames) == (
            saved.objects,
            saved.keyframes,
            saved.locked_frames,
        )
        self._known_sources = 0
        head = {
            "kind": "checkpoint",
            "empty": same_lists and not masks and not tracks,
            "objects": [_object_data(info) for info in state.objects],
            "keyframes": {"all": frames_to_runs(state.keyframes)},
            "locked": {"all": frames_to_runs(state.locked_frames)},
            "sources": self._new_sources(),
        }
        proposals = {
            frame: state.proposals.get(frame, ())
            for frame in {*state.proposals, *saved.proposals}
            if state.proposals.get(frame) != saved.proposals.get(frame)
        }
        file = self._folder / f"{_next_number(self._folder):06d}-{uuid4().hex[:8]}{SUFFIX}"
        writer, saved_now = self._writer, self._project is not None

        def obsolete() -> None:
            self._checkpoint_bytes = writer.size
            old, self._obsolete = self._obsolete, [file]
            remove_files(old)
            if saved_now and self._lock is not None:
                self._lock.release()
                self._lock = None
            for folder in {path.parent for path in old} - {file.parent}:
                remove_empty_folder(folder)

        writer.start(file, lambda: [start, _record(head, masks, tracks, proposals)], obsolete)

    def _own_recovery_folder(self) -> ProjectLock | None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return ProjectLock(self._folder).acquire()
        except (OSError, UserError) as error:
            # Starting the file fails for the same reason, and tells it.
            logger.warning("no recovery folder: %s", error)
            return None


@dataclass(frozen=True)
class _TrackPart:
    """Copied entries of one track from `first` on."""

    object_id: int
    first: int
    status: np.ndarray
    confidence: np.ndarray
    sources: np.ndarray

    def data(self) -> bytes:
        parts = (self.status, self.confidence.astype("<u2"), self.sources.astype("<i4"))
        return zlib.compress(b"".join(part.tobytes() for part in parts), 1)


def _track_parts(document: Document, objects: Collection[int], frames: Collection[int]) -> list[_TrackPart]:
    if not frames or not objects:
        return []
    first, last = min(frames), max(frames)
    return [_TrackPart(i, first, *document.track_slice(i, first, last + 1)) for i in objects]


def _same_track(track: ObjectTrack, saved: DocumentState, state: DocumentState, object_id: int) -> bool:
    other = saved.tracks[object_id]
    if not (
        np.array_equal(track.status, other.status) and np.array_equal(track.confidence, other.confidence)
    ):
        return False
    # The same document's tables only grow, so equal indices are equal sources.
    grown = state.source_table[: len(saved.source_table)] == saved.source_table
    return grown and np.array_equal(track.sources, other.sources)


def _record(
    head: dict[str, Any],
    masks: list[tuple[int, PackedMask | None]],
    tracks: list[_TrackPart],
    proposals: Mapping[int, Sequence[ProposalMask]],
) -> Record:
    blobs = [handle.data() for _, handle in masks if handle is not None]
    head["masks"] = [[frame, handle is not None] for frame, handle in masks]
    head["tracks"] = [[part.object_id, part.first, part.status.size] for part in tracks]
    blobs += [part.data() for part in tracks]
    if proposals:
        head["proposals"] = sorted(proposals)
        blobs.append(encode_proposals(p for frame in sorted(proposals) for p in proposals[frame]))
    return Record(head, blobs)


def _object_data(info: ObjectInfo) -> list[Any]:
    return [info.id, info.name, info.category, list(info.colour), info.visible, info.locked]


def _next_number(folder: Path) -> int:
    numbers = [int(name) for name in (file.name[:6] for file in journals_in(folder)) if name.isdecimal()]
    return max(numbers, default=0) + 1
