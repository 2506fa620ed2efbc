"""Finds one of many objects by its number or a part of its name, without the mouse.

The field stands over the list of objects; the list shows what fits, and marks the best fit while one types.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from PySide6.QtCore import QEvent, Qt, Signal, Slot
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget


class Named(Protocol):
    """What can be found: `object_panel.ObjectRow`."""

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def category(self) -> str: ...


Row = TypeVar("Row", bound=Named)


def best_matches(rows: Sequence[Row], text: str) -> list[Row]:
    """The rows that fit, best first: the number itself, numbers that begin so, then names, then categories.

    Every word must occur in name or category, whatever the case; a name that begins with the text comes
    before one that has it inside. Equal fits stay in the order of the list; no text fits all.
    """
    wanted = text.strip().casefold()
    words = wanted.split()

    def rank(row: Row) -> int | None:
        name = row.name.casefold()
        if str(row.id) == wanted:
            return 0
        if wanted.isdecimal() and str(row.id).startswith(wanted):
            return 1
        if all(word in name for word in words):
            return 2 if name.startswith(wanted) else 3
        return 4 if all(word in f"{name} {row.category.casefold()}" for word in words) else None

    ranked = [(rank(row), row) for row in rows]
    found = [(position, row) for position, row in ranked if position is not None]
    return [row for _, row in sorted(found, key=lambda pair: pair[0])] if words else list(rows)


class ObjectFinder(QLineEdit):
    """The field; it is hidden while nothing is looked for.

    Signals:
        stepped: -1 or 1, the arrow keys: the fit before or after the marked one.
        chosen: whether the marked fit is added to the selection (Shift+Enter), or replaces it (Enter).
        ended: None; hidden again, by Esc or after a choice, or left empty.
    """

    stepped = Signal(object)
    chosen = Signal(object)
    ended = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setClearButtonEnabled(True)
        self.list: QWidget | None = None
        """Where what is found can be clicked on: going there does not end it."""
        self.hide()

    def begin(self, prompt: str = "") -> None:
        """Show the field, empty and ready to type; `prompt` says what the object is wanted for."""
        self.setPlaceholderText(prompt or "Number or name")
        self.setToolTip(
            f"{prompt} Type a number or a name; Enter takes the marked object, Esc none"
            if prompt
            else "Enter selects the marked object, Shift+Enter adds it, Esc closes"
        )
        self.clear()
        self.show()
        self.setFocus()

    @Slot()
    def end(self) -> None:
        """Hide it; the list shows everything again."""
        if not self.isHidden():
            self.hide()
            self.clear()
            self.ended.emit(None)

    def event(self, event: QEvent) -> bool:
        """Take Esc and the arrows before they are the window's."""
        if event.type() == QEvent.Type.KeyPress and self._take(event):
            return True
        return super().event(event)

    def _take(self, event: QKeyEvent) -> bool:
        key = event.key()
        if key == Qt.Key.Key_Escape:
            self.end()
        elif key in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self.stepped.emit(1 if key == Qt.Key.Key_Down else -1)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.chosen.emit(bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        else:
            return False
        event.accept()
        return True

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Nothing was typed: it is not needed any more."""
        super().focusOutEvent(event)
        to_list = self.list is not None and QApplication.focusWidget() is self.list
        if not self.text() and event.reason() != Qt.FocusReason.PopupFocusReason and not to_list:
            self.end()
