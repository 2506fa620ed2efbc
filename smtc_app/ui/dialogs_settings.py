"""The settings that are not a button anywhere: theme, device, model, propagation preset, memory, autosave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from smtc_app.core.settings import Settings
from smtc_app.ui.theme import SPACING_PX, SPIN_TEXT_MARGINS_PX

MEBIBYTE = 1 << 20
THEMES = (("As the system", "system"), ("Dark", "dark"), ("Light", "light"))
DEVICES = (("Automatic", "auto"), ("CPU", "cpu"), ("GPU (CUDA)", "cuda"))


class SettingsDialog(QDialog):
    """Edits a copy of the settings; `changes` says what is different after it was accepted."""

    def __init__(self, settings: Settings, presets: Sequence[str], *, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Settings")
        self.setMinimumWidth(520)
        self._settings = settings
        self._theme = _choice(THEMES, settings.theme)
        self._device = _choice(DEVICES, settings.device)
        self._preset = _choice([(name, name) for name in presets], settings.preset)
        self._model = QLineEdit(settings.model or "")
        self._model.setPlaceholderText("the best that is installed")
        browse = QPushButton("File…")
        browse.setAutoDefault(False)
        browse.clicked.connect(self._on_browse)
        model = QHBoxLayout()
        model.setSpacing(SPACING_PX)
        model.addWidget(self._model, 1)
        model.addWidget(browse)
        self._frames = _megabytes(settings.frame_cache_bytes)
        self._undo = _megabytes(settings.undo_limit_bytes)
        self._autosave = QCheckBox("Keep a journal of every step, and restore it after a crash")
        self._autosave.setChecked(settings.autosave)
        form = QFormLayout()
        form.setHorizontalSpacing(14)
        form.setVerticalSpacing(10)
        form.addRow("Theme", self._theme)
        form.addRow("Compute on", self._device)
        form.addRow("Model", model)
        form.addRow("Propagation", self._preset)
        form.addRow("Frames in memory", self._frames)
        form.addRow("Undo in memory", self._undo)
        form.addRow("Autosave", self._autosave)
        note = QLabel("Model and device are used from the next run on, memory limits from the next start on.")
        note.setObjectName("soft")
        note.setWordWrap(True)
        keys = QLabel("Keys are changed in the sheet of keys (F1).")
        keys.setObjectName("soft")
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Cancel | QDialogButtonBox.StandardButton.Ok
        )
        buttons.button(QDialogButtonBox.StandardButton.Ok).setProperty("primary", True)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 18, 20, 16)
        layout.setSpacing(14)
        layout.addLayout(form)
        layout.addWidget(note)
        layout.addWidget(keys)
        layout.addWidget(buttons)

    @property
    def changes(self) -> dict[str, Any]:
        """Settings that differ from those given."""
        values = {
            "theme": self._theme.currentData(),
            "device": self._device.currentData(),
            "model": self._model.text().strip() or None,
            "preset": self._preset.currentData(),
            "frame_cache_bytes": self._frames.value() * MEBIBYTE,
            "undo_limit_bytes": self._undo.value() * MEBIBYTE,
            "autosave": self._autosave.isChecked(),
        }
        return {name: value for name, value in values.items() if value != getattr(self._settings, name)}

    @Slot()
    def _on_browse(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Model", "", "Models (*.safetensors *.pth *.pt)")
        if chosen:
            self._model.setText(chosen)


def _choice(entries: Sequence[tuple[str, str]], value: str) -> QComboBox:
    box = QComboBox()
    for text, data in entries:
        box.addItem(text, data)
    if box.findData(value) < 0:
        # A value of another version or machine (a second GPU, say) stays what it is.
        box.addItem(value, value)
    box.setCurrentIndex(box.findData(value))
    return box


def _megabytes(value_bytes: int) -> QSpinBox:
    spin = QSpinBox()
    spin.setRange(16, 1 << 20)
    spin.setSingleStep(128)
    spin.setSuffix(" MiB")
    spin.setValue(value_bytes // MEBIBYTE)
    spin.setMinimumWidth(120)
    spin.lineEdit().setTextMargins(*SPIN_TEXT_MARGINS_PX)
    return spin
