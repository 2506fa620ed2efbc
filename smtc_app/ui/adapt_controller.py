"""Adapt to this video: a switch that first trains the model on the open video, once, and then decides which
model propagates it.

What was measured not to help is said and not switched on. A project whose last run was made with an adapted
model opens with the switch on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from smtc_app.core.replay import ADAPTED
from smtc_app.jobs.runner import Job, JobRunner
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.services import Services
from smtc_app.ui.session import Session

logger = logging.getLogger(__name__)

ACTION = "adapt"


class AdaptController(QObject):
    """Signals:
    told, failed: a sentence for the person.
    """

    told = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        window: MainWindow,
        session: Session,
        runner: JobRunner,
        services: Services,
        *,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._session, self._runner, self._services = window, session, runner, services
        self._job: Job | None = None
        self._model: str | None = None
        """Name of the adapted model of the open video."""
        self._base: str | None = None
        """The model that it was made from, as it stands in the settings."""
        self.settings: Callable[[], dict[str, Any]] = dict
        """Model, device and preset as a person chose them."""
        window.actions_table.connect_checked(ACTION, self._switch)
        session.closed.connect(self._on_closed)

    @property
    def busy(self) -> bool:
        """Whether the model is being adapted."""
        return self._job is not None

    def applied_to(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Settings of a propagation with the adapted model in them, where the switch is on."""
        if self._model is None or not self._window.actions_table[ACTION].isChecked():
            return settings
        if settings.get("model") != self._base:  # another model was chosen since
            self._forget()
            return settings
        return {**settings, "model": self._model}

    def _switch(self, on: bool) -> None:
        if not on:
            if self._job is not None:
                self._job.cancel()
            elif self._model is not None:
                self.told.emit("Propagations of this video take the model as it is again.")
            return
        settings = self.settings()
        if self._model is not None and settings.get("model") == self._base:
            self.told.emit("Propagations of this video take the adapted model.")
            return
        self._show(False)  # until it has been measured
        self._session.settle(partial(self._start, settings))

    def _start(self, settings: dict[str, Any]) -> None:
        session = self._session
        document = session.document
        if document is None:
            self.told.emit("Open a video first.")
            return
        if self._job is not None:
            self.told.emit("The model is being adapted: wait for it or cancel it first (Esc).")
            return
        groups = document.propagation_groups()
        if not groups:
            self.told.emit(
                "There is nothing to learn from: paint or accept an object first, and mark its frame as a "
                "keyframe (K)."
            )
            return
        _, keyframes = max(groups, key=lambda group: len(group[0]))

        def on_done(summary: Any) -> None:
            self._job = None
            if document is not session.document:
                return
            if summary.path is not None:
                self._model, self._base = summary.path.stem, settings.get("model")
                self._show(True)
            key = self._window.actions_table.key_text("propagate_both")
            again = f" Propagate anew to use it ({key})." if summary.path is not None else ""
            self.told.emit(summary.message + again)

        self._job = self._runner.submit(
            "Adapting to this video",
            self._services.adapt_task,
            session.source,
            keyframes,
            on_done=on_done,
            on_error=self._on_error,
            on_cancelled=self._on_cancelled,
            **settings,
        )
        logger.info("adapting to %s from %d keyframes", session.source.path, len(keyframes))

    def _on_error(self, sentence: str) -> None:
        self._job = None
        self.failed.emit(sentence)

    def _on_cancelled(self) -> None:
        self._job = None
        self.told.emit("Cancelled; the model stays as it was.")

    @Slot(object)
    def take_over(self, _path: str) -> None:
        """Go on with the model that the last run of an opened project took, if it was an adapted one."""
        runs = self._session.runs
        used = runs[-1].settings.get("model") if runs else None
        if used and str(used).startswith(ADAPTED):
            self._model, self._base = str(used), self.settings().get("model")
            self._show(True)

    @Slot(object)
    def _on_closed(self, _none: object) -> None:
        self._forget()

    def _forget(self) -> None:
        self._model = self._base = None
        self._show(False)

    def _show(self, on: bool) -> None:
        self._window.actions_table[ACTION].setChecked(on)
