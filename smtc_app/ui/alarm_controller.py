"""The new-object alarm: what looks like an object and has no label is marked after a propagation.

It looks when nothing else is to be done and makes room at once for what a person asks. Going to a mark shows
the region as a proposal; it becomes an object only when the person accepts it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from smtc_app.core.annotation import ProposalMask
from smtc_app.core.command import counted
from smtc_app.core.document import Change, Document
from smtc_app.core.new_objects import NewObject
from smtc_app.core.proposal_tracks import highest_track, sampled_frames
from smtc_app.jobs.runner import Job, JobRunner
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.propagation_controller import PropagationController
from smtc_app.ui.services import Services
from smtc_app.ui.session import Session
from smtc_app.ui.timeline_model import Marker

logger = logging.getLogger(__name__)

SOURCE = "alarm"
FRAMES = 12
KEYFRAMES = 3
"""How many frames are looked at, and how many keyframes for comparison."""


class AlarmController(QObject):
    """Signals:
    told: a sentence for the person.
    frame_wanted: index of a frame to show.
    found: None; a search has ended and what it found is marked.
    """

    told = Signal(object)
    frame_wanted = Signal(object)
    found = Signal(object)

    def __init__(
        self,
        window: MainWindow,
        session: Session,
        propagation: PropagationController,
        runner: JobRunner,
        services: Services,
        *,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._session, self._runner, self._services = window, session, runner, services
        self.enabled = True
        self.model_settings: Callable[[], dict[str, Any]] = dict
        self._alarms: list[NewObject] = []
        """What is marked: new objects, by time."""
        self._shown: dict[NewObject, ProposalMask] = {}
        """The proposals that some of them were shown as."""
        self._due: tuple[Document, tuple[int, int]] | None = None
        self._asked = False
        """Whether a person waits for what is found."""
        self._job: Job | None = None
        propagation.computed.connect(self._on_computed)
        runner.job_changed.connect(self._on_job_changed)
        session.opened.connect(self._on_opened)
        session.closed.connect(self._on_closed)
        session.document_changed.connect(self._on_document_changed)
        window.actions_table.connect("next_new_object", self.go_to_next)

    @property
    def marked(self) -> tuple[int, ...]:
        """Frames with a mark."""
        return tuple(alarm.proposal.frame for alarm in self._alarms)

    def go_to_next(self) -> None:
        """Show the next marked frame, after the last the first, with the region as a proposal."""
        if self._session.document is None:
            return
        if not self._alarms:
            self._ask()
            return
        here = self._session.frame
        target = next((frame for frame in self.marked if frame > here), self.marked[0])
        for alarm in self._alarms:
            if alarm.proposal.frame == target:
                self._suggest(alarm)
        self.frame_wanted.emit(target)
        alarm = next(a for a in self._alarms if a.proposal.frame == target)
        accept = self._window.actions_table.key_text("accept_all").replace("Return", "Enter")
        self.told.emit(f"Frame {target}: {self._reason(alarm)}. {accept} makes it an object.")

    # Looking

    def _ask(self) -> None:
        """Look now: an opened project, or a video with imported labels, has not been searched."""
        document = self._session.document
        labelled = [frame for frame in document.labelled_frames if frame not in document.keyframes]
        if self._job is not None or self._due is not None:
            self._asked = True
            self.told.emit("Still looking for new objects.")
        elif not labelled:
            self.told.emit("No new object is marked: there are no propagated labels to look beside.")
        else:
            self._asked = True
            self._due = document, (min(labelled), max(labelled) + 1)
            self.told.emit("Looking for new objects…")
            self._start_if_idle()

    @Slot(object)
    def _on_computed(self, span: tuple[int, int]) -> None:
        if self.enabled:
            self._due = self._session.document, span
            self._start_if_idle()

    @Slot(object)
    def _on_job_changed(self, _job: Job) -> None:
        self._start_if_idle()

    def _start_if_idle(self) -> None:
        if self._due is None or self._runner.jobs:
            return
        document, span = self._due
        if document is not self._session.document:
            self._due = None
            return
        known = set(document.keyframes)
        chosen = [frame for frame in sampled_frames(span, FRAMES) if frame not in known]
        if not chosen:
            self._due = None
            return
        middle = (span[0] + span[1]) / 2
        keyframes = sorted(known, key=lambda frame: abs(frame - middle))[:KEYFRAMES]

        # Whoever waits for it sees how far it is, and may cancel it.
        in_sight = self._asked

        def on_done(found: list[NewObject]) -> None:
            self._job = None
            if document is self._session.document:
                self._show(found)

        def on_cancelled() -> None:
            if in_sight:
                self._job, self._asked = None, False
                self.told.emit("The search for new objects was ended; the same key begins it again.")
                return
            # It made room for something else: again, when that is done.
            self._job, self._due = None, self._due or (document, span)
            self._start_if_idle()

        def on_error(sentence: str) -> None:
            self._job = None
            # Where nobody asked for it, what failed is not worth more than a line in the log.
            logger.warning("no search for new objects: %s", sentence)
            if self._asked:
                self._asked = False
                self.told.emit(f"New objects could not be looked for. {sentence}")

        self._due = None
        self._job = self._runner.submit(
            "Looking for new objects",
            self._services.find_new_objects_task,
            self._session.source,
            {frame: document.packed(frame) for frame in chosen},
            keyframes,
            background=not in_sight,
            yields=not in_sight,
            on_done=on_done,
            on_error=on_error,
            on_cancelled=on_cancelled,
            **self.model_settings(),
        )

    def _show(self, found: list[NewObject]) -> None:
        self._alarms, self._shown = list(found), {}
        self._drop_explained()
        if self._alarms:
            key = self._window.actions_table.key_text("next_new_object")
            regions = counted(len(self._alarms), "possible new object")
            self.told.emit(f"{regions} without a label: {key} shows the next one.")
        elif self._asked:
            self.told.emit("Nothing without a label looks like a new object.")
        self._asked = False
        self.found.emit(None)

    # Keeping the marks true

    @Slot(object)
    def _on_opened(self, session: Session) -> None:
        """Marks come with a project, and are as true as its masks: those need not be read for it."""
        self._forget(session.new_objects)

    @Slot(object)
    def _on_closed(self, _nothing: object) -> None:
        self._forget(())

    def _forget(self, known: Sequence[NewObject]) -> None:
        """Nothing is marked but what is known of another video."""
        self._alarms, self._shown, self._due, self._asked = list(known), {}, None, False
        for alarm in self._alarms:
            there = self._session.document.proposals(alarm.proposal.frame)
            same = [p for p in there if (p.box, p.packed) == (alarm.proposal.box, alarm.proposal.packed)]
            self._shown.update((alarm, proposal) for proposal in same)
        self._mark()

    @Slot(object)
    def _on_document_changed(self, change: Change) -> None:
        if change.kind in ("labels", "proposals") and any(frame in change.frames for frame in self.marked):
            self._drop_explained()

    def _drop_explained(self) -> None:
        """Forget what has been labelled since, or rejected."""
        document = self._session.document

        def stays(alarm: NewObject) -> bool:
            proposal = alarm.proposal
            shown = self._shown.get(alarm)
            rejected = shown is not None and shown not in document.proposals(proposal.frame)
            return not rejected and not proposal.explained_by(document.labels(proposal.frame))

        self._alarms = [alarm for alarm in self._alarms if stays(alarm)]
        self._mark()

    def _mark(self) -> None:
        markers = [Marker(a.proposal.frame, self._reason(a), "warning") for a in self._alarms]
        self._window.timeline.set_markers(markers, source=SOURCE)
        self._session.new_objects = tuple(self._alarms)

    def _reason(self, alarm: NewObject) -> str:
        proposal = alarm.proposal
        height, width = proposal.shape
        frames = counted(len(alarm.frames), "frame")
        share = proposal.area / (width * height)
        return (
            f"Possible new object: no label covers this region ({share:.1%} of the frame, score "
            f"{proposal.score:.2f}, seen on {frames})"
        )

    def _suggest(self, alarm: NewObject) -> None:
        document, proposal = self._session.document, alarm.proposal
        there = document.proposals(proposal.frame)
        if self._shown.get(alarm) in there:
            return
        frames = {frame: document.proposals(frame) for frame in document.proposal_frames}
        shown = ProposalMask.from_packed(
            proposal.frame,
            max((other.id for other in there), default=0) + 1,
            shape=proposal.shape,
            box=proposal.box,
            packed=proposal.packed,
            score=proposal.score,
            slot=proposal.slot,
            track=highest_track(frames) + 1,
        )
        self._shown[alarm] = shown
        document.suggest({proposal.frame: (*there, shown)})
