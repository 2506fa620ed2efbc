"""Three lines over the canvas that say what to do first; closed once, they stay closed."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal, Slot
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QToolButton, QWidget

from smtc_app.ui.theme import Theme

OFFSET_PX = 14


class Hint(QFrame):
    """A card in the lower left corner of `parent`, which it follows.

    Signals:
        closed: None, when the person has closed it.
    """

    closed = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("hint")
        self._close = QToolButton()
        self._close.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._close.setIconSize(QSize(14, 14))
        self._close.setFixedSize(22, 22)
        self._close.setToolTip("Close; Help > First Steps shows it again")
        self._close.clicked.connect(self._on_closed)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(14, 10, 8, 12)
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(7)
        parent.installEventFilter(self)
        Theme.current().changed.connect(self._on_theme_changed)
        self._on_theme_changed()
        self.hide()

    def show_steps(self, steps: Sequence[tuple[str, str]]) -> None:
        """Show (keys, what they do) pairs, one per line."""
        while (item := self._grid.takeAt(0)) is not None:
            if item.widget() is not self._close:
                item.widget().deleteLater()
        for row, (keys, text) in enumerate(steps):
            key = QLabel(keys)
            key.setObjectName("key")
            key.setAlignment(Qt.AlignmentFlag.AlignCenter)
            self._grid.addWidget(key, row, 0)
            self._grid.addWidget(QLabel(text), row, 1)
        self._grid.addWidget(self._close, 0, 2, len(steps), 1, Qt.AlignmentFlag.AlignTop)
        self.show()
        self._place()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay in the corner when the canvas changes its size."""
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Show):
            self._place()
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        self.adjustSize()
        self.move(OFFSET_PX, self.parentWidget().height() - self.height() - OFFSET_PX)
        self.raise_()

    @Slot()
    def _on_closed(self) -> None:
        self.hide()
        self.closed.emit(None)

    @Slot(object)
    def _on_theme_changed(self, _colours: object = None) -> None:
        self._close.setIcon(Theme.current().icon("cancel"))
