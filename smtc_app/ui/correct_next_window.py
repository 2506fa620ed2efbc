"""Which frames to correct next, the most helpful first, each with its reason: click to go there.

A window beside the main one, like the confidence curves; it stays open while frames are corrected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QLabel, QListWidget, QListWidgetItem, QStackedLayout, QVBoxLayout, QWidget

from smtc_app.core.correct_next import Suggestion
from smtc_app.ui.theme import MARGIN_PX, SPACING_PX

SWATCH_PX = 12
ROW_PX = 44
_NOTHING = "Nothing to correct.\nPropagate first (Shift+F); doubtful frames are listed here."


class CorrectNextWindow(QWidget):
    """The queue as a list. Signals: chosen: a `Suggestion` that was clicked or entered."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setWindowTitle("Correct Next")
        self._queue: tuple[Suggestion, ...] = ()
        self.list = QListWidget()
        self.list.setUniformItemSizes(True)
        self.list.setIconSize(QSize(SWATCH_PX, SWATCH_PX))
        self.list.setWordWrap(True)
        self.list.itemClicked.connect(self._on_item)
        self.list.itemActivated.connect(self._on_item)
        self._empty = QLabel(_NOTHING)
        self._empty.setObjectName("soft")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        note = QLabel("Correct one of these frames, make it a keyframe (K), propagate again (Shift+F).")
        note.setObjectName("soft")
        note.setWordWrap(True)
        pages = QWidget()
        self._pages = QStackedLayout(pages)
        self._pages.addWidget(self._empty)
        self._pages.addWidget(self.list)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN_PX, MARGIN_PX, MARGIN_PX, MARGIN_PX)
        layout.setSpacing(SPACING_PX)
        layout.addWidget(note)
        layout.addWidget(pages, 1)

    def sizeHint(self) -> QSize:
        """Room for eight entries."""
        return QSize(420, 8 * ROW_PX + 80)

    @property
    def queue(self) -> tuple[Suggestion, ...]:
        """What is listed."""
        return self._queue

    def set_queue(
        self, queue: Sequence[Suggestion], colours: Mapping[int, tuple[int, int, int]], current: int
    ) -> None:
        """List these; colours of the objects by id; the entry of the current frame is marked."""
        self._queue = tuple(queue)
        self.list.clear()
        for place, suggestion in enumerate(self._queue, start=1):
            item = QListWidgetItem(f"{place}.  Frame {suggestion.frame}\n{sentence(suggestion)}")
            item.setIcon(_swatch(colours.get(suggestion.object_id, (128, 128, 128))))
            item.setSizeHint(QSize(0, ROW_PX))
            item.setToolTip(f"Go to frame {suggestion.frame} and select the object")
            self.list.addItem(item)
        self._pages.setCurrentWidget(self.list if self._queue else self._empty)
        self.set_current(current)

    def set_current(self, frame: int) -> None:
        """Mark the entry of a frame, if it has one."""
        rows = [row for row, suggestion in enumerate(self._queue) if suggestion.frame == frame]
        self.list.setCurrentRow(rows[0] if rows else -1)

    @Slot(object)
    def _on_item(self, item: QListWidgetItem) -> None:
        self.chosen.emit(self._queue[self.list.row(item)])


def sentence(suggestion: Suggestion) -> str:
    """The reason as a sentence of its own."""
    return suggestion.reason[:1].upper() + suggestion.reason[1:]


def _swatch(colour: tuple[int, int, int]) -> QIcon:
    picture = QPixmap(2 * SWATCH_PX, 2 * SWATCH_PX)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(*colour))
    painter.drawRoundedRect(picture.rect(), 6, 6)
    painter.end()
    return QIcon(picture)
