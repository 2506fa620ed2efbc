"""Proposals for every untouched video of the dataset, made in the background and kept in its projects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from smtc_app.core.command import counted
from smtc_app.core.dataset import VideoState
from smtc_app.jobs.runner import Job, JobRunner
from smtc_app.ui.dataset_controller import DatasetController
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.services import Services


class DatasetProposalsController(QObject):
    """Connects the action; nothing is accepted, and the open video is left alone.

    Signals:
        told, failed: a sentence for the person.
    """

    told = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        window: MainWindow,
        dataset: DatasetController,
        runner: JobRunner,
        services: Services,
        *,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._dataset, self._runner, self._services = window, dataset, runner, services
        self._job: Job | None = None
        self._folder: Any = None
        """That of the dataset that the job is for."""
        self.model_settings: Callable[[], dict[str, Any]] = dict
        self.parameters: Callable[[], dict[str, Any]] = dict
        window.actions_table.connect("propose_all", self.start)
        dataset.changed.connect(self._update_action)
        self._update_action()

    def start(self) -> None:
        """Propose objects on the first frame of every untouched video."""
        folder, is_open = self._dataset.folder, self._dataset.is_open
        if folder is None or self._job is not None:
            return
        rows = self._window.dataset_panel.rows
        entries = [row.entry for row in rows if row.state == VideoState.UNTOUCHED and not is_open(row.name)]
        if not entries:
            self.told.emit("No other video of the dataset is untouched.")
            return
        self._folder = folder
        most, granularity = self._window.proposal_panel.settings
        self._job = self._runner.submit(
            f"Proposing on the first frame of {counted(len(entries), 'video')}",
            self._services.propose_videos_task,
            entries,
            folder.project_of,
            is_open,
            self.parameters(),
            max_objects=most,
            granularity=granularity,
            on_partial=self._dataset.look_again,
            on_done=self._on_done,
            on_error=self._on_error,
            on_cancelled=self._on_cancelled,
            **self.model_settings(),
        )
        self._update_action()

    def _on_done(self, result: Any) -> None:
        self._end()
        parts = [f"Proposals wait in {counted(len(result.proposed), 'video')}."]
        if result.empty:
            parts.append(f"Nothing was found in {counted(len(result.empty), 'video')}.")
        self.told.emit(" ".join(parts))
        if result.problems:
            more = f" (and {len(result.problems) - 1} more)" if len(result.problems) > 1 else ""
            self.failed.emit(result.problems[0] + more)

    def _on_error(self, sentence: str) -> None:
        self._end()
        self.failed.emit(sentence)

    def _on_cancelled(self) -> None:
        self._end()
        self.told.emit("Cancelled; the proposals made so far are kept.")

    def _end(self) -> None:
        self._job = None
        self._update_action()

    @Slot(object)
    def _update_action(self, _nothing: object = None) -> None:
        if self._job is not None and self._dataset.folder is not self._folder:
            self._job.cancel()
        reason = "Open a dataset first." if self._dataset.folder is None else "It is running already."
        can = self._dataset.folder is not None and self._job is None
        self._window.actions_table.enable("propose_all", can, reason)
