"""Exporting: asks what and where to, has it written in a worker, and says what came of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QDialog, QWidget

from smtc_app.core.export import FORMATS, ExportRequest, ExportResult
from smtc_app.jobs.runner import JobRunner
from smtc_app.ui.dialogs_export import ExportDialog
from smtc_app.ui.object_list import ObjectRow
from smtc_app.ui.services import Services
from smtc_app.ui.session import Session

NAMES_TOLD = 3
FRAMES_FOLDER = "JPEGImages"
"""In a DAVIS or YouTube-VOS root, whatever lies in it counts as a sequence."""


class ExportController(QObject):
    """Signals:
    told: (sentence, button caption, slot) about an export that is done.
    warned, failed: a sentence.
    """

    told = Signal(object)
    warned = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        session: Session,
        runner: JobRunner,
        services: Services,
        window: QWidget,
        *,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session, self._runner, self._services, self._window = session, runner, services, window
        self._format = "davis"
        self.made_with: Callable[[], dict[str, Any]] = dict
        """What the provenance tells about settings."""
        self.model_settings: Callable[[], dict[str, Any]] = dict
        """Model, device and preset of exports that compute something."""
        self.model_runner: JobRunner | None = None
        """Where those run, one after the other with proposals and propagation."""

    def ask(self, rows: list[ObjectRow], chosen: tuple[int, int] | None = None) -> None:
        """Ask what to export, and export it; `chosen` is the range on the timeline."""
        session = self._session
        if not session.is_open:
            return
        if not session.document.labelled_frames:
            self.warned.emit(
                "There are no masks to export yet: accept proposals (S, Enter) or paint an object (P)."
            )
            return
        dialog = ExportDialog(
            self._base(),
            session.document.frame_count,
            session.document.labelled_frames,
            rows,
            session.frame,
            chosen=chosen,
            format_key=self._format,
            fps=session.source.fps,
            images=session.source.kind == "video",
            stale={i: session.document.stale_spans(i) for i in session.document.stale_objects()},
            parent=self._window,
        )
        if dialog.exec() == QDialog.DialogCode.Accepted:
            self._format = dialog.chosen_format.key
            self.export(dialog.request)
        dialog.deleteLater()

    def _base(self) -> Path:
        """What suggested folders begin with: beside the project or the footage, not inside the package.

        All of the path, also for a source that the shell gave relative to a folder that nobody sees here.
        """
        session = self._session
        what = Path(session.project or session.source.path).absolute()
        return (Path.home() if session.demo else folder_beside(what)) / what.stem

    def export(self, request: ExportRequest) -> None:
        """Write what was asked for, in a worker, from a frozen copy of the document."""
        session = self._session
        computes = FORMATS[request.format].soft
        runner = self.model_runner if computes and self.model_runner is not None else self._runner

        def on_done(result: ExportResult) -> None:
            def show() -> None:
                QDesktopServices.openUrl(QUrl.fromLocalFile(str(result.folder)))

            self.told.emit((sentence_about(result), "Open Folder", show))

        runner.submit(
            f"Exporting {FORMATS[request.format].title} to {request.folder.name}",
            self._services.export_task,
            session.source,
            session.document.snapshot(),
            request,
            runs=tuple(session.runs),
            made_with={**self.made_with(), "project": session.project.name if session.project else None},
            settings=self.model_settings() if computes else {},
            on_done=on_done,
            on_error=self.failed.emit,
            on_cancelled=self._on_cancelled,
        )

    def _on_cancelled(self) -> None:
        self.warned.emit("The export was cancelled; nothing was written.")


def sentence_about(result: ExportResult) -> str:
    """What the banner says after an export."""
    objects = "1 object" if len(result.objects) == 1 else f"{len(result.objects)} objects"
    frames = "1 frame" if result.frames == 1 else f"{result.frames:,} frames"
    sentence = f"Exported {objects} on {frames} to {result.folder}. Checked: {result.checked}"
    if result.left_out:
        names = ", ".join(f"'{name}'" for name in result.left_out[:NAMES_TOLD])
        more = len(result.left_out) - NAMES_TOLD
        sentence += f" Not on any of these frames: {names}{f' and {more} more' if more > 0 else ''}."
    return sentence


def folder_beside(what: Path) -> Path:
    """The folder that `what` lies in, or the root of the dataset whose sequence it is."""
    for folder in what.parents:
        if folder.name == FRAMES_FOLDER:
            return folder.parent
    return what.parent
