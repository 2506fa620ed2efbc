"""The running job in the status bar: what, progress, frames per second, time left, cancel."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QToolButton, QWidget

from smtc_app.jobs.runner import Job
from smtc_app.ui.theme import SPACING_PX, Theme


def format_time_left(seconds: float | None) -> str:
    """`0:07 left`, `1:02:03 left`, or an empty string when nobody can tell."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} left" if hours else f"{minutes}:{rest:02} left"


def format_rate(rate_per_s: float | None) -> str:
    """`12.3 frames/s`, `0.40 frames/s`, or an empty string when nobody can tell."""
    if rate_per_s is None:
        return ""
    return f"{rate_per_s:.1f} frames/s" if rate_per_s >= 1 else f"{rate_per_s:.2f} frames/s"


class JobBar(QWidget):
    """Shows the oldest job that a person asked for, and how many wait behind it.

    Signals:
        cancel_requested: the `Job` to cancel.
    """

    cancel_requested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._job: Job | None = None
        self._title = QLabel()
        self._progress = QProgressBar()
        self._progress.setFixedSize(150, 14)
        self._progress.setTextVisible(False)
        self._detail = QLabel()
        # Numbers that change ten times a second must not push their neighbours about.
        self._detail.setMinimumWidth(
            self._detail.fontMetrics().horizontalAdvance("100.0 frames/s · 00:00 left")
        )
        self._cancel = QToolButton()
        self._cancel.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._cancel.setObjectName("cancelJob")
        self._cancel.setToolTip("Cancel; what is done so far stays  (Esc)")
        self._cancel.setIconSize(QSize(16, 16))
        self._cancel.clicked.connect(self._on_cancel_clicked)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACING_PX // 2)
        for widget in (self._title, self._progress, self._detail, self._cancel):
            layout.addWidget(widget)
        Theme.current().changed.connect(self._on_theme_changed)
        self._on_theme_changed()
        self.hide()

    @property
    def text(self) -> str:
        """What it says, for tests and screen readers."""
        return f"{self._title.text()} {self._detail.text()}".strip() if self._job else ""

    def set_jobs(self, jobs: Sequence[Job]) -> None:
        """Show the first of the jobs that people asked for; hide when there is none."""
        asked = [job for job in jobs if not job.background]
        self._job = asked[0] if asked else None
        self.setVisible(self._job is not None)
        if self._job is None:
            return
        job = self._job
        waiting = f"  (+{len(asked) - 1} waiting)" if len(asked) > 1 else ""
        self._title.setText(f"{job.title}{waiting}")
        self._title.setToolTip(job.message)
        # Nothing done yet: the model is being loaded or the first frame computed; a moving bar says "at
        # work".
        self._progress.setRange(0, job.total if job.done else 0)
        self._progress.setValue(job.done)
        if job.cancel_requested:
            # A step of the model may take seconds: without an answer people press Esc again.
            self._title.setText(f"Cancelling: {job.title}{waiting}")
        parts = [format_rate(job.rate_per_s), format_time_left(job.remaining_s)] if job.total > 1 else []
        self._detail.setText(" · ".join(part for part in parts if part))
        self._cancel.setEnabled(not job.cancel_requested)

    @Slot()
    def _on_cancel_clicked(self) -> None:
        if self._job is not None:
            self._cancel.setEnabled(False)
            self.cancel_requested.emit(self._job)

    @Slot(object)
    def _on_theme_changed(self, _colours: object = None) -> None:
        self._cancel.setIcon(Theme.current().icon("cancel"))
