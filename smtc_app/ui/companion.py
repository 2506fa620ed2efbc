"""The second picture beside the canvas: another frame, its masks, what was found on it, and votes."""

from __future__ import annotations

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
from smtc_app.ui.view_caption import ViewCaption

LIST_HEIGHT_PX, LEAST_LIST_HEIGHT_PX = 172, 84
SWATCH_PX = 12
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


class Companion(QWidget):
    """Signals:
    vote_chosen: index in the list of the vote that was clicked.
    """

    vote_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = PictureView()
        self.caption = ViewCaption(self.view)
        self.summary = QLabel()
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
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.view, 3)
        layout.addWidget(self.summary)
        layout.addWidget(self.votes, 2)
        self.set_votes((), "")

    def set_votes(self, rows: Sequence[VoteRow], summary: str) -> None:
        """List votes, heaviest first, under a line that sums them up; no line hides the list."""
        self.votes.clear()
        for row in rows:
            swatch = QPixmap(SWATCH_PX, SWATCH_PX)
            swatch.fill(QColor(*row.colour))
            item = QTreeWidgetItem(
                [
                    f"{row.weight:.0%}" if row.weight >= 0.01 else "< 1%",
                    row.label,
                    f"{row.frame}" + (" (keyframe)" if row.keyframe else ""),
                    f"{row.x}, {row.y}",
                    f"{row.similarity:.2f}",
                ]
            )
            item.setIcon(1, QIcon(swatch))
            item.setTextAlignment(0, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.votes.addTopLevelItem(item)
        self.summary.setText(summary)
        self.summary.setVisible(bool(summary))
        self.votes.setVisible(bool(rows))

    def choose_vote(self, index: int) -> None:
        """Show which vote is looked at."""
        self.votes.setCurrentItem(self.votes.topLevelItem(index))

    @Slot(object, int)
    def _on_item_clicked(self, item: QTreeWidgetItem, _column: int) -> None:
        self.vote_chosen.emit(self.votes.indexOfTopLevelItem(item))
