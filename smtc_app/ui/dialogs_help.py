"""The sheet of keys (F1), where keys are also rebound, and About."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Slot
from PySide6.QtGui import QFocusEvent, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from smtc_app.ui.action_specs import ACTIONS, MENUS, SPECS
from smtc_app.ui.actions import ActionTable
from smtc_app.ui.theme import SPACING_PX, Theme

COLUMNS = 3
CLICK_A_KEY = "Click a key to change it."
_MOUSE = (
    ("Zoom at the cursor", "Wheel"),
    ("Pan", "Middle drag, Space + drag"),
    ("Accept / reject a proposal", "Click / Alt+click"),
    ("… on this frame only", "Ctrl+click / Ctrl+Alt+click"),
    ("Choose proposals, to merge them", "Shift+click"),
    ("Select one / several objects", "Click / Shift+click"),
)


def key_texts(action_id: str, actions: ActionTable) -> list[str]:
    """The keys of an action as people read them, without repeats."""
    texts = []
    for key in actions.keys[action_id]:
        text = QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText).replace("Return", "Enter")
        if text and text not in texts:
            texts.append(text)
    return texts


class _KeyButton(QPushButton):
    """Shows an action's keys; click it, press the new key."""

    def __init__(self, action_id: str, sheet: ShortcutsDialog) -> None:
        super().__init__()
        self._id = action_id
        self._sheet = sheet
        self._listening = False
        self.setAutoDefault(False)
        self.setToolTip("Click, then press the new key. Backspace: no key. Esc: leave it.")
        self.setFixedHeight(24)
        self.clicked.connect(self._on_clicked)
        self.refresh()

    def refresh(self) -> None:
        """Show the keys as they are now."""
        texts = key_texts(self._id, self._sheet.actions_table)
        c = Theme.current().colours
        self.setStyleSheet(
            f"QPushButton {{ padding: 1px 8px; font-weight: 600; color: {c.text}; }}"
            if texts
            else f"QPushButton {{ padding: 1px 8px; color: {c.text_off}; }}"
        )
        self.setText("press a key" if self._listening else ("  /  ".join(texts) or "none"))

    @Slot()
    def _on_clicked(self) -> None:
        self._listening = True
        self.setFocus()
        self.refresh()

    def _stop(self) -> None:
        self._listening = False
        self.refresh()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        if self._listening:
            self._stop()
        super().focusOutEvent(event)

    def event(self, event: QEvent) -> bool:
        """While listening, take every key, also those that move the focus or press buttons."""
        if self._listening and event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
            return True
        if self._listening and event.type() == QEvent.Type.KeyPress:
            self._take(event)
            return True
        return super().event(event)

    def _take(self, event: QKeyEvent) -> None:
        key = event.key()
        if key in (Qt.Key.Key_Shift, Qt.Key.Key_Control, Qt.Key.Key_Alt, Qt.Key.Key_Meta):
            return
        self._stop()
        if key != Qt.Key.Key_Escape:
            keys = () if key == Qt.Key.Key_Backspace else (QKeySequence(event.keyCombination()).toString(),)
            self._sheet.rebind(self._id, keys)


