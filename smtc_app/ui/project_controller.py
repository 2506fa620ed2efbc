"""Opening, saving, exporting and closing: files are read and written in a worker, questions are asked here.

Unsaved work is never dropped without a question.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QDialog, QFileDialog, QMessageBox, QWidget

from smtc_app.jobs.opened import FoundDataset, MasksDamaged, Opened, SourceMissing
from smtc_app.jobs.runner import Job, JobRunner
from smtc_app.ui.autosave_controller import AutosaveController
from smtc_app.ui.export_controller import ExportController
from smtc_app.ui.import_controller import ImportController
from smtc_app.ui.services import Services
from smtc_app.ui.session import Session
from smtc_app.ui.theme import ICON_PX, Theme

logger = logging.getLogger(__name__)

PROJECT_SUFFIX = ".smtc"
VIDEO_FILTER = "Videos (*.mp4 *.mov *.mkv *.avi *.webm *.m4v *.mpg *.mpeg *.wmv *.ts *.gif)"
IMAGE_FILTER = "Images (*.png *.jpg *.jpeg *.tif *.tiff *.bmp)"


class ProjectController(QObject):
    """Signals:
    told: (sentence, button caption, slot) about something that went well.
    warned, failed: a sentence.
    failed_with_button: like `told`, about something that went wrong and can be put right.
    mask_read: (labels, name, frame) of a mask to take over.
    masks_beside: (frame, file) of the first mask beside footage that was opened and has no project.
    opening: the path that is being opened, or None when that has ended.
    not_opened: the path that could not be opened; `failed` or `failed_with_button` follows and says why.
    opened: the path, for the list of recent ones.
    dataset_found: the `FoundDataset` that a path turned out to be.
    """

    told = Signal(object)
    warned = Signal(object)
    failed = Signal(object)
    failed_with_button = Signal(object)
    mask_read = Signal(object)
    masks_beside = Signal(object)
    opening = Signal(object)
    not_opened = Signal(object)
    opened = Signal(object)
    dataset_found = Signal(object)

    def __init__(
        self,
        session: Session,
        runner: JobRunner,
        services: Services,
        autosave: AutosaveController,
        window: QWidget,
        *,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session, self._runner, self._window = session, runner, window
        self.services = services
        self.autosave = autosave
        autosave.restore = self.restore
        self._opening: Job | None = None
        self._saving: Job | None = None
        self.before_close: Callable[[], None] = lambda: None
        """Ends whatever still reads the open footage."""
        self.end_jobs: Callable[[], None] = lambda: None
        """Asks what still changes the open work to end, before it is saved for the last time."""
        self.last_folder = Path.home()
        """Where dialogs begin while nothing is open."""
        self.parameters: Callable[[], dict[str, Any]] = dict
        """What is saved with the project besides the document."""
        self.usual_project: Callable[[], Path | None] = lambda: None
        """Where the open video is saved without asking; None: ask. A dataset has a place for each video."""
        self.exporter = ExportController(session, runner, services, window, parent=self)
        self.importer = ImportController(session, runner, services, window, parent=self)
        for part in (self.exporter, self.importer):
            for signal in ("told", "warned", "failed"):
                getattr(part, signal).connect(getattr(self, signal))

    # Opening

    @property
    def is_opening(self) -> bool:
        """Whether a path is being opened."""
        return self._opening is not None

    def ask_open(self) -> None:
        """Let the person choose a video, an image or a project."""
        dialog = QFileDialog(self._window, "Open Video or Project", str(self._last_folder()))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setOption(QFileDialog.Option.HideNameFilterDetails)  # a dozen endings fit no box
        dialog.setNameFilters(
            [
                f"Videos and projects ({VIDEO_FILTER[8:-1]} project.json)",
                IMAGE_FILTER,
                "All files (*)",
            ]
        )
        self._run_file_dialog(dialog)

    def ask_open_folder(self) -> None:
        """Let the person choose a folder of images, a DAVIS sequence or a project folder."""
        dialog = QFileDialog(self._window, "Open Folder of Images or Project", str(self._last_folder()))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        self._run_file_dialog(dialog)

    def _run_file_dialog(self, dialog: QFileDialog) -> None:
        chosen = dialog.selectedFiles() if dialog.exec() == QDialog.DialogCode.Accepted else []
        dialog.deleteLater()
        if chosen:
            self.open(chosen[0])

    def open_demo(self) -> None:
        """Open the clip that comes with the application."""
        self.open(str(self.services.demo_clip()), demo=True)

    def open(self, path: str, *, demo: bool = False) -> None:
        """Open a video, a folder or a project; what is open stays until the new one could be read."""
        where = Path(path)
        if where.name == "project.json" and where.parent.suffix == PROJECT_SUFFIX:
            where = where.parent

        def go() -> None:
            self._open_now(where, demo)

        self._with_saved_work(go)

    def switch_to(self, path: Path, or_else: Callable[[], None] = lambda: None) -> None:
        """Open a path after the open work has been saved where it usually is, without a question.

        `or_else` is called when it could not or shall not be saved, and so stays open.
        """

        def go() -> None:
            again = partial(self._open_now, path, False)
            self._submit_opening(path, self.services.open_task, path, False, None, again=again, quiet=True)

        self._save_if_needed(go, or_else)

    def _save_if_needed(self, then: Callable[[], None], or_else: Callable[[], None]) -> None:
        """Go on at once where nothing is unsaved, else after saving; asks where there is no usual place."""
        self._session.settle(lambda: self._save_settled_if_needed(then, or_else), or_else)

    def _save_settled_if_needed(self, then: Callable[[], None], or_else: Callable[[], None]) -> None:
        session = self._session
        if not session.is_open or not session.document.modified:
            then()
        elif session.project is not None or self.usual_project() is not None:
            self.save(then, or_else)
        else:
            self._with_saved_work(then, or_else)

    def restore(self, recovery: Any) -> None:
        """Open unsaved work that a crash has left."""
        self._with_saved_work(lambda: self._restore_now(recovery))

    def _restore_now(self, recovery: Any, footage: Path | None = None) -> None:
        path = Path(recovery.source.path)
        again = partial(self._restore_now, recovery)
        self._submit_opening(path, self.services.restore_task, recovery, footage, again=again)

    def _open_now(self, path: Path, demo: bool, footage: Path | None = None, **options: Any) -> None:
        again = partial(self._open_now, path, False, **options)
        self._submit_opening(path, self.services.open_task, path, demo, footage, again=again, **options)

    def _submit_opening(
        self,
        path: Path,
        task: Callable[..., Any],
        *arguments: Any,
        again: Callable[[Path], None],
        quiet: bool = False,
        **options: Any,
    ) -> None:
        """Run a task that opens `path`; `again(footage)` does so with the footage that a person has shown."""
        if self._opening is not None:
            self._opening.cancel()
        left = self._revision()

        def on_done(result: Opened | SourceMissing | MasksDamaged | FoundDataset) -> None:
            current = job is self._opening
            if current:
                self._end_opening()
            if isinstance(result, FoundDataset):
                if current:
                    self.dataset_found.emit(result)
            elif isinstance(result, SourceMissing):
                if current:
                    self.not_opened.emit(str(path))
                    self._tell_source_missing(path, result.sentence, again)
            elif isinstance(result, MasksDamaged):
                if current:
                    self.not_opened.emit(str(path))
                    self._tell_masks_damaged(path, result.sentence, *arguments[1:], **options)
            elif not current:
                # Another path has been asked for in between.
                result.close()
            elif self._revision() == left:
                self._on_opened(path, result)
            else:
                self._leave_edited(path, result, quiet)

        def on_error(sentence: str) -> None:
            if job is self._opening:
                self._end_opening()
                self.not_opened.emit(str(path))
                self.failed.emit(sentence)

        job = self._opening = self._runner.submit(
            f"Opening {path.name}",
            task,
            *arguments,
            on_done=on_done,
            on_error=on_error,
            **options,
        )
        self.opening.emit(str(path))

    def _revision(self) -> tuple[int, int] | None:
        """What the open work looks like; equal as long as nobody has edited it."""
        document = self._session.document
        return None if document is None else (id(document), document.revision)

    def _leave_edited(self, path: Path, result: Opened, quiet: bool) -> None:
        """Edits were made while the next video was being read: they are saved or asked about, too."""

        def go() -> None:
            self._on_opened(path, result)

        def stay() -> None:
            result.close()
            self.warned.emit(f"{path.name} was not opened: the open video has changes that are not saved.")

        if quiet:
            self._save_if_needed(go, stay)
        else:
            self._with_saved_work(go, stay)

    def _on_opened(self, path: Path, result: Opened) -> None:
        self.close_now()
        self._session.set_project(result.project, result.release)
        self._session.new_objects = result.new_objects
        self._session.open(result.source, result.document, demo=result.demo)
        self._session.runs = list(result.runs)
        self._session.categories = result.categories
        if result.recovery is not None:
            self._session.undo.mark_unsaved()
        self.autosave.start(result)
        if not result.demo:
            self.opened.emit(str(result.project or path))
        if result.first_mask is not None:
            self.masks_beside.emit(result.first_mask)
        if result.notes:
            self.warned.emit(" ".join(result.notes))

    def _tell_source_missing(self, path: Path, sentence: str, again: Callable[[Path], None]) -> None:
        def choose() -> None:
            what = f"the video of {path.name}" if path.suffix == PROJECT_SUFFIX else path.name
            title, filters = f"Where is {what} now?", f"{VIDEO_FILTER};;{IMAGE_FILTER}"
            chosen, _ = QFileDialog.getOpenFileName(self._window, title, str(path.parent), filters)
            if chosen:
                # What is open may have been edited since the project was asked for.
                self._with_saved_work(partial(again, Path(chosen)))

        self.failed_with_button.emit((sentence, "Choose…", choose))

    def _tell_masks_damaged(self, path: Path, sentence: str, *arguments: Any, **options: Any) -> None:
        def go() -> None:
            self._open_now(path, *arguments, **{**options, "repair": True})

        self.failed_with_button.emit((sentence, "Open the Rest", lambda: self._with_saved_work(go)))

    def _end_opening(self) -> None:
        self._opening = None
        self.opening.emit(None)

    # Saving

    def save(
        self, then: Callable[[], None] | None = None, or_else: Callable[[], None] = lambda: None
    ) -> None:
        """Save the project, asking where the first time.

        `then` is called when it has been written, `or_else` when it could not or shall not be.
        """
        self._session.settle(lambda: self._save_settled(then, or_else), or_else)

    def _save_settled(self, then: Callable[[], None] | None, or_else: Callable[[], None]) -> None:
        if not self._session.is_open:
            return
        path = self._session.project or self.usual_project()
        if path is None:
            self.save_as(then, or_else)
        else:
            self._save_to(path, then, or_else)

    def save_parameters(self, _nothing: object = None) -> None:
        """Write what a saved project keeps besides its document, without a word, as nobody did it.

        Where something else waits to be saved it is written with that.
        """
        session = self._session
        if session.project is not None and not session.document.modified and self._saving is None:
            self._save_to(session.project, None, quiet=True)

    def save_as(
        self, then: Callable[[], None] | None = None, or_else: Callable[[], None] = lambda: None
    ) -> None:
        """Ask where to save the project, and save it there."""
        session = self._session
        if not session.is_open:
            return
        suggestion = session.project or self._last_folder() / (
            Path(session.source.path).stem + PROJECT_SUFFIX
        )
        dialog = QFileDialog(self._window, "Save Project", str(suggestion.parent))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setFileMode(QFileDialog.FileMode.AnyFile)
        dialog.setOption(QFileDialog.Option.DontConfirmOverwrite)
        dialog.setNameFilter(f"Projects (*{PROJECT_SUFFIX})")
        dialog.selectFile(suggestion.name)
        chosen = dialog.selectedFiles() if dialog.exec() == QDialog.DialogCode.Accepted else []
        dialog.deleteLater()
        if not chosen:
            or_else()
            return
        path = Path(chosen[0])
        if path.suffix != PROJECT_SUFFIX:
            path = path.with_name(path.name + PROJECT_SUFFIX)
        if path.exists() and path != session.project and not self._confirm_replacing(path):
            or_else()
            return
        self._save_to(path, then, or_else)

    def _confirm_replacing(self, path: Path) -> bool:
        answer = QMessageBox.question(
            self._window,
            "Replace the project?",
            f"{path.name} exists already. Replace it with this project?",
            QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No,
            QMessageBox.StandardButton.No,
        )
        return answer == QMessageBox.StandardButton.Yes

    def _save_to(
        self,
        path: Path,
        then: Callable[[], None] | None,
        or_else: Callable[[], None] = lambda: None,
        *,
        quiet: bool = False,
    ) -> None:
        session, document = self._session, self._session.document
        if document is None:
            return
        revision = document.revision

        save_id, parameters = self.autosave.mark_save(), self.parameters()
        state = document.snapshot()

        def on_done(result: tuple[Any, Callable[[], None] | None]) -> None:
            self._saving = None
            info, release = result
            if document is not session.document:
                if release is not None:
                    release()
                return
            session.set_project(info.path, release or session.release_project)
            self.autosave.saved(info, state)
            if document.revision == revision:
                session.undo.mark_clean()
            session.history_changed.emit(None)
            self.opened.emit(str(info.path))
            if then is not None and document.modified:
                # Whoever wants to leave leaves nothing behind that was done while masks were written.
                self._save_to(info.path, then, or_else)
            elif then is not None:
                then()
            else:
                if not quiet:
                    self.told.emit((f"Saved {path.name}.", "", None))
                if self.parameters() != parameters:
                    self.save_parameters()

        def on_error(sentence: str) -> None:
            self._saving = None
            self.failed.emit(sentence)
            or_else()

        def on_cancelled() -> None:
            self._saving = None
            or_else()

        self._saving = self._runner.submit(
            f"Saving {path.name}",
            self.services.save_task,
            path,
            state,
            session.source,
            parameters,
            save_id,
            on_done=on_done,
            on_error=on_error,
            on_cancelled=on_cancelled,
        )

    # Masks in and out

    def ask_import_mask(self) -> None:
        """Ask for a mask image and take it over for the frame that is shown."""
        session = self._session
        if not session.is_open:
            return
        title, filters = "Import Mask for This Frame", "Masks (*.png *.bmp *.tif *.tiff)"
        start = session.source.annotations or self._last_folder()
        path, _ = QFileDialog.getOpenFileName(self._window, title, str(start), filters)
        if path:
            self.import_mask(Path(path), session.frame)

    def import_mask(self, path: Path, frame: int) -> None:
        """Take a mask image over for a frame."""
        document = self._session.document

        def on_done(result: tuple[Any, Sequence[str]]) -> None:
            labels, notes = result
            if document is self._session.document:
                self.mask_read.emit((labels, path.name, frame))
                if notes:
                    self.warned.emit(" ".join(notes))

        self._runner.submit(
            f"Reading {path.name}",
            self.services.import_mask_task,
            path,
            document.size,
            on_done=on_done,
            on_error=self.failed.emit,
        )

    # Closing

    def close(self) -> None:
        """Close the video, asking about unsaved work."""
        self._with_saved_work(self.close_now)

    def close_now(self) -> None:
        """Close the video; what is not saved is dropped."""
        if self._session.is_open:
            self.before_close()
            self._session.close()

    def may_drop(self, then: Callable[[], None], or_else: Callable[[], None] = lambda: None) -> bool:
        """Whether the open work may be dropped now.

        `then` follows if the person has it saved first, or if edits have to be worked out before that can be
        said; `or_else` if it cannot be or shall stay open.
        """
        session = self._session
        if session.unsettled():
            session.settle(then, or_else)
            return False
        if not session.is_open or not session.document.modified:
            return True
        box = QMessageBox(self._window)
        theme = Theme.current()
        box.setIcon(QMessageBox.Icon.Warning)
        box.setIconPixmap(theme.pixmap("warning", ICON_PX, theme.colours.warning, box.devicePixelRatioF()))
        box.setWindowTitle("Unsaved work")
        box.setText(f"Save the changes to {session.title}?")
        box.setInformativeText("They are lost otherwise.")
        buttons = QMessageBox.StandardButton
        box.setStandardButtons(buttons.Save | buttons.Discard | buttons.Cancel)
        box.setDefaultButton(buttons.Save)
        answer = box.exec()
        box.deleteLater()
        if answer == buttons.Save:
            self.end_jobs()
            self.save(then, or_else)
        elif answer != buttons.Discard:
            or_else()
        return answer == buttons.Discard

    def _with_saved_work(self, then: Callable[[], None], or_else: Callable[[], None] = lambda: None) -> None:
        if self._session.unsettled():
            self._session.settle(lambda: self._with_saved_work(then, or_else), or_else)
        elif self.may_drop(then, or_else):
            then()

    def _last_folder(self) -> Path:
        session = self._session
        if session.is_open and not session.demo:
            return (session.project or Path(session.source.path)).parent
        return self.last_folder
