"""What the window shows before a video is open: where to drop one, how to open one, what to do then."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QColor, QPaintEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStyle,
    QStyleOptionToolButton,
    QStylePainter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from smtc_app.ui.theme import SPACING_PX, Theme

RECENT_SHOWN = 5
TITLE = "Drop a video or a folder here"


class EmptyState(QWidget):
    """Signals: open_requested, open_folder_requested, demo_requested (None); recent_requested (path str)."""

    open_requested = Signal(object)
    open_folder_requested = Signal(object)
    demo_requested = Signal(object)
    recent_requested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("emptyState")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._frame = QFrame()
        self._frame.setObjectName("dropFrame")
        self._frame.setFixedWidth(560)
        self._icon = QLabel(alignment=Qt.AlignmentFlag.AlignCenter)
        self._title = QLabel(TITLE, alignment=Qt.AlignmentFlag.AlignCenter)
        font = self._title.font()
        font.setPointSizeF(font.pointSizeF() * 1.45)
        font.setBold(True)
        self._title.setFont(font)
        formats = QLabel(
            "videos · folders of images or videos · DAVIS and YouTube-VOS roots · projects",
            alignment=Qt.AlignmentFlag.AlignCenter,
        )
        formats.setObjectName("soft")
        formats.setWordWrap(True)
        self.open_button = QPushButton("Open Video…")
        self.open_button.setProperty("primary", True)
        self.folder_button = QPushButton("Open Folder…")
        self.demo_button = QPushButton("Try the Demo Clip")
        self.open_button.clicked.connect(self._on_open_clicked)
        self.folder_button.clicked.connect(self._on_folder_clicked)
        self.demo_button.clicked.connect(self._on_demo_clicked)
        buttons = QHBoxLayout()
        buttons.setSpacing(SPACING_PX)
        buttons.addStretch()
        for button in (self.open_button, self.folder_button, self.demo_button):
            buttons.addWidget(button)
        buttons.addStretch()
        inner = QVBoxLayout(self._frame)
        inner.setContentsMargins(32, 34, 32, 34)
        inner.setSpacing(12)
        inner.addWidget(self._icon)
        inner.addWidget(self._title)
        inner.addWidget(formats)
        inner.addSpacing(8)
        inner.addLayout(buttons)
        self._recent_title = QLabel("Recent")
        self._recent_title.setObjectName("soft")
        self._recent_title.setContentsMargins(8, 0, 0, 0)
        self._recent = QVBoxLayout()
        self._recent.setSpacing(0)
        below = QWidget()
        below.setFixedWidth(560)
        below_layout = QVBoxLayout(below)
        below_layout.setContentsMargins(0, 0, 0, 0)
        below_layout.setSpacing(4)
        below_layout.addWidget(self._recent_title)
        below_layout.addLayout(self._recent)
        layout = QVBoxLayout(self)
        layout.addStretch(2)
        layout.addWidget(self._frame, alignment=Qt.AlignmentFlag.AlignHCenter)
        layout.addSpacing(22)
        layout.addWidget(below, alignment=Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(3)
        Theme.current().changed.connect(self._on_theme_changed)
        self._on_theme_changed()
        self.set_recent(())

    def set_recent(self, paths: Sequence[str]) -> None:
        """List the last opened videos and projects, newest first."""
        while (item := self._recent.takeAt(0)) is not None:
            item.widget().deleteLater()
        self._recent_title.setVisible(bool(paths))
        for path in paths[:RECENT_SHOWN]:
            self._recent.addWidget(_RecentButton(path, self.recent_requested))

    def set_opening(self, name: str) -> None:
        """Say that a path is being opened; an empty name when that has ended."""
        self._title.setText(f"Opening {name}…" if name else TITLE)
        for button in (self.open_button, self.folder_button, self.demo_button):
            button.setEnabled(not name)

    def set_hot(self, hot: bool) -> None:
        """Show that what is being dragged over the window can be dropped."""
        self._frame.setProperty("hot", hot)
        self._frame.style().unpolish(self._frame)
        self._frame.style().polish(self._frame)
        self._on_theme_changed()

    @Slot()
    def _on_open_clicked(self) -> None:
        self.open_requested.emit(None)

    @Slot()
    def _on_folder_clicked(self) -> None:
        self.open_folder_requested.emit(None)

    @Slot()
    def _on_demo_clicked(self) -> None:
        self.demo_requested.emit(None)

    @Slot(object)
    def _on_theme_changed(self, _colours: object = None) -> None:
        theme = Theme.current()
        colour = theme.colours.accent if self._frame.property("hot") else theme.colours.text_soft
        self._icon.setPixmap(theme.pixmap("video", 56, colour, self.devicePixelRatioF()))


class _RecentButton(QToolButton):
    def __init__(self, path: str, signal: Signal) -> None:
        super().__init__()
        self._path = path
        self._signal = signal
        file = Path(path)
        home = str(Path.home())
        folder = str(file.parent)
        self._folder = "~" + folder[len(home) :] if folder.startswith(home) else folder
        self.setText(file.name)
        self.setToolTip(path)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self.setFixedWidth(560)
        self.setFixedHeight(28)
        self.clicked.connect(self._on_clicked)

    @Slot()
    def _on_clicked(self) -> None:
        self._signal.emit(self._path)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Name in front, folder softly behind it, on the hover background of a tool button."""
        option = QStyleOptionToolButton()
        self.initStyleOption(option)
        option.text = ""
        painter = QStylePainter(self)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ToolButton, option)
        c = Theme.current().colours
        metrics = self.fontMetrics()
        area = self.rect().adjusted(8, 0, -8, 0)
        name = metrics.elidedText(self.text(), Qt.TextElideMode.ElideMiddle, 300)
        painter.setPen(QColor(c.text))
        left = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        painter.drawText(area, left, name)
        used = metrics.horizontalAdvance(name) + 12
        painter.setPen(QColor(c.text_soft))
        folder = metrics.elidedText(self._folder, Qt.TextElideMode.ElideMiddle, area.width() - used)
        painter.drawText(area.adjusted(used, 0, 0, 0), left, folder)
