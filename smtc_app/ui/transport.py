"""The bar above the timeline: steps, play, frame and time to type, speed, and the range.

It keeps no clock and no frames (`playback` and the controller do): it shows what it is told and says what the
person asked for. Steps and play are the shared actions, so that their keys, tooltips and states are the same
everywhere.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QToolButton,
    QWidget,
)

from smtc_app.ui.actions import ActionTable
from smtc_app.ui.playback import SPEEDS
from smtc_app.ui.theme import Theme
from smtc_app.ui.time_text import format_time, parse_time

HEIGHT_PX = 38
TIME_DECIMALS = 3
STEPS_BACK = ("first_frame", "previous_keyframe", "previous_frame")
STEPS_ON = ("next_frame", "next_keyframe", "last_frame")


class TransportBar(QWidget):
    """Signals:
    frame_requested: index of the frame that was typed, or of the last one not after the time that was typed.
    speed_changed: the new speed, 0.25 to 4.
    range_requested: "in" or "out" (at the current frame), or "clear".
    """

    frame_requested = Signal(object)
    speed_changed = Signal(object)
    range_requested = Signal(object)

    def __init__(self, actions: ActionTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(HEIGHT_PX)
        self._actions = actions
        self._count = 0
        self._current = 0
        self._playing = False
        self._seconds_of: Callable[[int], float] = float
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 0, 8, 0)
        layout.setSpacing(2)
        for action_id in STEPS_BACK:
            layout.addWidget(self._step_button(action_id))
        self.play_button = QToolButton()
        self.play_button.setIconSize(QSize(20, 20))
        self.play_button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.play_button.clicked.connect(actions["play"].trigger)
        layout.addWidget(self.play_button)
        for action_id in STEPS_ON:
            layout.addWidget(self._step_button(action_id))
        layout.addSpacing(10)
        self.frame_box = QSpinBox()
        self.frame_box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.frame_box.setKeyboardTracking(False)
        self.frame_box.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.frame_box.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.frame_box.setToolTip("Frame, counted from 0: type a number and press Enter")
        self.frame_box.valueChanged.connect(self._on_frame_typed)
        self.count_label = self._soft_label("")
        self.time_edit = QLineEdit()
        self.time_edit.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.time_edit.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.time_edit.setToolTip("Time: type seconds or minutes:seconds and press Enter")
        self.time_edit.returnPressed.connect(self._on_time_typed)
        self.time_edit.editingFinished.connect(self._show_time)
        self.length_label = self._soft_label("")
        for widget in (self.frame_box, self.count_label):
            layout.addWidget(widget)
        layout.addSpacing(12)
        for widget in (self.time_edit, self.length_label):
            layout.addWidget(widget)
        layout.addStretch(1)
        self.in_button = self._tool_button("range-in", "in", "Begin the range at this frame")
        self.out_button = self._tool_button("range-out", "out", "End the range with this frame")
        self.clear_button = self._tool_button("range-clear", "clear", "No range: the whole video")
        self.range_label = self._soft_label("")
        self.range_label.setToolTip("Frames of the range; Shift-drag on the timeline chooses one, too")
        for widget in (self.range_label, self.in_button, self.out_button, self.clear_button):
            layout.addWidget(widget)
        layout.addWidget(_separator())
        self.speed_box = QComboBox()
        self.speed_box.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.speed_box.setToolTip("Speed of playing; every frame is shown at any speed")
        for speed in SPEEDS:
            self.speed_box.addItem(f"{speed:g}×", speed)
        self.speed_box.setCurrentIndex(SPEEDS.index(1.0))
        self.speed_box.currentIndexChanged.connect(self._on_speed_chosen)
        layout.addWidget(self.speed_box)
        # What goes first where there is little room: all of it is told or done elsewhere, too.
        self._dispensable = (
            (self.length_label,),
            (self.count_label,),
            (self.range_label,),
            (self.in_button, self.out_button, self.clear_button),
        )
        Theme.current().changed.connect(self._on_theme_changed)
        self._on_theme_changed()
        self.set_frame_count(0, 25.0)

    def minimumSizeHint(self) -> QSize:
        """With everything left out that can be."""
        left_out = {widget for group in self._dispensable for widget in group}
        return QSize(self._width_without(left_out), HEIGHT_PX)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave out what there is no room for."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        left_out: set[QWidget] = set()
        for group in self._dispensable:
            if self._width_without(left_out) <= self.width():
                break
            left_out.update(group)
        for group in self._dispensable:
            for widget in group:
                widget.setVisible(widget not in left_out)

    def _width_without(self, left_out: set[QWidget]) -> int:
        layout = self.layout()
        margins = layout.contentsMargins()
        width = margins.left() + margins.right()
        for index in range(layout.count()):
            item = layout.itemAt(index)
            widget = item.widget()
            if widget is None:
                width += item.sizeHint().width()
            elif widget not in left_out:
                # A hidden widget's item has no size.
                width += max(widget.minimumWidth(), widget.minimumSizeHint().width()) + layout.spacing()
        return width

    def set_frame_count(
        self, count: int, fps: float, timestamp: Callable[[int], float] | None = None
    ) -> None:
        """Another video; times come from `timestamp(i)` in seconds, else from `fps`."""
        self._count, self._current = count, 0
        rate = fps if fps > 0 else 25.0
        self._seconds_of = timestamp if timestamp is not None else lambda index: index / rate
        last = max(0, count - 1)
        self.frame_box.blockSignals(True)
        self.frame_box.setRange(0, last)
        self.frame_box.setValue(0)
        self.frame_box.blockSignals(False)
        metrics = self.frame_box.fontMetrics()
        self.frame_box.setFixedWidth(metrics.horizontalAdvance("0" * max(4, len(str(last)))) + 40)
        length = format_time(self._seconds_of(last) if count else 0.0, TIME_DECIMALS)
        self.time_edit.setFixedWidth(metrics.horizontalAdvance("0" * max(8, len(length))) + 22)
        self.count_label.setText(f"of {last}" if count else "")
        self.length_label.setText(f"of {length}" if count else "")
        self.set_range(None)
        self._show_time()
        self._fit()

    def set_current(self, index: int) -> None:
        """The frame that is shown."""
        self._current = index
        if not self.frame_box.hasFocus() or self.frame_box.value() != index:
            self.frame_box.blockSignals(True)
            self.frame_box.setValue(index)
            self.frame_box.blockSignals(False)
        if not self.time_edit.hasFocus():
            self._show_time()

    def set_playing(self, playing: bool) -> None:
        """Offer pause instead of play, or play again."""
        self._playing = playing
        self._on_theme_changed()

    def set_range(self, span: tuple[int, int] | None) -> None:
        """Show the range (start, stop), half open, or that there is none."""
        self.range_label.setText("" if span is None else f"{span[0]} – {span[1] - 1}")
        self.clear_button.setEnabled(span is not None)
        self._fit()

    @property
    def speed(self) -> float:
        """The chosen speed."""
        return float(self.speed_box.currentData())

    def set_speed(self, speed: float) -> None:
        """Choose one of `playback.SPEEDS`."""
        self.speed_box.setCurrentIndex(SPEEDS.index(speed))

    def _step_button(self, action_id: str) -> QToolButton:
        button = QToolButton()
        button.setDefaultAction(self._actions[action_id])
        button.setIconSize(QSize(18, 18))
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.setAutoRepeat(action_id in ("previous_frame", "next_frame"))
        return button

    def _tool_button(self, icon: str, request: str, tooltip: str) -> QToolButton:
        button = QToolButton()
        button.setObjectName(icon)
        button.setProperty("request", request)
        button.setIconSize(QSize(18, 18))
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.setToolTip(tooltip)
        button.clicked.connect(self._on_range_button)
        return button

    def _soft_label(self, text: str) -> QLabel:
        label = QLabel(text)
        label.setObjectName("soft")
        label.setContentsMargins(4, 0, 4, 0)
        return label

    @Slot()
    def _on_range_button(self) -> None:
        self.range_requested.emit(self.sender().property("request"))

    @Slot(int)
    def _on_frame_typed(self, value: int) -> None:
        if value != self._current:
            self.frame_requested.emit(value)

    @Slot()
    def _on_time_typed(self) -> None:
        seconds = parse_time(self.time_edit.text())
        if seconds is not None and self._count:
            self.frame_requested.emit(self._frame_at(seconds))
        self._show_time()
        self.time_edit.clearFocus()

    @Slot()
    def _show_time(self) -> None:
        self.time_edit.setText(
            format_time(self._seconds_of(self._current), TIME_DECIMALS) if self._count else ""
        )

    @Slot(int)
    def _on_speed_chosen(self, _index: int) -> None:
        self.speed_changed.emit(self.speed)

    @Slot(object)
    def _on_theme_changed(self, _colours: object = None) -> None:
        theme = Theme.current()
        self.play_button.setIcon(theme.icon("pause" if self._playing else "play"))
        key = self._actions.key_text("play")
        self.play_button.setToolTip(("Pause" if self._playing else "Play") + (f"  ({key})" if key else ""))
        for button in (self.in_button, self.out_button, self.clear_button):
            button.setIcon(theme.icon(button.objectName()))

    def _frame_at(self, seconds: float) -> int:
        low, high = 0, self._count - 1
        while low < high:
            middle = (low + high + 1) // 2
            # What is shown is rounded, and typing it has to lead back to the same frame.
            if self._seconds_of(middle) <= seconds + 0.51 * 10**-TIME_DECIMALS:
                low = middle
            else:
                high = middle - 1
        return low


def _separator() -> QFrame:
    line = QFrame()
    line.setFrameShape(QFrame.Shape.NoFrame)
    line.setFixedWidth(10)
    return line
