"""Keeps the correct-next queue true to the document: in its window, on the timeline, and behind its key."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from smtc_app.core.correct_next import ObjectEvidence, Suggestion, evidence_of, suggest
from smtc_app.core.document import Change
from smtc_app.jobs.context import TaskContext
from smtc_app.jobs.runner import JobRunner
from smtc_app.ui.correct_next_window import CorrectNextWindow
from smtc_app.ui.frame_controller import FrameController
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.propagation_controller import PropagationController
from smtc_app.ui.session import Session
from smtc_app.ui.timeline_model import Marker

REFRESH_MS = 500
MARKED = 3
"""So many of the queue's frames are marked on the timeline."""
SOURCE = "correct next"


def suggest_task(
    ctx: TaskContext, evidence: Sequence[ObjectEvidence], keyframes: Sequence[int], locked: Sequence[int]
) -> list[Suggestion]:
    """The ranking in a worker: it takes a moment for a long video with many objects."""
    ctx.progress(0, 1, "looking for what to correct next")
    return suggest(evidence, keyframes=keyframes, locked=locked)


class CorrectNextController(QObject):
    """Signals: told, failed: a sentence for the person."""

    told = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        window: MainWindow,
        session: Session,
        frames: FrameController,
        propagation: PropagationController,
        runner: JobRunner,
        *,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._session, self._frames = window, session, frames
        self._propagation, self._runner = propagation, runner
        self.queue: tuple[Suggestion, ...] = ()
        self.panel: CorrectNextWindow | None = None
        self._asked = 0
        self._then: Callable[[], None] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REFRESH_MS)
        self._timer.timeout.connect(self._refresh)
        session.opened.connect(self._on_opened)
        session.closed.connect(self._on_closed)
        session.document_changed.connect(self._on_document_changed)
        propagation.ended.connect(self._on_propagation_ended)
        frames.requested.connect(self._on_frame_requested)
        window.actions_table.connect("correct_next", self.go)
        window.actions_table.connect("correct_next_list", self.show)

    def go(self) -> None:
        """To the first entry of the queue; from an entry to the one after it."""
        if self._session.document is not None:
            self._then = self._go_on
            self._refresh()

    def show(self) -> None:
        """Open the window with the queue, or bring it to the front."""
        if self._session.document is None:
            return
        if self.panel is None:
            self.panel = CorrectNextWindow(self._window)
            self.panel.chosen.connect(self._on_chosen)
        self._show_queue()
        self._refresh()
        self.panel.show()
        self.panel.activateWindow()

    def _go_on(self) -> None:
        if not self.queue:
            self.told.emit("There is nothing to correct: propagate first, or all labels are sure.")
            return
        frames = [suggestion.frame for suggestion in self.queue]
        here = self._frames.wanted
        place = (frames.index(here) + 1) % len(frames) if here in frames else 0
        self._on_chosen(self.queue[place])

    @Slot(object)
    def _on_chosen(self, suggestion: Suggestion) -> None:
        self._frames.go_to(suggestion.frame)
        self._session.select((suggestion.object_id,))
        self.told.emit(f"Frame {suggestion.frame}: {suggestion.reason}.")

    @Slot()
    def _refresh(self) -> None:
        document = self._session.document
        if document is None:
            return
        self._asked += 1
        asked = self._asked

        def on_done(queue: list[Suggestion]) -> None:
            if asked == self._asked and document is self._session.document:
                self._on_ranked(queue)

        self._runner.submit(
            "Looking for what to correct next",
            suggest_task,
            evidence_of(document),
            document.keyframes,
            tuple(document.locked_frames),
            background=True,
            on_done=on_done,
        )

    def _on_ranked(self, queue: list[Suggestion]) -> None:
        self.queue = tuple(queue)
        marks = [
            Marker(suggestion.frame, f"Correct next: {suggestion.reason}", "correct")
            for suggestion in self.queue[:MARKED]
        ]
        self._window.timeline.set_markers(marks, source=SOURCE)
        self._show_queue()
        then, self._then = self._then, None
        if then is not None:
            then()

    def _show_queue(self) -> None:
        if self.panel is not None:
            colours = {i: tuple(info.colour) for i, info in self._session.document.objects.items()}
            self.panel.set_queue(self.queue, colours, self._frames.wanted)

    @Slot(object)
    def _on_opened(self, _session: object) -> None:
        self.queue = ()
        self._timer.start()

    @Slot(object)
    def _on_closed(self, _nothing: object) -> None:
        self._timer.stop()
        self._asked += 1
        self._then = None
        self.queue = ()
        if self.panel is not None:
            self.panel.close()

    @Slot(object)
    def _on_document_changed(self, change: Change) -> None:
        if change.kind in ("objects", "status", "keyframes", "locked") and not self._propagation.busy:
            self._timer.start()

    @Slot(object)
    def _on_propagation_ended(self, _job: object) -> None:
        self._timer.start()

    @Slot(object)
    def _on_frame_requested(self, frame: int) -> None:
        if self.panel is not None:
            self.panel.set_current(frame)
