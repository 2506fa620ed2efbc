"""The parts of the export dialog: which frames, which objects, and what only some formats ask for."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from smtc_app.core.export import OPACITY, ExportFormat
from smtc_app.ui.object_list import ObjectRow
from smtc_app.ui.theme import SPACING_PX, SPIN_TEXT_MARGINS_PX, Theme

ROW_PX = 26
SWATCH_PX = 12
MOST_ROWS_SHOWN = 6
FEWEST_FOR_BUTTONS = 4


class FrameRangeField(QWidget):
    """Which frames: all, those with labels, the range on the timeline, this one, or from ... to; every nth.

    Signals:
        changed: None.
    """

    changed = Signal(object)

    def __init__(
        self,
        frame_count: int,
        labelled: Sequence[int],
        current: int,
        chosen: tuple[int, int] | None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._frame_count, self._labelled = frame_count, tuple(labelled)
        self._current, self._chosen = current, chosen
        self.choice = QComboBox()
        self.choice.addItem(f"All frames ({frame_count:,})", "all")
        if self._labelled:
            first, last = self._labelled[0], self._labelled[-1]
            self.choice.addItem(f"From the first labelled frame to the last ({first}–{last})", "labelled")
        if chosen is not None:
            self.choice.addItem(f"The range on the timeline ({chosen[0]}–{chosen[1] - 1})", "range")
            self.choice.setCurrentIndex(self.choice.count() - 1)
        self.choice.addItem(f"This frame ({current})", "current")
        self.choice.addItem("From … to …", "custom")
        self.first, self.last, self.step = QSpinBox(), QSpinBox(), QSpinBox()
        for spin in (self.first, self.last):
            spin.setRange(0, max(0, frame_count - 1))
        self.last.setValue(max(0, frame_count - 1))
        self.step.setRange(1, max(1, frame_count))
        self.step.setPrefix("every ")
        self.step.setSuffix(". frame")
        self.step.setSpecialValueText("every frame")
        self.step.setToolTip("Leave frames out: every 5th of 100 makes 20 masks")
        for spin in (self.first, self.last, self.step):
            spin.lineEdit().setTextMargins(*SPIN_TEXT_MARGINS_PX)
        self._custom = QWidget()
        custom = QHBoxLayout(self._custom)
        custom.setContentsMargins(0, 0, 0, 0)
        custom.setSpacing(SPACING_PX)
        for widget in (self.first, QLabel("to"), self.last):
            custom.addWidget(widget)
        custom.addStretch()
        row = QHBoxLayout()
        row.setSpacing(SPACING_PX)
        row.addWidget(self.choice, 1)
        row.addWidget(self.step)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACING_PX)
        layout.addLayout(row)
        layout.addWidget(self._custom)
        for signal in (
            self.choice.currentIndexChanged,
            self.first.valueChanged,
            self.last.valueChanged,
            self.step.valueChanged,
        ):
            signal.connect(self._on_changed)
        self._custom.hide()

    @property
    def bounds(self) -> tuple[int, int]:
        """First and one past the last frame; the second may lie before the first."""
        choice = self.choice.currentData()
        if choice == "labelled":
            return self._labelled[0], self._labelled[-1] + 1
        if choice == "range":
            return self._chosen
        if choice == "current":
            return self._current, self._current + 1
        if choice == "custom":
            return self.first.value(), self.last.value() + 1
        return 0, self._frame_count

    @Slot()
    def _on_changed(self, *_values: object) -> None:
        self._custom.setVisible(self.choice.currentData() == "custom")
        self.changed.emit(None)


class ObjectChecklist(QWidget):
    """Which objects, by colour and name; buttons for all and none when there are many.

    Signals:
        changed: None.
    """

    changed = Signal(object)

    def __init__(self, rows: Sequence[ObjectRow], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.list = QListWidget()
        self.list.setIconSize(QSize(SWATCH_PX, SWATCH_PX))
        self.list.setFixedHeight(14 + ROW_PX * min(max(2, len(rows)), MOST_ROWS_SHOWN))
        for row in rows:
            text = f"{row.id}   {row.name}" + (f"   ·   {row.category}" if row.category else "")
            item = QListWidgetItem(_swatch(row.colour, self.devicePixelRatioF()), text)
            item.setFlags(Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEnabled)
            item.setCheckState(Qt.CheckState.Checked)
            item.setData(Qt.ItemDataRole.UserRole, row.id)
            item.setSizeHint(QSize(0, ROW_PX))
            self.list.addItem(item)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.list)
        if len(rows) >= FEWEST_FOR_BUTTONS:
            buttons = QHBoxLayout()
            buttons.setSpacing(SPACING_PX)
            for text, state in (("All", Qt.CheckState.Checked), ("None", Qt.CheckState.Unchecked)):
                button = QPushButton(text)
                button.setAutoDefault(False)
                button.setProperty("state", state)
                button.clicked.connect(self._on_all_clicked)
                buttons.addWidget(button)
            buttons.addStretch()
            layout.addLayout(buttons)
        self.list.itemChanged.connect(self._on_changed)

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the objects that are checked."""
        items = (self.list.item(row) for row in range(self.list.count()))
        return tuple(
            item.data(Qt.ItemDataRole.UserRole)
            for item in items
            if item.checkState() == Qt.CheckState.Checked
        )

    @Slot()
    def _on_all_clicked(self) -> None:
        state = self.sender().property("state")
        self.list.blockSignals(True)
        for row in range(self.list.count()):
            self.list.item(row).setCheckState(state)
        self.list.blockSignals(False)
        self.list.viewport().update()
        self.changed.emit(None)

    @Slot()
    def _on_changed(self, *_values: object) -> None:
        self.changed.emit(None)


