"""Keeps the journal of the open document, so that a crash loses nothing; offers what a crash has left."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal, Slot

from smtc_app.jobs.opened import Opened
from smtc_app.jobs.runner import JobRunner
from smtc_app.ui.services import Services
from smtc_app.ui.session import Session

logger = logging.getLogger(__name__)


class AutosaveController(QObject):
    """Signals:
    warned: a sentence: the journal cannot be written.
    offered: (sentence, button caption, slot) about work that a crash has left.
    """

    warned = Signal(object)
    offered = Signal(object)
    _problem = Signal(object)

    def __init__(
        self,
        session: Session,
        runner: JobRunner,
        services: Services,
        *,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session, self._runner, self._services = session, runner, services
        self._journal: Any = None
        self.enabled = True
        self.restore: Callable[[Any], None] = lambda _recovery: None
        """Opens what a crash has left."""
        # The journal tells its problems on its own thread: emitting is all that may happen there.
        self._problem.connect(self._on_problem, Qt.ConnectionType.QueuedConnection)
        session.closed.connect(self._on_closed)

    def start(self, opened: Opened) -> None:
        """Keep a journal of what has just been opened."""
        self.stop(discard=True)
        if self.enabled:
            self._journal = self._services.make_journal(opened, self._problem.emit)
        if opened.project is None and opened.recovery is None:
            self._look_for_work_on(Path(opened.source.path))

    def mark_save(self) -> str | None:
        """A save begins with the snapshot that is taken next; its id, None without a journal."""
        return self._journal.mark_save() if self._journal is not None else None

    def saved(self, info: Any, state: Any) -> None:
        """The snapshot `state` is saved as the project `info`."""
        if self._journal is not None:
            self._journal.saved(info, state)

    def secure(self, timeout_s: float = 5.0) -> bool:
        """Wait until every step so far is in the journal on the disk; False where that is not so."""
        return self._journal is not None and self._journal.flush(timeout_s) and self._journal.working

    def stop(self, *, discard: bool) -> None:
        """End the journal; `discard`: everything is saved or not wanted."""
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.close(discard=discard)

    def look_for_lost_work(self) -> None:
        """Offer the newest document that was never saved and that no living window has open."""
        self._runner.submit(
            "Looking for unsaved work",
            self._services.list_recoveries_task,
            background=True,
            on_done=self._on_found,
        )

    def _on_found(self, recoveries: Sequence[Any]) -> None:
        if recoveries and not self._session.is_open:
            self._offer(recoveries[0])

    def _look_for_work_on(self, footage: Path) -> None:
        """Offer what was done on footage that has just been opened again, and never saved."""
        document = self._session.document

        def on_found(recoveries: Sequence[Any]) -> None:
            there = [r for r in recoveries if r.source.path.resolve() == footage.resolve()]
            if there and document is self._session.document:
                self._offer(there[0])

        self._runner.submit(
            "Looking for unsaved work",
            self._services.list_recoveries_task,
            background=True,
            on_done=on_found,
        )

    def _offer(self, newest: Any) -> None:
        steps = "1 step" if newest.steps == 1 else f"{newest.steps} steps"
        verb = "was" if newest.steps == 1 else "were"
        when = newest.time.astimezone().strftime("%d %B, %H:%M")

        def restore() -> None:
            self.restore(newest)

        self.offered.emit(
            (f"{steps} on {newest.source.path.name} {verb} not saved on {when}.", "Restore", restore)
        )

    @Slot(object)
    def _on_problem(self, sentence: str) -> None:
        self.warned.emit(sentence)

    @Slot(object)
    def _on_closed(self, _nothing: object) -> None:
        # Only reached by way of the question about unsaved work.
        self.stop(discard=True)
