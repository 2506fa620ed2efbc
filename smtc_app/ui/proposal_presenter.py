"""Keeps what is shown of proposals true to the document: tints on the canvas, cards in the panel.

Cards come with or without their pictures, which a thread makes (`proposal_thumbnails`); the list is filled
at most every `REFRESH_MS`, the canvas at once.
"""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QObject, QTimer, Slot

from smtc_app.core.annotation import Colour, ProposalMask
from smtc_app.core.document import Change
from smtc_app.core.proposal_tracks import ProposedObject, proposed_objects
from smtc_app.ui.frame_controller import FrameController
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.overlay import Proposal
from smtc_app.ui.proposal_cards import ProposalRow
from smtc_app.ui.proposal_choice import ProposalChoice
from smtc_app.ui.proposal_thumbnails import ProposalThumbnails, Request
from smtc_app.ui.session import Session

REFRESH_MS = 60
COLOURS: tuple[Colour, ...] = (
    (255, 196, 61),
    (76, 201, 240),
    (247, 37, 133),
    (128, 237, 153),
    (181, 123, 255),
    (255, 128, 66),
    (0, 187, 249),
    (254, 228, 64),
    (0, 245, 212),
    (255, 153, 200),
)


def proposal_colour(proposal: ProposalMask) -> Colour:
    """A light colour, unlike the palette that objects have; the same on all frames of a track."""
    number = proposal.track if proposal.track is not None else proposal.id
    return COLOURS[(number - 1) % len(COLOURS)]


class ProposalPresenter(QObject):
    """Listens to the session and the frame controller; writes to the canvas and the panel only."""

    def __init__(
        self,
        session: Session,
        frames: FrameController,
        window: MainWindow,
        choice: ProposalChoice,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session, self._window, self._choice = session, window, choice
        self._lit: int | None = None
        self._busy = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REFRESH_MS)
        self._timer.timeout.connect(self.show_rows)
        self._thumbnails = ProposalThumbnails(self)
        self._thumbnails.ready.connect(self._on_thumbnail_ready)
        session.opened.connect(self._on_opened)
        session.closed.connect(self._on_closed)
        session.document_changed.connect(self._on_document_changed)
        choice.changed.connect(self._on_choice_changed)
        frames.shown.connect(self._on_frame_shown)
        window.proposal_panel.hovered.connect(self._on_hovered)

    def set_busy(self, busy: bool) -> None:
        """Say in the panel whether proposals are being computed."""
        self._busy = busy
        self.show_rows()

    def close(self) -> None:
        """End the thread that makes pictures."""
        self._thumbnails.close()

    def proposal_at(self, x: int, y: int) -> int | None:
        """The best proposal of this frame that covers a pixel."""
        document = self._session.document
        found = [p for p in document.proposals(self._session.frame) if p.covers(x, y)]
        return max(found, key=lambda p: p.score).id if found else None

    def describe(self, proposal_id: int) -> str:
        """A proposal of this frame in a few words, and what to do with it."""
        row = next(
            (r for r in self._window.proposal_panel.rows if (r.id, r.frame) == (proposal_id, None)), None
        )
        if row is None:
            return ""
        detail = f", {row.detail}" if row.detail else ""
        return (
            f"proposal {proposal_id}, score {row.score:.2f}{detail}: "
            "click accepts, Alt+click rejects, Shift+click chooses"
        )

    def hover(self, proposal_id: int | None) -> None:
        """Light up a proposal on the canvas and its card, or none."""
        self._light(proposal_id)
        self._window.proposal_panel.highlight(proposal_id)

    @property
    def lit(self) -> int | None:
        """The proposal of this frame that is lit up."""
        document = self._session.document
        there = () if document is None else document.proposals(self._session.frame)
        return self._lit if self._lit in [p.id for p in there] else None

    def _light(self, proposal_id: int | None) -> None:
        self._lit = proposal_id
        lit = () if proposal_id is None else (proposal_id,)
        self._window.canvas.set_selected_proposals((*self._choice.here, *lit))

    def show_rows(self) -> None:
        """Fill the panel."""
        session, panel = self._session, self._window.proposal_panel
        document = session.document
        if document is None:
            panel.set_rows(())
            return
        frames = document.proposal_frames
        objects = proposed_objects({frame: document.proposals(frame) for frame in frames}, session.frame)
        requests = [self._request(found) for found in objects]
        rows = [
            self._row(found, request, len(frames)) for found, request in zip(objects, requests, strict=True)
        ]
        # Whoever has objects knows how to propose some; the room is better used by their list.
        panel.set_rows(rows, busy=self._busy, brief=bool(document.objects))
        self._thumbnails.want(requests)

    def _request(self, found: ProposedObject) -> Request:
        session = self._session
        pixels: np.ndarray | None = session.pixels if found.here else None
        ratio = self._window.proposal_panel.devicePixelRatioF()
        return Request(found.shown, proposal_colour(found.shown), ratio, pixels)

    def _row(self, found: ProposedObject, request: Request, searched: int) -> ProposalRow:
        shown = found.shown
        width, height = self._session.document.size
        return ProposalRow(
            shown.id,
            f"Proposal {shown.id}" if found.here else f"On frame {shown.frame}",
            found.score,
            shown.area / (width * height),
            request.colour,
            self._thumbnails.get(request),
            frame=None if found.here else shown.frame,
            frames=len(found.members),
            of=searched,
            stability=found.stability,
            chosen=self._choice.holds(shown),
        )

    def _show_on_canvas(self) -> None:
        session = self._session
        self._window.canvas.set_proposals(
            [
                Proposal(p.id, p.crop, proposal_colour(p), self._choice.holds(p), p.box)
                for p in session.document.proposals(session.frame)
            ]
        )
        self._light(self._lit)

    @Slot(object)
    def _on_opened(self, session: Session) -> None:
        self._thumbnails.open(session.source.reopen)
        self._timer.start()

    @Slot(object)
    def _on_closed(self, _nothing: object) -> None:
        self._timer.stop()
        self._thumbnails.close()
        self.show_rows()

    @Slot(object)
    def _on_document_changed(self, change: Change) -> None:
        if change.kind == "proposals":
            if self._session.frame in change.frames:
                self._show_on_canvas()
            self._refresh_soon()
        elif change.kind == "objects":
            self._refresh_soon()

    @Slot(object)
    def _on_frame_shown(self, _message: object) -> None:
        self._show_on_canvas()
        self._refresh_soon()

    @Slot(object)
    def _on_thumbnail_ready(self, _nothing: object) -> None:
        self._refresh_soon()

    @Slot(object)
    def _on_hovered(self, proposal_id: int | None) -> None:
        self._light(proposal_id)

    @Slot(object)
    def _on_choice_changed(self, _nothing: object) -> None:
        if self._session.is_open:
            self._show_on_canvas()
        self.show_rows()

    def _refresh_soon(self) -> None:
        # A picture's word may still come from its thread when nothing is open any longer.
        if self._session.is_open and not self._timer.isActive():
            self._timer.start()
