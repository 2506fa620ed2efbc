"""The dataset browser: the videos of a folder, how far each is, and in which order they are gone through.

The panel knows rows, not files: it is given `VideoRow`s and says what the person asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QPoint, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QMenu,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from smtc_app.core.dataset import SORTS, STATE_TEXT, VideoRow, VideoState, arranged, counted_states
from smtc_app.ui.actions import ActionTable
from smtc_app.ui.dataset_model import CARD_HEIGHT_PX, ROW_ROLE, DatasetDelegate, DatasetModel
from smtc_app.ui.panel_parts import ElidedLabel
from smtc_app.ui.theme import MARGIN_PX, SPACING_PX, Theme

WANT_DELAY_MS = 40
ARRANGE_DELAY_MS = 300
"""While videos are looked into, the list is put in order no more often than this."""
AHEAD_ROWS = 4
"""Thumbnails are fetched so many rows beyond what is in sight."""


class DatasetPanel(QWidget):
    """Title with progress, filter and order, the list.

    Signals:
        opened: name of a video that was clicked.
        done_toggled: name of a video whose mark was clicked.
        wanted: names (list) of videos whose thumbnails are in sight and missing.
        sort_changed: key of `SORTS` that the person chose.
    """

    opened = Signal(object)
    done_toggled = Signal(object)
    wanted = Signal(object)
    sort_changed = Signal(object)

    def __init__(self, actions: ActionTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setMinimumWidth(224)
        self._actions = actions
        self._rows: dict[str, VideoRow] = {}
        self._title = ElidedLabel("Dataset")
        self._title.setObjectName("panelTitle")
        self._count = QLabel()
        self._count.setObjectName("soft")
        header = QHBoxLayout()
        header.setContentsMargins(MARGIN_PX, SPACING_PX, SPACING_PX, 4)
        header.setSpacing(2)
        header.addWidget(self._title, 1)
        header.addSpacing(4)
        for action_id in ("propose_all", "previous_video", "next_video", "close_dataset"):
            button = QToolButton()
            button.setDefaultAction(actions[action_id])
            button.setIconSize(QSize(16, 16))
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            header.addWidget(button)
        self.progress = _StateBar()
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Find a video")
        self.filter.setClearButtonEnabled(True)
        self.filter.textChanged.connect(self._on_filter_changed)
        self.states = QComboBox()
        self.states.addItem("All", None)
        for state in VideoState:
            self.states.addItem(STATE_TEXT[state], state)
        self.states.setToolTip("Which videos are shown")
        self.states.currentIndexChanged.connect(self._on_filter_changed)
        self.sort = QComboBox()
        for key, (caption, _) in SORTS.items():
            self.sort.addItem(caption, key)
        self.sort.setToolTip("Order of the list, and of going to the next video")
        self.sort.activated.connect(self._on_sort_chosen)
        for box in (self.states, self.sort):
            box.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        # Counts are read, so what is chosen is never cut off; the order takes what is left.
        self.states.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.states.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.sort.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.sort.setMinimumContentsLength(6)
        choices = QHBoxLayout()
        choices.setSpacing(SPACING_PX - 2)
        choices.addWidget(self.states)
        choices.addWidget(self.sort, 1)
        controls = QVBoxLayout()
        controls.setContentsMargins(MARGIN_PX, 2, SPACING_PX + 2, SPACING_PX)
        controls.setSpacing(SPACING_PX - 2)
        done = QHBoxLayout()
        done.setSpacing(SPACING_PX)
        done.addWidget(self.progress, 1)
        done.addWidget(self._count)
        controls.addLayout(done)
        controls.addWidget(self.filter)
        controls.addLayout(choices)
        self.view = QListView()
        self.model = DatasetModel(self.view)
        self.view.setModel(self.model)
        self.delegate = DatasetDelegate(self.view, self._on_part_clicked)
        self.view.setItemDelegate(self.delegate)
        self.view.setMouseTracking(True)
        self.view.setUniformItemSizes(True)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.verticalScrollBar().setSingleStep(CARD_HEIGHT_PX // 3)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._on_context_menu)
        self.view.verticalScrollBar().valueChanged.connect(self._want_soon)
        self._note = QLabel("No video matches.")
        self._note.setObjectName("soft")
        self._note.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self._note.setContentsMargins(MARGIN_PX, SPACING_PX, MARGIN_PX, SPACING_PX)
        self._note.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(header)
        layout.addLayout(controls)
        layout.addWidget(self._note, 1)
        layout.addWidget(self.view, 1)
        self._want_timer = _single_shot(self, WANT_DELAY_MS, self._want)
        self._arrange_timer = _single_shot(self, ARRANGE_DELAY_MS, self._arrange)
        Theme.current().changed.connect(self._on_theme_changed)

    @property
    def names(self) -> list[str]:
        """The videos as shown, in order."""
        return [row.name for row in self.model.rows]

    @property
    def rows(self) -> tuple[VideoRow, ...]:
        """All videos, shown or not, in the order of names."""
        return tuple(self._rows.values())

    def row(self, name: str) -> VideoRow | None:
        """What is known of a video, shown or not."""
        return self._rows.get(name)

    def set_dataset(self, title: str, tooltip: str, rows: Sequence[VideoRow], sort: str = "name") -> None:
        """Show another dataset; `rows` in the order of names."""
        self.model.clear()
        self._rows = {row.name: row for row in rows}
        self._title.setText(title)
        self._title.setToolTip(tooltip)
        self.sort.setCurrentIndex(max(0, self.sort.findData(sort)))
        self.filter.clear()
        self.states.setCurrentIndex(0)
        self._arrange()
        self.view.scrollToTop()

    def update_row(self, row: VideoRow) -> None:
        """Something is known better about one video."""
        self._rows[row.name] = row
        self.model.update_row(row)
        if not self._arrange_timer.isActive():
            self._arrange_timer.start()

    def set_current(self, name: str | None) -> None:
        """Which video is open; its row is scrolled into sight."""
        self.model.set_current(name)
        position = self.model.position_of(name)
        if position is not None:
            self.view.scrollTo(self.model.index(position))

    def set_picture(self, name: str, picture: np.ndarray | None) -> None:
        """A thumbnail uint8 (h, w, 3) has come, or there is none."""
        self.model.set_picture(name, picture)

    def row_centre(self, name: str, part: str = "name") -> QPoint:
        """Where a part of a row is in the view's viewport."""
        index = self.model.index(self.model.position_of(name))
        return self.delegate.parts(self.view.visualRect(index))[part].center()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Other rows may be in sight."""
        super().resizeEvent(event)
        self._want_soon()

    def _arrange(self) -> None:
        state = self.states.currentData()
        shown = arranged(
            list(self._rows.values()),
            sort=self.sort.currentData(),
            text=self.filter.text(),
            states=None if state is None else {VideoState(state)},
        )
        bar = self.view.verticalScrollBar()
        place = bar.value()
        self.model.set_rows(shown)
        bar.setValue(place)
        self._note.setVisible(not shown and bool(self._rows))
        self.view.setVisible(bool(shown) or not self._rows)
        counts = counted_states(list(self._rows.values()))
        self.progress.set_counts(counts)
        self._count.setText(f"{counts[VideoState.DONE]} / {len(self._rows)} done")
        for index in range(self.states.count()):
            each = self.states.itemData(index)
            count = len(self._rows) if each is None else counts[VideoState(each)]
            self.states.setItemText(
                index, f"{'All' if each is None else STATE_TEXT[VideoState(each)]} ({count})"
            )
        self._want_soon()

    @Slot()
    def _want_soon(self) -> None:
        self._want_timer.start()

    @Slot()
    def _want(self) -> None:
        if not self.isVisible() or not self.model.rows:
            return
        first = self.view.verticalScrollBar().value() // CARD_HEIGHT_PX
        last = first + self.view.viewport().height() // CARD_HEIGHT_PX + 1
        positions = range(max(0, first - AHEAD_ROWS), min(len(self.model.rows), last + AHEAD_ROWS + 1))
        # What is in sight comes before what may be scrolled to.
        ordered = sorted(positions, key=lambda position: not first <= position <= last)
        self.wanted.emit(self.model.missing(ordered))

    def _on_part_clicked(self, part: str, name: str) -> None:
        (self.done_toggled if part == "state" else self.opened).emit(name)

    @Slot(object)
    def _on_filter_changed(self, _value: object) -> None:
        self._arrange()
        self.view.scrollToTop()

    @Slot(int)
    def _on_sort_chosen(self, _index: int) -> None:
        self._arrange()
        self.view.scrollToTop()
        self.sort_changed.emit(self.sort.currentData())

    @Slot(object)
    def _on_context_menu(self, position: QPoint) -> None:
        index = self.view.indexAt(position)
        if not index.isValid():
            return
        row: VideoRow = index.data(ROW_ROLE)
        menu = QMenu(self)
        menu.addAction("Open").triggered.connect(lambda: self.opened.emit(row.name))
        caption = "Not Done Yet" if row.done else "Mark as Done"
        menu.addAction(caption).triggered.connect(lambda: self.done_toggled.emit(row.name))
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.view.viewport().mapToGlobal(position))

    @Slot(object)
    def _on_theme_changed(self, _colours: object) -> None:
        self.view.viewport().update()
        self.progress.update()


class _StateBar(QWidget):
    """How many videos are how far, as a bar of four colours."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(5)
        self._counts: dict[VideoState, int] = {}

    def set_counts(self, counts: dict[VideoState, int]) -> None:
        self._counts = counts
        self.setToolTip("\n".join(f"{STATE_TEXT[state]}: {counts[state]}" for state in reversed(VideoState)))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        c = Theme.current().colours
        painter.setBrush(QColor(c.border))
        painter.drawRoundedRect(self.rect(), 2.5, 2.5)
        total, x = sum(self._counts.values()), 0.0
        for state, colour in (
            (VideoState.DONE, c.good),
            (VideoState.IN_WORK, c.warning),
            (VideoState.PROPOSED, c.accent),
        ):
            width = self.width() * self._counts.get(state, 0) / max(1, total)
            if width:
                painter.setBrush(QColor(colour))
                painter.drawRoundedRect(round(x), 0, max(3, round(width)), self.height(), 2.5, 2.5)
            x += width


def _single_shot(parent: QWidget, delay_ms: int, slot: object) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(delay_ms)
    timer.timeout.connect(slot)
    return timer
