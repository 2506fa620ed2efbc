"""A project on disk: one folder `<name>.smtc/`, saved whole or not at all.

    project.json        see `project_schema`
    masks/00000.png     see `project_masks`; only frames with labels
    proposals.json      see `project_proposals`; only while proposals wait for an answer
    lock                see `project_lock`; only while open
    journal/            see `autosave`; only what the last save does not hold

A save writes only masks that are not yet in the folder, and is one step as seen from outside
(`project_commit`). Masks are read when they are looked at, so that opening takes no longer for a hundred
thousand of them than their file headers take to check.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from smtc_app import __version__
from smtc_app.core.annotation import FrameStatus, ProposalMask
from smtc_app.core.document import Document, DocumentState
from smtc_app.core.errors import UserError
from smtc_app.core.files import why
from smtc_app.core.mask_store import FileStamp, MaskStore, PackedMask
from smtc_app.io.project_commit import COMMIT_NAME, Staging, discard_staging, finish_commit
from smtc_app.io.project_lock import ProjectLock
from smtc_app.io.project_masks import check_mask_file, decode_mask, encode_mask, mask_name
from smtc_app.io.project_proposals import decode_proposals, encode_proposals
from smtc_app.io.project_schema import ProjectData, SourceInfo, decode_project, encode_project

__all__ = ["SUFFIX", "ProjectInfo", "SourceInfo", "is_project", "load_project", "new_save_id", "save_project"]

logger = logging.getLogger(__name__)

SUFFIX = ".smtc"
PROJECT_FILE = "project.json"
PROPOSALS_FILE = "proposals.json"
MASKS = "masks"


@dataclass(frozen=True)
class ProjectInfo:
    """What a project folder says besides the document.

    path        the folder
    source      the footage as saved; `io.project_source.find_source` finds where it is now
    save_id     of the last save
    parameters  as given to `save_project`
    model       {name, hash} or None
    notes       sentences a person should read (masks that were left out, ...)
    """

    path: Path
    source: SourceInfo
    relative_source: str
    save_id: str
    parameters: dict[str, Any]
    model: dict[str, str] | None
    notes: tuple[str, ...] = ()


def is_project(path: Path) -> bool:
    """Whether a path looks like a project: a folder named *.smtc, or with a project.json in it."""
    return path.is_dir() and (path.suffix == SUFFIX or (path / PROJECT_FILE).is_file())


def holds_project(path: Path) -> bool:
    """Whether something was saved in a folder, be it that the last step of saving is still to be done."""
    return (path / PROJECT_FILE).is_file() or (path / COMMIT_NAME).is_dir()


def project_path(path: Path) -> Path:
    """The folder a person means: with the suffix, and not its project.json."""
    path = Path(os.path.abspath(path.expanduser()))
    if path.name == PROJECT_FILE:
        path = path.parent
    return path if path.suffix == SUFFIX or is_project(path) else path.with_name(path.name + SUFFIX)


def new_save_id() -> str:
    """An id for a save that is yet to come."""
    return uuid4().hex


def save_project(
    path: Path,
    document: Document | DocumentState,
    source: Any,
    parameters: Mapping[str, Any] | None = None,
    *,
    model: Mapping[str, str] | None = None,
    save_id: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ProjectInfo:
    """Save a document, or a snapshot of it from any thread, into the folder `path` (".smtc" is added).

    source      the FrameSource or its SourceInfo
    parameters  any JSON value that should come back
    model       {name, hash} of what made the machine's labels
    save_id     for the autosave; None makes a new one
    progress    called with (masks done, masks to write)

    Raises UserError when it cannot be written, leaving the project as it was, and ProjectInUseError when
    another process or machine has it open. Exceptions of `progress` pass through with the same promise.
    """
    path = project_path(Path(path))
    state = document.snapshot() if isinstance(document, Document) else document
    info = SourceInfo.of(source)
    if (info.frame_count, tuple(info.size)) != (state.frame_count, tuple(state.size)):
        raise ValueError(f"the source has {info.frame_count} frames of {info.size}, the document does not")
    relative, save_id = _relative(info.path, path), save_id or new_save_id()
    encoded = encode_project(
        state,
        info,
        relative_source=relative,
        save_id=save_id,
        parameters=parameters or {},
        model=model,
        saved_at=datetime.now(UTC).isoformat(timespec="seconds"),
        saved_with=__version__,
    )
    try:
        content = json.dumps(encoded, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise ValueError(f"parameters must be JSON values: {error}") from error
    try:
        (path / MASKS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"The project cannot be saved to {path}: {why(error)}.") from error
    if ProjectLock.held_here(path):
        _write(path, state, content, progress)
    else:
        with ProjectLock(path):
            _write(path, state, content, progress)
    return ProjectInfo(
        path, info, relative, save_id, dict(parameters or {}), None if model is None else dict(model)
    )


def _write(
    path: Path, state: DocumentState, content: bytes, progress: Callable[[int, int], None] | None
) -> None:
    masks = path / MASKS
    try:
        finish_commit(path)
        discard_staging(path)
        targets = {frame: masks / mask_name(frame) for frame in state.masks}
        dirty = [
            frame
            for frame, handle in sorted(state.masks.items())
            if handle.saved is None or handle.saved.path != targets[frame] or not handle.saved.holds()
        ]
        kept = {target.name for target in targets.values()}
        removals = [
            entry.name for entry in os.scandir(masks) if entry.name not in kept and _is_mask(entry.name)
        ]
        staging = Staging(path)
    except OSError as error:
        raise UserError(f"The project cannot be saved to {path}: {why(error)}.") from error
    try:
        for done, frame in enumerate(dirty):
            if progress is not None:
                progress(done, len(dirty))
            _stage_mask(staging, f"{MASKS}/{mask_name(frame)}", state.masks[frame])
        staging.write(PROJECT_FILE, content)
        gone = [f"{MASKS}/{name}" for name in removals]
        if state.proposals:
            waiting = (p for _, proposals in sorted(state.proposals.items()) for p in proposals)
            staging.write(PROPOSALS_FILE, encode_proposals(waiting))
        else:
            gone.append(PROPOSALS_FILE)
        _detach({targets[frame] for frame in dirty} | {masks / name for name in removals}, state)
        staging.commit(gone)
    except OSError as error:
        if staging.committed:
            raise UserError(
                f"The project {path.name} is saved, but not every file could be put in its place: "
                f"{why(error)}. Opening or saving it again completes this."
            ) from error
        raise UserError(
            f"The project {path.name} was not saved and is as it was before: {why(error)}."
        ) from error
    finally:
        staging.discard()
    for frame in dirty:
        handle, stamp = state.masks[frame], FileStamp.of(targets[frame])
        handle.saved = stamp
        handle.store.move_file(handle, stamp)
    if progress is not None:
        progress(len(dirty), len(dirty))
    logger.info("saved %d of %d masks to %s", len(dirty), len(state.masks), path)


def _stage_mask(staging: Staging, name: str, handle: PackedMask) -> None:
    if handle.file is not None and handle.saved is not None and handle.saved.holds():
        # Untouched since it was loaded from another folder: its file is what is wanted.
        staging.copy(name, handle.file)
    else:
        staging.write(name, encode_mask(handle.labels()))


def _detach(changing: set[Path], state: DocumentState) -> None:
    """Read masks that undo may want back before their files change."""
    stores: dict[int, MaskStore] = {id(handle.store): handle.store for handle in state.masks.values()}
    for store in stores.values():
        by_path = store.file_handles()
        for path in changing.intersection(by_path):
            for handle in by_path[path]:
                try:
                    store.detach(handle)
                except UserError as error:
                    logger.warning("undo cannot bring back a mask: %s", error)


class DamagedMasksError(UserError):
    """Masks of a project are missing or damaged; everything else of it can be opened with `repair`."""


def load_project(
    path: Path, *, store: MaskStore | None = None, repair: bool = False
) -> tuple[ProjectInfo, Document]:
    """Open the project in a folder (or the folder of a project.json).

    store   where masks are to be kept, of the project's size; None makes one
    repair  leave out missing or damaged masks, said in `ProjectInfo.notes`, instead of refusing

    Raises UserError for a folder that is no project, or a project.json that is damaged or newer than this
    application, and DamagedMasksError for masks that are missing, cut short or not of the video's size.
    """
    path = Path(os.path.abspath(Path(path).expanduser()))
    if path.name == PROJECT_FILE:
        path = path.parent
    if not path.is_dir():
        if path.is_file():
            raise UserError(f"{path} is a file: a project is a folder, <name>{SUFFIX}.")
        raise UserError(f"There is no project {path}: check the path.")
    try:
        if finish_commit(path):
            logger.info("completed an interrupted save of %s", path)
    except OSError as error:
        raise UserError(
            f"The last save of {path} was interrupted and cannot be completed: {why(error)}."
        ) from error
    project = read_project_data(path)
    document = Document(project.state.frame_count, project.state.size, store=store)
    masks, notes = _adopt_masks(path / MASKS, project, document.store, repair)
    proposals, lost = _read_proposals(path / PROPOSALS_FILE, project)
    notes = (*notes, *lost)
    state = _without_frames(project.state, set(project.masked_frames) - set(masks))
    document.restore(replace(state, masks=masks, proposals=proposals))
    info = ProjectInfo(
        path=path,
        source=project.source,
        relative_source=project.relative_source,
        save_id=project.save_id,
        parameters=project.parameters,
        model=project.model,
        notes=notes,
    )
    return info, document


def read_project_data(path: Path) -> ProjectData:
    """What the project.json of a project folder says, masks left alone. Raises UserError."""
    return decode_project(_read_json(path / PROJECT_FILE), path / PROJECT_FILE)


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise UserError(
            f"{file.parent} is no project: it has no {file.name}; choose another folder, or open the video."
        ) from error
    except OSError as error:
        raise UserError(f"{file} cannot be read: {why(error)}.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is damaged ({error}): restore it from a copy.") from error


def _read_proposals(
    file: Path, project: ProjectData
) -> tuple[dict[int, tuple[ProposalMask, ...]], tuple[str, ...]]:
    if not project.proposed_frames:
        return {}, ()
    try:
        found = decode_proposals(file.read_bytes(), project.state.frame_count, project.state.size)
    except (OSError, ValueError, RecursionError) as error:
        reason = why(error) if isinstance(error, OSError) else str(error)
        logger.warning("%s: %s", file, reason)
        return {}, (
            f"The proposals in {file.name} cannot be read ({reason}): propose again. All else is there.",
        )
    return found, ()


def _adopt_masks(
    folder: Path, project: ProjectData, store: MaskStore, repair: bool
) -> tuple[dict[int, PackedMask], tuple[str, ...]]:
    masks: dict[int, PackedMask] = {}
    problems: list[str] = []
    for frame in project.masked_frames:
        file = folder / mask_name(frame)
        try:
            check_mask_file(file, project.state.size)
            masks[frame] = store.adopt_file(file, decode_mask)
        except UserError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"The mask {file} cannot be read ({error.strerror}).")
    if not problems:
        return masks, ()
    others = len(problems) - 1
    more = (
        f" {others:,} more {'masks are' if others > 1 else 'mask is'} missing or damaged, too."
        if others
        else ""
    )
    what = "them" if len(problems) > 1 else "it"
    if not repair:
        raise DamagedMasksError(
            f"{problems[0]}{more} Restore {what} from a copy, or open the project without {what}."
        )
    logger.warning("left out %d masks: %s", len(problems), problems)
    empty = "Those frames are" if others else "That frame is"
    return masks, (
        f"{problems[0]}{more} {empty} empty now; the project on the disk stays as it is until you save.",
    )


def _without_frames(state: DocumentState, frames: set[int]) -> DocumentState:
    """The state with nothing on `frames`: without pixels they must not pass for keyframes of empty masks."""
    if not frames:
        return state
    tracks = {object_id: track.copy() for object_id, track in state.tracks.items()}
    for track in tracks.values():
        for frame in frames:
            track.set_row(frame, (FrameStatus.ABSENT, 0, 0))
    return replace(state, tracks=tracks, keyframes=tuple(k for k in state.keyframes if k not in frames))


def _relative(source: Path, project: Path) -> str:
    """The source as seen from the project folder, with slashes; absolute when on another drive."""
    try:
        return Path(os.path.relpath(source, project)).as_posix()
    except ValueError:
        return source.as_posix()


def _is_mask(name: str) -> bool:
    stem, suffix = os.path.splitext(name)
    return suffix == ".png" and stem.isdecimal()
