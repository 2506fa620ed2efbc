"""The bar over the canvas: which view is on, and what the other frame is, beside or over this one."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal, Slot
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QSlider, QSpinBox, QToolButton, QWidget

from smtc_app.core.views import OtherFrame, ViewMode
from smtc_app.ui.actions import ActionTable
from smtc_app.ui.theme import SPACING_PX

HEIGHT_PX = 36
SLIDER_WIDTH_PX, LEAST_BOX_WIDTH_PX = 72, 84


class ViewBar(QWidget):
    """Signals:
    other_chosen: the `OtherFrame` that was chosen.
    fixed_frame_changed: index that was typed.
    onion_opacity_changed: 0..1.
    """

    other_chosen = Signal(object)
    fixed_frame_changed = Signal(object)
    onion_opacity_changed = Signal(object)

    def __init__(self, actions: ActionTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("viewBar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedHeight(HEIGHT_PX)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(SPACING_PX, 0, SPACING_PX, 0)
        layout.setSpacing(2)
        # A bar that needs more room than there is must not push the panels out of the window.
        layout.setSizeConstraint(QHBoxLayout.SizeConstraint.SetNoConstraint)
        self.mode_buttons = {mode: self._button(actions, f"view_{mode.value}") for mode in ViewMode}
        for button in self.mode_buttons.values():
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
            layout.addWidget(button)
        layout.addStretch(1)
        self.other_box = QComboBox()
        self.other_box.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.other_box.setMinimumWidth(LEAST_BOX_WIDTH_PX)
        for choice in OtherFrame:
            self.other_box.addItem(f"With {choice.value.lower()}", choice)
        self.other_box.setToolTip(f"The other frame  ({actions.key_text('next_other')})")
        self.other_box.activated.connect(self._on_other_activated)
        self.fixed_box = QSpinBox()
        self.fixed_box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.fixed_box.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.fixed_box.setKeyboardTracking(False)
        self.fixed_box.setToolTip(f"Type a frame, or keep the current one  ({actions.key_text('fix_other')})")
        self.fixed_box.valueChanged.connect(self._on_fixed_typed)
        self.onion_slider = QSlider(Qt.Orientation.Horizontal)
        self.onion_slider.setRange(5, 95)
        self.onion_slider.setValue(50)
        self.onion_slider.setMinimumWidth(SLIDER_WIDTH_PX // 2)
        self.onion_slider.setMaximumWidth(SLIDER_WIDTH_PX)
        self.onion_slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.onion_slider.setToolTip("How much of the other frame is seen  (Alt+[ ])")
        self.onion_slider.valueChanged.connect(self._on_onion_moved)
        for widget in (self.other_box, self.fixed_box):
            layout.addWidget(widget)
            layout.addSpacing(4)
        layout.addWidget(self._button(actions, "side_by_side"))
        layout.addWidget(self._button(actions, "onion_skin"))
        layout.addWidget(self.onion_slider)
        self.show_other(OtherFrame.PREVIOUS_KEYFRAME, compared=False, onion=False)

    def show_other(self, choice: OtherFrame, *, compared: bool, onion: bool) -> None:
        """Show which other frame is chosen, where there is one to be seen."""
        with QSignalBlocker(self.other_box):
            self.other_box.setCurrentIndex(self.other_box.findData(choice))
        self.other_box.setVisible(compared)
        self.fixed_box.setVisible(compared and choice is OtherFrame.FIXED)
        self.onion_slider.setVisible(onion)

    def set_fixed_frame(self, index: int, count: int) -> None:
        """Show the fixed frame, one of `count`."""
        with QSignalBlocker(self.fixed_box):
            self.fixed_box.setRange(0, max(0, count - 1))
            self.fixed_box.setValue(index)

    @property
    def onion_opacity(self) -> float:
        """How much of the other frame is seen, 0..1."""
        return self.onion_slider.value() / 100

    @Slot(int)
    def _on_other_activated(self, _index: int) -> None:
        self.other_chosen.emit(self.other_box.currentData())

    @Slot(int)
    def _on_fixed_typed(self, index: int) -> None:
        self.fixed_frame_changed.emit(index)

    @Slot(int)
    def _on_onion_moved(self, _value: int) -> None:
        self.onion_opacity_changed.emit(self.onion_opacity)

    def _button(self, actions: ActionTable, action_id: str) -> QToolButton:
        button = QToolButton()
        button.setDefaultAction(actions[action_id])
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.setIconSize(QSize(18, 18))
        return button
