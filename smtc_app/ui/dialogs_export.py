"""Asks what to export and where to, and says beforehand what will be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Slot
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
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from smtc_app.ui.object_panel import ObjectRow
from smtc_app.ui.theme import SPACING_PX, SPIN_TEXT_MARGINS_PX, Theme

LARGEST_PNG_ID = 254


@dataclass(frozen=True)
class ExportRequest:
    """What to write: frames `first` to `stop` - 1, these objects, into `folder`."""

    folder: Path
    first: int
    stop: int
    objects: tuple[int, ...]
    overwrite: bool


class ExportDialog(QDialog):
    """Folder, range of frames, objects; `request` after `exec` or `accepted`."""

    def __init__(
        self,
        folder: Path,
        frame_count: int,
        labelled: Sequence[int],
        rows: Sequence[ObjectRow],
        current: int = 0,
        *,
        chosen: tuple[int, int] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        """`labelled`: sorted indices of the frames that have labels; `chosen`: the range on the timeline."""
        super().__init__(parent)
        self.setWindowTitle("Export Masks")
        self.setMinimumWidth(540)
        self._frame_count = frame_count
        self._labelled = tuple(labelled)
        self._folder = QLineEdit(str(folder))
        self._folder.setObjectName("exportFolder")
        browse = QPushButton("Choose…")
        browse.setAutoDefault(False)
        browse.clicked.connect(self._on_browse)
        folder_row = QHBoxLayout()
        folder_row.setSpacing(SPACING_PX)
        folder_row.addWidget(self._folder, 1)
        folder_row.addWidget(browse)
        self._range = QComboBox()
        self._range.addItem(f"All frames ({frame_count})", "all")
        if self._labelled:
            first, last = self._labelled[0], self._labelled[-1]
            self._range.addItem(f"From the first labelled frame to the last ({first}–{last})", "labelled")
        if chosen is not None:
            self._range.addItem(f"The range on the timeline ({chosen[0]}–{chosen[1] - 1})", "range")
            self._range.setCurrentIndex(self._range.count() - 1)
        self._chosen = chosen
        self._range.addItem("This frame", "current")
        self._range.addItem("From … to …", "custom")
        self._current = current
        self._first, self._last = QSpinBox(), QSpinBox()
        for spin in (self._first, self._last):
            spin.setRange(0, max(0, frame_count - 1))
            spin.lineEdit().setTextMargins(*SPIN_TEXT_MARGINS_PX)
        self._last.setValue(max(0, frame_count - 1))
        self._custom = QWidget()
        custom = QHBoxLayout(self._custom)
        custom.setContentsMargins(0, 0, 0, 0)
        custom.addWidget(self._first)
        custom.addWidget(QLabel("to"))
        custom.addWidget(self._last)
        custom.addStretch()
        self._objects = QListWidget()
        self._objects.setFixedHeight(min(168, 14 + 26 * max(2, len(rows))))
        for row in rows:
            item = QListWidgetItem(f"{row.id}   {row.name}")
            item.setFlags(Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEnabled)
            item.setCheckState(Qt.CheckState.Checked)
            item.setData(Qt.ItemDataRole.UserRole, row.id)
            item.setSizeHint(QSize(0, 26))
            self._objects.addItem(item)
        self._overwrite = QCheckBox("Replace what the folder holds")
        self._summary = QLabel()
        self._summary.setWordWrap(True)
        self._summary.setMinimumHeight(3 * self._summary.fontMetrics().lineSpacing())
        self._summary.setAlignment(Qt.AlignmentFlag.AlignTop)
        form = QFormLayout()
        form.setLabelAlignment(Qt.AlignmentFlag.AlignRight)
        form.setHorizontalSpacing(12)
        form.setVerticalSpacing(10)
        format_label = QLabel("DAVIS: indexed PNG, one per frame, with frames.csv")
        format_label.setObjectName("soft")
        form.addRow("Format", format_label)
        form.addRow("Folder", folder_row)
        form.addRow("", self._overwrite)
        form.addRow("Frames", self._range)
        form.addRow("", self._custom)
        form.addRow("Objects", self._objects)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self._export = QPushButton("Export")
        self._export.setProperty("primary", True)
        self._export.setDefault(True)
        buttons.addButton(self._export, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 18, 20, 16)
        layout.setSpacing(14)
        layout.addLayout(form)
        layout.addWidget(self._summary)
        layout.addWidget(buttons)
        for signal in (
            self._folder.textChanged,
            self._range.currentIndexChanged,
            self._first.valueChanged,
            self._last.valueChanged,
            self._objects.itemChanged,
            self._overwrite.toggled,
        ):
            signal.connect(self._on_changed)
        self._on_changed()

    @property
    def request(self) -> ExportRequest:
        """What the person asked for."""
        first, stop = self._frames()
        return ExportRequest(self._path(), first, stop, self._ids(), self._overwrite.isChecked())

    def _path(self) -> Path:
        return Path(self._folder.text().strip()).expanduser()

    def _ids(self) -> tuple[int, ...]:
        items = (self._objects.item(row) for row in range(self._objects.count()))
        return tuple(
            item.data(Qt.ItemDataRole.UserRole)
            for item in items
            if item.checkState() == Qt.CheckState.Checked
        )

    def _frames(self) -> tuple[int, int]:
        choice = self._range.currentData()
        if choice == "labelled":
            return self._labelled[0], self._labelled[-1] + 1
        if choice == "range":
            return self._chosen
        if choice == "current":
            return self._current, self._current + 1
        if choice == "custom":
            return self._first.value(), self._last.value() + 1
        return 0, self._frame_count

    def _problem(self) -> str:
        if not self._folder.text().strip():
            return "Choose a folder."
        if not self._ids():
            return "Choose at least one object."
        if len(self._ids()) > LARGEST_PNG_ID:
            return (
                f"An indexed PNG holds {LARGEST_PNG_ID} objects, {len(self._ids())} are chosen: "
                "export them in several runs into several folders."
            )
        first, stop = self._frames()
        if stop <= first:
            return "The last frame lies before the first."
        path = self._path()
        if path.exists() and not path.is_dir():
            return f"{path.name} is a file: choose a folder."
        if self._occupied() and not self._overwrite.isChecked():
            return f"{path.name} is not empty: choose another folder, or have its contents replaced."
        return ""

    def _occupied(self) -> bool:
        path = self._path()
        try:
            return path.is_dir() and next(path.iterdir(), None) is not None
        except OSError:
            # A folder that cannot be listed: writing will say why.
            return False

    @Slot()
    def _on_changed(self, *_values: object) -> None:
        self._custom.setVisible(self._range.currentData() == "custom")
        self._overwrite.setVisible(self._occupied())
        problem = self._problem()
        self._export.setEnabled(not problem)
        c = Theme.current().colours
        self._summary.setStyleSheet(f"color: {c.warning if problem else c.text_soft}")
        if problem:
            self._summary.setText(problem)
            return
        first, stop = self._frames()
        ids = self._ids()
        bare = sum(1 for frame in range(first, stop) if frame not in set(self._labelled))
        text = f"Writes {stop - first} masks of {len(ids)} object{'s' if len(ids) != 1 else ''}"
        if list(ids) != list(range(1, len(ids) + 1)):
            text += f", renumbered 1 to {len(ids)}"
        text += f"; {bare} of them without labels." if bare else "."
        self._summary.setText(text + " They are read back and compared afterwards.")

    @Slot()
    def _on_browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Export into", str(self._path().parent))
        if chosen:
            self._folder.setText(chosen)
