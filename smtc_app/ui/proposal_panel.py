"""The proposals: cards to accept and reject, those of this frame first; how many and how fine they should be.

The panel knows rows, not the document. Nothing becomes an object before the person accepts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import QEvent, QPoint, Qt, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QListView,
    QMenu,
    QPushButton,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from smtc_app.core.command import counted
from smtc_app.ui.actions import ActionTable
from smtc_app.ui.panel_parts import make_panel, panel_header, set_up_cards, soft_note
from smtc_app.ui.proposal_cards import ROW_ROLE, ProposalDelegate, ProposalModel, ProposalRow
from smtc_app.ui.theme import MARGIN_PX, SPACING_PX, SPIN_TEXT_MARGINS_PX, Theme

GRANULARITY_STEPS = 20


class Answer(NamedTuple):
    """What a person says to one card.

    what    "accept", "reject", "choose" (or do not any more), or "visit": show the frame that it is on
    id      of the proposal on `frame`, None: the frame that is looked at
    linked  also its proposals on other frames
    """

    what: str
    id: int
    frame: int | None
    linked: bool


class ProposalPanel(QWidget):
    """Settings of the proposals, the cards, accept all, reject all.

    Signals:
        answered: an `Answer`.
        settings_changed: (most objects, granularity 0..1), at every move of the slider.
        hovered: id under the cursor, of a proposal of this frame, or None.
        filled: None; other rows, or another note, are shown.
    """

    answered = Signal(object)
    settings_changed = Signal(object)
    hovered = Signal(object)
    filled = Signal(object)

    def __init__(self, actions: ActionTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        make_panel(self)
        self._actions = actions
        header, self._count = panel_header("Proposals")
        self.propose_button, self.clip_button = QPushButton("Propose"), QPushButton("Clip")
        for button, action_id in ((self.propose_button, "propose"), (self.clip_button, "propose_clip")):
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.clicked.connect(actions[action_id].trigger)
            header.addSpacing(4)
            header.addWidget(button)
        self.view = QListView()
        self._model = ProposalModel(self.view)
        self.view.setModel(self._model)
        self._delegate = ProposalDelegate(self.view, self._on_card_clicked)
        set_up_cards(self.view, self._delegate)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._on_context_menu)
        self.view.entered.connect(self._on_entered)
        self.view.viewport().installEventFilter(self)
        self._note = soft_note()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(header)
        layout.addLayout(self._make_settings())
        layout.addWidget(self._note, 1)
        layout.addWidget(self.view, 1)
        layout.addWidget(self._make_footer())
        Theme.current().changed.connect(self._on_theme_changed)
        self._on_theme_changed()
        self.set_rows(())

    def _make_settings(self) -> QHBoxLayout:
        self.most = QSpinBox()
        self.most.setRange(1, 64)
        self.most.setValue(10)
        self.most.setToolTip("Most proposals on a frame")
        self.most.setFixedWidth(62)
        self.most.lineEdit().setTextMargins(*SPIN_TEXT_MARGINS_PX)
        self.most.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        # Once the number is confirmed, keys are the window's again.
        self.most.editingFinished.connect(self.most.clearFocus)
        self.granularity = QSlider(Qt.Orientation.Horizontal)
        self.granularity.setRange(0, GRANULARITY_STEPS)
        self.granularity.setValue(GRANULARITY_STEPS // 2)
        self.granularity.setToolTip(
            "Granularity: few, large and sure to many, small and doubtful; proposals follow while you move it"
        )
        self.granularity.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        row = QHBoxLayout()
        row.setContentsMargins(MARGIN_PX, 0, SPACING_PX + 2, SPACING_PX)
        row.setSpacing(SPACING_PX)
        fewer, more, most = QLabel("Coarse"), QLabel("Fine"), QLabel("Max")
        for label in (fewer, more, most):
            label.setObjectName("soft")
        row.addWidget(fewer)
        row.addWidget(self.granularity, 1)
        row.addWidget(more)
        row.addSpacing(SPACING_PX)
        row.addWidget(most)
        row.addWidget(self.most)
        self.granularity.valueChanged.connect(self._on_settings_changed)
        self.most.valueChanged.connect(self._on_settings_changed)
        return row

    def _make_footer(self) -> QWidget:
        self.accept_button, self.reject_button, self.merge_button = (QPushButton() for _ in range(3))
        self.accept_button.setProperty("primary", True)
        for button, action_id in (
            (self.accept_button, "accept_all"),
            (self.reject_button, "reject_all"),
            (self.merge_button, "merge_proposals"),
        ):
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.clicked.connect(self._actions[action_id].trigger)
        self._accept_texts: tuple[str, ...] = ()
        """What the button may say, the longest first."""
        self._footer = QWidget()
        row = QHBoxLayout(self._footer)
        row.setContentsMargins(MARGIN_PX, SPACING_PX, SPACING_PX + 2, SPACING_PX + 2)
        row.setSpacing(SPACING_PX)
        row.addWidget(self.merge_button)
        row.addWidget(self.accept_button, 1)
        row.addWidget(self.reject_button)
        return self._footer

    @property
    def rows(self) -> tuple[ProposalRow, ...]:
        """The rows as shown."""
        return tuple(self._model.rows)

    @property
    def settings(self) -> tuple[int, float]:
        """Most proposals on a frame and granularity in [0,1]."""
        return self.most.value(), self.granularity.value() / GRANULARITY_STEPS

    def set_granularity(self, granularity: float) -> None:
        """Move the slider to a granularity in [0,1]."""
        self.granularity.setValue(round(granularity * GRANULARITY_STEPS))

    @property
    def is_empty(self) -> bool:
        """Whether there are no proposals."""
        return not self._model.rows

    def compact_height(self, width_px: int) -> int:
        """What the panel needs for its head and its note, without cards."""
        layout = self.layout()
        layout.activate()
        return max(layout.totalHeightForWidth(width_px), layout.totalMinimumSize().height())

    def set_rows(self, rows: Sequence[ProposalRow], *, busy: bool = False, brief: bool = False) -> None:
        """Show these proposals, or say how to get some (not if `brief`), or that they are being computed."""
        self._model.set_rows(rows)
        here = [row for row in rows if row.frame is None]
        self._count.setText(str(len(rows)) if rows else "")
        propose, clip = self._actions.key_text("propose"), self._actions.key_text("propose_clip")
        howto = (
            f"{propose} proposes objects on this frame, {clip} over the clip. "
            "Nothing becomes an object before you accept it."
        )
        self._note.setText("Looking for objects…" if busy else howto)
        self._note.setVisible(not rows and (busy or not brief))
        self.view.setVisible(bool(rows))
        self._show_answers(rows, here)
        self._fit_accept_text()
        self.filled.emit(None)

    def _show_answers(self, rows: Sequence[ProposalRow], here: Sequence[ProposalRow]) -> None:
        """Say what the buttons do, to all of this frame or to those that are chosen."""
        chosen = [row for row in rows if row.chosen]
        chosen_here = [row for row in here if row.chosen]
        self._footer.setVisible(bool(here) or len(chosen) > 1)
        self.accept_button.setVisible(bool(chosen_here or (here and not chosen)))
        accept = self._actions.key_text("accept_all").replace("Return", "Enter")
        count = "1 object" if len(here) == 1 else f"all {len(here)}"
        if chosen_here:
            here, count = chosen_here, str(len(chosen_here))
        # Rather the key than all of the words.
        keyed = [f"Accept {many}  ({accept})" for many in dict.fromkeys((count, str(len(here))))]
        if len(chosen) > 1:
            keyed = []
        self._accept_texts = (*keyed, f"Accept {count}", "Accept")
        self.merge_button.setVisible(len(chosen) > 1)
        self.merge_button.setText(f"Merge {len(chosen)}  ({self._actions.key_text('merge_proposals')})")
        self.merge_button.setToolTip("Make one proposal of the chosen ones, on all frames that propose them")
        escape = self._actions.key_text("reject_all") or "Esc"
        # Beside the third button there is no room for keys; the tooltips name them.
        self.reject_button.setText("Clear" if chosen else f"Reject  ({escape})")
        self.reject_button.setToolTip(
            f"Choose none  ({escape})"
            if chosen
            else f"Drop the proposals of this frame, on all frames that propose them  ({escape})"
        )
        which = "the chosen proposals" if chosen_here else "the proposals of this frame"
        linked = max((row.frames for row in here), default=1)
        only = self._actions.key_text("accept_here").replace("Return", "Enter")
        self.accept_button.setToolTip(
            f"Make objects of {which}, on all frames that propose them  ({accept})\n"
            f"{only}: on this frame only"
            if linked > 1
            else f"Make objects of {which}  ({accept})"
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A narrow panel has no room for the key on the button."""
        super().resizeEvent(event)
        self._fit_accept_text()

    def _fit_accept_text(self) -> None:
        left, _top, right, _bottom = self._footer.layout().getContentsMargins()
        room = self.width() - left - right
        for button in (self.reject_button, self.merge_button):
            if not button.isHidden():
                room -= SPACING_PX + button.sizeHint().width()
        for text in self._accept_texts:
            self.accept_button.setText(text)
            if self.accept_button.sizeHint().width() <= room:
                break

    def highlight(self, proposal_id: int | None) -> None:
        """Light up the card of a proposal of this frame, as the cursor goes over it on the canvas."""
        if proposal_id == self._delegate.highlighted:
            return
        self._delegate.highlighted = proposal_id
        for position, row in enumerate(self._model.rows):
            if row.frame is None and row.id == proposal_id:
                self.view.scrollTo(self._model.index(position))
        self.view.viewport().update()

    def card_centre(self, proposal_id: int, part: str = "accept", *, frame: int | None = None) -> QPoint:
        """Where a part of a card is in the view's viewport."""
        position = [(row.id, row.frame) for row in self._model.rows].index((proposal_id, frame))
        return self._delegate.parts(self.view.visualRect(self._model.index(position)))[part].center()

    def eventFilter(self, watched: object, event: QEvent) -> bool:
        """Tell when the cursor leaves the cards."""
        if event.type() == QEvent.Type.Leave:
            self.hovered.emit(None)
        return super().eventFilter(watched, event)

    def _on_card_clicked(self, part: str, row: ProposalRow, modifiers: Qt.KeyboardModifier) -> None:
        linked = not modifiers & Qt.KeyboardModifier.ControlModifier
        self.answered.emit(Answer(part, row.id, row.frame, linked))

    @Slot(object)
    def _on_context_menu(self, position: QPoint) -> None:
        index = self.view.indexAt(position)
        if not index.isValid():
            return
        row: ProposalRow = index.data(ROW_ROLE)
        everywhere = f" on {counted(row.frames, 'Frame').title()}" if row.frames > 1 else ""
        entries = [("choose", "Do Not Choose" if row.chosen else "Choose  (Shift+click)", True)]
        if row.frame is not None:
            entries.append(("visit", f"Show Frame {row.frame}", True))
        for what, verb in (("accept", "Accept"), ("reject", "Reject")):
            entries.append((what, f"{verb}{everywhere}", True))
            if row.frames > 1:
                which = "This Frame" if row.frame is None else f"Frame {row.frame}"
                entries.append((what, f"{verb} Only on {which}", False))
        menu = QMenu(self)
        answers = {
            menu.addAction(text): Answer(what, row.id, row.frame, linked) for what, text, linked in entries
        }
        menu.addSeparator()
        menu.addAction(self._actions["merge_proposals"])
        chosen = menu.exec(self.view.viewport().mapToGlobal(position))
        menu.deleteLater()
        if chosen in answers:
            self.answered.emit(answers[chosen])

    @Slot(object)
    def _on_entered(self, index: object) -> None:
        row: ProposalRow = index.data(ROW_ROLE)
        self.hovered.emit(row.id if row.frame is None else None)

    @Slot(int)
    def _on_settings_changed(self, _value: int) -> None:
        self.settings_changed.emit(self.settings)

    @Slot(object)
    def _on_theme_changed(self, _colours: object = None) -> None:
        self.propose_button.setIcon(Theme.current().icon("propose"))
        self.view.viewport().update()
