"""The view modes: what the canvas shows besides the image, computed in a worker, the latest wish first.

A picture that takes time leaves the frame as it is until it has come; one of another frame is never shown for
longer than `STALE_MS`. Pictures that were shown are kept within a bound of bytes, so that going back costs
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from smtc_app.core.byte_cache import ByteCache
from smtc_app.core.document import Change, FrameStatus
from smtc_app.core.views import (
    LEAST_WEIGHT,
    OPINION_NAMES,
    LabelReasons,
    LabelVotes,
    PixelMatches,
    ViewMode,
    ViewPicture,
    reason_sentence,
    step_sentence,
)
from smtc_app.jobs.runner import Job, JobRunner
from smtc_app.ui.canvas_marks import Mark
from smtc_app.ui.companion import ReasonRow, VoteRow
from smtc_app.ui.frame_controller import FrameController
from smtc_app.ui.latest_job import LatestJob
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.other_frame_controller import OtherFrameController
from smtc_app.ui.presenter import provenance
from smtc_app.ui.services import Services
from smtc_app.ui.session import Session

STALE_MS = 200
PICTURES_LIMIT_BYTES = 96 << 20
RELEASE_PX = 8
"""A click this near to the pixel that is held, in view pixels, lets it go."""
QUERY_COLOUR = (255, 255, 255)
MATCH_COLOURS = ((64, 255, 160), (255, 214, 64), (255, 160, 64))
LEAST_SHARE = 0.02
"""Smaller shares are not told."""
GIVEN = {
    FrameStatus.MANUAL: "drawn by hand",
    FrameStatus.CORRECTED: "corrected by hand",
    FrameStatus.PROPOSED: "an accepted proposal",
}
BACKGROUND_COLOUR = (150, 150, 150)
INVITATIONS = {
    ViewMode.IMAGE: "",
    ViewMode.QUERY: "Point at a pixel to find it on the other frame; click to hold it",
    ViewMode.WHY: "Click a pixel to see what its label followed: votes of other frames, motion, appearance",
}


class ViewController(QObject):
    """Signals:
    mode_changed: the new `ViewMode`.
    tool_wanted: name of the tool that the mode works with.
    failed: a sentence for the person.
    """

    mode_changed = Signal(object)
    tool_wanted = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        window: MainWindow,
        session: Session,
        frames: FrameController,
        runner: JobRunner,
        services: Services,
        *,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._session, self._services, self._runner = window, session, services, runner
        self._mode = ViewMode.IMAGE
        self._clip: Any = None
        self.model_settings: Any = dict
        """() -> {"model": ..., "device": ...}"""
        self.preset: Any = lambda: "default"
        """() -> name of the propagation preset, whose votes are explained"""
        self._pictures: ByteCache[ViewPicture] = ByteCache(PICTURES_LIMIT_BYTES)
        self._held: tuple[float, float] | None = None
        self._votes: LabelVotes | None = None
        self._frames = frames
        self._followed: tuple[int, tuple[float, float]] | None = None
        """Frame and pixel of a vote that is asked why it says so, once that frame is shown."""
        self.other = OtherFrameController(window, session, frames, runner, self)
        self._picture = LatestJob(runner, "View", self)
        self._matches = LatestJob(runner, "Query pixel", self)
        self._why = LatestJob(runner, "Why this label", self)
        self._picture.answered.connect(self._on_picture)
        self._matches.answered.connect(self._on_matches)
        self._reasons = LatestJob(runner, "Why this label", self)
        self._why.answered.connect(self._on_votes)
        self._reasons.answered.connect(self._on_reasons)
        for job in self._jobs:
            job.failed.connect(self._on_failed)
        self.other.failed.connect(self.failed)
        self.other.changed.connect(self._on_other_changed)
        self._stale = QTimer(self)
        self._stale.setSingleShot(True)
        self._stale.setInterval(STALE_MS)
        self._stale.timeout.connect(self._on_stale)
        for mode in ViewMode:
            window.actions_table.connect(f"view_{mode.value}", partial(self.set_mode, mode))
        window.actions_table["view_image"].setChecked(True)
        window.canvas.hovered.connect(self._on_hovered)
        window.companion.vote_chosen.connect(self._on_vote_chosen)
        window.companion.vote_followed.connect(self._on_vote_followed)
        frames.shown.connect(self._on_frame_shown)
        runner.job_changed.connect(self._on_job_changed)
        session.opened.connect(self._on_opened)
        session.closed.connect(self._on_closed)
        session.document_changed.connect(self._on_document_changed)

    @property
    def mode(self) -> ViewMode:
        """What the canvas shows."""
        return self._mode

    @property
    def busy(self) -> bool:
        """Whether something that was asked for is still being computed."""
        return any(job.busy for job in self._jobs) or self.other.busy

    @property
    def _jobs(self) -> tuple[LatestJob, ...]:
        return self._picture, self._matches, self._why, self._reasons

    def set_mode(self, mode: ViewMode) -> None:
        """Show the frame in another way."""
        self._window.actions_table[f"view_{mode.value}"].setChecked(True)
        if mode is self._mode:
            return
        self._mode = mode
        for job in self._jobs:
            job.drop()
        self._clear()
        if mode.asks_a_pixel:
            self.tool_wanted.emit("pick")
        self.other.need(compared=mode.compares, beside=mode is ViewMode.QUERY)
        self._update()
        self.mode_changed.emit(mode)

    def take_click(self, x: int, y: int) -> bool:
        """A click on a pixel; whether the view wanted it."""
        if not self._mode.asks_a_pixel or not self._session.is_open:
            return False
        point = x + 0.5, y + 0.5
        if self._mode is ViewMode.WHY:
            self._explain(point)
            return True
        near = RELEASE_PX / self._window.canvas.scale
        if self._held is not None and math.dist(self._held, point) <= near:
            self._held = None
        else:
            self._held = point
        self._mark_question(self._held)
        self._query(point)
        return True

    def forget(self) -> None:
        """Another model is in use: what was computed with the one before is of no use."""
        self._pictures.clear()
        self._clear()
        self._update()

    def close(self) -> bool:
        """End the worker and let go of the footage; whether it ended in time."""
        for job in self._jobs:
            job.drop()
        ended = self._runner.close()
        if ended and self._clip is not None:
            self._clip.close_task(None)
        self._clip = None
        return ended

    # Showing

    def _key(self) -> tuple[ViewMode, int, int | None]:
        other = self.other.index if self._mode is ViewMode.CONSISTENCY else None
        return self._mode, self._session.frame, other

    def _update(self) -> None:
        """Show the mode on the current frame, at once or as soon as it has been computed."""
        if self._clip is None or self._session.pixels is None:
            return
        if self._mode in INVITATIONS:
            known = self._nothing_voted(self._session.frame) if self._mode is ViewMode.WHY else ""
            self._window.view_caption.show_text(known or INVITATIONS[self._mode])
            return
        key = mode, frame, other = self._key()
        kept = self._pictures.get(key)
        if kept is not None:
            self._show_picture(kept)
            return
        if not self._stale.isActive():
            self._stale.start()
        self._picture.ask(key, self._clip.picture_task, mode, frame, other=other, **self.model_settings())
        self._window.view_caption.show_text(self._waiting_text())

    def _show_picture(self, picture: ViewPicture) -> None:
        self._stale.stop()
        canvas = self._window.canvas
        canvas.set_alternative_image(picture.image)
        canvas.set_heat_map(picture.heat)
        self._window.view_caption.show_text(picture.caption)

    def _waiting_text(self, job: Job | None = None) -> str:
        name = self._window.actions_table[f"view_{self._mode.value}"].text()
        if job is None or not job.message:
            return f"{name}…"
        count = f" ({job.done + 1} of {job.total})" if job.total else ""
        return f"{name}: {job.message}{count}…"

    def _clear(self) -> None:
        """Nothing but the frame, and no question."""
        self._stale.stop()
        self._held, self._votes = None, None
        window = self._window
        for view in (window.canvas, window.companion.view):
            view.set_heat_map(None)
            view.set_marks(())
        window.canvas.set_alternative_image(None)
        window.companion.set_votes((), (), "")
        window.view_caption.show_text("")
        self.other.show_instead(None)

    def _mark_question(self, point: tuple[float, float] | None) -> None:
        marks = () if point is None else (Mark(*point, QUERY_COLOUR, cross=True),)
        self._window.canvas.set_marks(marks)

    # Questions

    def _query(self, point: tuple[float, float]) -> None:
        other = self.other.index
        if other is None:
            self._window.view_caption.show_text("There is no other frame to look for it")
            return
        frame = self._session.frame
        self._matches.ask((frame, other), self._clip.match_task, frame, point, other, **self.model_settings())

    def _explain(self, point: tuple[float, float]) -> None:
        session, document = self._session, self._session.document
        frame = session.frame
        self._votes = None
        self._mark_question(point)
        label = int(document.labels(frame)[int(point[1]), int(point[0])])
        asked = (label,) if label in document.objects else tuple(document.objects)
        sources = sorted({source for i in asked for source in document.sources(frame, i)})
        status = document.status(frame, label) if label in document.objects else FrameStatus.ABSENT
        if frame not in document.keyframes and (status in GIVEN or (label and not sources)):
            given = GIVEN.get(status, "given")
            text = f"{self._name(label)} is {given} on this frame: nothing voted for it"
        else:
            text = self._nothing_voted(frame)
        if not text:
            self._window.view_caption.show_text("Counting the votes…")
            question = frame, point, document.snapshot(), sources
            settings = {"preset": self.preset(), **self.model_settings()}
            # The votes come at once; what motion and appearance say takes longer.
            self._why.ask((frame, point), self._clip.explain_task, *question, **settings)
            self._reasons.ask(frame, self._clip.reasons_task, *question, **settings)
            return
        self._clear()
        self._mark_question(point)
        self._window.view_caption.show_text(text)

    def _nothing_voted(self, frame: int) -> str:
        """Why no label of a frame can be explained, and where some can be; "" where there are votes."""
        document = self._session.document
        if frame in document.keyframes:
            text = f"Frame {frame} is a keyframe: its labels were given, nothing voted for them"
        elif not any(document.sources(frame, i) for i in document.objects):
            text = "Nothing was propagated to this frame, so nothing voted for its labels"
        else:
            return ""
        return f"{text}. Go to a frame that labels were propagated to, and click a pixel."

    # Answers

    @Slot(object)
    def _on_picture(self, picture: ViewPicture) -> None:
        key = picture.mode, picture.frame, picture.other
        self._pictures.put(key, picture, picture.nbytes)
        if self._clip is not None and key == self._key():
            self._show_picture(picture)

    @Slot(object)
    def _on_matches(self, found: PixelMatches) -> None:
        if self._mode is not ViewMode.QUERY or self._session.frame != found.frame:
            return
        if found.other != self.other.index:
            return
        view = self._window.companion.view
        view.set_heat_map(found.heat)
        view.set_marks(
            [
                Mark(x, y, colour, 0.8 if number == 0 else 0.25)
                for number, ((x, y, _), colour) in enumerate(zip(found.matches, MATCH_COLOURS, strict=False))
            ]
        )
        best = found.matches[0]
        others = " The next best: yellow, orange." if len(found.matches) > 1 else ""
        self._window.view_caption.show_text(
            f"Pixel {int(found.point[0])}, {int(found.point[1])} is most like {int(best[0])}, {int(best[1])} "
            f"of frame {found.other} (green ring, cosine {best[2]:.2f}).{others}"
        )

    @Slot(object)
    def _on_votes(self, votes: LabelVotes) -> None:
        if self._mode is not ViewMode.WHY or self._session.frame != votes.frame:
            return
        self._votes = votes
        rows = [
            VoteRow(
                vote.weight,
                self._name(vote.label),
                self._colour(vote.label),
                vote.frame,
                vote.frame in self._session.document.keyframes,
                int(vote.x),
                int(vote.y),
                vote.similarity,
            )
            for vote in votes.votes
        ]
        self._window.companion.set_votes(rows, self._reason_rows(None), "Asking motion and appearance…")
        self._window.view_caption.show_text(self._labelled_text())
        self._on_vote_chosen(0)

    @Slot(object)
    def _on_reasons(self, reasons: LabelReasons) -> None:
        votes = self._votes
        if votes is None or (reasons.frame, reasons.point) != (votes.frame, votes.point):
            return
        document = self._session.document
        edited = any(document.status(votes.frame, i) in GIVEN for i in document.objects)
        sentence = reason_sentence(votes, reasons, self._name, edited=edited)
        step = step_sentence(votes, document.keyframes)
        self._window.companion.set_reasons(self._reason_rows(reasons), f"{sentence}. {step}")
        self._window.view_caption.show_text(self._labelled_text())

    def _labelled_text(self) -> str:
        votes = self._votes
        document, where = self._session.document, f"{int(votes.point[0])}, {int(votes.point[1])}"
        text = f"Pixel {where} is labelled {self._name(votes.label)}"
        if votes.label in document.objects:
            text += provenance(
                document.status(votes.frame, votes.label),
                document.confidence(votes.frame, votes.label),
                document.sources(votes.frame, votes.label),
            )
        return text

    def _reason_rows(self, reasons: LabelReasons | None) -> list[ReasonRow]:
        """What the label followed, the votes being those that are listed."""

        def row(title: str, weight: float | None, shares: Mapping[int, float]) -> ReasonRow:
            said = tuple(
                (self._name(label), self._colour(label), share)
                for label, share in shares.items()
                if share >= LEAST_SHARE
            )
            return ReasonRow(title, weight if weight is None or weight >= LEAST_WEIGHT else 0.0, said)

        if reasons is None or not reasons.opinions:
            return [row("Votes", None, self._votes.shares)]
        rows = [
            row(
                OPINION_NAMES[opinion.kind].capitalize(),
                opinion.weight,
                self._votes.shares if opinion.kind == "match" else opinion.shares,
            )
            for opinion in reasons.opinions
        ]
        return [*rows, row("Together", None, reasons.together)]

    @Slot(object)
    def _on_vote_chosen(self, index: int) -> None:
        if self._votes is not None:
            self._window.companion.choose_vote(index)
            self.other.show_instead(self._votes.votes[index].frame)
            self._mark_votes()

    @Slot(object)
    def _on_vote_followed(self, index: int) -> None:
        if self._votes is not None:
            vote = self._votes.votes[index]
            self._followed = vote.frame, (int(vote.x) + 0.5, int(vote.y) + 0.5)
            self._frames.go_to(vote.frame)

    @Slot(object)
    def _on_frame_shown(self, message: tuple[int, Any]) -> None:
        followed, self._followed = self._followed, None
        if followed is not None and followed[0] == message[0] and self._mode is ViewMode.WHY:
            self._explain(followed[1])

    def _mark_votes(self) -> None:
        frame = self.other.index
        votes = [vote for vote in self._votes.votes if vote.frame == frame]
        self._window.companion.view.set_marks(
            [Mark(vote.x, vote.y, self._colour(vote.label), vote.weight) for vote in votes]
        )

    def _name(self, label: int) -> str:
        info = self._session.document.objects.get(label)
        return info.name if info is not None else "background"

    def _colour(self, label: int) -> tuple[int, int, int]:
        info = self._session.document.objects.get(label)
        return tuple(info.colour) if info is not None else BACKGROUND_COLOUR

    # What happens

    @Slot(object)
    def _on_opened(self, session: Session) -> None:
        self._clip = self._services.make_views(session.source)
        self._pictures.clear()
        self.other.set_clip(self._clip)

    @Slot(object)
    def _on_closed(self, _nothing: object) -> None:
        self.set_mode(ViewMode.IMAGE)
        clip, self._clip = self._clip, None
        self.other.set_clip(None)
        self._pictures.clear()
        if clip is not None:
            for job in self._runner.jobs:
                job.cancel()
            self._runner.submit("Closing the views", clip.close_task, background=True)

    @Slot(object)
    def _on_other_changed(self, _index: int | None) -> None:
        """The current frame or the other one is another one now."""
        if self._clip is None:
            return
        if self._mode is ViewMode.WHY:
            if self._votes is not None and self._votes.frame == self._session.frame:
                self._mark_votes()
            elif self._votes is not None:
                self._clear()
                self._update()
        elif self._mode is ViewMode.QUERY:
            if self._held is not None:
                self._query(self._held)
        else:
            self._update()

    @Slot(object)
    def _on_document_changed(self, change: Change) -> None:
        stale = self._votes is not None and self._mode is ViewMode.WHY
        if stale and change.kind == "labels" and self._session.frame in change.frames:
            self._clear()
            self._update()

    @Slot(object)
    def _on_hovered(self, event: Any) -> None:
        if self._mode is ViewMode.QUERY and event is not None and self._held is None and self._clip:
            self._query((event.x + 0.5, event.y + 0.5))

    @Slot()
    def _on_stale(self) -> None:
        canvas = self._window.canvas
        canvas.set_alternative_image(None)
        canvas.set_heat_map(None)

    @Slot(object)
    def _on_job_changed(self, job: Job) -> None:
        if job is self._picture.job and self._mode not in INVITATIONS:
            self._window.view_caption.show_text(self._waiting_text(job))

    @Slot(object)
    def _on_failed(self, sentence: str) -> None:
        self._window.view_caption.show_text("")
        self.failed.emit(sentence)
