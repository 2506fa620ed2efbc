"""Proposals: asked for in the worker, shown, accepted or rejected by the person, never committed unasked.

A run searches this frame, or frames sampled over the clip; moving the granularity slider repeats the last run
from what it has kept, the frame in sight first. Only the newest request counts. Proposals are no step of the
history; answers to them are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from smtc_app.core import commands
from smtc_app.core.annotation import ProposalMask
from smtc_app.core.command import counted
from smtc_app.core.document import Document
from smtc_app.core.proposal_tracks import highest_track, sampled_frames
from smtc_app.jobs.runner import Job, JobRunner
from smtc_app.ui.long_edit import LongEdits
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.proposal_choice import ProposalChoice
from smtc_app.ui.proposal_panel import Answer
from smtc_app.ui.proposal_presenter import COLOURS
from smtc_app.ui.services import Services
from smtc_app.ui.session import Session

logger = logging.getLogger(__name__)

CLIP_FRAMES = 16
"""How many frames a run over the clip looks at; all of them fit the cache that the slider lives on."""


@dataclass(frozen=True)
class _Run:
    document: Document
    frames: tuple[int, ...]


class ProposalController(QObject):
    """Connects the proposal panel and the actions of proposals.

    Signals:
        told: a sentence for the person.
        failed: a sentence about what went wrong.
        busy_changed: whether a person waits for proposals.
        model_used: the run's summary.
        frame_wanted: index of a frame that the person wants to see.
    """

    told = Signal(object)
    failed = Signal(object)
    busy_changed = Signal(object)
    model_used = Signal(object)
    frame_wanted = Signal(object)

    def __init__(
        self,
        window: MainWindow,
        session: Session,
        runner: JobRunner,
        services: Services,
        edits: LongEdits,
        *,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._session, self._runner, self._services = window, session, runner, services
        self._edits = edits
        self.choice = ProposalChoice(session, self)
        self._job: Job | None = None
        self._run: _Run | None = None
        self.model_settings: Callable[[], dict[str, Any]] = dict
        panel, actions = window.proposal_panel, window.actions_table
        panel.answered.connect(self._on_answered)
        panel.settings_changed.connect(self._on_settings_changed)
        for action_id, slot in (
            ("propose", self.propose),
            ("propose_clip", self.propose_clip),
            ("accept_all", self.accept_all),
            ("accept_here", partial(self.accept_all, linked=False)),
            ("reject_all", self.reject_all),
        ):
            actions.connect(action_id, slot)

    @property
    def busy(self) -> bool:
        """Whether a person waits for proposals; what follows the slider does not count."""
        return self._job is not None and not self._job.state.final and not self._job.background

    @property
    def pending(self) -> bool:
        """Whether this frame has proposals that wait for an answer."""
        document = self._session.document
        return document is not None and bool(document.proposals(self._session.frame))

    # Asking

    def propose(self) -> None:
        """Propose objects on this frame."""
        if self._session.document is not None:
            frame = self._session.frame
            self._start((frame,), f"Proposing objects on frame {frame}")

    def propose_clip(self) -> None:
        """Propose objects on frames spread over the range or the clip, each object once."""
        session = self._session
        if session.document is not None:
            span = self._window.timeline.range or (0, session.document.frame_count)
            frames = sampled_frames(span, CLIP_FRAMES, including=session.frame)
            self._start(tuple(frames), f"Proposing objects on {counted(len(frames), 'frame')}")

    def regroup(self) -> None:
        """Repeat the last run with the settings of the panel, as far as there is anything to repeat."""
        document = self._session.document
        if document is None or not (self.busy or document.proposal_frames):
            return
        if self._run is None or self._run.document is not document:
            # Proposals of a project that was opened: those linked with what is in sight.
            here = document.proposals(self._session.frame)
            tracks = {proposal.track for proposal in here}
            frames = [
                frame
                for frame in document.proposal_frames
                if any(p.track in tracks for p in document.proposals(frame))
            ]
            if not frames:
                return
            self._run = _Run(document, tuple(frames))
        # A run that is still loading or searching goes on to be what the person waits for.
        self._start(self._run.frames, "Proposing objects again", background=not self.busy)

    def _start(self, frames: tuple[int, ...], title: str, *, background: bool = False) -> None:
        session, document = self._session, self._session.document
        was_busy = self.busy
        if self._job is not None:
            self._job.cancel()
        self._run = _Run(document, frames)
        most, granularity = self._window.proposal_panel.settings
        highest = highest_track({frame: document.proposals(frame) for frame in document.proposal_frames})
        labelled = {frame: document.packed(frame) for frame in frames}

        def current() -> bool:
            # Another video or another request may have come in between.
            return job is self._job and document is session.document

        def on_partial(message: tuple[int, Sequence[ProposalMask]]) -> None:
            if current():
                frame, proposals = message
                document.suggest({frame: proposals})

        def on_done(result: tuple[dict[int, Sequence[ProposalMask]], Any]) -> None:
            if current():
                self._on_done(*result, quiet=background)

        def on_ended(sentence: str = "") -> None:
            if job is self._job:
                self._end()
                if sentence:
                    self.failed.emit(sentence)

        job = self._job = self._runner.submit(
            title,
            self._services.propose_task,
            session.source,
            frames,
            max_objects=most,
            granularity=granularity,
            first=session.frame if session.frame in frames else None,
            # Numbers of their own for every run; the step keeps the colours of equal ranks the same.
            first_track=1 + len(COLOURS) * -(-highest // len(COLOURS)),
            labelled={frame: mask for frame, mask in labelled.items() if mask is not None},
            background=background,
            on_partial=on_partial,
            on_done=on_done,
            on_error=on_ended,
            on_cancelled=on_ended,
            **self.model_settings(),
        )
        if not background and not was_busy:
            self.busy_changed.emit(True)

    def _on_done(self, found: dict[int, Sequence[ProposalMask]], summary: Any, *, quiet: bool) -> None:
        document = self._session.document
        self._end()
        self.model_used.emit(summary)
        waiting = [frame for frame, proposals in found.items() if proposals]
        if not waiting:
            where = f"frame {next(iter(found))}" if len(found) == 1 else "these frames"
            beyond = " beyond the labelled ones" if any(document.has_labels(f) for f in found) else ""
            self.told.emit(
                f"No objects found on {where}{beyond}: try finer proposals, or take one with the region tool "
                f"({self._window.actions_table.key_text('tool_region')})."
            )
        elif not quiet and self._session.frame not in waiting:
            first = f"frame {waiting[0]}" if len(waiting) == 1 else counted(len(waiting), "frame")
            self.told.emit(f"Proposals wait on {first}.")

    def _end(self) -> None:
        self._job = None
        self.busy_changed.emit(False)

    # Answering

    def accept(self, proposal_id: int, *, linked: bool = True) -> None:
        """Make an object of one proposal of this frame; `linked`: on all frames that propose it."""
        self._accept((proposal_id,), linked)

    def accept_all(self, *, linked: bool = True) -> None:
        """Make objects of the chosen proposals of this frame; where none is chosen, of all of them."""
        if self.pending and (self.choice.here or not self.choice.keys):
            self._accept(self.choice.here or None, linked)
        elif self.pending:
            self.told.emit("What is chosen is on other frames; Esc chooses none.")

    def reject(self, proposal_id: int, *, linked: bool = True, frame: int | None = None) -> None:
        """Drop one proposal of this frame, or of another."""
        frame = self._session.frame if frame is None else frame
        self._session.push(commands.RejectProposals(frame, (proposal_id,), linked=linked))

    def reject_all(self) -> None:
        """Drop all proposals of this frame, and what is linked with them; or only the choice, if any."""
        if self.choice.keys:
            self.choice.clear()
        elif self.pending:
            self._session.push(commands.RejectProposals(self._session.frame, linked=True))

    def _accept(self, ids: tuple[int, ...] | None, linked: bool, frame: int | None = None) -> None:
        session = self._session
        here = session.frame if frame is None else frame
        command = commands.AcceptProposals(here, ids, linked=linked)
        count = len(session.document.proposals(here)) if ids is None else len(ids)

        def then() -> None:
            if frame is None:
                session.select(tuple(command.object_ids.values())[:1])
            if len(command.frames) > 1:
                objects = counted(len(command.object_ids), "object")
                key = self._window.actions_table.key_text("propagate_both")
                self.told.emit(
                    f"{objects} accepted on {len(command.frames)} frames; {key} fills the frames between."
                )

        self._edits.push(command, f"Accepting {counted(count, 'proposal')}", then)

    @Slot(object)
    def _on_answered(self, answer: Answer) -> None:
        if answer.what == "visit":
            self.frame_wanted.emit(answer.frame)
        elif answer.what == "choose":
            self.choice.toggle(answer.id, answer.frame)
        elif answer.what == "reject":
            self.reject(answer.id, linked=answer.linked, frame=answer.frame)
        else:
            self._accept((answer.id,), answer.linked, answer.frame)

    @Slot(object)
    def _on_settings_changed(self, _settings: tuple[int, float]) -> None:
        self.regroup()
