"""Taking over masks that were made elsewhere, a whole folder of them at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from smtc_app.core.import_commands import ImportMask
from smtc_app.jobs.runner import JobRunner
from smtc_app.ui.services import Services
from smtc_app.ui.session import Session

logger = logging.getLogger(__name__)


class ImportController(QObject):
    """Signals:
    told: (sentence, button caption, slot).
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

    def ask_folder(self) -> None:
        """Ask for a folder of masks and take all of them over."""
        session = self._session
        if not session.is_open:
            return
        beside = session.source.annotations
        start = beside if beside is not None else Path(session.source.path).parent
        chosen = QFileDialog.getExistingDirectory(self._window, "Import Masks of All Frames", str(start))
        if chosen:
            self.take_folder(Path(chosen))

    def take_folder(self, folder: Path) -> None:
        """Take over the masks of a folder, each for the frame of its name: one step of the history."""
        session, document, run = self._session, self._session.document, object()
        count = 0

        def on_partial(message: tuple[int, Any, Any]) -> None:
            nonlocal count
            frame, labels, hints = message
            if document is session.document and session.push(ImportMask(frame, labels, hints=hints, run=run)):
                count += 1

        def imported() -> str:
            return f"Imported {count:,} mask{'' if count == 1 else 's'}"

        def end(then: Callable[[], None]) -> None:
            if document is session.document:
                session.undo.close_step()
                then()

        def on_done(notes: Sequence[str]) -> None:
            sentence = " ".join((f"{imported()} from {folder}.", *notes))
            end(lambda: self.warned.emit(sentence) if notes else self.told.emit((sentence, "", None)))

        def on_error(sentence: str) -> None:
            kept = f" {imported()} before it." if count else ""
            end(lambda: self.failed.emit(sentence + kept))

        def on_cancelled() -> None:
            end(lambda: self.warned.emit(f"Cancelled. {imported()} so far."))

        self._runner.submit(
            f"Importing masks from {folder.name}",
            self._services.import_masks_task,
            session.source,
            folder,
            on_partial=on_partial,
            on_done=on_done,
            on_error=on_error,
            on_cancelled=on_cancelled,
        )
