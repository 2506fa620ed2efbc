"""Finding what a crash left in journals, and bringing it back. The journals are written by `autosave`."""

from __future__ import annotations

import logging
import os
import shutil
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from smtc_app.core.annotation import ObjectInfo, ProposalMask
from smtc_app.core.document import Document, DocumentState
from smtc_app.core.errors import UserError
from smtc_app.core.mask_store import PackedMask
from smtc_app.core.track import ObjectTrack
from smtc_app.io.journal import SUFFIX, Record, read_records
from smtc_app.io.project import ProjectInfo, SourceInfo
from smtc_app.io.project_lock import ProjectInUseError, ProjectLock
from smtc_app.io.project_proposals import decode_proposals

logger = logging.getLogger(__name__)

RECOVERY_FOLDER_VARIABLE = "SMTC_RECOVERY_DIR"


def recovery_root() -> Path:
    """Where unsaved documents keep their journals: SMTC_RECOVERY_DIR, or the user's data folder."""
    folder = os.environ.get(RECOVERY_FOLDER_VARIABLE)
    if folder:
        return Path(folder)
    return Path(platformdirs.user_data_dir("smtc-app", appauthor=False)) / "recovery"


def journal_folder(project: Path) -> Path:
    return project / "journal"


def journals_in(folder: Path) -> list[Path]:
    """Oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []


def remove_files(files: Iterable[Path | None]) -> None:
    for file in files:
        if file is not None:
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                logger.warning("an old journal stays: %s", error)


def remove_empty_folder(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        logger.debug("%s is not empty", folder)


@dataclass(frozen=True)
class Recovery:
    """Work that a crash left in a journal.

    folder     of the journal
    project    the project it belongs to, None for a document that was never saved
    source     its footage
    steps      number of steps since the last save
    time       of the last of them
    files      journals that can go once the work is elsewhere
    """

    folder: Path
    project: Path | None
    source: SourceInfo
    steps: int
    time: datetime
    files: tuple[Path, ...]
    _file: Path
    _skip_until: str | None

    def apply(self, document: Document) -> int:
        """Bring a document, as last saved (or new), to where the journal ends; the number of steps that
        worked.

        Raises ValueError for a document of another size or length.
        """
        replay = _Replay(document.snapshot(), document)
        steps = 0
        for record in _after(self._file, self._skip_until):
            try:
                replay.step(record)
            except (ValueError, KeyError, TypeError, IndexError, zlib.error) as error:
                # Later steps may build on this one: what came before it is whole.
                logger.warning("recovery of %s ends after %d steps: %s", self._file, steps, error)
                break
            steps += _counts(record)
        document.restore(replay.state())
        return steps

    def new_document(self) -> Document:
        """A document for work that was never saved, recovered."""
        document = Document(self.source.frame_count, self.source.size)
        self.apply(document)
        return document

    def discard(self) -> None:
        """Give the work up for good."""
        remove_files(self.files)
        if self.project is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            remove_empty_folder(self.folder)


def find_recovery(project: ProjectInfo) -> Recovery | None:
    """What was done since a project's last save and not saved, or None. The caller holds the project's
    lock."""
    return _find(journal_folder(project.path), project.save_id, project.path)


def list_recoveries() -> list[Recovery]:
    """Documents that were never saved and are not open in any living window, the newest first."""
    found = []
    root = recovery_root()
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if not folder.is_dir():
            continue
        try:
            with ProjectLock(folder):
                recovery = _find(folder, None, None)
        except ProjectInUseError:
            continue
        except UserError as error:
            logger.warning("no recovery from %s: %s", folder, error)
            continue
        if recovery is not None:
            found.append(recovery)
    return sorted(found, key=lambda recovery: recovery.time, reverse=True)


def _find(folder: Path, save_id: str | None, project: Path | None) -> Recovery | None:
    files = journals_in(folder)
    for file in reversed(files):
        try:
            found = _examine(file, save_id)
        except OSError as error:
            logger.warning("the journal %s cannot be read: %s", file, error)
            continue
        if found is None:
            continue
        source, steps, skip_until = found
        if not steps:
            return None
        time = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        return Recovery(folder, project, source, steps, time, tuple(files), file, skip_until)
    return None


def _examine(file: Path, save_id: str | None) -> tuple[SourceInfo, int, str | None] | None:
    """(footage, steps since the save, mark to start from) of a journal; None when it does not follow that
    save."""
    source: SourceInfo | None = None
    steps, whole, follows, skip_until = 0, False, False, None
    for record in read_records(file):
        kind = record.head.get("kind")
        if kind == "start":
            try:
                source = _source(record.head)
            except (KeyError, TypeError, ValueError) as error:
                logger.warning("the journal %s is of another kind: %s", file, error)
                return None
            follows = record.head.get("base") == save_id
        elif kind == "checkpoint":
            whole = True
            steps = _counts(record)
        elif kind == "save" and record.head.get("save_id") == save_id and save_id is not None:
            steps, follows, skip_until = 0, True, save_id
        else:
            steps += _counts(record)
    if source is None or not whole or not follows:
        return None
    return source, steps, skip_until


def _counts(record: Record) -> bool:
    """Whether a record is a step as people count them: one, for what a checkpoint gathers."""
    kind = record.head.get("kind")
    return kind == "step" or (kind == "checkpoint" and not record.head.get("empty"))


def _after(file: Path, save_id: str | None) -> Iterable[Record]:
    """The records to replay. Those before the mark come as sources only, which later ones refer to."""
    skipping = save_id is not None
    for record in read_records(file):
        kind = record.head.get("kind")
        if kind == "save" and record.head.get("save_id") == save_id:
            skipping = False
        elif kind in ("checkpoint", "step", "proposals"):
            if skipping:
                yield Record({"sources": record.head.get("sources", []), "masks": [], "tracks": []})
            else:
                yield record


def _source(head: dict[str, Any]) -> SourceInfo:
    data = head["source"]
    width, height = data["size"]
    return SourceInfo(
        Path(data["path"]),
        str(data["kind"]),
        str(data["fingerprint"]),
        int(data["frame_count"]),
        (int(width), int(height)),
        float(data["fps"]),
    )


class _Replay:
    """A document's state that steps of a journal are applied to, each whole or not at all."""

    def __init__(self, state: DocumentState, document: Document) -> None:
        self._document = document
        self._base = state
        self._objects = {info.id: info for info in state.objects}
        self._tracks = dict(state.tracks)
        self._masks = dict(state.masks)
        self._keyframes, self._locked = set(state.keyframes), set(state.locked_frames)
        self._proposals = dict(state.proposals)
        self._table: dict[tuple[int, ...], int] = {entry: i for i, entry in enumerate(state.source_table)}
        self._source_of: list[int] = []
        """Index in our table of each entry of the journal's."""

    def step(self, record: Record) -> None:
        head, blobs, count = record.head, list(record.blobs), self._base.frame_count
        sources = [
            self._table.setdefault(tuple(int(frame) for frame in entry), len(self._table))
            for entry in head["sources"]
        ]
        source_of = np.array(self._source_of + sources, np.int32)
        objects = self._objects
        if "objects" in head:
            objects = {entry[0]: _object(entry) for entry in head["objects"]}
        masks: dict[int, PackedMask | None] = {}
        for frame, present in head["masks"]:
            if not 0 <= frame < count:
                raise ValueError(f"there is no frame {frame}")
            masks[frame] = self._document.store.adopt(blobs.pop(0)) if present else None
        tracks = {object_id: self._tracks.get(object_id) or ObjectTrack(count) for object_id in objects}
        for object_id, first, length in head["tracks"]:
            track = tracks[object_id] = tracks[object_id].copy()
            raw = zlib.decompress(blobs.pop(0))
            span = slice(first, first + length)
            track.status[span] = np.frombuffer(raw, np.uint8, length)
            track.confidence[span] = np.frombuffer(raw, "<u2", length, length)
            track.sources[span] = source_of[np.frombuffer(raw, "<i4", length, 3 * length)]
        keyframes = _members(self._keyframes, head.get("keyframes"), count)
        locked = _members(self._locked, head.get("locked"), count)
        proposals: dict[int, tuple[ProposalMask, ...]] = {}
        if head.get("proposals"):
            found = decode_proposals(blobs.pop(0), count, self._base.size)
            proposals = {frame: found.get(frame, ()) for frame in head["proposals"]}
        # All of it could be read.
        self._source_of += sources
        self._objects, self._tracks, self._keyframes, self._locked = objects, tracks, keyframes, locked
        self._proposals = {frame: kept for frame, kept in {**self._proposals, **proposals}.items() if kept}
        for frame, handle in masks.items():
            if handle is None:
                self._masks.pop(frame, None)
            else:
                self._masks[frame] = handle

    def state(self) -> DocumentState:
        return DocumentState(
            frame_count=self._base.frame_count,
            size=self._base.size,
            objects=tuple(self._objects.values()),
            masks=self._masks,
            tracks=self._tracks,
            source_table=tuple(self._table),
            keyframes=tuple(sorted(self._keyframes)),
            locked_frames=frozenset(self._locked),
            proposals=self._proposals,
        )


def _object(entry: list[Any]) -> ObjectInfo:
    object_id, name, category, (red, green, blue), visible, locked = entry
    return ObjectInfo(object_id, name, category, (red, green, blue), visible, locked)


def _members(old: set[int], change: dict[str, Any] | None, count: int) -> set[int]:
    if change is None:
        return old
    if "all" in change:
        new = {frame for first, last in change["all"] for frame in range(first, last + 1)}
    else:
        new = (old | set(change["on"])) - set(change["off"])
    if new and not 0 <= min(new) <= max(new) < count:
        raise ValueError("frames outside of the document")
    return new
