"""Which proposals are chosen, to be merged or answered together. Nothing is chosen unless a person does so.

What is chosen is an object: its proposals on all frames, whichever frame is looked at.
"""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal, Slot

from smtc_app.core.annotation import ProposalMask
from smtc_app.core.document import Change
from smtc_app.core.proposal_tracks import ObjectKey, object_key
from smtc_app.ui.session import Session


class ProposalChoice(QObject):
    """Chosen objects, in the order in which they were chosen.

    Signals:
        changed: None.
    """

    changed = Signal(object)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._keys: tuple[ObjectKey, ...] = ()
        session.closed.connect(self._on_closed)
        session.document_changed.connect(self._on_document_changed)

    @property
    def keys(self) -> tuple[ObjectKey, ...]:
        """What is chosen."""
        return self._keys

    @property
    def here(self) -> tuple[int, ...]:
        """Ids of those that are on the frame that is looked at, in the order of the frame."""
        document = self._session.document
        if document is None or not self._keys:
            return ()
        return tuple(p.id for p in document.proposals(self._session.frame) if object_key(p) in self._keys)

    @property
    def members(self) -> tuple[tuple[int, int], ...]:
        """(frame, id) of one proposal of each, on the frame that is looked at where it is there."""
        document, found = self._session.document, {}
        if document is not None and self._keys:
            for frame in (self._session.frame, *document.proposal_frames):
                for proposal in document.proposals(frame):
                    found.setdefault(object_key(proposal), (frame, proposal.id))
        return tuple(found[key] for key in self._keys)

    def toggle(self, proposal_id: int, frame: int | None = None) -> None:
        """Choose the object of a proposal of this frame, or of another, or do not."""
        frame = self._session.frame if frame is None else frame
        for proposal in self._session.document.proposals(frame):
            if proposal.id == proposal_id:
                key = object_key(proposal)
                left = tuple(other for other in self._keys if other != key)
                self._set(left if key in self._keys else (*self._keys, key))

    def clear(self) -> None:
        """Choose none."""
        self._set(())

    def holds(self, proposal: ProposalMask) -> bool:
        """Whether the object of a proposal is chosen."""
        return object_key(proposal) in self._keys

    def _set(self, keys: tuple[ObjectKey, ...]) -> None:
        if keys != self._keys:
            self._keys = keys
            self.changed.emit(None)

    @Slot(object)
    def _on_closed(self, _nothing: object) -> None:
        self.clear()

    @Slot(object)
    def _on_document_changed(self, change: Change) -> None:
        """What was accepted, rejected or replaced is not chosen any more."""
        if change.kind == "proposals" and self._keys:
            document = self._session.document
            there = {object_key(p) for frame in document.proposal_frames for p in document.proposals(frame)}
            self._set(tuple(key for key in self._keys if key in there))
