"""Proposals: asked for in the worker, shown, accepted or rejected by the person, never committed unasked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Signal

from smtc_app.core import commands
from smtc_app.jobs.runner import Job, JobRunner
from smtc_app.ui.services import Services
from smtc_app.ui.session import Session

logger = logging.getLogger(__name__)


class ProposalController(QObject):
    """Signals:
    told: a sentence for the person.
    failed: a sentence about what went wrong.
    busy_changed: whether proposals are being computed.
    model_used: the run's summary.
    """

    told = Signal(object)
    failed = Signal(object)
    busy_changed = Signal(object)
    model_used = Signal(object)

    def __init__(
        self, session: Session, runner: JobRunner, services: Services, *, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session, self._runner, self._services = session, runner, services
        self._job: Job | None = None
        self.model_settings: Callable[[], dict[str, Any]] = dict

    @property
    def busy(self) -> bool:
        """Whether proposals are being computed."""
        return self._job is not None and not self._job.state.final

    @property
    def pending(self) -> bool:
        """Whether this frame has proposals that wait for an answer."""
        document = self._session.document
        return document is not None and bool(document.proposals(self._session.frame))

    def propose(self, most: int, granularity: float) -> None:
        """Propose objects on this frame; a run that is still going on for it is replaced."""
        session = self._session
        if session.document is None:
            return
        if self._job is not None:
            self._job.cancel()
        frame, document = session.frame, session.document

        def on_done(result: Any) -> None:
            self._on_done(document, frame, job, result)

        job = self._job = self._runner.submit(
            f"Proposing objects on frame {frame}",
            self._services.propose_task,
            session.source,
            [frame],
            max_objects=most,
            granularity=granularity,
            on_done=on_done,
            on_error=self._on_error,
            on_cancelled=self._on_ended,
            **self.model_settings(),
        )
        self.busy_changed.emit(True)

    def accept(self, proposal_id: int) -> None:
        """Make an object of one proposal."""
        self._accept((proposal_id,))

    def accept_all(self) -> None:
        """Make objects of all proposals of this frame."""
        if self.pending:
            self._accept(None)

    def reject(self, proposal_id: int) -> None:
        """Drop one proposal."""
        self._session.push(commands.RejectProposals(self._session.frame, (proposal_id,)))

    def reject_all(self) -> None:
        """Drop all proposals of this frame."""
        if self.pending:
            self._session.push(commands.RejectProposals(self._session.frame))

    def _accept(self, ids: tuple[int, ...] | None) -> None:
        command = commands.AcceptProposals(self._session.frame, ids)
        if self._session.push(command):
            self._session.select(tuple(command.object_ids.values())[:1])

    def _on_done(self, document: Any, frame: int, job: Job, result: Any) -> None:
        found, summary = result
        if job is not self._job or document is not self._session.document:
            # Another video or another request has come in between.
            return
        self._on_ended()
        self.model_used.emit(summary)
        proposals = list(found.get(frame, ()))
        if proposals:
            document.suggest({frame: proposals})
            if frame != self._session.frame:
                self.told.emit(f"{len(proposals)} proposals wait on frame {frame}.")
        else:
            self.told.emit(
                f"No objects found on frame {frame}: try finer proposals, or paint one with the brush (P)."
            )

    def _on_error(self, sentence: str) -> None:
        self._on_ended()
        self.failed.emit(sentence)

    def _on_ended(self) -> None:
        if not self.busy:
            self._job = None
            self.busy_changed.emit(False)
