"""Asks what to export, how and where to, and says beforehand what will be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Slot
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
    QVBoxLayout,
    QWidget,
)

from smtc_app.core.export import FORMATS, MAX_INDEXED_OBJECTS, ExportFormat, ExportRequest, out_of_date
from smtc_app.ui.export_fields import FormatOptions, FrameRangeField, ObjectChecklist
from smtc_app.ui.object_list import ObjectRow
from smtc_app.ui.theme import SPACING_PX, Theme

WIDTH_PX = 580


class ExportDialog(QDialog):
    """Format, frames, objects, folder; `request` after `exec` or `accepted`."""

    def __init__(
        self,
        base: Path,
        frame_count: int,
        labelled: Sequence[int],
        rows: Sequence[ObjectRow],
        current: int = 0,
        *,
        chosen: tuple[int, int] | None = None,
        format_key: str = "davis",
        fps: float = 25.0,
        images: bool = True,
        stale: Mapping[int, Sequence[tuple[int, int]]] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        """What is open, and what to begin with.

        base      folder and name that the suggested folders begin with
        labelled  sorted indices of the frames that have labels
        chosen    the range on the timeline
        fps       of the footage
        images    whether the frames are not image files yet, so that datasets need them written
        stale     object id -> spans [first, stop) of its frames that are out of date
        """
        super().__init__(parent)
        self.setWindowTitle("Export Masks")
        self.setMinimumWidth(WIDTH_PX)
        self._base = base
        self._labelled = frozenset(labelled)
        self._stale = stale or {}
        self._format = QComboBox()
        self._format.setObjectName("exportFormat")
        self._format.setMaxVisibleItems(len(FORMATS))
        for entry in FORMATS.values():
            self._format.addItem(entry.title, entry.key)
            self._format.setItemData(self._format.count() - 1, entry.explanation, Qt.ItemDataRole.ToolTipRole)
        self._format.setCurrentIndex(max(0, self._format.findData(format_key)))
        self._explanation = QLabel()
        self._explanation.setObjectName("soft")
        self._options = FormatOptions(fps, images=images)
        self._frames = FrameRangeField(frame_count, labelled, current, chosen)
        self._objects = ObjectChecklist(rows)
        self._folder = QLineEdit()
        self._folder.setObjectName("exportFolder")
        self._folder_is_own = False
        browse = QPushButton("Choose…")
        browse.setAutoDefault(False)
        browse.clicked.connect(self._on_browse)
        folder_row = QHBoxLayout()
        folder_row.setSpacing(SPACING_PX)
        folder_row.addWidget(self._folder, 1)
        folder_row.addWidget(browse)
        self._overwrite = QCheckBox("Replace the earlier export in this folder")
        self._overwrite.setToolTip("Other files in the folder stay")
        self._summary = QLabel()
        self._summary.setWordWrap(True)
        self._summary.setMinimumHeight(3 * self._summary.fontMetrics().lineSpacing())
        self._summary.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._form = QFormLayout()
        self._form.setLabelAlignment(Qt.AlignmentFlag.AlignRight)
        self._form.setHorizontalSpacing(12)
        self._form.setVerticalSpacing(10)
        explained = QVBoxLayout()
        explained.setSpacing(5)
        explained.addWidget(self._format)
        explained.addWidget(self._explanation)
        self._form.addRow("Format", explained)
        self._form.addRow("", self._options)
        self._form.addRow("Frames", self._frames)
        self._form.addRow("Objects", self._objects)
        self._form.addRow("Folder", folder_row)
        self._form.addRow("", self._overwrite)
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
        layout.addLayout(self._form)
        layout.addWidget(self._summary)
        # Formats that ask for less leave room: below everything, not between the rows.
        layout.addStretch(1)
        layout.addWidget(buttons)
        self._on_format_changed()
        self._format.currentIndexChanged.connect(self._on_format_changed)
        self._folder.textEdited.connect(self._on_folder_edited)
        for signal in (
            self._folder.textChanged,
            self._overwrite.toggled,
            self._options.changed,
            self._frames.changed,
            self._objects.changed,
        ):
            signal.connect(self._on_changed)
        self._folder.setFocus()
        self._folder.selectAll()

    @property
    def request(self) -> ExportRequest:
        """What the person asked for."""
        first, stop = self._frames.bounds
        chosen, options = self.chosen_format, self._options
        return ExportRequest(
            self._path(),
            first,
            stop,
            self._objects.ids,
            self._overwrite.isChecked(),
            chosen.key,
            self._frames.step.value(),
            chosen.images and options.images.isChecked(),
            options.fps.value() if options.own_fps.isChecked() else None,
            options.opacity.value() / 100,
            options.bits.currentData(),
        )

    @property
    def chosen_format(self) -> ExportFormat:
        """The format that is chosen."""
        return FORMATS[self._format.currentData()]

    def choose_format(self, key: str) -> None:
        """Choose a format by its key."""
        self._format.setCurrentIndex(self._format.findData(key))

    def _path(self) -> Path:
        return Path(self._folder.text().strip()).expanduser()

    def _suggestion(self) -> Path:
        """A folder beside the footage that is named after it and the format, and holds nothing yet."""
        wanted = self._base.with_name(f"{self._base.name}-{self.chosen_format.key}")
        number, folder = 2, wanted
        while _holds_something(folder):
            folder = wanted.with_name(f"{wanted.name}-{number}")
            number += 1
        return folder

    def _problem(self) -> str:
        if not self._folder.text().strip():
            return "Choose a folder."
        ids = self._objects.ids
        if not ids:
            return "Choose at least one object."
        if self.chosen_format.indexed and len(ids) > MAX_INDEXED_OBJECTS:
            return (
                f"An indexed PNG holds {MAX_INDEXED_OBJECTS} objects, {len(ids)} are chosen: export them in "
                "parts into several folders, or choose COCO, YouTube-VIS, binary masks or CSV."
            )
        first, stop = self._frames.bounds
        if stop <= first:
            return "The last frame lies before the first."
        path = self._path()
        if path.exists() and not path.is_dir():
            return f"{path.name} is a file: choose a folder."
        if _holds_something(path) and not self._overwrite.isChecked():
            return f"{path.name} is not empty: choose another folder, or have the export in it replaced."
        return ""

    def _plan(self) -> str:
        request = self.request
        frames, ids = request.frames, request.objects
        bare = sum(1 for frame in frames if frame not in self._labelled)
        what = "1 frame" if len(frames) == 1 else f"{len(frames):,} frames"
        text = f"Writes {what} with {len(ids)} object{'s' if len(ids) != 1 else ''}"
        if list(ids) != list(range(1, len(ids) + 1)):
            text += f", renumbered 1 to {len(ids)}"
        if bare:
            text += f"; {bare:,} frame{'s have' if bare != 1 else ' has'} no labels"
        text += "."
        old = out_of_date(request, self._stale)
        if old:
            text += f" {old:,} frame{'s are' if old != 1 else ' is'} out of date: Update computes them again."
        if self.chosen_format.soft:
            return text + " The propagated frames are computed once more, which takes its time."
        return text + " Everything is read back and compared."

    @Slot()
    def _on_format_changed(self, *_values: object) -> None:
        chosen = self.chosen_format
        self._explanation.setText(chosen.explanation)
        self._options.set_format(chosen)
        self._form.setRowVisible(self._options, chosen.images or chosen.overlay or chosen.soft)
        if not self._folder_is_own:
            self._folder.setText(str(self._suggestion()))
        self._on_changed()

    @Slot()
    def _on_folder_edited(self, _text: str) -> None:
        self._folder_is_own = True

    @Slot()
    def _on_changed(self, *_values: object) -> None:
        self._form.setRowVisible(self._overwrite, _holds_something(self._path()))
        problem = self._problem()
        self._export.setEnabled(not problem)
        c = Theme.current().colours
        doubtful = problem or out_of_date(self.request, self._stale)
        self._summary.setStyleSheet(f"color: {c.warning if doubtful else c.text_soft}")
        self._summary.setText(problem or self._plan())

    @Slot()
    def _on_browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Export into", str(self._path().parent))
        if chosen:
            self._folder_is_own = True
            self._folder.setText(chosen)


def _holds_something(path: Path) -> bool:
    try:
        return path.is_dir() and next(path.iterdir(), None) is not None
    except OSError:
        # A folder that cannot be listed: writing will say why.
        return False