class ShortcutsDialog(QDialog):
    """Every action and its keys, by menu, in columns; typing in the field narrows it down."""

    def __init__(self, actions: ActionTable, *, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys")
        self.actions_table = actions
        self._sections: list[tuple[QLabel, list[tuple[str, QLabel, QWidget]]]] = []
        """Heading, and its rows: action (none for the mouse), what it does, its keys."""
        self._buttons: dict[str, _KeyButton] = {}
        self._filter = QLineEdit()
        self._filter.setPlaceholderText("Find an action or a key")
        self._filter.setClearButtonEnabled(True)
        self._filter.textChanged.connect(self._on_filter_changed)
        self._message = QLabel(CLICK_A_KEY)
        self._message.setObjectName("soft")
        body = QWidget()
        columns = QHBoxLayout(body)
        columns.setContentsMargins(4, 4, 12, 4)
        columns.setSpacing(30)
        for groups in self._spread():
            column = QVBoxLayout()
            column.setSpacing(3)
            for menu, ids in groups:
                column.addWidget(self._heading(menu))
                column.addLayout(self._group(ids))
                column.addSpacing(10)
            if groups is self._last:
                column.addWidget(self._heading("Mouse"))
                column.addLayout(self._mouse())
            column.addStretch()
            columns.addLayout(column, 1)
        scroll = QScrollArea()
        scroll.setWidget(body)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        reset = QPushButton("Restore Defaults")
        reset.setAutoDefault(False)
        buttons.addButton(reset, QDialogButtonBox.ButtonRole.ResetRole)
        reset.clicked.connect(self._on_reset)
        buttons.rejected.connect(self.reject)
        top = QHBoxLayout()
        top.addWidget(self._filter)
        top.addSpacing(SPACING_PX)
        top.addWidget(self._message, 1)
        self._filter.setFixedWidth(260)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(18, 16, 18, 14)
        layout.setSpacing(12)
        layout.addLayout(top)
        layout.addWidget(scroll, 1)
        layout.addWidget(buttons)
        self.resize(1120, 640)

    def rebind(self, action_id: str, keys: tuple[str, ...]) -> None:
        """Give an action other keys, or say who holds them already."""
        try:
            self.actions_table.rebind({action_id: keys})
        except ValueError as error:
            self._say(f"{error}. Nothing was changed.", warning=True)
        else:
            self._say(f"{SPECS[action_id].text.rstrip('…')} is on {' '.join(keys) or 'no key'} now.")
        for button in self._buttons.values():
            button.refresh()

    def _say(self, sentence: str, *, warning: bool = False) -> None:
        c = Theme.current().colours
        self._message.setStyleSheet(f"color: {c.warning if warning else c.text_soft}")
        self._message.setText(sentence)

    def _spread(self) -> list[list[tuple[str, list[str]]]]:
        """The menus dealt to columns of about the same length."""
        groups = []
        for menu in MENUS:
            ids = [spec.id for spec in ACTIONS if spec.menu.split("/")[0] == menu]
            groups.append((menu, ids))
        total = sum(len(ids) + 2 for _, ids in groups) + len(_MOUSE) + 2
        columns: list[list[tuple[str, list[str]]]] = [[]]
        used = 0
        for group in groups:
            length = len(group[1]) + 2
            if used and used + length / 2 > total / COLUMNS and len(columns) < COLUMNS:
                columns.append([])
                used = 0
            columns[-1].append(group)
            used += length
        self._last = columns[-1]
        return columns

    def _heading(self, text: str) -> QLabel:
        """The heading of the rows that are made next."""
        label = QLabel(text)
        label.setObjectName("panelTitle")
        self._sections.append((label, []))
        return label

    def _group(self, ids: list[str]) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(0, 1)
        for row, action_id in enumerate(ids):
            label = QLabel(SPECS[action_id].text.rstrip("…"))
            label.setToolTip(SPECS[action_id].tooltip)
            button = _KeyButton(action_id, self)
            grid.addWidget(label, row, 0)
            grid.addWidget(button, row, 1, Qt.AlignmentFlag.AlignRight)
            self._buttons[action_id] = button
            self._sections[-1][1].append((action_id, label, button))
        return grid

    def _mouse(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setVerticalSpacing(5)
        grid.setColumnStretch(0, 1)
        for row, (what, how) in enumerate(_MOUSE):
            title, label = QLabel(what), QLabel(how)
            label.setObjectName("soft")
            grid.addWidget(title, row, 0)
            grid.addWidget(label, row, 1, Qt.AlignmentFlag.AlignRight)
            self._sections[-1][1].append(("", title, label))
        return grid

    @Slot(str)
    def _on_filter_changed(self, text: str) -> None:
        wanted = text.strip().lower()
        found = 0
        for heading, rows in self._sections:
            left = 0
            for action_id, label, keys in rows:
                how = " ".join(key_texts(action_id, self.actions_table)) if action_id else keys.text()
                shown = wanted in label.text().lower() or wanted in how.lower()
                label.setVisible(shown)
                keys.setVisible(shown)
                left += shown
            heading.setVisible(left > 0)
            found += left
        self._say(CLICK_A_KEY if found else f"No action and no key is called '{text.strip()}'.")

    @Slot()
    def _on_reset(self) -> None:
        self.actions_table.rebind({spec.id: spec.keys for spec in ACTIONS})
        self._say("All keys are as they were delivered.")
        for button in self._buttons.values():
            button.refresh()


class AboutDialog(QDialog):
    """Version, what the model in use is, where things come from."""

    def __init__(self, version: str, model: str, device: str, *, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("About smtc-app")
        self.setMinimumWidth(480)
        icon = QLabel()
        icon.setPixmap(Theme.current().pixmap("smtc-app", 64, ratio=self.devicePixelRatioF()))
        title = QLabel("smtc-app")
        font = title.font()
        font.setPointSizeF(font.pointSizeF() * 1.6)
        font.setBold(True)
        title.setFont(font)
        version_label = QLabel(f"Version {version} · MIT licence")
        version_label.setObjectName("soft")
        text = QLabel(
            "Annotate videos from self-supervised object proposals and propagate the labels, "
            "exported as DAVIS masks.<br><br>"
            f"<b>Model</b>&nbsp; {model}<br><b>Device</b>&nbsp; {device}<br><br>"
            "Method: Qian et al., <i>Semantics Meets Temporal Correspondence: Self-supervised "
            "Object-centric Learning in Videos</i>, ICCV 2023. Propagation protocols: Jabri et al., "
            "CRW, 2020, and Caron et al., DINO, 2021.<br><br>"
            "<b>Licences of models</b>&nbsp; smtc-compact and colour-texture, in the package: MIT · DINO and "
            "DINOv2: Apache-2.0 · DINOv3: the DINOv3 licence · checkpoints of the method's authors: none "
            "stated. <i>smtc-model list</i> shows every model with its licence.<br><br>"
            "Built with Qt for Python (LGPL), PyTorch, timm, PyAV, OpenCV, scikit-image and NumPy."
        )
        text.setWordWrap(True)
        text.setTextFormat(Qt.TextFormat.RichText)
        head = QHBoxLayout()
        head.setSpacing(16)
        names = QVBoxLayout()
        names.addStretch()
        names.addWidget(title)
        names.addWidget(version_label)
        names.addStretch()
        head.addWidget(icon)
        head.addLayout(names, 1)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(22, 20, 22, 16)
        layout.setSpacing(16)
        layout.addLayout(head)
        layout.addWidget(text)
        layout.addWidget(buttons)
