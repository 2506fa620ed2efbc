"""The settings that are not a button anywhere: theme, device, model, preset, memory, cache, autosave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import Signal, Slot
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

from smtc_app.core.settings import Settings, default_cache_folder
from smtc_app.ui.theme import SPACING_PX, SPIN_TEXT_MARGINS_PX

MEBIBYTE = 1 << 20
THEMES = (("As the system", "system"), ("Dark", "dark"), ("Light", "light"))
DEVICES = (("Automatic", "auto"), ("CPU", "cpu"), ("GPU (CUDA)", "cuda"))


class SettingsDialog(QDialog):
    """Edits a copy of the settings; `changes` says what is different after it was accepted.

    Signals:
        clear_requested: the cache that is in use now; answer with `show_cleared` or `show_not_cleared`.
    """

    clear_requested = Signal(object)

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
        model = _with_button(self._model, "File…", self._on_browse)
        self._frames = _megabytes(settings.frame_cache_bytes)
        self._undo = _megabytes(settings.undo_limit_bytes)
        self._features = _megabytes(settings.feature_cache_bytes, least=0, step=1024)
        self._features.setSpecialValueText("off")
        self._features.setToolTip("Features of frames kept on disk: propagating again costs matching only")
        self._clear = QPushButton("Clear")
        self._clear.setAutoDefault(False)
        self._clear.setToolTip("Delete the features on disk; they are computed again when they are needed")
        self._clear.setEnabled(settings.feature_cache is not None)
        self._clear.clicked.connect(self._on_clear)
        self._cleared = QLabel()
        self._cleared.setObjectName("soft")
        features = _row(self._features, self._clear)
        features.addWidget(self._cleared, 1)
        self._folder = QLineEdit(settings.cache_folder or "")
        self._folder.setPlaceholderText(str(default_cache_folder()))
        self._folder.setToolTip("May be deleted at any time")
        folder = _with_button(self._folder, "Folder…", self._on_browse_folder)
        self._autosave = QCheckBox("Keep a journal of every step, and restore it after a crash")
        self._autosave.setChecked(settings.autosave)
        self._alarm = QCheckBox("After propagating, mark what looks like an object and has no label")
        self._alarm.setChecked(settings.new_object_alarm)
        form = QFormLayout()
        form.setHorizontalSpacing(14)
        form.setVerticalSpacing(10)
        form.addRow("Theme", self._theme)
        form.addRow("Compute on", self._device)
        form.addRow("Model", model)
        form.addRow("Propagation", self._preset)
        form.addRow("New objects", self._alarm)
        form.addRow("Frames in memory", self._frames)
        form.addRow("Undo in memory", self._undo)
        form.addRow("Features on disk", features)
        form.addRow("Cache folder", folder)
        form.addRow("Autosave", self._autosave)
        note = QLabel(
            "Model, device and cache are used from the next run on, memory limits from the next start on."
        )
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
            "feature_cache_bytes": self._features.value() * MEBIBYTE,
            "cache_folder": self._folder.text().strip() or None,
            "new_object_alarm": self._alarm.isChecked(),
            "autosave": self._autosave.isChecked(),
        }
        return {name: value for name, value in values.items() if value != getattr(self._settings, name)}

    def show_cleared(self, freed_bytes: int) -> None:
        """The features are deleted."""
        self._cleared.setText(f"{freed_bytes / MEBIBYTE:,.0f} MiB freed")

    def show_not_cleared(self, sentence: str) -> None:
        """They could not be deleted; says why."""
        self._cleared.setText("Not cleared")
        self._cleared.setToolTip(sentence)
        self._clear.setEnabled(True)

    @Slot()
    def _on_clear(self) -> None:
        self._clear.setEnabled(False)
        self._cleared.setText("Clearing…")
        self.clear_requested.emit(self._settings.feature_cache)

    @Slot()
    def _on_browse_folder(self) -> None:
        start = self._folder.text().strip() or self._folder.placeholderText()
        chosen = QFileDialog.getExistingDirectory(self, "Cache folder", start)
        if chosen:
            self._folder.setText(chosen)

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


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(SPACING_PX)
    for widget in widgets:
        row.addWidget(widget)
    return row


def _with_button(field: QLineEdit, text: str, slot: Callable[[], None]) -> QHBoxLayout:
    button = QPushButton(text)
    button.setAutoDefault(False)
    button.clicked.connect(slot)
    row = _row(field, button)
    row.setStretch(0, 1)
    return row


def _megabytes(value_bytes: int, *, least: int = 16, step: int = 128) -> QSpinBox:
    spin = QSpinBox()
    spin.setRange(least, 1 << 20)
    spin.setSingleStep(step)
    spin.setSuffix(" MiB")
    spin.setValue(value_bytes // MEBIBYTE)
    spin.setMinimumWidth(120)
    spin.lineEdit().setTextMargins(*SPIN_TEXT_MARGINS_PX)
    return spin
