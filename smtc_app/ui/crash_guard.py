"""What happens on an error that nobody expected: the work is saved first, then the person is told.

Install it as `sys.excepthook`; Qt hands it whatever a slot raises. The window goes on: the step that failed
has changed nothing, because a command that raises is not kept.
"""

from __future__ import annotations

import logging
import traceback
from types import TracebackType

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMessageBox, QWidget

from smtc_app.ui.autosave_controller import AutosaveController
from smtc_app.ui.project_controller import ProjectController
from smtc_app.ui.session import Session
from smtc_app.ui.theme import ICON_PX, Theme

logger = logging.getLogger(__name__)


class CrashGuard:
    """Logs, saves, tells; while its dialog is open further errors are logged only."""

    def __init__(
        self, window: QWidget, session: Session, project: ProjectController, autosave: AutosaveController
    ) -> None:
        self._window, self._session, self._project, self._autosave = window, session, project, autosave
        self._showing = False

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            self._window.close()
            return
        logger.critical("unexpected error", exc_info=(kind, error, trace))
        if self._showing:
            return
        self._showing = True
        try:
            saved = self._save()
            self._tell(saved, f"{kind.__name__}: {error}", "".join(traceback.format_exception(error)))
        finally:
            self._showing = False

    def _save(self) -> str:
        """Keep what is open, and say where in a sentence."""
        session = self._session
        if not session.is_open:
            return "Nothing was open, so nothing is lost."
        if not session.document.modified:
            return "Everything you did is saved."
        kept = self._autosave.secure()
        if session.project is not None or self._project.usual_project() is not None:
            self._project.save()
            return "Your work is being saved to its project."
        if kept:
            return (
                "Every step you did is in the journal, which is offered again at the next start. "
                "Save the project (Ctrl+S) to choose a place for it."
            )
        return "Your work is still open: save it now (Ctrl+S)."

    def _tell(self, saved: str, error: str, details: str) -> None:
        box = QMessageBox(self._window)
        theme = Theme.current()
        box.setIcon(QMessageBox.Icon.Critical)
        box.setIconPixmap(theme.pixmap("error", ICON_PX, theme.colours.error, box.devicePixelRatioF()))
        box.setWindowTitle("Unexpected error")
        box.setText(f"Something went wrong that should not have.\n\n{saved}")
        box.setInformativeText(error)
        box.setDetailedText(details)
        go_on = box.addButton("Go On", QMessageBox.ButtonRole.AcceptRole)
        copy = box.addButton("Copy Details and Go On", QMessageBox.ButtonRole.ActionRole)
        box.setDefaultButton(go_on)
        box.setEscapeButton(go_on)
        box.exec()
        if box.clickedButton() is copy:
            QGuiApplication.clipboard().setText(details)
