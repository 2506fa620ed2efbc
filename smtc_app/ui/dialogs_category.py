"""Asks for the category of objects: typed with completion, or chosen from the project's list."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QCompleter,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from smtc_app.core.categories import clean_category
from smtc_app.ui.theme import SPACING_PX


class CategoryDialog(QDialog):
    """`category` is the answer and `categories` the project's list, after it was accepted.

    Args:
        what: the object, or how many there are, in words.
        current: the category they have.
        categories: the project's list.
        used: those that cannot be removed from it, because objects have them.
    """

    def __init__(
        self,
        what: str,
        current: str,
        categories: Sequence[str],
        used: Collection[str],
        *,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Category")
        self.setMinimumWidth(380)
        self._used = frozenset(used)
        self.box = QComboBox()
        self.box.setEditable(True)
        self.box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.box.addItems(list(categories))
        self.box.setCurrentText(current)
        self.box.lineEdit().setPlaceholderText("none")
        self.box.lineEdit().selectAll()
        completer = QCompleter(self.box.model(), self)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setCompletionMode(QCompleter.CompletionMode.PopupCompletion)
        self.box.setCompleter(completer)
        self.box.editTextChanged.connect(self._on_text_changed)
        self.remove_button = QPushButton("Remove from List")
        self.remove_button.setAutoDefault(False)
        self.remove_button.clicked.connect(self._on_remove)
        row = QHBoxLayout()
        row.setSpacing(SPACING_PX)
        row.addWidget(self.box, 1)
        row.addWidget(self.remove_button)
        note = QLabel("A new name is added to the project's list. Leave the field empty for no category.")
        note.setObjectName("soft")
        note.setWordWrap(True)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Cancel | QDialogButtonBox.StandardButton.Ok
        )
        buttons.button(QDialogButtonBox.StandardButton.Ok).setProperty("primary", True)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 18, 20, 16)
        layout.setSpacing(12)
        layout.addWidget(QLabel(f"Category of {what}"))
        layout.addLayout(row)
        layout.addWidget(note)
        layout.addWidget(buttons)
        self._on_text_changed()

    @property
    def category(self) -> str:
        """What was typed or chosen, "" for none."""
        return clean_category(self.box.currentText())

    @property
    def categories(self) -> list[str]:
        """The project's list, with the answer in it."""
        listed = [self.box.itemText(index) for index in range(self.box.count())]
        return listed if not self.category or self.category in listed else [*listed, self.category]

    @Slot()
    def _on_text_changed(self) -> None:
        listed = self.box.findText(self.category, Qt.MatchFlag.MatchFixedString) >= 0
        used = self.category in self._used
        self.remove_button.setEnabled(bool(self.category) and listed and not used)
        self.remove_button.setToolTip(
            "Objects have this category" if used else "Take this name out of the project's list"
        )

    @Slot()
    def _on_remove(self) -> None:
        index = self.box.findText(self.category, Qt.MatchFlag.MatchFixedString)
        if index >= 0:
            self.box.removeItem(index)
            self.box.setCurrentText("")
