"""Labels of the status bar: frame, time, size, what is under the cursor; and the device."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

from smtc_app.ui.theme import Theme
from smtc_app.ui.time_text import format_time

DECIMALS = 3


class StatusLabels(QWidget):
    """Frame, time, size and cursor, each in a place wide enough that nothing moves while numbers change."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.frame, self.time, self.size_, self.cursor_ = QLabel(), QLabel(), QLabel(), QLabel()
        self.frame.setToolTip("Frame on the screen, of all frames, counted from 0  (Ctrl+G: go to a frame)")
        self.time.setToolTip("Presentation time of this frame")
        self.size_.setToolTip("Size of the footage and of its masks")
        self.cursor_.setToolTip("Pixel under the cursor and the object it belongs to")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(6, 0, 0, 0)
        layout.setSpacing(4)
        for label in (self.frame, self.time, self.size_, self.cursor_):
            layout.addWidget(label)
        layout.addStretch()
        # Room goes to the running job first; the cursor's text is the first to be cut off.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.clear()

    def clear(self) -> None:
        """Nothing is open."""
        for label in (self.frame, self.time, self.size_, self.cursor_):
            label.setText("")

    def set_source(self, count: int, last_s: float, size: tuple[int, int]) -> None:
        """Reserve room for the largest numbers of this footage."""
        metrics = self.fontMetrics()
        self.frame.setMinimumWidth(metrics.horizontalAdvance(f"Frame {count} / {count}") + 14)
        self.time.setMinimumWidth(metrics.horizontalAdvance(format_time(max(last_s, 599), DECIMALS)) + 14)
        self.size_.setText(f"{size[0]} × {size[1]}")

    def set_frame(self, index: int, count: int, seconds: float) -> None:
        """`index` of `count` frames, shown at `seconds`."""
        self.frame.setText(f"Frame {index} / {count - 1}")
        self.time.setText(format_time(seconds, DECIMALS))

    def set_cursor(self, position: tuple[int, int] | None, label: str = "") -> None:
        """The pixel under the cursor and the name of what is there."""
        if position is None:
            self.cursor_.setText("")
        else:
            self.cursor_.setText(f"x {position[0]}, y {position[1]}" + (f"  ·  {label}" if label else ""))


class DeviceLabel(QWidget):
    """What computes, with which model; amber while something about it should be known."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon, self._text = QLabel(), QLabel()
        self._warning = False
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 0, 8, 0)
        layout.setSpacing(0)
        layout.addWidget(self._icon)
        layout.addWidget(self._text)
        Theme.current().changed.connect(self._on_theme_changed)
        self.set_text("Loading the model…")

    @property
    def text(self) -> str:
        """What it says."""
        return self._text.text()

    def set_text(self, text: str, tooltip: str = "", *, warning: bool = False) -> None:
        """Say what computes."""
        self._warning = warning
        self._text.setText(text)
        self.setToolTip(tooltip or text)
        self._on_theme_changed()

    @Slot(object)
    def _on_theme_changed(self, _colours: object = None) -> None:
        theme = Theme.current()
        colour = theme.colours.warning if self._warning else theme.colours.text_soft
        self._text.setStyleSheet(f"color: {colour}")
        self._icon.setPixmap(theme.pixmap("device", 16, colour, self.devicePixelRatioF()))
