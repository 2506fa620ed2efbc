"""Goes through proposals by keys, chooses some of them, and makes one proposal of those that are chosen."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QObject, Signal, Slot

from smtc_app.core.command import counted
from smtc_app.core.commands import MergeProposals
from smtc_app.ui.long_edit import LongEdits
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.presenter import Presenter
from smtc_app.ui.proposal_choice import ProposalChoice
from smtc_app.ui.proposal_presenter import ProposalPresenter
from smtc_app.ui.session import Session

NEEDS_TWO = "Choose two proposals first: Shift+click them."


class ProposalMergeController(QObject):
    """Connects the actions about the choice of proposals; M merges objects as long as none are chosen.

    Signals:
        told: a sentence for the person.
        failed: a sentence about what went wrong.
    """

    told = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        window: MainWindow,
        session: Session,
        edits: LongEdits,
        choice: ProposalChoice,
        proposal_presenter: ProposalPresenter,
        presenter: Presenter,
        *,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._session, self._edits = window, session, edits
        self._choice, self._proposal_presenter = choice, proposal_presenter
        self._presenter = presenter
        presenter.has_choice = lambda: bool(choice.keys)
        actions = window.actions_table
        for action_id, slot in (
            ("merge_proposals", self.merge),
            ("choose_proposal", self.choose),
            ("next_proposal", partial(self.step, 1)),
            ("previous_proposal", partial(self.step, -1)),
        ):
            actions.connect(action_id, slot)
        choice.changed.connect(self._on_choice_changed)
        self._on_choice_changed(None)

    def merge(self) -> None:
        """Make one proposal of the chosen ones, on all frames that propose them."""
        count = len(self._choice.keys)
        command = MergeProposals(self._choice.members)

        def then() -> None:
            self._choice.clear()
            frames = len({part.members[0].frame for part in parts})
            key = self._window.actions_table.key_text("accept_all").replace("Return", "Enter")
            where = f" on {counted(frames, 'frame')}" if frames > 1 else ""
            self.told.emit(f"{count} proposals are one now{where}; {key} accepts.")

        parts = command.parts(self._session.document)
        self._edits.push(command, f"Merging {count} proposals", then)

    def choose(self) -> None:
        """Choose the proposal that is lit up, or do not."""
        proposal_id = self._proposal_presenter.lit
        if proposal_id is None:
            self.step(1)
            proposal_id = self._proposal_presenter.lit
        if proposal_id is not None:
            self._choice.toggle(proposal_id)

    def step(self, by: int) -> None:
        """Light up the next or the previous proposal of this frame."""
        ids = [p.id for p in self._session.document.proposals(self._session.frame)]
        if not ids:
            self.told.emit("This frame has no proposals.")
            return
        lit = self._proposal_presenter.lit
        position = ids.index(lit) + by if lit in ids else (0 if by > 0 else -1)
        self._proposal_presenter.hover(ids[position % len(ids)])

    @Slot(object)
    def _on_choice_changed(self, _nothing: object) -> None:
        actions, able = self._window.actions_table, len(self._choice.keys) > 1
        actions.enable("merge_proposals", able, NEEDS_TWO)
        self._presenter.update_actions()
        actions.set_key_owner(*(("merge_proposals", "merge") if able else ("merge", "merge_proposals")))
