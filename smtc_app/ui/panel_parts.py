"""What the panels beside the canvas have in common: a title with a count, and a list of cards."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QListView, QSizePolicy, QStyledItemDelegate, QWidget

from smtc_app.ui.theme import MARGIN_PX, SPACING_PX


class ElidedLabel(QLabel):
    """A line that is cut with an ellipsis where it has no room, and never widens its panel."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    @property
    def shown(self) -> str:
        """The text as there is room for it."""
        return self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideMiddle, self.width())

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        left = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        painter.setPen(self.palette().windowText().color())
        painter.drawText(self.rect(), left, self.shown)


def make_panel(panel: QWidget) -> None:
    """Let the style sheet draw a widget as a panel."""
    panel.setObjectName("panel")
    panel.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)


def panel_header(title: str) -> tuple[QHBoxLayout, QLabel]:
    """(a row with the title, to which buttons are added; the label of the count beside it)."""
    name, count = QLabel(title), QLabel()
    name.setObjectName("panelTitle")
    count.setObjectName("soft")
    row = QHBoxLayout()
    row.setContentsMargins(MARGIN_PX, SPACING_PX, SPACING_PX, 4)
    row.setSpacing(2)
    row.addWidget(name)
    row.addSpacing(4)
    row.addWidget(count)
    row.addStretch()
    return row, count


def soft_note() -> QLabel:
    """A paragraph that stands where a list is empty."""
    note = QLabel()
    note.setObjectName("soft")
    note.setWordWrap(True)
    note.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
    note.setContentsMargins(MARGIN_PX, SPACING_PX, MARGIN_PX, SPACING_PX)
    return note


def set_up_cards(view: QListView, delegate: QStyledItemDelegate) -> None:
    """A list whose rows are drawn by `delegate`, follow the mouse and scroll smoothly."""
    view.setItemDelegate(delegate)
    view.setMouseTracking(True)
    view.setUniformItemSizes(True)
    view.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
