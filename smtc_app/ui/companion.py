"""The second picture beside the canvas: another frame, its masks, what was found on it, and votes."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from smtc_app.ui.picture_view import PictureView
from smtc_app.ui.theme import Theme
from smtc_app.ui.view_caption import ViewCaption

LIST_HEIGHT_PX, LEAST_LIST_HEIGHT_PX = 172, 84
SWATCH_PX = 12
UNCOUNTED = "not counted: too fast for it here"
"""Only motion can lose all of its weight."""
HEADERS = ("Weight", "Label", "Frame", "Pixel", "Likeness")


class VoteRow(NamedTuple):
    """One vote as it is listed."""

    weight: float
    label: str
    colour: tuple[int, int, int]
    frame: int
    keyframe: bool
    x: int
    y: int
    similarity: float


class ReasonRow(NamedTuple):
    """What one of the things that a label follows says.

    weight  of all of them, 0..1; None: not one of several
    said    (label's name, its colour, share 0..1), the largest first
    """

    title: str
    weight: float | None
    said: tuple[tuple[str, tuple[int, int, int], float], ...]


class Companion(QWidget):
    """Signals:
    vote_chosen: index in the list of the vote that was clicked.
    vote_followed: index of the vote that was clicked twice, to be asked why it says so itself.
    """

    vote_chosen = Signal(object)
    vote_followed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = PictureView()
        self.caption = ViewCaption(self.view)
        self.summary = QLabel()
        self.summary.setTextFormat(Qt.TextFormat.RichText)
        self.summary.setObjectName("voteSummary")
        self.summary.setWordWrap(True)
        self.votes = QTreeWidget()
        self.votes.setColumnCount(len(HEADERS))
        self.votes.setHeaderLabels(HEADERS)
        self.votes.setRootIsDecorated(False)
        self.votes.setUniformRowHeights(True)
        self.votes.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.votes.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.votes.setMinimumHeight(LEAST_LIST_HEIGHT_PX)
        self.votes.setMaximumHeight(LIST_HEIGHT_PX)
        self.votes.header().setStretchLastSection(False)
        self.votes.header().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.votes.header().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self.votes.itemClicked.connect(self._on_item_clicked)
        self.votes.itemDoubleClicked.connect(self._on_item_double_clicked)
        self.votes.setToolTip(
            "Click: show the pixel that voted. Double-click: go there, and ask why it is so"
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.view, 3)
        layout.addWidget(self.summary)
        layout.addWidget(self.votes, 2)
        self.set_votes((), (), "")

    def set_reasons(self, reasons: Sequence[ReasonRow], sentence: str) -> None:
        """Say in a sentence why, over a table of what spoke for what; nothing to say hides both."""
        self.summary.setText(_reason_table(reasons, sentence) if reasons else "")
        self.summary.setVisible(bool(reasons))

    def set_votes(self, rows: Sequence[VoteRow], reasons: Sequence[ReasonRow], sentence: str) -> None:
        """List votes, heaviest first, under the reasons (see `set_reasons`); no votes hide the list."""
        self.votes.clear()
        for row in rows:
            swatch = QPixmap(SWATCH_PX, SWATCH_PX)
            swatch.fill(QColor(*row.colour))
            icon = QIcon(swatch)
            icon.addPixmap(swatch, QIcon.Mode.Selected)  # Qt would tint it
            item = QTreeWidgetItem(
                [
                    f"{row.weight:.0%}" if row.weight >= 0.01 else "< 1%",
                    row.label,
                    f"{row.frame}" + (" (keyframe)" if row.keyframe else ""),
                    f"{row.x}, {row.y}",
                    f"{row.similarity:.2f}",
                ]
            )
            item.setIcon(1, icon)
            item.setTextAlignment(0, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.votes.addTopLevelItem(item)
        self.set_reasons(reasons, sentence)
        self.votes.setVisible(bool(rows))

    def choose_vote(self, index: int) -> None:
        """Show which vote is looked at."""
        self.votes.setCurrentItem(self.votes.topLevelItem(index))

    @Slot(object, int)
    def _on_item_clicked(self, item: QTreeWidgetItem, _column: int) -> None:
        self.vote_chosen.emit(self.votes.indexOfTopLevelItem(item))

    @Slot(object, int)
    def _on_item_double_clicked(self, item: QTreeWidgetItem, _column: int) -> None:
        self.vote_followed.emit(self.votes.indexOfTopLevelItem(item))


def _reason_table(reasons: Sequence[ReasonRow], sentence: str) -> str:
    soft = Theme.current().colours.text_soft
    lines = []
    for row in reasons:
        weight = "" if row.weight is None else f"{row.weight:.0%} of the say" if row.weight else UNCOUNTED
        said = ", ".join(
            f"<span style='color:rgb{colour}'>■</span> {html.escape(name)} {share:.0%}"
            for name, colour, share in row.said
        )
        lines.append(
            f"<tr><td style='padding-right:14px'>{row.title}</td><td style='padding-right:14px'>{said}</td>"
            f"<td style='color:{soft}'>{weight}</td></tr>"
        )
    return f"{html.escape(sentence)}<table cellspacing='0' style='margin-top:4px'>{''.join(lines)}</table>"
