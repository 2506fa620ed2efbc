"""The space bar over the canvas: held it pans, tapped it plays.

On X11 a held key repeats as releases and presses that are not marked as repeats: a release counts when no
press follows at once.
"""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal, Slot

RELEASE_MS = 30


class SpaceHold(QObject):
    """Signals:
    changed: whether the bar is held.
    tapped: None; it was let go without having been of use.
    """

    changed = Signal(object)
    tapped = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.held = False
        self.used = False
        """Set by whoever pans with it."""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(RELEASE_MS)
        self._timer.timeout.connect(self._on_released)

    def press(self, *, repeated: bool) -> None:
        """The bar goes down, or seems to."""
        if not repeated and not self.held:
            self.held, self.used = True, False
            self.changed.emit(True)
        self._timer.stop()

    def release(self, *, repeated: bool) -> None:
        """The bar comes up, or seems to."""
        if not repeated and self.held:
            self._timer.start()

    def forget(self) -> None:
        """A release that goes elsewhere must not leave the hand behind."""
        self._timer.stop()
        self.held = False
        self.changed.emit(False)

    @Slot()
    def _on_released(self) -> None:
        self.held = False
        self.changed.emit(False)
        if not self.used:
            self.tapped.emit(None)
