"""Opening, saving and restoring as the window asks for them: io put together, run in a worker thread."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from smtc_app.core.categories import categories_from_json
from smtc_app.core.dataset import Dataset
from smtc_app.core.document import Document, DocumentState
from smtc_app.core.errors import UserError
from smtc_app.core.new_objects import new_objects_from_json
from smtc_app.core.replay import runs_from_json
from smtc_app.io.autosave import Autosave
from smtc_app.io.dataset import find_dataset, scan_dataset
from smtc_app.io.dataset_state import DatasetFolder
from smtc_app.io.project import DamagedMasksError, ProjectInfo, is_project, load_project, save_project
from smtc_app.io.project_lock import ProjectLock
from smtc_app.io.project_source import find_source, use_source
from smtc_app.io.recovery import Recovery, find_recovery, list_recoveries
from smtc_app.io.source import FrameSource, open_source
from smtc_app.jobs.context import TaskContext
from smtc_app.jobs.opened import FoundDataset, MasksDamaged, Opened, SourceMissing


def open_task(
    ctx: TaskContext, path: Path, demo: bool = False, footage: Path | None = None, *, repair: bool = False
) -> Opened | SourceMissing | MasksDamaged | FoundDataset:
    """Open footage, or a project with its footage and whatever a crash has left unsaved; or find a dataset.

    Args:
        footage: where the person says that a project's video is.
        repair: leave out masks of a project that cannot be read.

    Raises:
        UserError: nothing that can be opened, or a project that is open elsewhere.
    """
    ctx.progress(0, 0, "opening")
    if not is_project(path):
        dataset = find_dataset(path)
        if dataset is not None:
            return _found(dataset)
        source = open_source(path)
        document = Document(len(source), source.size)
        return Opened(source, document, demo=demo, first_mask=first_mask(source))
    lock = ProjectLock(path).acquire()
    try:
        try:
            info, document = load_project(path, repair=repair)
        except DamagedMasksError as error:
            lock.release()
            return MasksDamaged(str(error))
        try:
            found = find_source(info) if footage is None else use_source(info, footage)
        except UserError as error:
            lock.release()
            return SourceMissing(str(error))
        notes = [note for note in (*info.notes, found.note) if note]
        saved_state, recovery = document.snapshot(), find_recovery(info)
        new_objects = new_objects_from_json(
            info.parameters.get("new_objects"), document.frame_count, document.size
        )
        if recovery is not None:
            notes.append(f"Restored {_steps(recovery.apply(document))} that had not been saved.")
            # The marks are those of the last save, and some may have been labelled since.
            new_objects = tuple(
                alarm
                for alarm in new_objects
                if not alarm.proposal.explained_by(document.labels(alarm.proposal.frame))
            )
        with contextlib.suppress(UserError):  # told when the frame is shown
            # What the window shows first is decoded here, so that it does not stand still for it.
            document.area(0, 0)
    except BaseException:
        lock.release()
        raise
    return Opened(
        found.source,
        document,
        info.path,
        tuple(notes),
        info=info,
        runs=runs_from_json(info.parameters.get("runs")),
        categories=categories_from_json(info.parameters.get("categories")),
        new_objects=new_objects,
        release=lock.release,
        recovery=recovery,
        saved_state=saved_state if recovery is not None else None,
    )


def find_dataset_task(ctx: TaskContext, path: Path) -> FoundDataset:
    """List the videos of a folder.

    Raises:
        UserError: no folder, or no videos in it.
    """
    ctx.progress(0, 0, "looking for videos")
    return _found(scan_dataset(path))


def _found(dataset: Dataset) -> FoundDataset:
    folder = DatasetFolder(dataset.root)
    return FoundDataset(dataset, folder, folder.load())


def mark_done_task(ctx: TaskContext, folder: DatasetFolder, name: str, done: bool) -> None:
    """Remember that a video is done, or that it is not. Raises UserError."""
    ctx.progress(0, 1)
    folder.set_done(name, done)


def remember_video_task(ctx: TaskContext, folder: DatasetFolder, name: str | None, sort: str) -> None:
    """Remember which video of a dataset is open and how the list is sorted. Raises UserError.

    Nothing is written into a dataset that was only looked at: its folder comes with a project or a mark.
    """
    ctx.progress(0, 1)
    if folder.path.is_dir():
        folder.change(lambda state: replace(state, last=name or state.last, sort=sort))


def save_task(
    ctx: TaskContext,
    path: Path,
    state: DocumentState,
    source: Any,
    parameters: dict[str, Any],
    save_id: str | None,
) -> tuple[ProjectInfo, Callable[[], None] | None]:
    """Save a project and keep the right to write into its folder.

    Returns what the project says about itself, and what gives up that right if it was not held before.
    """

    def progress(done: int, total: int) -> None:
        ctx.progress(done, total, "writing masks")

    models = [run.model for run in runs_from_json(parameters.get("runs")) if run.model]
    model = models[-1] if models else None
    info = save_project(path, state, source, parameters, model=model, save_id=save_id, progress=progress)
    if ProjectLock.held_here(info.path):
        return info, None
    return info, ProjectLock(info.path).acquire().release


def list_recoveries_task(ctx: TaskContext) -> list[Recovery]:
    """Documents that were never saved and that a crash has left, newest first."""
    ctx.progress(0, 0, "looking for unsaved work")
    return list_recoveries()


def restore_task(ctx: TaskContext, recovery: Recovery, footage: Path | None = None) -> Opened | SourceMissing:
    """Open the footage of work that was never saved, and the work.

    Args:
        footage: where the person says that the video is.

    Raises:
        UserError: the footage cannot be read or is another one now.
    """
    ctx.progress(0, 0, "restoring")
    if footage is None and not recovery.source.path.exists():
        return SourceMissing(
            f"The video {recovery.source.path} of the unsaved work is not there: choose where it is now."
        )
    source = open_source(footage or recovery.source.path)
    try:
        if (len(source), tuple(source.size)) != (recovery.source.frame_count, tuple(recovery.source.size)):
            raise UserError(f"{source.path} is another video now, so the unsaved work does not fit it.")
        document = Document(len(source), source.size)
        note = f"Restored {_steps(recovery.apply(document))}; save the project to keep them."
    except BaseException:
        source.close()
        raise
    return Opened(source, document, notes=(note,), recovery=recovery)


def make_journal(opened: Opened, on_problem: Callable[[str], None]) -> Autosave:
    """The journal of a document that has just been opened; call it in the document's thread."""
    return Autosave(
        opened.document,
        opened.source,
        project=opened.info,
        saved_state=opened.saved_state,
        recovery=opened.recovery,
        on_problem=on_problem,
    )


def first_mask(source: FrameSource) -> tuple[int, Path] | None:
    """The first frame that has a mask beside the footage, and the mask's file."""
    if source.annotations is None:
        return None
    present = {file.stem: file for file in source.annotations.glob("*.png")}
    for index in range(len(source)):
        if source.name(index) in present:
            return index, present[source.name(index)]
    return None


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"
