"""A line over the upper left corner of the canvas that says what is seen and what is still being computed."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtWidgets import QLabel, QWidget

OFFSET_PX = 10


class ViewCaption(QLabel):
    """Lies over `parent` and lets the mouse through, so that the picture under it can be painted.

    Signals:
        height_changed: int, px of the parent's upper edge that it takes; 0 while it is hidden.
    """

    height_changed = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("viewCaption")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setWordWrap(True)
        parent.installEventFilter(self)
        self.hide()

    def show_text(self, text: str) -> None:
        """Show a line; an empty one hides it."""
        self.setText(text)
        self.setVisible(bool(text))
        self._place()
        self.height_changed.emit(OFFSET_PX + self.height() if text else 0)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep within the parent when it changes its size."""
        if event.type() == QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        room = self.parentWidget().width() - 2 * OFFSET_PX
        margins = self.width() - self.contentsRect().width()
        wanted = self.fontMetrics().horizontalAdvance(self.text()) + max(margins, 24)
        width = max(1, min(wanted, room))
        self.setGeometry(OFFSET_PX, OFFSET_PX, width, self.heightForWidth(width))
        self.raise_()