class FormatOptions(QWidget):
    """What only some formats ask for; hidden when the format asks for nothing.

    Signals:
        changed: None.
    """

    changed = Signal(object)

    def __init__(self, source_fps: float, *, images: bool, parent: QWidget | None = None) -> None:
        """`images`: whether the frames are to be written beside the masks unless the person says no."""
        super().__init__(parent)
        self.images = QCheckBox("Write the frames as JPEG, too")
        self.images.setToolTip("Training code finds masks and frames side by side")
        self.images.setChecked(images)
        self.own_fps = QCheckBox("Other speed")
        self.own_fps.setToolTip("Otherwise every frame is shown at the time that it has in the footage")
        self.fps = QDoubleSpinBox()
        self.fps.setRange(0.1, 240)
        self.fps.setDecimals(3 if abs(source_fps - round(source_fps)) > 1e-3 else 1)
        self.fps.setValue(min(max(source_fps, 0.1), 240))
        self.fps.setSuffix(" frames/s")
        self.fps.setEnabled(False)
        self.opacity = QSpinBox()
        self.opacity.setRange(0, 100)
        self.opacity.setSuffix(" %")
        self.opacity.setPrefix("opacity ")
        self.opacity.setValue(round(OPACITY * 100))
        self.bits = QComboBox()
        self.bits.addItem("8 bits (256 levels)", 8)
        self.bits.addItem("16 bits (65,536 levels)", 16)
        for spin in (self.fps, self.opacity):
            spin.lineEdit().setTextMargins(*SPIN_TEXT_MARGINS_PX)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACING_PX)
        for widget in (self.images, self.opacity, self.own_fps, self.fps, self.bits):
            layout.addWidget(widget)
        layout.addStretch()
        self.own_fps.toggled.connect(self.fps.setEnabled)
        for signal in (
            self.images.toggled,
            self.own_fps.toggled,
            self.fps.valueChanged,
            self.opacity.valueChanged,
            self.bits.currentIndexChanged,
        ):
            signal.connect(self._on_changed)

    def set_format(self, chosen: ExportFormat) -> None:
        """Show what this format asks for."""
        self.images.setVisible(chosen.images)
        for widget in (self.own_fps, self.fps, self.opacity):
            widget.setVisible(chosen.overlay)
        self.bits.setVisible(chosen.soft)

    @Slot()
    def _on_changed(self, *_values: object) -> None:
        self.changed.emit(None)


def _swatch(colour: tuple[int, int, int], ratio: float) -> QIcon:
    pixmap = QPixmap(round(SWATCH_PX * ratio), round(SWATCH_PX * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    # The palette has colours as dark as the list, and as light.
    painter.setPen(QPen(QColor(Theme.current().colours.text_off), 1))
    painter.setBrush(QColor(*colour))
    painter.drawRoundedRect(QRectF(0.5, 0.5, SWATCH_PX - 1, SWATCH_PX - 1), 3, 3)
    painter.end()
    return QIcon(pixmap)
